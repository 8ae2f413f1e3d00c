"""Error rates of every group with bootstrap intervals, from tables of counts."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import column_or_1d

from trustml._sklearn import Interval, validate_params
from trustml.fairness._groups import find_groups


def _ratio(part, whole):
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)


# From counts (..., 2, 2) by label and prediction to a rate (...,); NaN where there is nothing to count.
_METRICS = {
    "selection_rate": lambda c: _ratio(c[..., 1].sum(-1), c.sum((-2, -1))),
    "base_rate": lambda c: _ratio(c[..., 1, :].sum(-1), c.sum((-2, -1))),
    "accuracy": lambda c: _ratio(c[..., 0, 0] + c[..., 1, 1], c.sum((-2, -1))),
    "true_positive_rate": lambda c: _ratio(c[..., 1, 1], c[..., 1, :].sum(-1)),
    "false_negative_rate": lambda c: _ratio(c[..., 1, 0], c[..., 1, :].sum(-1)),
    "false_positive_rate": lambda c: _ratio(c[..., 0, 1], c[..., 0, :].sum(-1)),
    "true_negative_rate": lambda c: _ratio(c[..., 0, 0], c[..., 0, :].sum(-1)),
    "precision": lambda c: _ratio(c[..., 1, 1], c[..., 1].sum(-1)),
}


@dataclass(frozen=True)
class GroupMetricFrame:
    """Rates of groups, and how they differ, each with a confidence interval.

    Attributes
    ----------
    metrics : list of str
    groups : ndarray of shape (n_groups,)
    counts : ndarray of int of shape (n_groups, 2, 2)
        Rows by group, label and prediction, the positive class last.
    by_group : ndarray of shape (n_groups, n_metrics)
        NaN where a group has no row to count, such as a true positive rate without positives.
    by_group_interval : ndarray of shape (n_groups, n_metrics, 2)
    overall : ndarray of shape (n_metrics,)
    overall_interval : ndarray of shape (n_metrics, 2)
    difference : ndarray of shape (n_metrics,)
        Largest rate less the smallest; NaN if that of one group is.
    difference_interval : ndarray of shape (n_metrics, 2)
    ratio : ndarray of shape (n_metrics,)
        Smallest rate divided by the largest.
    ratio_interval : ndarray of shape (n_metrics, 2)
    empty_groups : list of str
        Categories and intersections without a row.
    """

    metrics: list[str]
    groups: NDArray
    counts: NDArray
    by_group: NDArray
    by_group_interval: NDArray
    overall: NDArray
    overall_interval: NDArray
    difference: NDArray
    difference_interval: NDArray
    ratio: NDArray
    ratio_interval: NDArray
    empty_groups: list[str]

    def to_frame(self):
        """One line for each group and metric, as a pandas DataFrame.

        Returns
        -------
        frame : DataFrame
            Columns ``group``, ``metric``, ``rows``, ``value``, ``low``, ``high``.
        """
        import pandas as pd

        n_groups, n_metrics = self.by_group.shape
        return pd.DataFrame(
            {
                "group": np.repeat(self.groups, n_metrics),
                "metric": self.metrics * n_groups,
                "rows": np.repeat(self.counts.sum((1, 2)), n_metrics),
                "value": self.by_group.ravel(),
                "low": self.by_group_interval[..., 0].ravel(),
                "high": self.by_group_interval[..., 1].ravel(),
            }
        )


def _describe(counts, metrics):
    """by_group (..., G, M), overall, difference and ratio (..., M) of counts (..., G, 2, 2)."""
    by_group = np.stack([_METRICS[name](counts) for name in metrics], axis=-1)
    total = counts.sum(axis=-3)
    overall = np.stack([_METRICS[name](total) for name in metrics], axis=-1)
    high, low = by_group.max(axis=-2), by_group.min(axis=-2)
    return by_group, overall, high - low, _ratio(low, high)


def _interval(draws, value, confidence):
    """Quantiles of the draws that have a value; NaN where the data have none."""
    ends = np.full((*value.shape, 2), np.nan)
    known = ~np.isnan(value)
    tail = (1 - confidence) / 2
    if known.any():
        ends[known] = np.nanquantile(draws[:, known], [tail, 1 - tail], axis=0).T
    return ends


def _positive(y, name, pos_label, labels):
    found = np.unique(y)
    if not np.isin(found, labels).all():
        raise ValueError(f"{name} has the labels {found.tolist()[:10]}; expected two, {labels.tolist()} as in y_true.")
    return (y == pos_label).astype(int)


@validate_params(
    {
        "n_boot": [Interval(Integral, 1, None, closed="left")],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def group_metric_frame(
    y_true,
    y_pred,
    sensitive_features,
    metrics=("selection_rate", "accuracy", "true_positive_rate", "false_positive_rate"),
    *,
    pos_label=None,
    n_boot=1000,
    confidence=0.95,
    random_state=None,
):
    """Error rates of every group, their differences and ratios, with bootstrap intervals.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of two classes.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Group of each row; of several columns, their intersections.
    metrics : sequence of str
        Among "selection_rate", "base_rate", "accuracy", "true_positive_rate", "false_negative_rate",
        "false_positive_rate", "true_negative_rate" and "precision".
    pos_label : label, default=None
        The positive class; None: the larger label.
    n_boot : int, default=1000
        Bootstrap samples.
    confidence : float, default=0.95
        Coverage of the intervals.
    random_state : int, RandomState instance or None, default=None
        Bootstrap samples.

    Returns
    -------
    frame : GroupMetricFrame
        Values and intervals; ``frame.to_frame()`` is a DataFrame.

    See Also
    --------
    LInCo : Whether like cases are judged alike, which error rates do not say.

    Notes
    -----
    All these rates are functions of the number of rows by group, label and prediction, and resampling the rows with
    replacement resamples that table: a multinomial draw stands for a bootstrap sample of the rows, whatever their
    number. Intervals are percentiles. Those of differences lie too high and those of ratios too low, the more so the
    smaller the groups: the largest of several noisy rates exceeds the largest rate. A rate that a bootstrap sample does
    not have (no positives in a small group) is left out of its quantiles.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.fairness import group_metric_frame
    >>> rng = np.random.default_rng(0)
    >>> y_true, group = rng.integers(0, 2, size=1000), np.repeat(["a", "b"], 500)
    >>> y_pred = y_true ^ (rng.random(1000) < np.where(group == "a", 0.1, 0.2))
    >>> found = group_metric_frame(y_true, y_pred, group, ["accuracy"], random_state=0)
    >>> found.by_group.round(2).ravel(), found.difference.round(2), found.difference_interval.round(2)
    (array([0.92, 0.78]), array([0.14]), array([[0.1 , 0.18]]))
    """
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    unknown = [name for name in metrics if name not in _METRICS]
    if unknown or not metrics:
        raise ValueError(f"metrics={metrics!r} found; expected names among {list(_METRICS)}.")
    y_true, y_pred = column_or_1d(y_true), column_or_1d(y_pred)
    check_consistent_length(y_true, y_pred)
    labels = np.unique(y_true)
    if len(labels) == 1:
        labels = np.unique(np.append(y_true, y_pred))
    if pos_label is None:
        pos_label = labels[-1]
    elif len(labels) == 1 and pos_label not in labels:
        labels = np.append(labels, pos_label)
    if len(labels) > 2 or pos_label not in labels:
        raise ValueError(f"y_true has the labels {labels.tolist()[:10]}, pos_label={pos_label!r}; expected two labels.")
    truth, predicted = _positive(y_true, "y_true", pos_label, labels), _positive(y_pred, "y_pred", pos_label, labels)
    groups = find_groups(sensitive_features, len(truth))
    shape = len(groups.labels), 2, 2
    cell = np.ravel_multi_index((groups.codes, truth, predicted), shape)
    counts = np.bincount(cell, minlength=np.prod(shape))
    n = len(truth)
    draws = check_random_state(random_state).multinomial(n, counts / n, size=n_boot).reshape(n_boot, *shape)
    values, resampled = _describe(counts.reshape(shape), metrics), _describe(draws, metrics)
    intervals = [_interval(draw, value, confidence) for draw, value in zip(resampled, values, strict=True)]
    described = [item for pair in zip(values, intervals, strict=True) for item in pair]
    return GroupMetricFrame(metrics, groups.labels, counts.reshape(shape), *described, groups.empty)
