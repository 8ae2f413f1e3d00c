"""Errors of regression where targets are frequent and where they are rare."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from trustml._sklearn import check_sample_weight
from trustml.metrics._label_bins import bin_numbers, bin_totals, label_bin_edges

REGIONS = ("all", "many", "median", "few")


def shot_report(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    y_train: ArrayLike,
    *,
    bins="auto",
    many: float = 100,
    few: float = 20,
    relative: bool = False,
    sample_weight: ArrayLike | None = None,
) -> dict[str, dict[str, float]]:
    """Errors on targets that the training rows show often, sometimes and rarely.

    A bin of the target is "many" if more than ``many`` training rows are in it, "few" if less than ``few`` are (none
    at all, too), and "median" otherwise. Each row counts in the region of the bin of its true target.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Targets and predictions of the rows to report on.
    y_train : array-like of shape (n_train,)
        Targets that the model was trained on.
    bins : "auto", int or array-like of edges, default="auto"
        Of ``y_train``. "auto" is one bin for each integer if all targets are integers that span no more than 1,000,
        else 20 bins of equal width for fewer than 2,000 training rows and 50 for more. Targets beyond the edges have
        no training rows.
    many, few : float, default=100, 20
        Numbers of training rows.
    relative : bool, default=False
        Scale both numbers by the mean count of rows per bin, over 122.08, that of the data set for which 100 and 20
        were chosen (AgeDB): then tables of different sizes have comparable regions.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows in the means; not in the counts.

    Returns
    -------
    report : dict of dict
        For "all", "many", "median" and "few": "mae", "rmse" and "gm" (geometric mean of the absolute errors, 0 if one
        is 0), which are NaN for a region without rows; "rows", and "bins" that hold them.

    See Also
    --------
    trustml.inspection.ShotDisplay : The same as a picture.

    References
    ----------
    Y. Yang, K. Zha, Y. Chen, H. Wang and D. Katabi, "Delving into Deep Imbalanced Regression", ICML 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.metrics import shot_report
    >>> y_train = np.repeat([20, 30, 40], [150, 50, 10])
    >>> report = shot_report([20, 20, 30, 30, 40, 50], [21, 18, 33, 30.5, 30, 35], y_train)
    >>> {region: errors["mae"] for region, errors in report.items() if region != "all"}
    {'many': 1.5, 'median': 1.75, 'few': 12.5}
    """
    y_true, y_pred, weight = _check_targets(y_true, y_pred, sample_weight)
    y_train = _check_numbers(y_train, "y_train")
    if not few <= many:
        raise ValueError(f"few={few!r} and many={many!r}; expected few no greater than many.")
    edges = label_bin_edges(y_train, bins)
    n_bins = len(edges) - 1
    if relative:
        scale = len(y_train) / n_bins / 122.08
        many, few = many * scale, few * scale
    counts = bin_totals(bin_numbers(y_train, edges), n_bins)
    counts[n_bins:] = 0
    numbers = bin_numbers(y_true, edges)
    seen = counts[numbers]
    masks = {"all": seen >= 0, "many": seen > many, "median": (seen >= few) & (seen <= many), "few": seen < few}
    error = np.abs(y_true - y_pred)
    return {region: _errors(error[masks[region]], numbers[masks[region]], weight[masks[region]]) for region in REGIONS}


def balanced_mean_absolute_error(
    y_true: ArrayLike, y_pred: ArrayLike, *, bins="auto", sample_weight: ArrayLike | None = None
) -> float:
    """Mean over bins of the target of the mean absolute error in each: rare targets count as much as frequent ones.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Targets and predictions.
    bins : "auto", int or array-like of edges, default="auto"
        Of ``y_true``, as in :func:`shot_report`. Pass edges to compare sets of rows: targets beyond them form one bin
        on each side. Bins without rows do not count.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows within their bin.

    Returns
    -------
    error : float
        Not negative; 0 is best.

    Examples
    --------
    Nine rows of target 0 are predicted rightly, the one of target 1 is not:

    >>> from trustml.metrics import balanced_mean_absolute_error
    >>> balanced_mean_absolute_error([0] * 9 + [1], [0] * 10)
    0.5
    """
    y_true, y_pred, weight = _check_targets(y_true, y_pred, sample_weight)
    edges = label_bin_edges(y_true, bins)
    numbers, n_bins = bin_numbers(y_true, edges), len(edges) - 1
    totals = bin_totals(numbers, n_bins, weight)
    errors = bin_totals(numbers, n_bins, weight * np.abs(y_true - y_pred))
    return float(np.mean(errors[totals > 0] / totals[totals > 0]))


def geometric_mean_absolute_error(
    y_true: ArrayLike, y_pred: ArrayLike, *, eps: float = 0.0, sample_weight: ArrayLike | None = None
) -> float:
    """Geometric mean of the absolute errors: how exact predictions are, whatever the largest errors.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Targets and predictions.
    eps : float, default=0.0
        Added to each absolute error. With 0, one exact prediction makes the result 0.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    error : float

    Examples
    --------
    >>> from trustml.metrics import geometric_mean_absolute_error
    >>> geometric_mean_absolute_error([0, 0], [1, 4])
    2.0
    """
    y_true, y_pred, weight = _check_targets(y_true, y_pred, sample_weight)
    if not 0 <= eps < np.inf:
        raise ValueError(f"eps={eps!r}; expected a finite number of at least 0.")
    return _geometric_mean(np.abs(y_true - y_pred) + eps, weight)


def _check_numbers(values, name):
    return check_array(column_or_1d(values, input_name=name), ensure_2d=False, dtype=np.float64, input_name=name)


def _check_targets(y_true, y_pred, sample_weight):
    y_true, y_pred = _check_numbers(y_true, "y_true"), _check_numbers(y_pred, "y_pred")
    check_consistent_length(y_true, y_pred)
    return y_true, y_pred, check_sample_weight(sample_weight, y_true, dtype=np.float64, ensure_non_negative=True)


def _errors(error, numbers, weight):
    counts = {"rows": len(error), "bins": len(np.unique(numbers))}
    if not weight.any():
        return {"mae": np.nan, "rmse": np.nan, "gm": np.nan} | counts
    mae, mse = np.average(error, weights=weight), np.average(error**2, weights=weight)
    return {"mae": float(mae), "rmse": float(np.sqrt(mse)), "gm": _geometric_mean(error, weight)} | counts


def _geometric_mean(error, weight):
    error, weight = error[weight > 0], weight[weight > 0]
    if (error == 0).any():
        return 0.0
    return float(np.exp(np.average(np.log(error), weights=weight)))
