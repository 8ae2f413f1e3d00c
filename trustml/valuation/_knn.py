"""Exact Shapley values of the nearest-neighbour score."""

from collections.abc import Callable
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import VALID_METRICS, KNeighborsClassifier, KNeighborsRegressor
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from trustml._sklearn import Interval, StrOptions, safe_indexing, validate_params
from trustml._validation import check_magnitude
from trustml.valuation._base import BaseDataValuation, Valued, mean_over_games
from trustml.valuation._knn_kernels import (
    hard_values,
    hard_values_tied,
    regression_values,
    regression_values_tied,
    soft_from_hard,
)
from trustml.valuation._neighbour_order import sorted_neighbours
from trustml.valuation._problem import is_class_target

# Those that need nothing but two rows.
_METRICS = set(VALID_METRICS["brute"]) - {"precomputed", "mahalanobis", "seuclidean"}


def _runs(tied):
    """Ends (first, last) of the run of ties of each position; ``tied``: it ties with the next."""
    n = tied.shape[1] + 1
    position = np.broadcast_to(np.arange(n), (len(tied), n))
    edge = np.ones((len(tied), 1), bool)
    starts = np.concatenate([edge, ~tied], axis=1)
    stops = np.concatenate([~tied, edge], axis=1)
    first = np.maximum.accumulate(np.where(starts, position, 0), axis=1)
    last = np.minimum.accumulate(np.where(stops, position, n)[:, ::-1], axis=1)[:, ::-1]
    return first, last


def _sorted_values(target, truth, tied, k, variant, n_classes):
    """Values (n_chunk, n) of rows in neighbour order; ``target`` (n_chunk, n), ``truth`` (n_chunk, 1)."""
    first, last = _runs(tied) if tied is not None else (None, None)
    if variant == "regression":
        if tied is None:
            return regression_values(target, truth, k)
        return regression_values_tied(target, truth, first, last, k)
    hit = (target == truth).astype(np.float64)
    if variant == "soft":
        k = min(k, hit.shape[1])
    hard = hard_values(hit, k) if tied is None else hard_values_tied(hit, first, last, k)
    return soft_from_hard(hard, hit, k, n_classes) if variant == "soft" else hard


def neighbour_values(X, y, X_val, y_val, *, n_neighbors, variant, n_classes, metric) -> NDArray[np.float64]:
    """:func:`knn_shapley` of checked arrays: codes, below ``n_classes``, in place of labels."""
    n = len(y)
    total = np.zeros(n)
    for rows, order, tied in sorted_neighbours(X, X_val, metric):
        target, truth = y[order], y_val[rows, None]
        with_ties = tied.any(axis=1)
        for which, ties in ((~with_ties, None), (with_ties, tied[with_ties])):
            if not which.any():
                continue
            every = which.all()
            these = (target, truth, order) if every else (target[which], truth[which], order[which])
            values = _sorted_values(these[0], these[1], ties, n_neighbors, variant, n_classes)
            total += np.bincount(these[2].ravel(), weights=values.ravel(), minlength=n)
    return total / len(y_val)


