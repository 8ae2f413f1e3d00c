"""Do prediction intervals hold what they promise, and at what width?"""

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Bunch, check_array, check_consistent_length, column_or_1d

from trustml._sklearn import check_sample_weight, num_samples


def check_intervals(y_true, y_interval, sample_weight=None):
    """Targets (n,), lower and upper ends (n,) and weights (n,); infinite ends are allowed."""
    y_true = column_or_1d(check_array(y_true, ensure_2d=False, dtype=np.float64, input_name="y_true"))
    ends = check_array(y_interval, dtype=np.float64, ensure_all_finite=False, input_name="y_interval")
    if ends.shape[1] != 2 or np.isnan(ends).any():
        raise ValueError(
            f"y_interval has shape {ends.shape} and {np.isnan(ends).sum()} NaN; expected lower and upper ends, of "
            "shape (n_samples, 2), without NaN."
        )
    check_consistent_length(y_true, ends)
    if (ends[:, 0] > ends[:, 1]).any():
        raise ValueError(
            f"y_interval has {(ends[:, 0] > ends[:, 1]).sum()} lower ends above their upper ones; expected none."
        )
    weight = check_sample_weight(sample_weight, y_true, dtype=np.float64, ensure_non_negative=True)
    return y_true, ends[:, 0], ends[:, 1], weight


def check_coverage(coverage) -> float:
    """A level between 0 and 1."""
    if not isinstance(coverage, Real) or not 0 < float(coverage) < 1:
        raise ValueError(f"coverage={coverage!r}; expected a number between 0 and 1, both excluded.")
    return float(coverage)


def _inside(y_true, lower, upper):
    return (lower <= y_true) & (y_true <= upper)


def interval_coverage(y_true: ArrayLike, y_interval: ArrayLike, *, sample_weight=None) -> float:
    """Share of targets within their intervals, ends included (PICP).

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
    y_interval : array-like of shape (n_samples, 2)
        Lower and upper ends.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    coverage : float

    Examples
    --------
    >>> from trustml.metrics import interval_coverage
    >>> interval_coverage([1, 2, 3, 4], [[0, 2], [0, 2], [0, 2], [0, 5]])
    0.75
    """
    y_true, lower, upper, weight = check_intervals(y_true, y_interval, sample_weight)
    return float(np.average(_inside(y_true, lower, upper), weights=weight))


def side_coverage(y_true: ArrayLike, y_pred: ArrayLike, y_interval: ArrayLike, *, sample_weight=None) -> NDArray:
    """Coverage among the targets above their prediction, and among the others.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
    y_interval : array-like of shape (n_samples, 2)
        Lower and upper ends.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    coverage : ndarray of shape (2,)
        Above, and not above; NaN for a side without rows.

    Examples
    --------
    >>> from trustml.metrics import side_coverage
    >>> side_coverage([1, 2, -1, -3], [0, 0, 0, 0], [[-2, 1]] * 4)
    array([0.5, 0.5])
    """
    y_true, lower, upper, weight = check_intervals(y_true, y_interval, sample_weight)
    y_pred = column_or_1d(check_array(y_pred, ensure_2d=False, dtype=np.float64, input_name="y_pred"))
    check_consistent_length(y_true, y_pred)
    inside, above = _inside(y_true, lower, upper), y_true > y_pred
    totals = np.array([weight[above].sum(), weight[~above].sum()])
    hits = np.array([weight[above & inside].sum(), weight[~above & inside].sum()])
    return np.divide(hits, totals, out=np.full(2, np.nan), where=totals > 0)


def mean_interval_width(y_interval: ArrayLike, *, sample_weight=None) -> float:
    """Mean width of intervals, in units of the target (MPIW).

    Parameters
    ----------
    y_interval : array-like of shape (n_samples, 2)
        Lower and upper ends.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    width : float
        Infinite if an interval is.

    Examples
    --------
    >>> from trustml.metrics import mean_interval_width
    >>> mean_interval_width([[0, 2], [1, 5]])
    3.0
    """
    _, lower, upper, weight = check_intervals(np.zeros(num_samples(y_interval)), y_interval, sample_weight)
    return float(np.average(upper - lower, weights=weight))


