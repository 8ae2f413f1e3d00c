"""Does an uncertainty score point at errors and at rows from elsewhere, and are probabilities what they say?"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from trustml._sklearn import check_sample_weight


def _numbers(values, name):
    return column_or_1d(check_array(values, ensure_2d=False, dtype=np.float64, input_name=name))


def _cumulative_risk(losses, uncertainty):
    """Sums (n,) of the losses of the k most certain rows; among ties, expected over a random order."""
    losses, uncertainty = _numbers(losses, "losses"), _numbers(uncertainty, "uncertainty")
    check_consistent_length(losses, uncertainty)
    _, level = np.unique(uncertainty, return_inverse=True)
    means = np.bincount(level, weights=losses) / np.bincount(level)
    return np.cumsum(means[np.sort(level)])


def aurc(losses: ArrayLike, uncertainty: ArrayLike) -> float:
    """Area under the risk-coverage curve: mean loss of the k most certain rows, averaged over k; smaller is better.

    Parameters
    ----------
    losses : array-like of shape (n_samples,)
        Loss of each row: 1 for a wrong label and 0 for a right one, or an absolute error.
    uncertainty : array-like of shape (n_samples,)
        Large where the model is uncertain. Among ties the expectation over a random order is taken.

    Returns
    -------
    area : float

    References
    ----------
    Geifman & El-Yaniv (2017), "Selective classification for deep neural networks".

    Examples
    --------
    >>> from trustml.metrics import aurc
    >>> aurc([0, 0, 1, 1], uncertainty=[0.1, 0.2, 0.3, 0.4])
    0.208...
    """
    risk = _cumulative_risk(losses, uncertainty)
    return float(np.mean(risk / np.arange(1, len(risk) + 1)))


def augrc(losses: ArrayLike, uncertainty: ArrayLike) -> float:
    """Area under the generalised risk-coverage curve; smaller is better.

    Unlike :func:`aurc`, every error weighs the same however certain the rows before it are.

    Parameters
    ----------
    losses : array-like of shape (n_samples,)
        Loss of each row.
    uncertainty : array-like of shape (n_samples,)
        Large where the model is uncertain. Among ties the expectation over a random order is taken.

    Returns
    -------
    area : float
        For losses of 0 and 1 with mean e: (1 - AUROC) e (1 - e) + e² / 2.

    References
    ----------
    Traub et al. (2024), "Overcoming common flaws in the evaluation of selective classification systems".

    Examples
    --------
    >>> from trustml.metrics import augrc
    >>> augrc([0, 0, 1, 1], uncertainty=[0.1, 0.2, 0.3, 0.4])
    0.125
    """
    risk = _cumulative_risk(losses, uncertainty)
    return float(np.trapezoid(np.append(0.0, risk)) / len(risk) ** 2)


def ood_auroc(uncertainty_in: ArrayLike, uncertainty_out: ArrayLike) -> float:
    """Probability that a row from elsewhere is more uncertain than one of the model's own data (ties one half).

    Parameters
    ----------
    uncertainty_in : array-like of shape (n_in,)
        Scores of rows like the training rows.
    uncertainty_out : array-like of shape (n_out,)
        Scores of rows from elsewhere.

    Returns
    -------
    auroc : float

    Examples
    --------
    >>> from trustml.metrics import ood_auroc
    >>> ood_auroc([0.1, 0.2], [0.2, 0.5])
    0.875
    """
    inside, outside = _numbers(uncertainty_in, "uncertainty_in"), _numbers(uncertainty_out, "uncertainty_out")
    labels = np.repeat([0, 1], [len(inside), len(outside)])
    return float(roc_auc_score(labels, np.concatenate([inside, outside])))


def error_uncertainty_correlation(errors: ArrayLike, uncertainty: ArrayLike) -> float:
    """Rank correlation (Spearman) of absolute errors and uncertainty.

    Parameters
    ----------
    errors : array-like of shape (n_samples,)
        Residuals or absolute errors; their sign is dropped.
    uncertainty : array-like of shape (n_samples,)
        Large where the model is uncertain.

    Returns
    -------
    correlation : float
        NaN if one of the two is constant.

    Examples
    --------
    >>> from trustml.metrics import error_uncertainty_correlation
    >>> round(error_uncertainty_correlation([0.1, -2.0, 1.0], [1.0, 3.0, 2.0]), 6)
    1.0
    """
    errors, uncertainty = _numbers(errors, "errors"), _numbers(uncertainty, "uncertainty")
    check_consistent_length(errors, uncertainty)
    if np.ptp(errors) == 0 or np.ptp(uncertainty) == 0:
        return float("nan")
    return float(spearmanr(np.abs(errors), uncertainty).statistic)


def calibration_error(
    y_true: ArrayLike, y_prob: ArrayLike, *, labels: ArrayLike | None = None, n_bins: int = 15, sample_weight=None
) -> float:
    """Expected calibration error of the most probable class, in bins of equal width.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels.
    y_prob : array-like of shape (n_samples, n_classes)
        Probabilities.
    labels : array-like of shape (n_classes,), default=None
        Classes of the columns; the sorted labels of ``y_true`` by default.
    n_bins : int, default=15
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    error : float
        Mean over rows of the gap between the accuracy and the mean probability of their bin.

    References
    ----------
    Guo et al. (2017), "On calibration of modern neural networks", equation 3.

    Examples
    --------
    >>> from trustml.metrics import calibration_error
    >>> calibration_error([0, 1], [[0.75, 0.25], [0.75, 0.25]])
    0.25
    """
    y_true = column_or_1d(y_true)
    y_prob = check_array(y_prob, dtype=np.float64, input_name="y_prob")
    labels = np.unique(y_true) if labels is None else column_or_1d(labels)
    check_consistent_length(y_true, y_prob)
    if y_prob.shape[1] != len(labels):
        raise ValueError(f"y_prob has {y_prob.shape[1]} columns; expected one for each of the {len(labels)} classes.")
    if n_bins < 1:
        raise ValueError(f"n_bins={n_bins!r}; expected a positive number.")
    weight = check_sample_weight(sample_weight, y_true, dtype=np.float64, ensure_non_negative=True)
    confidence, right = y_prob.max(axis=1), labels[y_prob.argmax(axis=1)] == y_true
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights=weight * (right - confidence), minlength=n_bins)
    return float(np.abs(gaps).sum() / weight.sum())
