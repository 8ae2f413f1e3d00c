"""All pairs of a set of embeddings, block by block: how many are within a distance, and which distance is where.

Pairs are unordered, n (n - 1) / 2 in number. The memory is a few blocks, whatever n is, and the counts are exact.
"""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import check_X_y
from sklearn.utils.multiclass import check_classification_targets

from trustml._validation import check_magnitude

METRICS = ("cosine", "euclidean")
# Entries of a block of similarities: it stays in the cache of a core.
_BLOCK = 1 << 20
_SAMPLED = 1 << 18


class Embedded(NamedTuple):
    """Embeddings, sorted by class.

    Attributes
    ----------
    rows : ndarray of shape (n_samples, n_components)
        Of length 1 for the cosine.
    squares : ndarray of shape (n_samples,) or None
        Squared lengths, for the Euclidean distance.
    codes : ndarray of shape (n_samples,)
        Numbers of the classes, in ascending order.
    classes : ndarray of shape (n_classes,)
    counts : ndarray of shape (n_classes,)
    order : ndarray of shape (n_samples,)
        Where each row was before.
    """

    rows: NDArray
    squares: NDArray | None
    codes: NDArray
    classes: NDArray
    counts: NDArray
    order: NDArray

    @property
    def n_positive(self):
        """Pairs of one class, for each class."""
        return self.counts * (self.counts - 1) // 2

    @property
    def n_negative(self):
        """Pairs with exactly one end in a class, for each class."""
        return self.counts * (len(self.codes) - self.counts)

    @property
    def rounding(self):
        """Closeness that counts as equal: products of two blockings differ by rounding."""
        scale = 1.0 if self.squares is None else 4 * float(self.squares.max(initial=0))
        return 4 * np.finfo(self.rows.dtype).eps * np.sqrt(self.rows.shape[1]) * max(scale, np.finfo(float).tiny)

    def closeness(self, a, b):
        """Cosines, or minus squared Euclidean distances, of rows ``a`` with rows ``b`` (slices)."""
        product = self.rows[a] @ self.rows[b].T
        if self.squares is not None:
            product *= 2
            product -= self.squares[a, None]
            product -= self.squares[b]
        return product

    def distance(self, closeness):
        """Distances for values of :meth:`closeness`."""
        if self.squares is None:
            return 1 - np.clip(closeness, -1, 1)
        return np.sqrt(np.maximum(-closeness, 0))

    def closeness_of(self, distance):
        """The inverse of :meth:`distance`."""
        return 1 - distance if self.squares is None else -np.square(distance)

    def blocks(self):
        """Blocks above the diagonal: first row, first column, closeness (changed at will by the caller)."""
        n = len(self.rows)
        start = 0
        while start < n:
            height = max(1, min(_BLOCK // (n - start), n - start))
            yield start, start, self.closeness(slice(start, start + height), slice(start, n))
            start += height


def embedded(X, y, metric="cosine") -> Embedded:
    """Checked embeddings, sorted by class, with rows scaled as the metric needs."""
    if metric not in METRICS:
        raise ValueError(f"metric={metric!r}; expected one of {METRICS}.")
    X, y = check_X_y(X, y, dtype=[np.float64, np.float32], ensure_min_samples=2)
    check_classification_targets(y)
    check_magnitude(X, "X", X.dtype)
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    order = np.argsort(codes, kind="stable")
    X = X[order]
    squares = np.einsum("ij,ij->i", X, X)
    if metric == "cosine":
        zeros = np.flatnonzero(squares == 0)
        if len(zeros):
            raise ValueError(
                f"X has {len(zeros)} rows of zeros, the first at {order[zeros].min()}; they have no cosine: remove "
                "them, or use metric='euclidean'."
            )
        X, squares = X / np.sqrt(squares)[:, None], None
    return Embedded(X, squares, codes[order], classes, counts, order)


def check_pairs(data: Embedded):
    """An error unless there are pairs of one class and pairs of two."""
    if len(data.classes) < 2:
        raise ValueError(f"y has {len(data.classes)} class; expected at least 2, or there is no pair of two classes.")
    if data.counts.max() < 2:
        raise ValueError("y has no class of 2 rows or more; expected some, or there is no pair of one class.")


def _negatives(data, first, start, block):
    """The block with pairs of one class, and those below the diagonal, at minus infinity."""
    height = len(block)
    block[data.codes[first : first + height, None] == data.codes[start:]] = -np.inf
    square = block[:, :height]
    square[np.tril_indices(height)] = -np.inf
    return block


def kth_closest_negatives(data: Embedded, ranks) -> NDArray:
    """The closeness of the pairs of two classes at ``ranks``, counted from 0 at the closest pair; exact to rounding.

    Floyd and Rivest's selection: a sample of pairs brackets each rank, and one pass collects what is inside.
    """
    ranks = np.asarray(ranks)
    shares = ranks / (data.n_negative.sum() // 2)
    sample = _sampled_negatives(data)
    found = np.full(len(ranks), np.nan)
    spread = 4.0
    while np.isnan(found).any():
        missing = np.flatnonzero(np.isnan(found))
        brackets = [_bracket(sample, share, spread) for share in shares[missing]]
        lowest = min(low for low, _ in brackets)
        above, within = np.zeros((2, len(brackets)), np.int64)
        inside: list[list[NDArray]] = [[] for _ in brackets]
        for first, start, block in data.blocks():
            near = _negatives(data, first, start, block).ravel()
            near = near[(near >= lowest) & (near > -np.inf)]
            for i, (low, high) in enumerate(brackets):
                chosen = (near >= low) & (near <= high)
                above[i] += np.count_nonzero(near > high)
                within[i] += np.count_nonzero(chosen)
                # Pairs that are equal to rounding need no order, and a collapsed embedding has nothing else.
                if high - low > data.rounding:
                    inside[i].append(near[chosen])
        for i, (which, (_, high)) in enumerate(zip(missing, brackets, strict=True)):
            place = int(ranks[which] - above[i])
            if 0 <= place < within[i]:
                found[which] = _descending(np.concatenate(inside[i]), place) if inside[i] else high
        spread *= 8
    return found


def _sampled_negatives(data):
    """Closeness of some pairs of two classes, the closest first."""
    a, b = np.random.default_rng(0).integers(0, len(data.rows), (2, _SAMPLED))
    different = data.codes[a] != data.codes[b]
    a, b = a[different], b[different]
    sample = np.einsum("ij,ij->i", data.rows[a], data.rows[b])
    if data.squares is not None:
        sample = 2 * sample - data.squares[a] - data.squares[b]
    return np.sort(sample)[::-1]


def _bracket(sample, share, spread):
    """Bounds between which the pair with this share of closer ones lies, to ``spread`` standard deviations."""
    n = max(len(sample), 1)
    slack = spread * (np.sqrt(share * (1 - share) / n) + 1 / n)
    low, high = int((share + slack) * n) + 1, int((share - slack) * n)
    return sample[low] if low < len(sample) else -np.inf, sample[high] if share > slack and high > 0 else np.inf


def _descending(values, place):
    """The value at ``place``, counted from 0 at the largest."""
    return np.partition(values, len(values) - 1 - place)[len(values) - 1 - place]


def accepted_pairs(data: Embedded, thresholds) -> tuple[NDArray, NDArray]:
    """For each class and distance: pairs of the class within it, and pairs with one end in the class within it.

    Parameters
    ----------
    data : Embedded
    thresholds : ndarray of shape (n_thresholds,)
        Distances in ascending order.

    Returns
    -------
    positive, negative : int64 ndarrays of shape (n_classes, n_thresholds)
    """
    n_classes, n_bins = len(data.classes), len(thresholds) + 1
    positive, negative = np.zeros((2, n_classes * n_bins), np.int64)
    # A little further than the last threshold: which pairs are within it is decided on distances.
    furthest = data.closeness_of(thresholds[-1]) - data.rounding
    for first, start, block in data.blocks():
        width = block.shape[1]
        index = np.flatnonzero(block >= furthest)
        a, b = np.divmod(index, width)
        a, b, closeness = a + first, b + start, block.ravel()[index]
        above = b > a
        a, b, closeness = data.codes[a[above]], data.codes[b[above]], closeness[above]
        bins = np.searchsorted(thresholds, data.distance(closeness))
        same = a == b
        positive += np.bincount(a[same] * n_bins + bins[same], minlength=len(positive))
        for end in (a[~same], b[~same]):
            negative += np.bincount(end * n_bins + bins[~same], minlength=len(negative))
    positive, negative = (counts.reshape(n_classes, n_bins).cumsum(axis=1) for counts in (positive, negative))
    return positive[:, :-1], negative[:, :-1]


def accepted_class_pairs(data: Embedded, threshold: float) -> sparse.csr_array:
    """Accepted pairs of rows for each pair of different classes: symmetric, of shape (n_classes, n_classes)."""
    n_classes = len(data.classes)
    total = sparse.csr_array((n_classes, n_classes), dtype=np.int64)
    furthest = data.closeness_of(threshold) - data.rounding
    for first, start, block in data.blocks():
        block = _negatives(data, first, start, block)
        index = np.flatnonzero(block >= furthest)
        a, b = np.divmod(index, block.shape[1])
        within = data.distance(block.ravel()[index]) <= threshold
        a, b = data.codes[a[within] + first], data.codes[b[within] + start]
        ones = np.ones(len(a), np.int64)
        total = total + sparse.csr_array(sparse.coo_array((ones, (a, b)), shape=total.shape))
    return total + total.T


def check_count(name, value, least=1):
    """An integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}={value!r}; expected an integer of at least {least}.")
    return int(value)


def check_far(far, name="far"):
    """A number strictly between 0 and 1."""
    if not (np.isscalar(far) and 0 < far < 1):
        raise ValueError(f"{name}={far!r}; expected a number in (0, 1).")
    return float(far)


def distance_at_far(data: Embedded, far) -> NDArray:
    """The largest distance for each false-accept rate that is not exceeded, up to rounding."""
    far = np.atleast_1d(far)
    n_pairs = int(data.n_negative.sum() // 2)
    # As many as the rate allows, and not one more: just before the next one.
    allowed = np.minimum(np.floor(far * n_pairs * (1 + 1e-12)).astype(np.int64), n_pairs - 1)
    closeness = kth_closest_negatives(data, allowed)
    return data.distance(closeness + data.rounding)
