"""Regret accounting: the best linear model of every group in hindsight, from Gram matrices alone."""

from numbers import Real

import numpy as np
from sklearn.utils import check_array, check_consistent_length, check_scalar, column_or_1d

from trustml._sklearn import check_sample_weight
from trustml._validation import check_magnitude
from trustml.online._membership import membership_from_table
from trustml.online._passes import one_blas_thread

MAX_CHECKPOINTS = 40


def checkpoint_stride(n_rows):
    """The power of two whose multiples give at most ``MAX_CHECKPOINTS`` checkpoints in ``n_rows`` rows."""
    stride = 1
    while n_rows // stride > MAX_CHECKPOINTS:
        stride *= 2
    return stride


def group_moments(rows, weight, awake):
    """Weighted Gram matrix of the rows of each group: rows (n, p), awake (n, G) -> (G, p, p)."""
    if len(rows) == 1:
        return (awake[0] * weight[0])[:, None, None] * np.outer(rows[0], rows[0])
    if (weight != 1).any():
        rows = rows * np.sqrt(weight)[:, None]
    # Overlapping groups share rows: one Gram matrix per pattern of membership, if patterns repeat.
    bits = np.packbits(awake, axis=1)
    packed = np.zeros((len(bits), max(8, bits.shape[1])), dtype=np.uint8)
    packed[:, : bits.shape[1]] = bits
    packed = packed.view(np.uint64 if packed.shape[1] == 8 else f"V{packed.shape[1]}")[:, 0]
    patterns, first, pattern_of = np.unique(packed, return_index=True, return_inverse=True)
    if len(rows) >= 16 * len(patterns):
        order = np.argsort(pattern_of.astype(np.uint16), kind="stable")  # radix sort
        ends = np.cumsum(np.bincount(pattern_of))[:-1]
        grams = np.stack([part.T @ part for part in np.split(rows[order], ends)])
        return np.tensordot(awake[first].astype(np.float64), grams, axes=(0, 0))
    return np.stack([part.T @ part for part in (rows[mine] for mine in awake.T)])


def pack(moments):
    """Upper triangles of symmetric (..., p, p) as (..., p (p + 1) / 2)."""
    return moments[(..., *np.triu_indices(moments.shape[-1]))]


def unpack(packed):
    """The inverse of :func:`pack`."""
    p = int(np.sqrt(2 * packed.shape[-1]))
    moments = np.zeros((*packed.shape[:-1], p, p))
    upper = np.triu_indices(p)
    moments[(..., *upper)] = packed
    moments[(..., *upper[::-1])] = packed
    return moments


def hindsight_loss(moments, *, fit_intercept, penalty=0.0):
    """Smallest penalty |theta|^2 + SSE of a linear model on moments of [x, 1, y], shape (..., d + 2, d + 2).

    Columns are brought to one scale, and directions below 1e-10 of the largest are left out: one-hot columns sum
    to one, and inverting rounding errors there has misled published tables in the third digit.
    """
    A, b, yy = moments[..., :-2, :-2], moments[..., :-2, -1], moments[..., -1, -1]
    if fit_intercept:
        n = moments[..., -2, -2]
        safe = np.where(n > 0, n, 1.0)
        sums = moments[..., :-2, -2]
        A = A - sums[..., :, None] * (sums / safe[..., None])[..., None, :]
        b = b - sums * (moments[..., -2, -1] / safe)[..., None]
        yy = yy - moments[..., -2, -1] ** 2 / safe
    if penalty:
        with one_blas_thread():
            theta = np.linalg.solve(A + penalty * np.eye(A.shape[-1]), b[..., None])[..., 0]
        return np.maximum(yy - np.einsum("...i,...i->...", b, theta), 0.0)
    scale = np.sqrt(np.maximum(np.einsum("...ii->...i", A), 0.0))
    scale = np.where(scale > 0, scale, 1.0)
    with one_blas_thread():
        values, vectors = np.linalg.eigh(A / (scale[..., :, None] * scale[..., None, :]))
    kept = values > 1e-10 * values[..., -1:]
    projected = np.einsum("...ij,...i->...j", vectors, b / scale)
    explained = np.where(kept, projected**2 / np.where(kept, values, 1.0), 0.0).sum(axis=-1)
    return np.maximum(yy - explained, 0.0)  # a sum of squares: below 0 is rounding


def stacked_rows(X, y, origin):
    """Rows [x, 1, y] relative to ``origin``: moments of numbers far from zero would cancel."""
    return np.column_stack([X - origin[:-1], np.ones(len(y)), y - origin[-1]])


def origin_of(X, y, fit_intercept):
    """The first row if a constant is among the models, else zero."""
    return np.append(X[0], y[0]) if fit_intercept else np.zeros(X.shape[1] + 1)


def group_hindsight(X, y, membership, *, fit_intercept=True, alpha=0.0, sample_weight=None):
    """Loss of each group's own best linear model, chosen with every row of the group in sight.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,)
        Targets.
    membership : array-like, sparse matrix or DataFrame of bool, of shape (n_samples, n_groups)
        Groups; they may overlap.
    fit_intercept : bool, default=True
        Whether the models have an intercept.
    alpha : float, default=0.0
        Penalty on the squared coefficients; the default is least squares.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights.

    Returns
    -------
    ndarray of shape (n_groups,)
        The smallest ``alpha |theta|^2 + sum of squared errors``; 0 for an empty group.

    Examples
    --------
    >>> from trustml.online import group_hindsight
    >>> group_hindsight([[0.0], [1.0], [2.0], [5.0]], [0.0, 1.0, 2.0, 0.0], [[1, 1], [1, 1], [1, 1], [0, 1]]).round(3)
    array([0.   , 2.679])
    """
    check_scalar(alpha, "alpha", Real, min_val=0)
    X = check_magnitude(check_array(X, dtype=np.float64, input_name="X"), "X")
    y = check_array(column_or_1d(y), dtype=np.float64, ensure_2d=False, input_name="y")
    check_magnitude(y, "y")
    check_consistent_length(X, y)
    awake, _ = membership_from_table(membership, len(y))
    weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    check_magnitude(weight, "sample_weight")
    rows = stacked_rows(X, y, origin_of(X, y, fit_intercept))
    return hindsight_loss(group_moments(rows, weight, awake), fit_intercept=fit_intercept, penalty=alpha)