@validate_params(
    {
        "X": ["array-like"],
        "y": ["array-like"],
        "X_val": ["array-like"],
        "y_val": ["array-like"],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "variant": [StrOptions({"hard", "soft", "regression"})],
        "metric": [StrOptions(_METRICS), callable],
    },
    prefer_skip_nested_validation=True,
)
def knn_shapley(
    X: ArrayLike,
    y: ArrayLike,
    X_val: ArrayLike,
    y_val: ArrayLike,
    *,
    n_neighbors: int = 5,
    variant: str = "hard",
    metric: str | Callable = "euclidean",
) -> NDArray[np.float64]:
    r"""Exact Shapley values of training rows for the score of K nearest neighbours.

    The value of a row is its mean over the validation rows; each costs one sort, so that the whole is
    :math:`O(m n \log n)`, without fitting a model or drawing a sample.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Training rows.
    y : array-like of shape (n_samples,)
        Their labels, or numbers for ``variant="regression"``.
    X_val : array-like of shape (n_val, n_features)
        Validation rows.
    y_val : array-like of shape (n_val,)
        Their labels or numbers. A label that no training row has is hit by none.
    n_neighbors : int, default=5
        Number of neighbours K. It may exceed the number of rows.
    variant : {"hard", "soft", "regression"}, default="hard"
        Score of the neighbours N(S) of a validation row (x, t), the min(K, \|S\|) rows of S nearest to x:

        - "hard": hits in N(S) / K, and 0 for no row;
        - "soft": hits in N(S) / min(K, \|S\|), and 1 / number of labels in ``y`` for no row;
        - "regression": minus the squared difference between t and (sum of y over N(S)) / K, so that missing
          neighbours count as zero: centre ``y`` and ``y_val`` unless zero is a sensible prediction.
          The score of no row is :math:`-t^2`.
    metric : str or callable, default="euclidean"
        Any metric of :func:`sklearn.metrics.pairwise_distances` that needs no further parameters, or a function of
        two rows.

    Returns
    -------
    values : ndarray of shape (n_samples,)
        They add up to the mean over validation rows of the score of all rows minus the score of none.

    Notes
    -----
    Rows at exactly the same distance tie, and the values are the exact mean over the orders of tied rows. So
    identical rows have equal values, and the order of the rows does not matter.

    The recursions of the papers hold for K <= n only; beyond, the values here are exact too. Jia et al. set
    the regression score of no row to 0, which lowers every value by the mean of :math:`t^2 / n`.

    References
    ----------
    R. Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms", PVLDB 12(11),

    J. T. Wang and R. Jia, "A note on 'Efficient task-specific data valuation for nearest neighbor
    algorithms'", arXiv:2304.04258, 2023.

    Examples
    --------
    The row at 1 has the wrong label for a validation row at -1:

    >>> from trustml.valuation import knn_shapley
    >>> X = [[0], [1], [2], [3], [4]]
    >>> y = ["no", "yes", "no", "yes", "no"]
    >>> knn_shapley(X, y, [[-1]], ["no"], n_neighbors=2).round(3)
    array([ 0.283, -0.217,  0.283, -0.05 ,  0.2  ])
    """
    X = check_magnitude(check_array(X, dtype=np.float64, input_name="X"), "X")
    X_val = check_magnitude(check_array(X_val, dtype=np.float64, input_name="X_val"), "X_val")
    if X.shape[1] != X_val.shape[1]:
        raise ValueError(f"X_val has {X_val.shape[1]} features; expected {X.shape[1]}, as X has.")
    y, y_val = column_or_1d(y, warn=True), column_or_1d(y_val, warn=True)
    check_consistent_length(X, y)
    check_consistent_length(X_val, y_val)
    if variant == "regression":
        y = check_magnitude(check_array(y, ensure_2d=False, dtype=np.float64, input_name="y"), "y")
        y_val = check_magnitude(check_array(y_val, ensure_2d=False, dtype=np.float64, input_name="y_val"), "y_val")
        n_classes = 0
    else:
        for targets in (y, y_val):
            check_classification_targets(targets)
        labels = unique_labels(y, y_val)
        n_classes = len(np.unique(y))
        y, y_val = np.searchsorted(labels, y), np.searchsorted(labels, y_val)
    return neighbour_values(
        X, y, X_val, y_val, n_neighbors=n_neighbors, variant=variant, n_classes=n_classes, metric=metric
    )


