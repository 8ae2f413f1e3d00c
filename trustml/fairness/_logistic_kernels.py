"""L2-penalised logistic regressions of all groups at once.

Every group minimises ``sum_i s_i log(1 + exp(-(2 y_i - 1) x_i b)) + |penalty * b|^2 / 2``; the last column of ``x`` is
the constant one if there is an intercept, which is not penalised. A group whose targets are all of one class has no
finite minimiser; its judge is the constant of that class, ``x b = +-SURE``.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

SURE = 50.0  # sigmoid(SURE) is one in float64
_HALVINGS = 20


class Solved(NamedTuple):
    """Coefficients (G, p) or (p, G, L), whether each is a minimiser; of Newton's method also Hessians and steps."""

    coef: jax.Array
    converged: jax.Array
    hessian: jax.Array | None = None
    n_iter: jax.Array | None = None


def _one_class(group, y, weight, n_groups):
    """-1, 1 or 0 by group (G, ...): all targets are of the first class, of the second, or of both."""

    def block(sums, item):
        g, y, s = item
        return sums.at[g].add(jnp.stack([jnp.sum(s * y, axis=0), jnp.sum(s * (1 - y), axis=0)])), None

    shape = jnp.broadcast_shapes(y.shape, weight.shape)
    y, weight = jnp.broadcast_to(y, shape), jnp.broadcast_to(weight, shape)
    ones, zeros = jnp.moveaxis(
        jax.lax.scan(block, jnp.zeros((n_groups, 2, *shape[2:]), weight.dtype), (group, y, weight))[0], 1, 0
    )
    return jnp.where(zeros <= 0, 1.0, jnp.where(ones <= 0, -1.0, 0.0))


def _constant(sure, p):
    """Coefficients (G, p) of judges that always say the same."""
    return jnp.zeros((len(sure), p), sure.dtype).at[:, -1].set(SURE * sure)


def _newton(X, group, y, weight, penalty, coef, n_groups, max_iter, tol):
    """Damped Newton steps of all groups; a group's step is halved until its loss falls."""

    def losses(coef):
        def block(total, item):
            x, g, t, s = item
            score = x @ coef[g]
            return total.at[g].add(jnp.sum(s * (jax.nn.softplus(score) - t * score))), None

        total = jax.lax.scan(block, jnp.zeros(n_groups, X.dtype), (X, group, y, weight))[0]
        return total + jnp.sum(penalty * coef**2, axis=1) / 2

    def derivatives(coef):
        def block(sums, item):
            x, g, t, s = item
            p = jax.nn.sigmoid(x @ coef[g])
            gradient = x.T @ (s * (p - t))
            hessian = (x * (s * p * (1 - p))[:, None]).T @ x
            return (sums[0].at[g].add(gradient), sums[1].at[g].add(hessian)), None

        p = X.shape[-1]
        start = jnp.zeros((n_groups, p), X.dtype), jnp.zeros((n_groups, p, p), X.dtype)
        gradient, hessian = jax.lax.scan(block, start, (X, group, y, weight))[0]
        # The last two terms only matter where probabilities are 0 and 1 to the last bit.
        tiny = 1e-12 * (1 + jnp.trace(hessian, axis1=1, axis2=2))[:, None, None]
        return gradient + penalty * coef, hessian + jnp.diag(penalty) + tiny * jnp.eye(p)

    def step(carry):
        coef, loss, _, n_iter = carry
        gradient, hessian = derivatives(coef)
        direction = jnp.linalg.solve(hessian, gradient[..., None])[..., 0]
        decrement = jnp.sum(gradient * direction, axis=1)
        slack = 1e-13 * (1 + jnp.abs(loss))

        def halve(inner):
            rate, _, k = inner
            worse = losses(coef - rate[:, None] * direction) > loss + slack
            return jnp.where(worse, rate / 2, rate), worse, k + 1

        first = jnp.ones(n_groups, X.dtype), jnp.ones(n_groups, bool), 0
        rate, worse, _ = jax.lax.while_loop(lambda c: jnp.any(c[1]) & (c[2] < _HALVINGS), halve, first)
        moved = jnp.where(worse, 0, rate)[:, None] * direction
        coef = coef - moved
        done = (jnp.max(jnp.abs(direction), axis=1) <= tol * (1 + jnp.max(jnp.abs(coef), axis=1))) | (
            decrement <= 1e-20 * (1 + jnp.abs(loss))
        )
        return coef, losses(coef), done, n_iter + 1

    def running(carry):
        return ~jnp.all(carry[2]) & (carry[3] < max_iter)

    start = coef, losses(coef), jnp.zeros(n_groups, bool), 0
    coef, _, done, n_iter = jax.lax.while_loop(running, step, start)
    return coef, done, derivatives(coef)[1], n_iter


