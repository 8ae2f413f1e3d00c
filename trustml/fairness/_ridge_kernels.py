"""Ridge regressions of all groups at once.

Every group minimises ``sum_i s_i (y_i - x_i b)^2 + |penalty * b|^2``, where the last column of ``x`` is the constant
one if there is an intercept, which is not penalised. Its solution is ``M X' S y``; M depends on the rows only, so that
any number of targets for the same rows costs one multiplication each.
"""

from functools import partial

import jax
import jax.numpy as jnp

# Directions of less than this share of the largest eigenvalue are none: least squares then has the smallest norm.
_RANK = 1e-12


@partial(jax.jit, static_argnames=("fit_intercept",))
def operator(gram, alpha, *, fit_intercept):
    """M (..., p, p) from the scatter X'SX (..., p, p)."""

    def inverse(scatter):
        value, vector = jnp.linalg.eigh(scatter)
        kept = value > _RANK * jnp.maximum(value[..., -1:], jnp.finfo(value.dtype).tiny)
        inverted = jnp.where(kept | (alpha > 0), 1 / jnp.where(kept | (alpha > 0), value + alpha, 1), 0)
        return (vector * inverted[..., None, :]) @ jnp.swapaxes(vector, -1, -2)

    if not fit_intercept:
        return inverse(gram)
    total = gram[..., -1, -1]
    safe = jnp.where(total > 0, total, 1)
    mean = gram[..., -1, :-1] / safe[..., None]
    inner = inverse(gram[..., :-1, :-1] - safe[..., None, None] * mean[..., :, None] * mean[..., None, :])
    side = -(inner @ mean[..., None])[..., 0]
    corner = jnp.where(total > 0, 1 / safe, 0) - jnp.sum(mean * side, axis=-1)
    top = jnp.concatenate([inner, side[..., None]], axis=-1)
    bottom = jnp.concatenate([side, corner[..., None]], axis=-1)
    return jnp.concatenate([top, bottom[..., None, :]], axis=-2)


def _scatter(X, group, weight, n_groups):
    """X'SX (G, p, p) of each group, block after block."""

    def block(gram, item):
        x, g, s = item
        return gram.at[g].add((x * s[:, None]).T @ x), None

    p = X.shape[-1]
    return jax.lax.scan(block, jnp.zeros((n_groups, p, p), X.dtype), (X, group, weight))[0]


def _cross(X, group, targets, n_groups):
    """X'T (G, p, B) of each group for targets (n_blocks, r, B)."""

    def block(cross, item):
        x, g, t = item
        return cross.at[g].add(x.T @ t.astype(x.dtype)), None

    start = jnp.zeros((n_groups, X.shape[-1], targets.shape[-1]), X.dtype)
    return jax.lax.scan(block, start, (X, group, targets))[0]


@partial(jax.jit, static_argnames=("n_groups", "fit_intercept"))
def fit(X, group, y, weight, alpha, *, n_groups, fit_intercept):
    """Coefficients (G, p) of the groups, their scatter X'SX and operators M (G, p, p)."""
    gram = _scatter(X, group, weight, n_groups)
    solve = operator(gram, alpha, fit_intercept=fit_intercept)
    cross = _cross(X, group, (weight * y)[..., None], n_groups)
    return (solve @ cross)[..., 0], gram, solve


@partial(jax.jit, static_argnames=("n_groups",))
def fit_signed_residuals(X, group, base, residual, signs, solve, *, n_groups):
    """Coefficients (p, G, B) for targets ``base + residual * sign``, both already weighted.

    ``base`` and ``residual`` have shape (n_blocks, r), ``signs`` (n_blocks, r, B) any integer type.
    """

    def block(cross, item):
        x, g, b, e, s = item
        fixed = x.T @ b
        return cross.at[g].add(fixed[:, None] + (x * e[:, None]).T @ s.astype(x.dtype)), None

    start = jnp.zeros((n_groups, X.shape[-1], signs.shape[-1]), X.dtype)
    cross = jax.lax.scan(block, start, (X, group, base, residual, signs))[0]
    return jnp.swapaxes(solve @ cross, 0, 1)


@partial(jax.jit, static_argnames=("n_groups", "fit_intercept", "batch_size"))
def fit_lanes(X, rows, group, lane_rows, y, weight, alpha, *, n_groups, fit_intercept, batch_size):
    """Coefficients (L, G, p) of panels that differ in rows, targets or weights.

    In lane l, row ``lane_rows[l, i]`` of ``X`` (n + 1, p) takes place i, whose target and weight are ``y[l, i]`` and
    ``weight[l, i]``; ``rows`` (n_blocks, r) says where place i stands.
    """

    def lane(item):
        source, targets, weights = item
        x, s = X[source[rows]], weights[rows]
        solve = operator(_scatter(x, group, s, n_groups), alpha, fit_intercept=fit_intercept)
        return (solve @ _cross(x, group, (s * targets[rows])[..., None], n_groups))[..., 0]

    return jax.lax.map(lane, (lane_rows, y, weight), batch_size=batch_size)


@partial(jax.jit, static_argnames=("n_groups",))
def sandwich(X, group, weight, slope, residual, bread, *, n_groups):
    """HC3 covariance (G, p, p) of the coefficients, with the leverage taken as at most 0.95.

    ``slope`` (n_blocks, r) is the derivative of the prediction by the score: one for ridge, p (1 - p) for logistic.
    """

    def block(meat, item):
        x, g, s, d, e = item
        leverage = jnp.minimum(jnp.sum((x @ bread[g]) * x, axis=1) * s * d, 0.95)
        return meat.at[g].add((x * ((s * e / (1 - leverage)) ** 2)[:, None]).T @ x), None

    p = X.shape[-1]
    meat = jax.lax.scan(block, jnp.zeros((n_groups, p, p), X.dtype), (X, group, weight, slope, residual))[0]
    return bread @ meat @ bread