class KNNShapley(BaseDataValuation):
    """Exact Shapley values of training rows for the score of K nearest neighbours.

    No model is fitted and nothing is sampled: the values take one sort of the training rows per validation
    row, and rank tens of thousands of rows in seconds. They are exact for the nearest-neighbour score, and
    often rank mislabelled rows well for other models of the same features.

    Parameters
    ----------
    n_neighbors : int, default=5
        Number of neighbours. It may exceed the number of rows.
    variant : {"auto", "hard", "soft", "regression"}, default="auto"
        Score that the values share out, as in :func:`knn_shapley`. "auto" is "hard" if y holds classes, else
        "regression".
    metric : str or callable, default="euclidean"
        As in :func:`knn_shapley`. Scale the features first, as for any model of neighbours.
    cv : int, cross-validation generator or iterable, default=5
        Folds on which the rows are valued when ``fit`` gets no validation set.
    select : {"positive", "all"} or float, default="positive"
        Rows that ``estimator_`` is refitted on: those with a positive value, all, or this fraction of the
        rows with the highest values. The best row of each class is always kept, with a warning if it would
        not be.

    Attributes
    ----------
    data_values_ : ndarray of shape (n_samples,)
        Value of each row, mean over the folds in which it is a training row.
    standard_errors_ : ndarray of shape (n_samples,)
        Zero: nothing is sampled.
    unit_values_, unit_standard_errors_ : ndarray of shape (n_samples,)
        The same, in the order of ``units_``.
    full_score_, empty_score_ : float
        Scores of all rows and of none, mean over folds.
    n_evaluations_ : int
        Zero: no model is fitted to value rows.
    converged_ : bool
        Always true.
    support_ : ndarray of bool of shape (n_samples,)
        Rows kept.
    estimator_ : KNeighborsClassifier or KNeighborsRegressor
        Refitted on them; of fewer rows than ``n_neighbors`` it asks them all.
    classes_ : ndarray of shape (n_classes,)
        Labels; classification only.

    See Also
    --------
    knn_shapley : The values alone, as a function.
    DataShapley : Shapley values for any model and score, by sampling.

    Notes
    -----
    For regression, targets are taken relative to the mean of the training rows, so that a missing neighbour
    counts as this mean, and no row at all earns the score of predicting it.

    Units may not hold several rows: their values are not sums of the rows' values, and no fast exact formula
    is known. ``DataShapley(KNeighborsClassifier())`` values such units. Nearest neighbours have no sample
    weights: rows of weight zero are left out, and other weights must be equal.

    References
    ----------
    .. [1] R. Jia et al. "Efficient task-specific data valuation for nearest neighbor algorithms". PVLDB 12(11), 2019.
    .. [2] J. T. Wang, R. Jia. "A note on 'Efficient task-specific data valuation for nearest neighbor algorithms'".
       arXiv:2304.04258, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from trustml import KNNShapley
    >>> X, y = load_iris(return_X_y=True)
    >>> y[[3, 80]] = [1, 0]
    >>> valuation = KNNShapley().fit(X, y)
    >>> np.argsort(valuation.data_values_)[:2]
    array([ 3, 80])
    """

    _parameter_constraints: dict = {
        **BaseDataValuation._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "variant": [StrOptions({"auto", "hard", "soft", "regression"})],
        "metric": [StrOptions(_METRICS), callable],
        "cv": ["cv_object"],
    }
    _default_model = KNeighborsClassifier

    def __init__(self, *, n_neighbors=5, variant="auto", metric="euclidean", cv=5, select="positive"):
        self.n_neighbors = n_neighbors
        self.variant = variant
        self.metric = metric
        self.cv = cv
        self.select = select

    def _model(self, y):
        classify = self.variant in ("hard", "soft") or (self.variant == "auto" and is_class_target(y))
        model = KNeighborsClassifier if classify else KNeighborsRegressor
        return model(n_neighbors=self.n_neighbors, metric=self.metric)

    def _value(self, problem, context):
        shared = np.flatnonzero(np.bincount(problem.unit_of_row) > 1)
        if len(shared):
            raise ValueError(
                f"units holds {problem.units[shared].tolist()[0]!r} more than once; expected a unit for each "
                "row, since no exact values of several rows together are known. DataShapley with a nearest-neighbour "
                "estimator has such units."
            )
        present = problem.sample_weight > 0
        if np.ptp(problem.sample_weight[present]) > 0:
            raise ValueError(
                "sample_weight has unequal positive weights, which nearest neighbours do not know; expected equal "
                "weights, or zero for rows to leave out."
            )
        per_split, players = [], []
        full, empty = [], []
        for split in problem.splits:
            rows = split.rows[present[split.rows]]
            values = np.zeros(len(split.rows))
            values[present[split.rows]], without_rows = self._split_values(problem, split, rows)
            per_split.append((values, np.zeros(len(values))))
            players.append(problem.unit_of_row[split.rows])
            full.append(without_rows + values.sum())
            empty.append(without_rows)
        attributes = {
            "full_score_": float(np.mean(full)),
            "empty_score_": float(np.mean(empty)),
            "n_evaluations_": 0,
            "converged_": True,
        }
        return Valued(*mean_over_games(per_split, players, problem.n_units), attributes)

    def _split_values(self, problem, split, rows):
        """Values of the training rows of a split that are numbered ``rows``, and the score of no row."""
        X, y, y_val = safe_indexing(problem.X, rows), problem.y[rows], split.y_val
        if problem.classes is None:
            variant, n_classes = "regression", 0
            y, y_val = y - y.mean(), y_val - y.mean()
            empty = -np.mean(y_val**2)
        else:
            variant = "hard" if self.variant == "auto" else self.variant
            n_classes = len(problem.classes)
            empty = 1 / n_classes if variant == "soft" else 0.0
        values = neighbour_values(
            X,
            y,
            split.X_val,
            y_val,
            n_neighbors=self.n_neighbors,
            variant=variant,
            n_classes=n_classes,
            metric=self.metric,
        )
        return values, empty

    def _fitted_attributes(self, problem, *found):
        fitted = super()._fitted_attributes(problem, *found)
        kept = int(fitted["support_"].sum())
        fitted["estimator_"].set_params(n_neighbors=min(self.n_neighbors, kept))
        return fitted