def interval_score(y_true: ArrayLike, y_interval: ArrayLike, *, coverage: float, sample_weight=None) -> float:
    """Winkler's score: mean width plus a penalty on each target outside; smaller is better.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
    y_interval : array-like of shape (n_samples, 2)
        Lower and upper ends.
    coverage : float
        The level promised, in (0, 1).
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    score : float
        In units of the target.

    Notes
    -----
    With :math:`a` = 1 - coverage, a row's score is :math:`u - l + (2/a) (l - y)_+ + (2/a) (y - u)_+`, which in
    expectation is least at the quantiles of levels a/2 and 1 - a/2.

    References
    ----------
    Gneiting & Raftery (2007), "Strictly proper scoring rules, prediction, and estimation", equation 43.

    Examples
    --------
    >>> from trustml.metrics import interval_score
    >>> interval_score([1.0, 3.0], [[0, 2], [0, 2]], coverage=0.5)
    4.0
    """
    y_true, lower, upper, weight = check_intervals(y_true, y_interval, sample_weight)
    outside = np.maximum(lower - y_true, 0) + np.maximum(y_true - upper, 0)
    return float(np.average(upper - lower + 2 / (1 - check_coverage(coverage)) * outside, weights=weight))


def group_coverage(y_true: ArrayLike, y_interval: ArrayLike, groups: ArrayLike, *, sample_weight=None) -> Bunch:
    """Coverage and mean width of each group.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
    y_interval : array-like of shape (n_samples, 2)
        Lower and upper ends.
    groups : array-like of shape (n_samples,)
        Label of each row's group.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    report : Bunch of ndarray of shape (n_groups,)
        ``group``, ``n_samples``, ``coverage`` and ``width``.

    Examples
    --------
    >>> from trustml.metrics import group_coverage
    >>> group_coverage([1, 2, 9], [[0, 3], [0, 3], [0, 3]], ["a", "a", "b"]).coverage
    array([1., 0.])
    """
    y_true, lower, upper, weight = check_intervals(y_true, y_interval, sample_weight)
    groups = column_or_1d(groups)
    check_consistent_length(y_true, groups)
    labels, group = np.unique(groups, return_inverse=True)
    return Bunch(group=labels, **_by_group(group, len(labels), _inside(y_true, lower, upper), upper - lower, weight))


def _by_group(group, n_groups, inside, width, weight):
    total = np.bincount(group, weights=weight, minlength=n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "n_samples": np.bincount(group, minlength=n_groups),
            "coverage": np.bincount(group, weights=weight * inside, minlength=n_groups) / total,
            "width": np.bincount(group, weights=weight * width, minlength=n_groups) / total,
        }


def size_stratified_coverage(
    y_true: ArrayLike, y_interval: ArrayLike, *, n_bins: int = 10, sample_weight=None
) -> Bunch:
    """Coverage among intervals of similar width: does a narrow one hold as often as a wide one?

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
    y_interval : array-like of shape (n_samples, 2)
        Lower and upper ends.
    n_bins : int, default=10
        Bins of about equally many rows, by width. Equal widths share a bin, so that there may be fewer.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    report : Bunch of ndarray of shape (n_bins,)
        ``n_samples``, ``coverage`` and ``width``, narrowest first.

    Examples
    --------
    >>> from trustml.metrics import size_stratified_coverage
    >>> report = size_stratified_coverage([1, 5, 1, 1], [[0, 2], [0, 2], [0, 9], [0, 9]], n_bins=2)
    >>> report.width, report.coverage
    (array([2., 9.]), array([0.5, 1. ]))
    """
    y_true, lower, upper, weight = check_intervals(y_true, y_interval, sample_weight)
    if n_bins < 1:
        raise ValueError(f"n_bins={n_bins!r}; expected a positive number.")
    width = upper - lower
    order = np.sort(width)
    edges = np.unique(order[np.arange(1, n_bins) * len(order) // n_bins])
    bins = np.unique(np.searchsorted(edges, width, side="right"), return_inverse=True)[1]
    return Bunch(**_by_group(bins, bins.max() + 1, _inside(y_true, lower, upper), width, weight))


def interval_calibration_error(
    y_true: ArrayLike, y_interval: ArrayLike, *, coverage: float, n_bins: int = 10, sample_weight=None
) -> float:
    """Mean gap between promised coverage and that of intervals of similar width.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
    y_interval : array-like of shape (n_samples, 2)
        Lower and upper ends.
    coverage : float
        The level promised, in (0, 1).
    n_bins : int, default=10
        As in :func:`size_stratified_coverage`. With few rows in a bin chance alone makes a gap.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    error : float

    Examples
    --------
    >>> from trustml.metrics import interval_calibration_error
    >>> interval_calibration_error([1, 5, 1, 1], [[0, 2], [0, 2], [0, 9], [0, 9]], coverage=0.75, n_bins=2)
    0.25
    """
    coverage = check_coverage(coverage)
    y_true, lower, upper, weight = check_intervals(y_true, y_interval, sample_weight)
    ends = np.column_stack([lower, upper])
    used = weight > 0
    report = size_stratified_coverage(y_true[used], ends[used], n_bins=n_bins, sample_weight=weight[used])
    return float(np.average(np.abs(report.coverage - coverage), weights=report.n_samples))