def _fit(X, group, y, weight, penalty, start, n_groups, fit_intercept, max_iter, tol):
    if not fit_intercept:
        return Solved(*_newton(X, group, y, weight, penalty, start, n_groups, max_iter, tol))
    sure = _one_class(group, y, weight, n_groups)
    # Rows of a group of one class weigh nothing: its problem is then the penalty alone, which is solved at once.
    usable = weight * (sure == 0)[group][:, None]
    coef, done, hessian, n_iter = _newton(X, group, y, usable, penalty, start, n_groups, max_iter, tol)
    coef = jnp.where((sure == 0)[:, None], coef, _constant(sure, X.shape[-1]))
    return Solved(coef, done | (sure != 0), hessian, n_iter)


_STATIC = ("n_groups", "fit_intercept")


@partial(jax.jit, static_argnames=_STATIC)
def fit(X, group, y, weight, penalty, start, max_iter, tol, *, n_groups, fit_intercept):
    """Minimisers of all groups by Newton's method, for targets and weights (n_blocks, r)."""
    return _fit(X, group, y, weight, penalty, start, n_groups, fit_intercept, max_iter, tol)


@partial(jax.jit, static_argnames=(*_STATIC, "batch_size"))
def fit_lanes(
    X, rows, group, lane_rows, y, weight, penalty, start, max_iter, tol, *, n_groups, fit_intercept, batch_size
):
    """Minimisers (L, G, p) of panels that differ in rows, targets or weights; the arguments as for ridge.

    ``y`` and ``weight`` (L, n + 1) are those of the place that a row takes; ``lane_rows`` (L, n + 1) says which row of
    ``X`` takes it.
    """

    def lane(item):
        source, targets, weights = item
        solved = _fit(
            X[source[rows]], group, targets[rows], weights[rows], penalty, start, n_groups, fit_intercept, max_iter, tol
        )
        return solved.coef, solved.converged

    return Solved(*jax.lax.map(lane, (lane_rows, y, weight), batch_size=batch_size))


@partial(jax.jit, static_argnames=_STATIC)
def fit_near(X, group, y, weight, penalty, start, basis, spectrum, share, max_iter, tol, *, n_groups, fit_intercept):
    """Minimisers (p, G, L) of many problems on the same rows, from one fixed Hessian (the chord method).

    Targets and weights that differ little from a problem that is solved need no Hessian of their own: a step is two
    multiplications for all of them together. What has not converged is left to :func:`fit_lanes`.

    Parameters
    ----------
    y, weight : arrays of shape (n_blocks, r, L) or (n_blocks, r, 1)
    start : array of shape (G, p)
        Minimiser of the problem that is solved.
    basis, spectrum : arrays of shape (G, p, p) and (G, p)
        Eigenvectors and eigenvalues of its Hessian, without the penalty.
    share : array of shape (G, L) or (G, 1)
        Total weight of each problem, divided by that of the solved one.
    """
    n_lanes = max(y.shape[-1], weight.shape[-1])
    n_features = X.shape[-1]
    sure = _one_class(group, y, weight, n_groups) if fit_intercept else jnp.zeros((n_groups, n_lanes), X.dtype)
    sure = jnp.broadcast_to(sure, (n_groups, n_lanes))
    curvature = share[:, None, :] * spectrum[:, :, None] + jnp.max(penalty)

    def gradient(coef):
        def block(total, item):
            x, g, t, s = item
            residual = s * (jax.nn.sigmoid(x @ coef[g]) - t)
            return total.at[g].add(x.T @ residual), None

        total = jax.lax.scan(block, jnp.zeros_like(coef), (X, group, y, weight))[0]
        return total + penalty[:, None] * coef

    def step(carry):
        coef, _, n_iter = carry
        direction = basis @ (jnp.swapaxes(basis, 1, 2) @ gradient(coef) / curvature)
        moved = jnp.max(jnp.abs(direction), axis=1)
        done = moved <= tol * (1 + jnp.max(jnp.abs(coef), axis=1))
        return coef - jnp.where(sure[:, None, :] == 0, direction, 0), done | (sure != 0), n_iter + 1

    def running(carry):
        return ~jnp.all(carry[1]) & (carry[2] < max_iter)

    coef = jnp.broadcast_to(start[:, :, None], (n_groups, n_features, n_lanes)).astype(X.dtype)
    begin = coef, jnp.zeros((n_groups, n_lanes), bool), 0
    coef, done, _ = jax.lax.while_loop(running, step, begin)
    constant = jnp.zeros_like(coef).at[:, -1, :].set(SURE * sure)
    coef = jnp.where(sure[:, None, :] == 0, coef, constant)
    return Solved(jnp.swapaxes(coef, 0, 1), done & jnp.all(jnp.isfinite(coef), axis=1))
