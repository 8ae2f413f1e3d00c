"""Training rows in the order of their distance to each validation row, on the host.

XLA sorts several times slower than NumPy on a CPU, so the sort is NumPy's and runs over chunks of validation
rows.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn import get_config
from sklearn.metrics import pairwise_distances_chunked
from sklearn.utils import gen_batches

EUCLIDEAN = frozenset({"euclidean", "l2", "sqeuclidean"})
# Larger chunks leave the cache and are not faster.
_CHUNK_MIB = 16
# Distances, order, sorted distances, gaps, hits and the terms of the values: arrays of 8 bytes per pair.
_ARRAYS_PER_PAIR = 8


def sorted_neighbours(
    X: NDArray, X_val: NDArray, metric: str | Callable
) -> Iterator[tuple[slice, NDArray[np.intp], NDArray[np.bool_]]]:
    """Chunks of validation rows with their neighbours, nearest first.

    Yields ``(rows, order, tied)``: a slice of the validation rows, the numbers of the training rows (n_chunk,
    n) in the order of their distance, and (n_chunk, n - 1) whether a position has exactly the distance of the
    next. Tied rows come in any order.
    """
    chunks = _euclidean(X, X_val) if metric in EUCLIDEAN else _any_metric(X, X_val, metric)
    for rows, order, distance, tied in chunks:
        # NaN and infinity sort to the end.
        worst = distance[:, -1]
        if not np.isfinite(worst).all():
            i = int(np.flatnonzero(~np.isfinite(worst))[0])
            raise ValueError(
                f"metric={metric!r} gives the distance {worst[i]} between row {rows.start + i} of X_val and row "
                f"{order[i, -1]} of X; expected finite distances."
            )
        yield rows, order, tied


def _working_memory():
    return min(get_config()["working_memory"], _CHUNK_MIB)


def _sort(distance):
    order = np.argsort(distance, axis=1)
    return order, np.take_along_axis(distance, order, axis=1)


def _sort_exactly(distance):
    order, distance = _sort(distance)
    return order, distance, distance[:, 1:] == distance[:, :-1]


def _any_metric(X, X_val, metric):
    start = 0
    memory = _working_memory() / _ARRAYS_PER_PAIR
    for distance in pairwise_distances_chunked(X_val, X, metric=metric, working_memory=memory):
        rows = slice(start, start + len(distance))
        start = rows.stop
        yield rows, *_sort_exactly(distance)


def _euclidean(X, X_val):
    """Squared distances as a matrix product; rows whose order it cannot tell for certain are redone term by
    term.

    So the order is that of the distances computed term by term, in which duplicates tie exactly and an offset
    of the data costs no digits, at the speed of the matrix product wherever nothing ties.
    """
    n_rows, n_features = X.shape
    n_chunk = max(1, int(_working_memory() * 2**20 // (8 * _ARRAYS_PER_PAIR * n_rows)))
    centre = X.mean(axis=0)
    X_centred = X - centre
    squares = np.einsum("ij,ij->i", X_centred, X_centred)
    rounding = 4 * (n_features + 8) * np.finfo(np.float64).eps
    mostly_unsure = False
    for rows in gen_batches(len(X_val), n_chunk):
        if mostly_unsure:
            yield rows, *_sort_exactly(cdist(X_val[rows], X, "sqeuclidean"))
            continue
        centred = X_val[rows] - centre
        own_square = np.einsum("ij,ij->i", centred, centred)[:, None]
        distance = (-2 * centred) @ X_centred.T
        distance += squares
        distance += own_square
        order, distance = _sort(distance)
        # The error of |v|^2 - 2 v x + |x|^2 is within a few roundings of |v|^2 + |x|^2 <= 3 |v|^2 + 2 |v -
        # x|^2.
        gaps = np.diff(distance, axis=1)
        unsure = ~(gaps > rounding * (3 * own_square + 2 * distance[:, 1:])).all(axis=1)
        tied = np.zeros(gaps.shape, bool)
        if unsure.any():
            again = cdist(X_val[rows][unsure], X, "sqeuclidean")
            order[unsure], distance[unsure], tied[unsure] = _sort_exactly(again)
        mostly_unsure = unsure.mean() > 0.5
        yield rows, order, distance, tied
