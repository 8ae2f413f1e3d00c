"""Is a row nearest to those of its own class? Leave-one-out retrieval."""

import numpy as np
from numpy.typing import ArrayLike

from trustml.metrics._pair_counts import check_count, check_pairs, embedded

_BLOCK = 1 << 21


def recall_at_k(X: ArrayLike, y: ArrayLike, *, k: int = 1, metric: str = "cosine") -> float:
    """Share of the rows that have one of their class among their k nearest other rows.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_components)
        Embeddings.
    y : array-like of shape (n_samples,)
        Class labels. Rows without another one of their class are not asked for, but may be found.
    k : int, default=1
        Length of the list.
    metric : {"cosine", "euclidean"}, default="cosine"
        Distance: one minus the cosine, or Euclidean.

    Returns
    -------
    recall : float
        In [0, 1]. At equal distances rows of other classes come first: an embedding that is constant has recall 0.

    Examples
    --------
    >>> from trustml.metrics import recall_at_k
    >>> recall_at_k([[1.0, 0], [1, 0.1], [0, 1], [0.8, 1]], ["a", "a", "b", "b"])
    1.0
    """
    data = embedded(X, y, metric)
    check_pairs(data)
    k = check_count("k", k)
    hits = [found[:, :k].any(axis=1) for found, _ in _neighbours(data, lambda counts: np.full(len(counts), k))]
    return float(np.mean(np.concatenate(hits)))


def map_at_r(X: ArrayLike, y: ArrayLike, *, metric: str = "cosine") -> float:
    """Mean average precision among the R nearest other rows, R being the number of others in the row's class.

    Parameters
    ----------
    X, y, metric
        As in :func:`recall_at_k`.

    Returns
    -------
    score : float
        In [0, 1]: 1 if each row is nearer to all of its class than to any other. Ties count as in
        :func:`recall_at_k`.

    References
    ----------
    K. Musgrave, S. Belongie and S.-N. Lim, "A Metric Learning Reality Check", ECCV 2020.

    Examples
    --------
    >>> from trustml.metrics import map_at_r
    >>> map_at_r([[1.0, 0], [1, 0.1], [0, 1], [0.8, 1]], ["a", "a", "b", "b"])
    1.0
    """
    data = embedded(X, y, metric)
    check_pairs(data)
    scores = []
    for found, wanted in _neighbours(data, lambda counts: counts - 1):
        ranks = np.arange(1, found.shape[1] + 1)
        precision = np.cumsum(found, axis=1) / ranks
        scores.append(np.sum(precision * found * (ranks <= wanted[:, None]), axis=1) / wanted)
    return float(np.mean(np.concatenate(scores)))


def _neighbours(data, wanted):
    """For blocks of the rows that have others of their class: which of the nearest are of it, and how many are wanted.

    ``wanted`` maps sizes of classes to lengths of lists.
    """
    lengths = np.minimum(wanted(data.counts), len(data.rows) - 1)[data.codes]
    rows = np.flatnonzero(data.counts[data.codes] > 1)
    n = len(data.rows)
    height = max(1, _BLOCK // n)
    tie = 2 * data.rounding
    for start in range(0, len(rows), height):
        chosen = rows[start : start + height]
        closeness = data.closeness(chosen, slice(None))
        same = data.codes[chosen, None] == data.codes
        # Ties go against the class: equal rows of two blockings differ by rounding.
        closeness[same] -= tie
        closeness[np.arange(len(chosen)), chosen] = -np.inf
        longest = int(lengths[chosen].max())
        nearest = np.argpartition(-closeness, min(longest, n - 1) - 1, axis=1)[:, :longest] if longest < n - 1 else None
        if nearest is None:
            nearest = np.argsort(-closeness, axis=1)[:, :longest]
        else:
            order = np.argsort(-np.take_along_axis(closeness, nearest, axis=1), axis=1)
            nearest = np.take_along_axis(nearest, order, axis=1)
        yield np.take_along_axis(same, nearest, axis=1), lengths[chosen]
