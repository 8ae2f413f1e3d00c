"""Exact values: Shapley values from all subsets, and leave-one-out."""

import numpy as np
from sklearn.utils import gen_batches

from trustml._jax import lanes_in_memory
from trustml.valuation._base import BaseGameValuation, Valued, mean_over_games
from trustml.valuation._game import MAX_EXACT_PLAYERS, all_coalitions, exact_semivalue
from trustml.valuation._semivalue import size_probabilities


class _BaseExactValuation(BaseGameValuation):
    """Values without sampling error."""

    def __init__(self, estimator=None, *, scoring=None, cv=5, select="positive", error_score="raise", n_jobs=None):
        self.estimator = estimator
        self.scoring = scoring
        self.cv = cv
        self.select = select
        self.error_score = error_score
        self.n_jobs = n_jobs

    def _value_games(self, games, players, problem, context):
        per_game = [(self._value_players(game), np.zeros(game.n_players)) for game in games]
        values, errors = mean_over_games(per_game, players, problem.n_units)
        return Valued(values, errors, {"converged_": True})


class ExactShapley(_BaseExactValuation):
    """Shapley values of up to 16 units of training rows, from all of their subsets.

    The oracle for the estimators that sample, and the right choice when few sources are compared, each with many
    rows: pass their labels as ``units`` to ``fit``.

    Parameters
    ----------
    estimator : estimator, default=None
        As in :class:`DataShapley`.
    scoring : str, callable or None, default=None
        Score of a fitted model on the validation rows.
    cv : int, cross-validation generator or iterable, default=5
        Folds on which the rows are valued when ``fit`` gets no validation set.
    select : {"positive", "nonnegative", "all"} or float, default="positive"
        Rows that ``estimator_`` is refitted on, as in :class:`DataShapley`.
    error_score : "raise" or float, default="raise"
        Score of a subset to which the model cannot be fitted.
    n_jobs : int or None, default=None
        Parallel fits of a model that is not compiled.

    Attributes
    ----------
    data_values_ : ndarray of shape (n_samples,)
        Value of each row: its share of the value of its unit.
    unit_values_ : ndarray of shape (n_units,)
        Value of each unit. They sum to ``full_score_ - empty_score_`` (for a validation set).
    estimator_ : estimator
        Model refitted on the rows kept; other attributes are those of :class:`DataShapley`.

    References
    ----------
    .. [1] L. S. Shapley. "A value for n-person games". Contributions to the Theory of Games II, 1953.

    Examples
    --------
    Three hospitals, the last of which mixed up its labels:

    >>> import numpy as np
    >>> from sklearn.datasets import load_breast_cancer
    >>> from trustml import ExactShapley
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X = (X - X.mean(axis=0)) / X.std(axis=0)
    >>> y_train, hospital = y[:300].copy(), np.repeat(["A", "B", "C"], 100)
    >>> y_train[200:] = 1 - y_train[200:]
    >>> valuation = ExactShapley().fit(X[:300], y_train, X_val=X[300:], y_val=y[300:], units=hospital)
    >>> valuation.unit_values_.round(1)
    array([ 0.2,  0.3, -0.5])
    """

    def _value_games(self, games, players, problem, context):
        most = max(game.n_players for game in games)
        if most > MAX_EXACT_PLAYERS:
            raise ValueError(
                f"X holds {most} units to value; exact values need all subsets and at most {MAX_EXACT_PLAYERS} "
                "units. Group rows by units=, or use DataShapley."
            )
        return super()._value_games(games, players, problem, context)

    def _value_players(self, game):
        return exact_semivalue(game(all_coalitions(game.n_players)), size_probabilities(game.n_players, "shapley"))


class LeaveOneOut(_BaseExactValuation):
    """What the score loses when a row, or a unit of rows, is left out.

    Cheap and exact, but a weak detector: with many rows, leaving out a single one hardly ever changes a score.
    The baseline that other values must beat.

    Parameters
    ----------
    estimator : estimator, default=None
        As in :class:`DataShapley`.
    scoring : str, callable or None, default=None
        Score of a fitted model on the validation rows.
    cv : int, cross-validation generator or iterable, default=5
        Folds on which the rows are valued when ``fit`` gets no validation set.
    select : {"positive", "nonnegative", "all"} or float, default="nonnegative"
        Rows that ``estimator_`` is refitted on, as in :class:`DataShapley`. Most rows are worth exactly nothing here,
        and the default keeps them.
    error_score : "raise" or float, default="raise"
        Score of a subset to which the model cannot be fitted.
    n_jobs : int or None, default=None
        Parallel fits of a model that is not compiled.

    Attributes
    ----------
    data_values_ : ndarray of shape (n_samples,)
        Full score less the score without the row.
    estimator_ : estimator
        Model refitted on the rows kept; other attributes are those of :class:`DataShapley`.

    References
    ----------
    .. [1] R. D. Cook. "Detection of influential observation in linear regression". Technometrics, 1977.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from trustml import LeaveOneOut
    >>> X, y = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([1.0, 2.0, 3.0, 0.0])
    >>> valuation = LeaveOneOut(Ridge(fit_intercept=False), scoring="neg_mean_squared_error")
    >>> valuation.fit(X, y, X_val=[[1.0], [2.0]], y_val=[1.0, 2.0]).data_values_.round(4)
    array([ 0.051 ,  0.2393,  0.7409, -0.7407])
    """

    def __init__(self, estimator=None, *, scoring=None, cv=5, select="nonnegative", error_score="raise", n_jobs=None):
        super().__init__(estimator, scoring=scoring, cv=cv, select=select, error_score=error_score, n_jobs=n_jobs)

    def _value_players(self, game):
        at_once = lanes_in_memory(2 * len(game.unit_of_row), at_most=1024)
        without = [
            game(np.arange(game.n_players) != np.arange(game.n_players)[players, None])
            for players in gen_batches(game.n_players, at_once)
        ]
        return game.full_score - np.concatenate(without)
