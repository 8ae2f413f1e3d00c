"""A primal-dual interior-point method for small weighted quantile regressions, one per lane.

Each lane minimises over w, of p entries,

    linear' w + sum_i upper_i (y_i - Q_i w)_+ + lower_i (Q_i w - y_i)_+

with w >= 0 and sum w = 1 ("simplex"), with sum w = 1 ("affine"), or freely (None). Its dual maximises y'a + lam
(without lam if w is free) over -lower <= a <= upper and lam, where Q'a + lam <= linear ("simplex") or equal to it.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# Mehrotra's method needs 10 to 30 steps; a lane that takes more has lost its digits, and its bound will tell.
_MAX_STEPS = 80
_TO_BOUNDARY = 0.9995


class _Point(NamedTuple):
    """Weights, the two parts of the residuals and the duals.

    ``parts`` (2, n) are what lies above and below the fit, ``room`` (2, n) how far ``a`` is from its upper and lower
    bound (kept on its own, because the difference would lose its digits), ``s`` the slacks of the weights.
    """

    w: Any
    parts: Any
    a: Any
    room: Any
    lam: Any
    s: Any


_SIGNS = np.array([[1.0], [-1.0]])


def _start(Q, y, upper, lower, linear, constraint):
    p = Q.shape[1]
    w = jnp.zeros(p) if constraint is None else jnp.full(p, 1 / p)
    residual = y - Q @ w
    width = jnp.mean(jnp.abs(residual)) + 1e-10
    a, half = (upper - lower) / 2, (upper + lower) / 2
    slope = linear - Q.T @ a
    lam, s = jnp.zeros(()), jnp.zeros(p)
    if constraint == "simplex":
        lam = 2 * jnp.min(slope) - jnp.max(slope) - 1e-3 * jnp.mean(half) * width
        s = slope - lam
    return _Point(w, jnp.maximum(_SIGNS * residual, 0) + width, a, jnp.stack([half, half]), lam, s)


def _off_dual(x, Q, linear, constraint):
    return linear - Q.T @ x.a - x.s - (x.lam if constraint is not None else 0)


def _complementarity(x):
    # Without the simplex s is zero.
    return jnp.vdot(x.parts, x.room) + x.w @ x.s


def _lengths(x, d, constraint):
    """The longest steps that keep primal and dual variables non-negative, at most a little over one."""

    def longest(value, step):
        return jnp.min(jnp.where(step < 0, -value / jnp.where(step < 0, step, -1.0), 2.0))

    primal, dual = longest(x.parts, d.parts), longest(x.room, d.room)
    if constraint == "simplex":
        primal, dual = jnp.minimum(primal, longest(x.w, d.w)), jnp.minimum(dual, longest(x.s, d.s))
    return primal, dual


def _moved(x, d, lengths):
    primal, dual = (jnp.minimum(length, 1) for length in lengths)
    return _Point(
        x.w + primal * d.w,
        x.parts + primal * d.parts,
        *(value + dual * step for value, step in zip(x[2:], d[2:], strict=True)),
    )


def _step(x, Q, y, linear, constraint):
    n, p = Q.shape
    sums, simplex = constraint is not None, constraint == "simplex"
    ratio = x.parts / x.room
    weight = 1 / jnp.sum(ratio, axis=0)
    gram = (Q.T * weight) @ Q
    # The ridge only keeps the factor of a singular matrix finite; it slows steps, and moves no solution.
    ridge = 1e-13 * jnp.trace(gram) + 1e-300
    factor = jnp.linalg.cholesky(gram + jnp.diag((x.s / x.w if simplex else 0) + jnp.full(p, ridge)))
    off_primal = y - Q @ x.w - x.parts[0] + x.parts[1]
    off_dual = _off_dual(x, Q, linear, constraint)

    def direction(target_parts, target_s):
        """Newton's step towards given products of parts and room, and of w and s."""
        shift = target_parts / x.room - x.parts
        shift_s = target_s / x.w - x.s if simplex else jnp.zeros(p)
        row = off_primal - shift[0] + shift[1]
        right = Q.T @ (weight * row) + shift_s - off_dual
        solved = jax.scipy.linalg.cho_solve((factor, True), jnp.stack([right, jnp.ones(p)], axis=1))
        dlam = -jnp.sum(solved[:, 0]) / jnp.sum(solved[:, 1]) if sums else jnp.zeros(())
        dw = solved[:, 0] + dlam * solved[:, 1]
        da = weight * (row - Q @ dw)
        ds = shift_s - x.s * dw / x.w if simplex else jnp.zeros(p)
        return _Point(dw, shift + _SIGNS * ratio * da, da, -_SIGNS * da, dlam, ds)

    # Mehrotra: how far the step to a gap of zero comes tells where to aim, and its products are corrected for.
    gap = _complementarity(x)
    ahead = direction(jnp.zeros((2, n)), jnp.zeros(p))
    reached = _complementarity(_moved(x, ahead, _lengths(x, ahead, constraint)))
    centre = (reached / gap) ** 3 * gap / (2 * n + (p if simplex else 0))
    d = direction(centre - ahead.parts * ahead.room, centre - ahead.w * ahead.s)
    return _moved(x, d, [_TO_BOUNDARY * length for length in _lengths(x, d, constraint)])


def _solve(Q, y, upper, lower, linear, constant, floor, tol, constraint):
    def error(x):
        """The gap, against what is allowed."""
        objective = constant + linear @ x.w + upper @ x.parts[0] + lower @ x.parts[1]
        infeasibility = jnp.sum(jnp.abs(_off_dual(x, Q, linear, constraint)) * (1 + jnp.abs(x.w)))
        return (_complementarity(x) + infeasibility) / jnp.maximum(objective, floor)

    def unfinished(carry):
        n_steps, _, now = carry
        return (now > tol) & (n_steps < _MAX_STEPS)

    def step(carry):
        n_steps, x, now = carry
        new = _step(x, Q, y, linear, constraint)
        new_error = error(new)
        # Every number of the new point enters its error.
        finite = jnp.isfinite(new_error)
        # Where rounding wins, the last finite point stands: a NaN is no bound, and no reason to call it solved.
        x = jax.tree.map(partial(jnp.where, finite), new, x)
        return jnp.where(finite, n_steps + 1, _MAX_STEPS), x, jnp.where(finite, new_error, now)

    x = _start(Q, y, upper, lower, linear, constraint)
    n_steps, x, _ = lax.while_loop(unfinished, step, (0, x, error(x)))
    return x.w, x.a, n_steps


@partial(jax.jit, static_argnames="constraint")
def solve_lanes(Q, y, upper, lower, linear, constant, floor, tol, *, constraint):
    """Solve every lane; float64.

    Parameters
    ----------
    Q : array of shape (n_lanes, n_rows, p)
    y, upper, lower : arrays of shape (n_lanes, n_rows)
        Targets, and the cost of a residual above and below zero: positive. Rows of zeros with positive cost are
        padding.
    linear, constant : arrays of shape (n_lanes, p) and (n_lanes,)
        The rest of the objective.
    floor : array of shape (n_lanes,)
        An objective below it counts as this much.
    tol : float
        A lane is done when its duality gap is at most this fraction of its objective.
    constraint : {"simplex", "affine", None}
        Static.

    Returns
    -------
    w : array of shape (n_lanes, p)
    a : array of shape (n_lanes, n_rows)
    n_steps : array of shape (n_lanes,)
    """
    solve = partial(_solve, constraint=constraint)
    return jax.vmap(solve, (0, 0, 0, 0, 0, 0, 0, None))(Q, y, upper, lower, linear, constant, floor, tol)
