"""What every data valuation shares: its signature, its fitted attributes and the model refitted on the rows kept."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from trustml._sklearn import HasMethods, Interval, StrOptions, fit_context, safe_indexing
from trustml.valuation._engines import compiled_engine
from trustml.valuation._problem import check_problem, is_class_target, make_games


def _known_model(valuation):
    """The refitted model, or the user's, or None if the default model is not chosen yet."""
    return getattr(valuation, "estimator_", getattr(valuation, "estimator", None))


def _model_has(method):
    """Whether the refitted model, or the one that will be refitted, has a method."""

    def check(valuation):
        return hasattr(_known_model(valuation) or valuation._default_model, method)

    return check


@dataclass(frozen=True)
class Valued:
    """What a valuation has found out.

    Attributes
    ----------
    values, standard_errors : ndarray of shape (n_units,)
    attributes : dict
        Further fitted attributes by name.
    interrupt : KeyboardInterrupt or None
        Raised again as soon as the estimate so far is published.
    """

    values: NDArray
    standard_errors: NDArray
    attributes: dict
    interrupt: KeyboardInterrupt | None = None


class BaseDataValuation(MetaEstimatorMixin, CallbackSupportMixin, BaseEstimator, ABC):
    """Base of the estimators that value training rows.

    A subclass implements ``_value(problem, context)``.
    """

    _parameter_constraints: dict = {
        "select": [StrOptions({"positive", "nonnegative", "all"}), Interval(Real, 0, 1, closed="right")],
    }
    # What estimator=None stands for, as far as it is known before y is.
    _default_model: type = LogisticRegression
    # Whether rows are valued against validation rows.
    _validates = True

    @abstractmethod
    def _value(self, problem, context):
        """The :class:`Valued` units of a :class:`Problem`."""

    def _model(self, y):
        """The unfitted model that the rows train."""
        if self.estimator is not None:
            return clone(self.estimator)
        return LogisticRegression() if is_class_target(y) else Ridge()

    def _needs_numbers(self, problem):
        """Whether X must be an array of finite numbers; otherwise the model gets it as it came."""
        return True

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, X_val=None, y_val=None, units=None, sample_weight=None):
        """Value the training rows, and refit the model on the rows kept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows. A model that is not compiled gets them as they are, data frames included.
        y : array-like of shape (n_samples,)
            Targets.
        X_val : array-like of shape (n_val, n_features), default=None
            Validation rows on which a model is scored. Without them every row is valued against the folds of
            ``cv`` that it is not in, and its value is the mean over them.
        y_val : array-like of shape (n_val,), default=None
            Targets of the validation rows.
        units : array-like of shape (n_samples,), default=None
            Label of the unit that a row belongs to (a patient, a source). Rows of a unit are valued together, and
            each is given an equal share of the unit's value. Folds never split a unit.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights with which the model is fitted. A row of weight zero is worth nothing.

        Returns
        -------
        self : object
            The fitted valuation.
        """
        problem = check_problem(self, X, y, X_val, y_val, units, sample_weight)
        context = self._init_callback_context(max_subtasks=self._max_rounds())
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        valued = self._value(problem, context)
        self._publish(problem, valued)
        if valued.interrupt is not None:
            raise valued.interrupt
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _publish(self, problem, valued):
        fitted = self._fitted_attributes(problem, valued.values, valued.standard_errors, valued.attributes)
        for name, value in fitted.items():
            setattr(self, name, value)

    def _max_rounds(self):
        """How many rounds ``_value`` reports to callbacks at most."""
        return 0

    def _fitted_attributes(self, problem, unit_values, unit_errors, attributes):
        """All fitted attributes by name, the model refitted on the rows kept among them."""
        share = 1 / np.bincount(problem.unit_of_row)[problem.unit_of_row]
        values = unit_values[problem.unit_of_row] * share
        support = self._select(values, problem)
        estimator = clone(problem.estimator)
        fit_params = {}
        if np.ptp(problem.sample_weight) > 0 and has_fit_parameter(estimator, "sample_weight"):
            fit_params["sample_weight"] = problem.sample_weight[support]
        rows = np.flatnonzero(support)
        estimator.fit(safe_indexing(problem.X_given, rows), problem.y_given[rows], **fit_params)
        fitted = {
            "data_values_": values,
            "standard_errors_": unit_errors[problem.unit_of_row] * share,
            "unit_values_": unit_values,
            "unit_standard_errors_": unit_errors,
            "units_": problem.units,
            "unit_of_row_": problem.unit_of_row,
            "support_": support,
            "estimator_": estimator,
            **attributes,
        }
        if problem.classes is not None:
            fitted["classes_"] = problem.classes
        return fitted

    def _select(self, values, problem):
        """Rows kept: by sign or by rank, and always the best row of each class (of all rows, for a regressor).

        A row of weight zero is never kept.
        """
        usable = problem.sample_weight > 0
        if self.select == "all":
            return usable
        if self.select in ("positive", "nonnegative"):
            support = usable & (values > 0 if self.select == "positive" else values >= 0)
        else:
            best_first = np.argsort(-values, kind="stable")
            best_first = best_first[usable[best_first]]
            support = np.isin(np.arange(len(values)), best_first[: int(np.ceil(self.select * len(best_first)))])
        kinds = np.zeros(len(values), int) if problem.classes is None else problem.y
        for kind in np.unique(kinds[usable]):
            members = usable & (kinds == kind)
            if not support[members].any():
                best = np.flatnonzero(members)[np.argmax(values[members])]
                support[best] = True
                which = "no row" if problem.classes is None else f"no row of class {problem.classes.tolist()[kind]!r}"
                warnings.warn(
                    f"select={self.select!r} keeps {which}; the best of them, row {best}, is kept so that a model "
                    "can be fitted.",
                    UserWarning,
                    stacklevel=2,
                )
        return support

    def get_support(self, indices=False):
        """Rows that the refitted model was fitted to.

        Parameters
        ----------
        indices : bool, default=False
            Return row numbers instead of a mask.

        Returns
        -------
        support : ndarray of shape (n_samples,) or (n_kept,)
            Boolean mask, or row numbers.
        """
        check_is_fitted(self)
        return np.flatnonzero(self.support_) if indices else self.support_

    def confidence_interval(self, level=0.95):
        """Interval around each row's value that the sampling error explains.

        It says how far the estimate may be from the exact value of this game; it does not say how the value would
        change with other validation rows.

        Parameters
        ----------
        level : float, default=0.95
            Nominal coverage, in (0, 1).

        Returns
        -------
        interval : ndarray of shape (n_samples, 2)
            Lower and upper bounds.
        """
        check_is_fitted(self)
        if not 0 < level < 1:
            raise ValueError(f"level={level!r} is not a coverage; expected a number in (0, 1).")
        half = self._error_quantile(0.5 + level / 2) * self.standard_errors_
        return np.stack([self.data_values_ - half, self.data_values_ + half], axis=1)

    def _error_quantile(self, probability):
        return norm.ppf(probability)

    def to_frame(self, level=0.95):
        """Values as a pandas DataFrame, one row per training row, lowest value first.

        Parameters
        ----------
        level : float, default=0.95
            Nominal coverage of the interval.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by row number, with columns unit, value, standard_error, lower, upper, kept.
        """
        check_is_fitted(self)
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame needs pandas, which is not installed: pip install 'trustml[dataframe]'."
            ) from error
        lower, upper = self.confidence_interval(level).T
        frame = pd.DataFrame(
            {
                "unit": self.units_[self.unit_of_row_],
                "value": self.data_values_,
                "standard_error": self.standard_errors_,
                "lower": lower,
                "upper": upper,
                "kept": self.support_,
            }
        )
        frame.index.name = "row"
        return frame.sort_values("value", kind="stable")

    @available_if(_model_has("predict"))
    def predict(self, X):
        """Predictions of the model refitted on the rows kept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Predicted targets.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_model_has("predict_proba"))
    def predict_proba(self, X):
        """Class probabilities of the model refitted on the rows kept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_model_has("decision_function"))
    def decision_function(self, X):
        """Decision function of the model refitted on the rows kept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Confidence scores.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @available_if(_model_has("score"))
    def score(self, X, y):
        """Score of the model refitted on the rows kept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        y : array-like of shape (n_samples,)
            Their targets.

        Returns
        -------
        score : float
            The model's own score: accuracy for a classifier, R^2 for a regressor.
        """
        check_is_fitted(self)
        return self.estimator_.score(X, y)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        model = _known_model(self)
        if model is not None:
            of_model = get_tags(model)
            tags.estimator_type = of_model.estimator_type
            tags.regressor_tags, tags.input_tags = of_model.regressor_tags, of_model.input_tags
            if of_model.classifier_tags is not None:
                tags.classifier_tags = replace(of_model.classifier_tags, multi_label=False)
        return tags


class BaseGameValuation(BaseDataValuation):
    """Base of the valuations that score models fitted to subsets of the rows.

    A subclass implements ``_value_games(games, players, problem, context)``.
    """

    _parameter_constraints: dict = {
        **BaseDataValuation._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "scoring": [str, callable, None],
        "cv": ["cv_object"],
        "n_jobs": [int, None],
        "error_score": [StrOptions({"raise"}), Real],
    }

    def _needs_numbers(self, problem):
        return compiled_engine(problem.estimator, problem.task(self.scoring)) is not None

    def _value(self, problem, context):
        games, players = make_games(problem, scoring=self.scoring, n_jobs=self.n_jobs, error_score=self.error_score)
        valued = self._value_games(games, players, problem, context)
        of_games = {
            "engine_": games[0].engine.name,
            "n_evaluations_": sum(game.n_evaluations for game in games),
            "full_score_": float(np.mean([game.full_score for game in games])),
            "empty_score_": float(np.mean([game.empty_score for game in games])),
        }
        return replace(valued, attributes={**of_games, **valued.attributes})

    @abstractmethod
    def _value_games(self, games, players, problem, context):
        """The :class:`Valued` units, from one game per validation split."""


def mean_over_games(per_game, players, n_units):
    """Mean, over the games in which a unit plays, of its value; and the same for independent standard errors.

    Parameters
    ----------
    per_game : list of (values, standard_errors)
        Arrays of shape (n_players,) for each game.
    players : list of ndarray of int
        Unit that each player stands for.
    n_units : int
        Number of units.
    """
    total, variance, count = np.zeros(n_units), np.zeros(n_units), np.zeros(n_units)
    for (values, errors), units in zip(per_game, players, strict=True):
        total[units] += values
        variance[units] += errors**2
        count[units] += 1
    return total / count, np.sqrt(variance) / count
