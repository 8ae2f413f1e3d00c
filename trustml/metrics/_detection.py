"""How well low values point at the rows that are known to be wrong."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score
from sklearn.utils import check_array, check_consistent_length, column_or_1d


def check_detection(data_values, is_flipped) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Finite values and a boolean mask with some but not all rows True."""
    data_values = check_array(data_values, ensure_2d=False, dtype=np.float64, input_name="data_values")
    is_flipped = column_or_1d(is_flipped)
    check_consistent_length(data_values, is_flipped)
    if is_flipped.dtype != bool and not np.isin(is_flipped, (0, 1)).all():
        raise ValueError(
            "is_flipped must be a boolean mask with one entry per row; "
            f"got values such as {np.unique(is_flipped)[:5].tolist()}."
        )
    is_flipped = is_flipped.astype(bool)
    if is_flipped.all() or not is_flipped.any():
        raise ValueError(
            f"is_flipped marks {is_flipped.sum()} of {len(is_flipped)} rows; "
            "detection is defined if some rows are marked and some are not."
        )
    return column_or_1d(data_values), is_flipped


def detection_auroc(data_values: ArrayLike, is_flipped: ArrayLike) -> float:
    """Probability that a wrong row has a lower value than a right one (ties count one half).

    Parameters
    ----------
    data_values : array-like of shape (n_samples,)
        Values of the rows; low means harmful.
    is_flipped : array-like of shape (n_samples,) of bool
        True for the rows known to be wrong: some, but not all.

    Returns
    -------
    auroc : float
        Area under the ROC curve: 1 if every wrong row is valued below every right row, 0.5 by chance.

    See Also
    --------
    trustml.valuation.detection_curve : The share of wrong rows found against the share of rows inspected.

    Examples
    --------
    >>> from trustml.metrics import detection_auroc
    >>> detection_auroc([-0.2, 0.1, 0.0, 0.3], [True, False, True, False])
    1.0
    """
    data_values, is_flipped = check_detection(data_values, is_flipped)
    return float(roc_auc_score(is_flipped, -data_values))


def detection_recall(data_values: ArrayLike, is_flipped: ArrayLike, fraction: float | None = None) -> float:
    """Share of the wrong rows among the rows of lowest value.

    Parameters
    ----------
    data_values : array-like of shape (n_samples,)
        Values of the rows; low means harmful.
    is_flipped : array-like of shape (n_samples,) of bool
        True for the rows known to be wrong: some, but not all.
    fraction : float, default=None
        Fraction of the rows that is inspected, lowest values first. None: as many rows as are wrong.

    Returns
    -------
    recall : float
        Wrong rows inspected, divided by all wrong rows. Among rows of equal value, the expectation over a
        random order; between two whole numbers of rows, linear interpolation.

    Examples
    --------
    >>> from trustml.metrics import detection_recall
    >>> detection_recall([-0.2, 0.1, 0.0, 0.3], [True, False, False, True])
    0.5
    """
    data_values, is_flipped = check_detection(data_values, is_flipped)
    if fraction is None:
        fraction = is_flipped.mean()
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction={fraction!r} must lie in [0, 1].")
    return float(np.interp(fraction, *found_by_inspection(data_values, is_flipped)))


def found_by_inspection(data_values, is_flipped) -> tuple[NDArray, NDArray]:
    """Fraction inspected and fraction of wrong rows found, after each group of equal values (from 0 to 1)."""
    levels, level_of_row = np.unique(data_values, return_inverse=True)
    inspected = np.bincount(level_of_row, minlength=len(levels)).cumsum() / len(data_values)
    found = np.bincount(level_of_row, weights=is_flipped, minlength=len(levels)).cumsum() / is_flipped.sum()
    return np.append(0.0, inspected), np.append(0.0, found)
