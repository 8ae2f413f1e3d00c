"""The best monotone mixture of any quantile models."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import MetaEstimatorMixin
from sklearn.utils import check_array, column_or_1d, get_tags, indexable
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from trustml._jax import lanes_in_memory, seed_from
from trustml._sklearn import (
    BaseComposition,
    Interval,
    StrOptions,
    check_sample_weight,
    fit_context,
    num_samples,
    safe_indexing,
)
from trustml._validation import check_magnitude
from trustml.metrics._quantile import check_quantile_levels, weighted_interval_score
from trustml.quantile._base import DEFAULT_QUANTILES, BaseQuantileRegressor, check_coverage
from trustml.quantile._conformal import cv_plus, scores, split_conformal
from trustml.quantile._distribution import at_levels
from trustml.quantile._forest import ForestQuantileRegressor
from trustml.quantile._linear import LinearQuantileRegressor
from trustml.quantile._noncrossing import REPAIRS
from trustml.quantile._out_of_fold import BaseModels, folds_of, nested_out_of_fold, out_of_fold, stacked_quantiles
from trustml.quantile._stack import apply_stack, fit_stack, weights_of


def _default_models(seed):
    return [("linear", LinearQuantileRegressor()), ("forest", ForestQuantileRegressor(random_state=seed))]


class QuantileAggregator(MetaEstimatorMixin, BaseQuantileRegressor, BaseComposition):
    r"""Combine any models of quantiles by weights that minimise the pinball loss out of fold.

    Parameters
    ----------
    estimators : list of (str, estimator), default=None
        Models of quantiles, any of: those of this package; ``quantile_forest``; NGBoost; CatBoost; models with
        ``predict(X, return_std=True)``; and models of one quantile, of which one clone is fitted for each level
        (LightGBM, gradient boosting and QuantileRegressor of scikit-learn). Pipelines that end in one will do. None:
        :class:`LinearQuantileRegressor` and :class:`ForestQuantileRegressor`.
    quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.1, ..., 0.95)
        Levels, strictly increasing, between 0 and 1.
    weights : {"global", "local", "average", "median"}, default="global"
        "global": the same for all rows. "local": a function of the row, by a network. "average" and "median" of the
        models need no fit.
    resolution : {"coarse", "medium", "fine"}, default="medium"
        "coarse": a weight for each model. "medium": for each model and level. "fine": for each model, each of its
        levels and each level of the output.
    constraint : {"simplex", "affine", None}, default="simplex"
        Of global weights. "simplex": non-negative, with sum one. "affine": with sum one. None: free, with an intercept
        for each level (quantile regression averaging). Local weights are on the simplex.
    noncrossing : {"sort", "isotonic", "sweep", "penalty", None}, default="sort"
        How quantiles are put into order, those of the models before they are weighed as well. "penalty": local weights
        are also trained with a penalty on crossing, then sorted. None leaves all as they are.
    cv : int, cross-validation generator, iterable or "prefit", default=5
        Folds for the predictions on which weights are fitted; each row of positive weight is in one test fold. An int
        makes folds of neighbouring rows: of shuffled rows or of time, pass a splitter. "prefit": ``estimators`` are
        fitted, and ``fit`` sees rows that they have not seen.
    conformal : {"cqr", "cv+", None}, default=None
        What gives :meth:`predict_interval` a guarantee. "cqr": a fraction of the rows is kept apart, and calibrates.
        "cv+": all rows calibrate, each by a stack that has not seen its fold, at the price of
        ``cv (cv - 1) / 2`` more fits.
    calibration_fraction : float, default=0.2
        Of the rows, drawn at random, for "cqr".
    solver : {"auto", "highs"}, default="auto"
        Of global weights, as in :class:`LinearQuantileRegressor`.
    tol : float, default=1e-6
        Largest gap between the loss of global weights and its lower bound, relative to the loss.
    crossing_penalty : float, default=1.0
        Of ``noncrossing="penalty"``: factor of the mean distance by which adjacent quantiles cross.
    hidden_layer_sizes : array-like of int, default=(64,)
        Hidden layers of the network of local weights.
    learning_rate : float, default=1e-3
        Of Adam, for local weights.
    batch_size : int, default=128
        Rows in a step, for local weights.
    max_iter : int, default=200
        Most epochs, for local weights.
    n_iter_no_change : int, default=10
        Training of local weights stops after so many epochs without a better loss on the rows held out.
    validation_fraction : float, default=0.2
        Of the rows, held out from the training of local weights to tell when to stop.
    n_networks : int, default=1
        Networks, of other seeds and held-out rows, whose local weights are averaged. One network's loss varies from
        seed to seed by as much as many methods differ.
    n_jobs : int, default=None
        Fits in parallel.
    random_state : int, RandomState instance or None, default=None
        Of the calibration rows, of the networks of local weights, and of the default models.

    Attributes
    ----------
    estimators_ : list
        The models, fitted on all rows (but for calibration ones): estimators, or lists of one for each level.
    estimator_names_ : ndarray of shape (n_estimators,)
        Their names.
    weights_ : ndarray of shape (n_estimators,[ n_quantiles[, n_quantiles]])
        By ``resolution``: of model j (at level v) in the output (at level t). Not of local weights and of "median".
    intercept_ : ndarray of shape (n_quantiles,)
        Zero unless ``constraint`` is None.
    oof_predictions_ : ndarray of shape (n_samples, n_estimators, n_quantiles)
        Out-of-fold quantiles of the models; NaN where a row has weight zero, or calibrates.
    validation_scores_ : ndarray of shape (n_estimators,)
        Weighted interval score of each model out of fold; lower is better.
    objective_gap_ : float
        By how much the loss of global weights can exceed the least one, relative to it.
    n_iter_ : int
        Epochs of local weights; 1 for other weights, which take one solve.
    quantiles_ : ndarray of shape (n_quantiles,)
        The levels.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    trustml.metrics.weighted_interval_score : What the weights minimise.

    Notes
    -----
    Families of weights and their order are those of [1]_: for quantiles :math:`q_{jv}(x)` of model j at level v, the
    output at level t is :math:`\sum_{jv} w_{jv,t}(x) q_{jv}(x)`. Global weights solve a linear programme; its dual
    bound is computed from all rows, so that ``objective_gap_`` is certified. Conformal intervals are those of [2]_
    and, for "cv+", of [3]_ with the stack fitted anew without each fold.

    Sorting never raises the loss of a row summed over equally weighted levels [1]_, which is what is minimised here.

    References
    ----------
    .. [1] R. Fakoor, T. Kim, J. Mueller, A. J. Smola and R. J. Tibshirani, "Flexible model aggregation for quantile
       regression", Journal of Machine Learning Research 24, 2023.
    .. [2] Y. Romano, E. Patterson and E. J. Candes, "Conformalized quantile regression", NeurIPS 2019.
    .. [3] R. F. Barber, E. J. Candes, A. Ramdas and R. J. Tibshirani, "Predictive inference with the jackknife+",
       Annals of Statistics 49, 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from trustml.quantile import ForestQuantileRegressor, LinearQuantileRegressor, QuantileAggregator
    >>> X, y = load_diabetes(return_X_y=True)
    >>> models = [("linear", LinearQuantileRegressor()), ("forest", ForestQuantileRegressor(random_state=0))]
    >>> stack = QuantileAggregator(models, resolution="coarse").fit(X, y)
    >>> dict(zip(stack.estimator_names_.tolist(), stack.weights_.round(2).tolist()))
    {'linear': 0.58, 'forest': 0.42}
    >>> stack.predict_interval(X[:1], coverage=0.8).round().tolist()
    [[112.0, 284.0]]
    """

    _parameter_constraints = {
        "estimators": [list, None],
        "quantiles": ["array-like"],
        "weights": [StrOptions({"global", "local", "average", "median"})],
        "resolution": [StrOptions({"coarse", "medium", "fine"})],
        "constraint": [StrOptions({"simplex", "affine"}), None],
        "noncrossing": [StrOptions({"sort", "isotonic", "sweep", "penalty"}), None],
        "cv": ["cv_object", StrOptions({"prefit"})],
        "conformal": [StrOptions({"cqr", "cv+"}), None],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "solver": [StrOptions({"auto", "highs"})],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "crossing_penalty": [Interval(Real, 0, None, closed="left")],
        "hidden_layer_sizes": ["array-like"],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_networks": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimators=None,
        *,
        quantiles=DEFAULT_QUANTILES,
        weights="global",
        resolution="medium",
        constraint="simplex",
        noncrossing="sort",
        cv=5,
        conformal=None,
        calibration_fraction=0.2,
        solver="auto",
        tol=1e-6,
        crossing_penalty=1.0,
        hidden_layer_sizes=(64,),
        learning_rate=1e-3,
        batch_size=128,
        max_iter=200,
        n_iter_no_change=10,
        validation_fraction=0.2,
        n_networks=1,
        n_jobs=None,
        random_state=None,
    ):
        self.estimators = estimators
        self.quantiles = quantiles
        self.weights = weights
        self.resolution = resolution
        self.constraint = constraint
        self.noncrossing = noncrossing
        self.cv = cv
        self.conformal = conformal
        self.calibration_fraction = calibration_fraction
        self.solver = solver
        self.tol = tol
        self.crossing_penalty = crossing_penalty
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.n_networks = n_networks
        self.n_jobs = n_jobs
        self.random_state = random_state

    def get_params(self, deep=True):
        """Parameters, those of the models among them under ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the models and their parameters.

        Returns
        -------
        params : dict
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params):
        """Set parameters; a model is replaced under its name.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : QuantileAggregator
        """
        return self._set_params("estimators", **params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inputs = [get_tags(model).input_tags for _, model in self._named(0)]
        tags.input_tags.allow_nan = all(tag.allow_nan for tag in inputs)
        tags.input_tags.sparse = all(tag.sparse for tag in inputs)
        return tags

    def _named(self, seed):
        return _default_models(seed) if self.estimators is None else self.estimators

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Predict every row out of fold, fit the weights on that, and fit the models on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; the models get them as they are, data frames included.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, in the models and in the loss. A row of weight zero changes nothing. Rows that
            calibrate count alike.

        Returns
        -------
        self : QuantileAggregator
        """
        levels, seed = check_quantile_levels(self.quantiles), seed_from(self.random_state)
        named = self._check_models(seed)
        X = self._rows(X, y, reset=True)
        y = column_or_1d(check_array(y, ensure_2d=False, dtype=np.float64, input_name="y"), warn=True)
        check_magnitude(y, "y")
        check_consistent_length(X, y)
        if self.conformal is not None and levels[0] > 0.5:
            raise ValueError(f"quantiles={levels.tolist()} hold no interval; conformal={self.conformal!r} needs one.")
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        check_magnitude(weight, "sample_weight")
        given = None if sample_weight is None else weight
        base = BaseModels(named, X, y, given, levels, REPAIRS[self.noncrossing and "sort"], self.n_jobs)

        calibrates = self._calibration_rows(weight, seed)
        if self.cv == "prefit":
            self._fit_prefit(base, weight * ~calibrates, seed)
        else:
            self._fit_cross(base, weight * ~calibrates, seed)
        self.quantiles_, self.estimator_names_ = levels, np.array([name for name, _ in named])
        if self.conformal == "cqr":
            rows = np.flatnonzero(calibrates)
            values = self._aggregate(base.predict(self.estimators_, rows), safe_indexing(X, rows))
            self._calibration = (values, y[rows])
        return self

    def _check_models(self, seed):
        named = self._named(seed)
        if not named or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in named):
            raise ValueError(f"estimators={named!r}; expected a list of at least one (name, estimator).")
        self._validate_names([name for name, _ in named])
        if self.noncrossing == "penalty" and self.weights != "local":
            raise ValueError(f"noncrossing='penalty' is for weights='local'; got weights={self.weights!r}.")
        if self.conformal == "cv+" and self.cv == "prefit":
            raise ValueError("conformal='cv+' fits models without each fold; got cv='prefit': use conformal='cqr'.")
        return named

    def _calibration_rows(self, weight, seed):
        """Which rows calibrate and do nothing else."""
        chosen = np.zeros(len(weight), bool)
        if self.conformal == "cqr":
            rows = np.flatnonzero(weight)
            n = round(self.calibration_fraction * len(rows))
            if n < 1 or n >= len(rows):
                raise ValueError(
                    f"calibration_fraction={self.calibration_fraction!r} takes {n} of {len(rows)} rows; "
                    "expected to leave some on both sides."
                )
            chosen[np.random.default_rng(seed).choice(rows, n, replace=False)] = True
        return chosen

    def _fit_prefit(self, base, weight, seed):
        rows = np.flatnonzero(weight)
        self.estimators_ = [model for _, model in base.named]
        Q = np.full((len(weight), len(base.named), len(base.levels)), np.nan)
        Q[rows] = base.predict(self.estimators_, rows)
        self._fit_weights(base, Q, weight, seed)

    def _fit_cross(self, base, weight, seed):
        folds = folds_of(self.cv, base.X, base.y, weight > 0)
        Q, models = out_of_fold(base, folds)
        self._fit_weights(base, Q, weight, seed)
        if self.conformal == "cv+":
            self._fit_folds(base, Q, folds, models, weight, seed)
        (self.estimators_,) = base.fit([np.flatnonzero(weight)])

    def _fit_weights(self, base, Q, weight, seed):
        rows = np.flatnonzero(weight)
        self.oof_predictions_ = Q
        self.validation_scores_ = np.array(
            [
                weighted_interval_score(base.y[rows], Q[rows, j], quantiles=base.levels, sample_weight=weight[rows])
                for j in range(len(base.named))
            ]
        )
        self._stack, report = self._stack_of(base, Q, weight, rows, seed)
        for name in ("weights", "intercept"):
            if name in self._stack:
                setattr(self, f"{name}_", self._stack[name])
        for name, value in ({"n_iter_": 1} | report).items():
            setattr(self, name, value)

    def _stack_of(self, base, Q, weight, rows, seed):
        X = safe_indexing(base.X, rows) if self.weights == "local" else None
        return fit_stack(self, Q[rows], base.y[rows], weight[rows], X, base.levels, seed)

    def _fit_folds(self, base, Q, folds, models, weight, seed):
        """Stacks that have not seen a fold, their base models and the quantiles that they give its rows."""
        nested = nested_out_of_fold(base, folds)
        everything = np.sort(np.concatenate(folds))
        self._folds = []
        for k, fold in enumerate(folds):
            stack, _ = self._stack_of(base, nested[k], weight, np.setdiff1d(everything, fold), seed)
            values = apply_stack(self, stack, Q[fold], safe_indexing(base.X, fold))
            self._folds.append({"stack": stack, "models": models[k], "values": values, "y": base.y[fold]})

    def _named_fitted(self):
        return [(name, None) for name in self.estimator_names_]

    def _base_quantiles(self, models, X):
        prepare = REPAIRS[self.noncrossing and "sort"]
        return stacked_quantiles(self._named_fitted(), models, X, self.quantiles_, prepare)

    def _blocks(self, n_rows):
        numbers = len(self.estimator_names_) * len(self.quantiles_)
        if self.weights == "local" and self.resolution == "fine":
            numbers *= len(self.quantiles_) * self.n_networks
        size = lanes_in_memory(24 * numbers, at_most=1 << 16)
        return [np.arange(i, min(i + size, n_rows)) for i in range(0, n_rows, size)]

    def _aggregate(self, Q, X):
        parts = [
            apply_stack(self, self._stack, Q[rows], None if X is None else safe_indexing(X, rows))
            for rows in self._blocks(len(Q))
        ]
        return np.concatenate(parts) if parts else np.empty((0, Q.shape[2]))

    def _rows(self, X, y="no_validation", *, reset):
        """Rows that can be indexed; all else about them is for the models to judge."""
        (X,) = indexable(X)
        if getattr(X, "ndim", 2) != 2:
            raise ValueError(f"X has shape {X.shape}; expected (n_samples, n_features). Reshape your data.")
        validate_data(self, X, y, reset=reset, skip_check_array=True)
        return X

    def _fitted_quantiles(self, X):
        X = self._rows(X, reset=False)
        return self._stacked(self._stack, self.estimators_, X)

    def _stacked(self, stack, models, X):
        blocks = [safe_indexing(X, rows) for rows in self._blocks(num_samples(X))] or [X]
        return np.concatenate([apply_stack(self, stack, self._base_quantiles(models, part), part) for part in blocks])

    def aggregate(self, base_quantiles, X=None):
        """Combine quantiles of the models that are already there.

        Parameters
        ----------
        base_quantiles : array-like of shape (n_samples, n_estimators, n_quantiles)
            Quantiles of the models at the fitted levels, in the order of ``estimators``.
        X : array-like of shape (n_samples, n_features), default=None
            Rows; needed by local weights.

        Returns
        -------
        y_quantiles : ndarray of shape (n_samples, n_quantiles)
        """
        check_is_fitted(self)
        Q = check_array(base_quantiles, allow_nd=True, dtype=np.float64, input_name="base_quantiles")
        shape = (len(self.estimator_names_), len(self.quantiles_))
        if Q.shape[1:] != shape:
            raise ValueError(f"base_quantiles has shape {Q.shape}; expected (n_samples, {shape[0]}, {shape[1]}).")
        if self.weights == "local" and X is None:
            raise ValueError("X=None; expected the rows, of which local weights are a function.")
        if self.noncrossing is not None:
            Q = np.sort(Q, axis=2)
        return self._aggregate(Q, X)

    def predict_weights(self, X):
        """Weights of the models in each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        weights : ndarray of shape (n_samples, ...)
            For each row what ``weights_`` is for all.
        """
        check_is_fitted(self)
        if self.weights == "median":
            raise AttributeError("The median of the models has no weights.")
        X = self._rows(X, reset=False)
        blocks = [safe_indexing(X, rows) for rows in self._blocks(num_samples(X))]
        return np.concatenate([weights_of(self, self._stack, part, num_samples(part)) for part in blocks])

    def predict_interval(self, X, coverage=0.9):
        """Predict central intervals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        coverage : float, default=0.9
            Nominal coverage, between 0 and 1; its two levels lie in the range of those fitted.

        Returns
        -------
        intervals : ndarray of shape (n_samples, 2)
            Lower and upper ends. With ``conformal="cqr"``, the target of a new row of the same distribution is inside
            with probability at least ``coverage``; with "cv+", at least about ``2 coverage - 1``, and ``coverage`` in
            practice. Too few calibration rows for the coverage give infinite intervals. Without ``conformal``, nothing
            is promised.
        """
        check_is_fitted(self)
        ends = check_coverage(coverage, self.quantiles_)
        if self.conformal != "cv+":
            intervals = self.predict_quantiles(X, ends)
            if self.conformal is None:
                return intervals
            values, y = self._calibration
            return split_conformal(intervals, scores(at_levels(values, self.quantiles_, ends), y), coverage)
        X = self._rows(X, reset=False)
        intervals, fold_scores = [], []
        for fold in self._folds:
            values = self._stacked(fold["stack"], fold["models"], X)
            intervals.append(at_levels(values, self.quantiles_, ends))
            fold_scores.append(scores(at_levels(fold["values"], self.quantiles_, ends), fold["y"]))
        return cv_plus(np.array(intervals), fold_scores, coverage)
