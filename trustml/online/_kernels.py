"""The inner loops of online prediction: exact ridge in blocks, and the hedge over sleeping experts.

Ridge experts never see the weights that the aggregator gives them. A stream therefore splits, without any
approximation, into one online regression per group (:func:`ridge_pass`) and one scan over the table of
losses (:func:`hedge_scan`).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array | np.ndarray  # inside a compiled function, and what waits between calls

BLOCK = 32  # rows per exact update: one covariance of 100 features still stays in the second-level cache


class RidgeState(NamedTuple):
    """Sufficient statistics of G online ridge regressions over d features; leading axis G everywhere."""

    covariance: Array  # (G, d, d), inverse of alpha I + sum of w x x' (centred with an intercept)
    coef: Array  # (G, d)
    x_mean: Array  # (G, d), zero without an intercept
    y_mean: Array  # (G,), zero without an intercept
    weight: Array  # (G,), sum of the sample weights


def ridge_block(state, X, y, weight, decay, *, fit_intercept, with_leverage):
    """B rows of one regression at once: what each row is predicted before it is learnt, and the new state.

    The Cholesky factor of ``I + Z P Z'`` holds the whole sequence of rank-one updates, so predictions and state
    are those of the row-by-row recursion. Row t is predicted from rows s < t by a strictly lower triangular
    product: its own target does not even enter its rounding errors. An unpenalised intercept is the same
    recursion on rows centred at the running mean (West's update). A row of weight 0 changes nothing.

    Returns the state, the one-step-ahead predictions (B,) and leverages x' A^-1 x (B,), infinite before the
    first row of a regression with an intercept; None unless asked for.
    """
    P, theta, x_mean, y_mean, seen = state
    # Forgetting divides what was seen before by decay^-k; scaling row k up instead leaves P alone in the block.
    if decay is not None:
        steps = jnp.cumsum(weight > 0)
        fresh = jnp.where(weight > 0, 1, 0) - steps
        weight = weight * decay ** -steps.astype(P.dtype)
    if fit_intercept:
        earlier = jnp.tril(jnp.ones((len(y), len(y)), P.dtype), -1)
        seen_before = seen + earlier @ weight
        share = jnp.where(seen_before > 0, 1 / jnp.where(seen_before > 0, seen_before, 1), 0)
        X, y = X - x_mean, y - y_mean
        moments = earlier @ (weight[:, None] * jnp.column_stack([X, y])) * share[:, None]
        total = seen + weight.sum()
        step = (weight @ jnp.column_stack([X, y])) / jnp.where(total > 0, total, 1)
        X, y, offset = X - moments[:, :-1], y - moments[:, -1], y_mean + moments[:, -1]
        scale = jnp.sqrt(weight * seen_before * jnp.where(seen_before > 0, 1 / (seen_before + weight), 0))
        mean_leverage = jnp.where(seen_before > 0, share, jnp.inf)
    else:
        total, step, offset, mean_leverage = seen + weight.sum(), jnp.zeros(X.shape[1] + 1, P.dtype), 0.0, 0.0
        scale = jnp.sqrt(weight)
    # A row of scale 0 must still be predicted from the factor below. A tiny scale does that: its square vanishes
    # against 1, and dividing a row of the factor by its own scale is exact to rounding.
    scale = jnp.maximum(scale, jnp.finfo(P.dtype).tiny ** 0.3)

    Z = scale[:, None] * X
    ZP = Z @ P  # its transpose is what LAPACK solves for in place: nothing is copied
    prior = Z @ theta
    lower = jnp.linalg.cholesky(ZP @ Z.T + jnp.eye(len(y), dtype=P.dtype), symmetrize_input=False)
    solved = lax.linalg.triangular_solve(
        lower, jnp.column_stack([ZP, scale * y - prior]).T, left_side=False, lower=True, transpose_a=True
    )
    Vt, nu = solved[:-1], solved[-1]
    below = jnp.tril(lower, -1)
    prediction = offset + (prior + below @ nu) / scale
    leverage = None
    if with_leverage:
        leverage = (jnp.sum(ZP * Z, axis=1) - jnp.sum(below**2, axis=1)) / scale**2 + mean_leverage
    P = P - Vt @ Vt.T
    if decay is not None:
        if with_leverage:
            leverage = leverage * decay ** fresh.astype(P.dtype)
        forget = decay ** steps[-1].astype(P.dtype)
        # Forgetting amplifies the antisymmetric part of the rounding errors without bound.
        P, total = (P + P.T) / (2 * forget), total * forget
    state = RidgeState(P, theta + Vt @ nu, x_mean + step[:-1], y_mean + step[-1], total)
    return state, prediction, leverage


@partial(jax.jit, static_argnames=("fit_intercept", "with_leverage"))
def ridge_pass(state, X, y, weight, rows, counts, decay, *, fit_intercept, with_leverage):
    """One pass of every group over its own rows.

    Parameters
    ----------
    state : RidgeState of G regressions
    X, y, weight : arrays of shape (n + 1, d), (n + 1,), (n + 1,)
        The rows and, last, one row of zeros that pads the blocks.
    rows : int array of shape (G, m), m a multiple of BLOCK
        Positions of each group's rows in time order, then n.
    counts : int array of shape (G,)
        How many of them are rows; blocks beyond are never visited.
    decay : float or None
        Forgetting factor; None is 1, without its cost.

    Returns
    -------
    state, predictions (G, m), leverages (G, m) or None, in the order of ``rows``
    """

    def one_group(g, carry):
        states, prediction, leverage = carry

        def one_block(i, inner):
            state, *outputs = inner
            start = (g, i * BLOCK)
            take = lax.dynamic_slice(rows, start, (1, BLOCK))[0]
            state, *values = ridge_block(
                state,
                *(column.at[take].get(mode="promise_in_bounds") for column in (X, y, weight)),
                decay,
                fit_intercept=fit_intercept,
                with_leverage=with_leverage,
            )
            write = partial(lax.dynamic_update_slice, start_indices=start)
            return state, *jax.tree.map(lambda table, value: write(table, value[None]), outputs, values)

        mine = jax.tree.map(lambda leaf: leaf[g], states)
        n_blocks = (counts[g] + BLOCK - 1) // BLOCK
        mine, prediction, leverage = lax.fori_loop(0, n_blocks, one_block, (mine, prediction, leverage))
        return jax.tree.map(lambda all_, one: all_.at[g].set(one), states, mine), prediction, leverage

    empty = jnp.zeros(rows.shape, X.dtype)
    start = (RidgeState(*state), empty, empty if with_leverage else None)
    return lax.fori_loop(0, len(rows), one_group, start)


def log_hedge_weight(regret, abs_regret, xp=jnp):
    """Logarithm of AdaNormalHedge's weight w(R, C), -inf where R <= -1.

    w = [Phi(R + 1, C + 1) - Phi(R - 1, C + 1)] / 2 with Phi(R, C) = exp(max(R, 0)^2 / 3C) (Luo & Schapire, 2015);
    in logarithms, so that losses far outside [0, 1] cannot overflow. Works on NumPy and JAX arrays alike.
    """
    upper = xp.maximum(regret + 1, 0) ** 2 / (3 * (abs_regret + 1))
    gap = xp.where(regret > 1, 4 * regret / (3 * (abs_regret + 1)), upper)  # (R + 1)^2 - (R - 1)^2 = 4 R
    positive = gap > 0
    return xp.where(positive, upper + xp.log(-xp.expm1(-xp.where(positive, gap, 1.0))) - np.log(2), -xp.inf)


def distribution(log_weight, awake, xp=jnp):
    """Weights normalised over the awake experts of the last axis: uniform if all weigh nothing, 0 if none is awake."""
    log_weight = xp.where(awake, log_weight, -xp.inf)
    top = log_weight.max(axis=-1, keepdims=True)
    alive = top > -xp.inf
    mass = xp.where(alive, xp.exp(log_weight - xp.where(alive, top, 0.0)), awake)
    total = mass.sum(axis=-1, keepdims=True)
    return mass / xp.where(total > 0, total, 1.0)


class HedgeState(NamedTuple):
    """State of an aggregator over N experts; every field has shape (N,)."""

    regret: Array  # sum over awake rounds of (loss of the mixture - own loss)
    abs_regret: Array  # sum of its absolute values
    log_share: Array  # logarithm of the exponential weights; constant under AdaNormalHedge


def expert_log_weight(state, kind, xp=jnp):
    """What the aggregator ``kind`` trusts each expert with before the awake ones are known."""
    if kind == "adanormalhedge":
        return state.log_share + log_hedge_weight(state.regret, state.abs_regret, xp)
    return state.log_share


def hedge_step(state, losses, awake, weight, learning_rate, kind, xp=jnp):
    """One round over sleeping experts: the distribution p, the expected loss p . losses, and the new state.

    ``losses`` of sleeping experts are never read. ``kind`` is "adanormalhedge" or "specialists" (Freund et al.,
    1997: exponential weights that conserve the mass of the awake experts).
    """
    p = distribution(expert_log_weight(state, kind, xp), awake, xp)
    losses = xp.where(awake, losses, 0.0)
    expected = p @ losses
    instant = weight * xp.where(awake, expected - losses, 0.0)
    log_share = state.log_share
    if kind == "specialists":
        cost = learning_rate * weight * losses
        best = xp.where(awake, cost, xp.inf).min()
        best = xp.where(best < xp.inf, best, 0.0)
        kept = p @ xp.exp(best - cost)
        # Nobody awake: p is 0 everywhere and nothing moves. Every awake share underflowed cannot happen: p sums to 1.
        mix = best - xp.log(xp.where(kept > 0, kept, 1.0))
        log_share = log_share + xp.where(awake & (weight > 0), mix - cost, 0.0)
    state = HedgeState(state.regret + instant, state.abs_regret + abs(instant), log_share)
    return state, p, expected


@partial(jax.jit, static_argnames="kind")
def hedge_scan(state, losses, awake, weight, learning_rate, *, kind):
    """:func:`hedge_step` over T rounds: losses and awake (T, N), weight (T,). Rounds nobody is awake in are no-ops.

    Returns the state, distributions (T, N) and expected losses (T,).
    """

    def step(state, now):
        state, p, expected = hedge_step(state, *now, learning_rate, kind)
        return state, (p, expected)

    state, (p, expected) = lax.scan(step, HedgeState(*state), (losses, awake, weight))
    return state, p, expected
