"""Quantiles that do not cross: sorting, isotonic regression, and sweeps from the median; on the host, row by row.

NumPy sorts on the CPU many times faster than XLA does.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def _check(quantiles):
    quantiles = np.asarray(quantiles, dtype=np.float64)
    if quantiles.ndim < 1:
        raise ValueError(f"quantiles has shape {quantiles.shape}; expected (..., n_quantiles), by increasing level.")
    if np.isnan(quantiles).any():
        raise ValueError("quantiles holds NaN; expected numbers.")
    return quantiles


def sort_quantiles(quantiles: ArrayLike) -> NDArray:
    """Sort the quantiles of each row.

    Parameters
    ----------
    quantiles : array-like of shape (..., n_quantiles)
        By increasing level.

    Returns
    -------
    sorted : ndarray of shape (..., n_quantiles)

    Notes
    -----
    The sum of the pinball losses over the levels never rises, row by row, whatever the target and the levels [1]_. If
    levels are weighted differently it can: weights (4, 1) of levels (0.25, 0.75), quantiles (3, 1) and target 3.

    References
    ----------
    .. [1] R. Fakoor, T. Kim, J. Mueller, A. J. Smola and R. J. Tibshirani, "Flexible model aggregation for quantile
       regression", Journal of Machine Learning Research 24, 2023.

    Examples
    --------
    >>> from trustml.quantile import sort_quantiles
    >>> sort_quantiles([10.0, 0.0, 0.0]).tolist()
    [0.0, 0.0, 10.0]
    """
    return np.sort(_check(quantiles), axis=-1)


def isotonic_quantiles(quantiles: ArrayLike) -> NDArray:
    """The ordered quantiles nearest to those of each row, by least squares.

    Parameters
    ----------
    quantiles : array-like of shape (..., n_quantiles)
        Finite, by increasing level.

    Returns
    -------
    isotonic : ndarray of shape (..., n_quantiles)

    Notes
    -----
    What :func:`sort_quantiles` promises of the pinball loss holds here, too. All rows are pooled at once: adjacent
    violators are merged until no row has any.

    Examples
    --------
    >>> from trustml.quantile import isotonic_quantiles
    >>> isotonic_quantiles([0.0, 3.0, 1.0]).tolist()
    [0.0, 2.0, 2.0]
    """
    quantiles = _check(quantiles)
    if not np.isfinite(quantiles).all():
        raise ValueError("quantiles holds infinite numbers; expected finite ones.")
    rows = quantiles.reshape(-1, quantiles.shape[-1])
    crossed = (rows[:, 1:] < rows[:, :-1]).any(axis=1)
    isotonic = rows.copy()
    isotonic[crossed] = _pool(rows[crossed])
    return isotonic.reshape(quantiles.shape)


def _pool(rows):
    """Isotonic regression of all rows: blocks of the flattened table, merged in rounds."""
    n_rows, m = rows.shape
    if not n_rows:
        return rows
    mean, size = rows.ravel().copy(), np.ones(rows.size)
    row = np.repeat(np.arange(n_rows), m)
    while True:
        descends = np.append((mean[1:] < mean[:-1]) & (row[1:] == row[:-1]), False)
        if not descends.any():
            break
        # A maximal run of descents ends in one block: any order of merging violators gives the same result.
        starts = np.flatnonzero(~np.append(False, descends[:-1]))
        total = np.add.reduceat(mean * size, starts)
        size = np.add.reduceat(size, starts)
        mean, row = total / size, row[starts]
    # Blocks of equal mean may differ by rounding, which must not cross.
    pooled = np.repeat(mean, size.astype(int)).reshape(n_rows, m)
    return np.maximum.accumulate(pooled, axis=1)


def sweep_quantiles(quantiles: ArrayLike) -> NDArray:
    """From the middle level, running maximum upwards and running minimum downwards.

    Cheap, and it keeps the median; but it can raise the loss, which :func:`sort_quantiles` cannot.
    """
    quantiles = _check(quantiles)
    middle = quantiles.shape[-1] // 2
    swept = quantiles.copy()
    swept[..., middle:] = np.maximum.accumulate(quantiles[..., middle:], axis=-1)
    downwards = quantiles[..., middle::-1]
    swept[..., : middle + 1] = np.minimum.accumulate(downwards, axis=-1)[..., ::-1]
    return swept


REPAIRS = {
    "sort": sort_quantiles,
    "isotonic": isotonic_quantiles,
    "sweep": sweep_quantiles,
    "penalty": sort_quantiles,
    None: _check,
}
