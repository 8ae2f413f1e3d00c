"""Quantiles from a forest of scikit-learn's."""

from numbers import Integral

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.utils.validation import check_is_fitted, validate_data

from trustml._jax import lanes_in_memory
from trustml._sklearn import HasMethods, check_sample_weight, fit_context
from trustml.metrics._quantile import check_quantile_levels
from trustml.quantile._base import DEFAULT_QUANTILES, BaseQuantileRegressor


class ForestQuantileRegressor(MetaEstimatorMixin, BaseQuantileRegressor):
    """Quantile regression forest: quantiles of the training targets that share leaves with a row.

    Parameters
    ----------
    forest : RandomForestRegressor or ExtraTreesRegressor, default=None
        The forest. None: ``RandomForestRegressor(n_estimators=100, min_samples_leaf=5)``.
    quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.1, ..., 0.95)
        Levels that ``predict_quantiles`` gives by default; any others can be asked for.
    n_jobs : int, default=None
        Of the default forest.
    random_state : int, RandomState instance or None, default=None
        Of the forest, if it has none itself.

    Attributes
    ----------
    forest_ : RandomForestRegressor or ExtraTreesRegressor
        The fitted forest.
    quantiles_ : ndarray of shape (n_quantiles,)
        The levels.
    y_sorted_ : ndarray of shape (n_values,)
        Targets of the training rows in increasing order, without repeats.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    QuantileAggregator : Combines quantile models.

    Notes
    -----
    A training row weighs, for a new one, the mean over the trees of its share of the leaf that the new row falls into;
    all training rows count, drawn into the bootstrap of a tree or not [1]_. The quantile is the smallest target whose
    cumulative weight reaches the level.

    References
    ----------
    .. [1] N. Meinshausen, "Quantile regression forests", Journal of Machine Learning Research 7, 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from trustml.quantile import ForestQuantileRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> forest = ForestQuantileRegressor(random_state=0).fit(X, y)
    >>> forest.predict_quantiles(X[:1], [0.1, 0.5, 0.9]).tolist()
    [[109.0, 187.0, 281.0]]
    """

    _parameter_constraints = {
        "forest": [HasMethods(["fit", "predict"]), None],
        "quantiles": ["array-like"],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
    }

    def __init__(self, *, forest=None, quantiles=DEFAULT_QUANTILES, n_jobs=None, random_state=None):
        self.forest = forest
        self.quantiles = quantiles
        self.n_jobs = n_jobs
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Grow the forest.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, in the forest and in the leaves.

        Returns
        -------
        self : ForestQuantileRegressor
        """
        self.quantiles_ = check_quantile_levels(self.quantiles)
        X, y = validate_data(self, X, y, dtype=np.float32, y_numeric=True)
        y = y.astype(np.float64, copy=False)
        forest = self.forest
        if forest is None:
            forest = RandomForestRegressor(min_samples_leaf=5, n_jobs=self.n_jobs)
        if not isinstance(forest, RandomForestRegressor | ExtraTreesRegressor):
            raise ValueError(f"forest={forest!r}; expected a RandomForestRegressor or an ExtraTreesRegressor.")
        forest = clone(forest)
        if forest.random_state is None:
            forest.set_params(random_state=self.random_state)
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self.forest_ = forest.fit(X, y, sample_weight=weight)
        self._grow(X, y, np.ones(len(y)) if weight is None else weight)
        return self

    def _grow(self, X, y, weight):
        """Weights of the distinct targets in every leaf of every tree, leaves that sum to one."""
        self.y_sorted_, position = np.unique(y, return_inverse=True)
        leaves = self._leaves(X)
        rows, columns = leaves.ravel(), np.repeat(position, leaves.shape[1])
        shares = csr_array(
            (np.repeat(weight, leaves.shape[1]), (rows, columns)), shape=(self._first_leaf()[-1], len(self.y_sorted_))
        )
        total = shares.sum(axis=1)
        scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
        shares.data *= np.repeat(scale, np.diff(shares.indptr))
        # Plain arrays: every reader of pickles and of skops files knows them.
        self._shares = (shares.data, shares.indices, shares.indptr)

    def _first_leaf(self):
        return np.cumsum([0, *(tree.tree_.node_count for tree in self.forest_.estimators_)])

    def _leaves(self, X):
        """Number of the leaf of each row in each tree (n_rows, n_trees), counted through all trees."""
        return self.forest_.apply(X) + self._first_leaf()[:-1]

    def predict_quantiles(self, X, quantiles=None):
        """Predict quantiles at any levels; see the class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        quantiles : array-like of shape (n_quantiles,), default=None
            Levels, increasing, between 0 and 1. None: those of the constructor.

        Returns
        -------
        y_quantiles : ndarray of shape (n_samples, n_quantiles)
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float32)
        levels = self.quantiles_ if quantiles is None else check_quantile_levels(quantiles)
        n_values = len(self.y_sorted_)
        shares = csr_array(self._shares, shape=(self._first_leaf()[-1], n_values))
        size = lanes_in_memory(24 * n_values, at_most=1 << 14)
        blocks = [X[i : i + size] for i in range(0, len(X), size)]
        return np.concatenate([self._block(block, shares, levels) for block in blocks])

    def _block(self, X, shares, levels):
        leaves = self._leaves(X)
        n_rows, n_trees = leaves.shape
        pick = csr_array(
            (np.ones(leaves.size), leaves.ravel(), np.arange(0, leaves.size + 1, n_trees)),
            shape=(n_rows, shares.shape[0]),
        )
        cumulative = (pick @ shares).toarray()
        np.cumsum(cumulative, axis=1, out=cumulative)
        # One search for all rows: row i is moved to the interval from 2 i on.
        offsets = 2.0 * np.arange(n_rows)[:, None]
        cumulative = cumulative / cumulative[:, -1:] + offsets
        found = np.searchsorted(cumulative.ravel(), (levels - 1e-9 + offsets).ravel())
        position = found.reshape(n_rows, -1) - np.arange(n_rows)[:, None] * cumulative.shape[1]
        return self.y_sorted_[position]

    def _fitted_quantiles(self, X):
        return self.predict_quantiles(X)
