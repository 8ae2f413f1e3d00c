"""Extremes of linear functions over the level set of a logistic regression's objective.

``L(w) = sum_i s_i (log(1 + exp(x_i w)) - y_i x_i w) + sum_k penalty_k w_k^2 / 2`` is convex, and the largest ``w d``
with ``L(w) <= c`` lies where ``grad L(w) = t d`` and ``L(w) = c``. Both are solved for (w, t) by Newton's method, all
directions d at once. Rows are distinct: ``s`` is their share of the weight and ``y`` the mean of their targets.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Rows(NamedTuple):
    """X (u, p), y (u,), s (u,) and penalty (p,)."""

    X: jax.Array | np.ndarray
    y: jax.Array | np.ndarray
    s: jax.Array | np.ndarray
    penalty: jax.Array | np.ndarray


class Extreme(NamedTuple):
    """Coefficients (B, p), tilts (B,) and whether both equations hold (B,)."""

    coef: jax.Array
    tilt: jax.Array
    converged: jax.Array


def objective(rows, w):
    score = rows.X @ w
    return rows.s @ (jax.nn.softplus(score) - rows.y * score) + jnp.sum(rows.penalty * w**2) / 2


def _derivatives(rows, w):
    p = jax.nn.sigmoid(rows.X @ w)
    gradient = rows.X.T @ (rows.s * (p - rows.y)) + rows.penalty * w
    hessian = (rows.X * (rows.s * p * (1 - p))[:, None]).T @ rows.X + jnp.diag(rows.penalty)
    return gradient, hessian


@jax.jit
def ellipsoid_starts(coef, hessian, directions, slack):
    """Where the quadratic approximation at the minimum has its extremes: coefficients (B, p) and tilts (B,)."""
    steps = jnp.linalg.solve(hessian, directions.T).T
    size = jnp.sum(steps * directions, axis=1)
    tilt = jnp.where(size > 0, jnp.sqrt(2 * slack / jnp.where(size > 0, size, 1)), 0)
    return coef + tilt[:, None] * steps, tilt


@partial(jax.jit, static_argnames=("batch_size",))
def extremes(rows, directions, start, tilt, level, max_iter, tol, *, batch_size):
    """Maximisers of ``w d`` over ``L(w) <= level``, from starts (B, p) and tilts (B,); a tilt of zero stays."""

    def lane(item):
        d, w, t = item

        def step(carry):
            w, t, _, n_iter = carry
            gradient, hessian = _derivatives(rows, w)
            excess = objective(rows, w) - level
            along, back = jnp.linalg.solve(hessian, jnp.stack([d, gradient - t * d], axis=1)).T
            slope = gradient @ along
            dt = (gradient @ back - excess) / jnp.where(slope != 0, slope, 1)
            # Far from the solution the linear model of the objective overshoots.
            dt = jnp.clip(dt, -t / 2, 2 * t)
            dw = along * dt - back
            done = (jnp.max(jnp.abs(dw)) <= tol * (1 + jnp.max(jnp.abs(w)))) & (jnp.abs(dt) <= tol * t)
            return w + dw, t + dt, done | (t <= 0), n_iter + 1

        w, t, done, _ = jax.lax.while_loop(lambda c: ~c[2] & (c[3] < max_iter), step, (w, t, t <= 0, 0))
        return w, t, done & jnp.isfinite(t)

    return Extreme(*jax.lax.map(lane, (directions, start, tilt), batch_size=batch_size))


@jax.jit
def conflict_gradients(X, share, h0, coef, delta, width):
    """Gradients (B, p) of the smoothed share of cases whose probability moves by ``delta`` or more."""

    def smoothed(w):
        moved = jnp.abs(jax.nn.sigmoid(X @ w) - h0)
        return share @ jax.nn.sigmoid((moved - delta) / width)

    return jax.vmap(jax.grad(smoothed))(coef)
