"""Bins of a numeric target."""

import numpy as np
from numpy.typing import NDArray

# A target that takes integers has a bin for each, up to so many.
_MOST_INTEGER_BINS = 1000


def label_bin_edges(y, bins="auto") -> NDArray:
    """Edges of equal-width bins of the targets ``y``, or those that are given.

    ``bins`` is an array of edges; a number of bins between the least and the greatest target; or "auto": one bin
    around each integer if all targets are integers that span no more than 1,000, else 20 bins for fewer than 2,000
    targets and 50 otherwise.
    """
    if not isinstance(bins, str) and np.ndim(bins) == 1:
        edges = np.asarray(bins, float)
        if len(edges) < 2 or not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
            raise ValueError(f"bins={bins!r}; expected two or more finite edges that increase.")
        return edges
    y = np.asarray(y, float)
    low, high = y.min(), y.max()
    if isinstance(bins, str):
        if bins != "auto":
            raise ValueError(f"bins={bins!r}; expected 'auto', a number of bins or their edges.")
        if high - low < _MOST_INTEGER_BINS and (y == np.round(y)).all():
            return np.arange(low, high + 2) - 0.5
        bins = 20 if len(y) < 2000 else 50
    if np.ndim(bins) != 0 or not float(bins).is_integer() or bins < 1:
        raise ValueError(f"bins={bins!r}; expected 'auto', a number of bins or their edges.")
    if low == high:
        return np.array([low - 0.5, high + 0.5])
    edges = np.linspace(low, high, int(bins) + 1)
    if not (np.diff(edges) > 0).all():
        raise ValueError(f"bins={bins}: the targets span {low} to {high}, too little for so many bins; expected fewer.")
    return edges


def bin_numbers(y, edges) -> NDArray[np.intp]:
    """Bin of each target: -1 below the first edge and ``len(edges) - 1`` above the last, which its bin includes."""
    numbers = np.searchsorted(edges, y, side="right") - 1
    return np.where(np.asarray(y) == edges[-1], len(edges) - 2, numbers)


def bin_totals(numbers, n_bins, weight=None) -> NDArray:
    """Rows, or their weight, in each bin, above and below, of shape (n_bins + 2,): number -1 finds the last."""
    return np.bincount(np.where(numbers < 0, n_bins + 1, numbers), weight, minlength=n_bins + 2)
