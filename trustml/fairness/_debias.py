"""Squared gaps between judges, with the noise of finite training samples removed."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


def as_vectors(J, response, n_classes):
    """Judgments (m, G, D) scaled so that the squared distance is the squared gap."""
    if response == "number" or (response == "probability" and J.ndim == 2):
        return np.asarray(J, float)[..., None]
    vectors = np.eye(n_classes)[J] if response == "label" else J
    return vectors / np.sqrt(2)


def _products(first, second, v):
    """Weighted mean over cases of inner products (G, G)."""
    n_judges = first.shape[1]
    left = np.moveaxis(first * v[:, None, None], 1, 0).reshape(n_judges, -1)
    right = np.moveaxis(second, 1, 0).reshape(n_judges, -1)
    return left @ right.T


def squared_gaps(J, v):
    """Mean squared gap (G, G) of every pair of judges."""
    return _gaps(_products(J, J, v))


def _gaps(products):
    diagonal = np.diag(products)
    gaps = diagonal[:, None] + diagonal - 2 * products
    np.fill_diagonal(gaps, 0.0)
    return gaps


def split_half_gaps(first, second, v):
    """Unbiased squared gaps (G, G) from judges of two halves of each group.

    The mean of ``(a1 - b1)(a2 - b2)`` and ``(a1 - b2)(a2 - b1)``: halves are independent, so that noise cancels in the
    mean. A gap may come out negative.
    """
    mean = (first + second) / 2
    products = _products(mean, mean, v)
    np.fill_diagonal(products, (v[:, None, None] * first * second).sum(axis=(0, 2)))
    return _gaps(products)


def mean_of_pairs(matrix):
    """Mean (...,) of the off-diagonal of (..., G, G)."""
    n = matrix.shape[-1]
    return (matrix.sum(axis=(-2, -1)) - np.trace(matrix, axis1=-2, axis2=-1)) / (n * (n - 1))


class LinearNoise(NamedTuple):
    """What the noise of linear judges does to their squared gaps.

    Attributes
    ----------
    bias : ndarray of shape (G, G)
        What it adds to the raw squared gaps.
    pairs : tuple of three ndarray of shape (G, G)
        Variance of a corrected gap: the part that grows with the gap, as the data show it; what noise adds to that; and
        the part that is there without a gap.
    total : tuple of three floats
        The same for the mean over pairs.
    """

    bias: NDArray
    pairs: tuple
    total: tuple


def linear_noise(J, slope, Z, v, covariance, n_splits) -> LinearNoise:
    """Moments of the noise, by the delta method for quadratic forms of Gaussian coefficients.

    Parameters
    ----------
    J, slope : ndarray of shape (m, G)
        Judgments and their derivatives by the score.
    Z : ndarray of shape (m, p)
    v : ndarray of shape (m,)
    covariance : ndarray of shape (G, p, p)
    n_splits : int
        Random halvings that the gaps are averaged over; 0 for gaps from which ``bias`` is subtracted.
    """
    n_judges = J.shape[1]
    weighted = [Z * slope[:, [g]] for g in range(n_judges)]
    second, own = np.empty((n_judges, n_judges)), np.empty(n_judges)
    for a in range(n_judges):
        for b in range(a, n_judges):
            S = (weighted[a] * v[:, None]).T @ weighted[b]
            second[a, b] = second[b, a] = np.sum((covariance[a] @ S) * (S @ covariance[b]))
            if a == b:
                own[a] = np.sum(S * covariance[a])
    # Gradient of half a gap by the coefficients of its first judge.
    gradient = np.stack([weighted[a].T @ (v[:, None] * (J[:, [a]] - J)) for a in range(n_judges)])
    diagonal = np.diag(second)
    # Products of judges of two halves are noisier than squares; averaging over halvings takes the excess away.
    repeats = 2 + (2 / n_splits if n_splits else 0)

    linear = 4 * np.einsum("apb,apq,aqb->ab", gradient, covariance, gradient, optimize=True)
    both = diagonal[:, None] + diagonal
    pairs = linear + linear.T, 4 * both + 8 * second, repeats * both + 4 * second

    own_share, pair_share = 2 / n_judges, 4 / (n_judges * (n_judges - 1))
    cross = pair_share**2 * np.sum(np.triu(second, 1))
    slope_of_mean = pair_share * gradient.sum(axis=2)
    linear = np.einsum("ap,apq,aq->", slope_of_mean, covariance, slope_of_mean, optimize=True)
    squares = own_share**2 * diagonal.sum()
    total = linear, 4 * squares + 2 * cross, repeats * squares + cross
    return LinearNoise(own[:, None] + own - np.diag(2 * own), pairs, total)


def interval_of_gap(gap, raw, linear, inflation, noise, z):
    """Lower and upper ends (..., 2) of squared gaps: the wider of two normal intervals at each end.

    The variance of a gap grows with the gap. With the variance at the estimate, an interval covers zero well and is too
    short where the estimate is low by chance; with the variance at the candidate, as in a score test, it is the other
    way round. ``raw`` is the gap before correction, to which ``linear`` is in proportion.
    """
    half = z * np.sqrt(np.maximum(linear - inflation, 0) + noise)
    growth = linear / np.where(raw > 0, raw, 1)
    centre = gap + z**2 * growth / 2
    reach = z * np.sqrt(np.maximum(growth * gap + noise + z**2 * growth**2 / 4, 0))
    return np.stack([np.minimum(gap - half, centre - reach), np.maximum(gap + half, centre + reach)], axis=-1)
