"""How far apart judgments of the same case are: pure JAX, one definition for observed and for simulated judges.

Judgments have shape (m, G), or (m, G, K) for probabilities of more than two classes. Two classes are described by the
probability of the second.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


def _log(u):
    return jnp.sign(u) * jnp.log1p(jnp.abs(u))


def absolute(a, b):
    return jnp.abs(a - b)


def squared(a, b):
    return (a - b) ** 2


def relative(a, b):
    scale = (jnp.abs(a) + jnp.abs(b)) / 2
    return jnp.where(scale > 0, jnp.abs(a - b) / jnp.where(scale > 0, scale, 1), 0)


def log(a, b):
    return jnp.abs(_log(a) - _log(b))


def disagree(a, b):
    return (a != b).astype(jnp.result_type(float))


def total_variation(a, b):
    return jnp.abs(a - b) if a.ndim == 2 else jnp.sum(jnp.abs(a - b), axis=-1) / 2


def _all_classes(p):
    return jnp.stack([1 - p, p], axis=-1) if p.ndim == 2 else p


def hellinger(a, b):
    a, b = _all_classes(a), _all_classes(b)
    return jnp.sqrt(jnp.sum((jnp.sqrt(a) - jnp.sqrt(b)) ** 2, axis=-1) / 2)


def jensen_shannon(a, b):
    """In bits: 0 for equal distributions, 1 for disjoint ones."""
    a, b = _all_classes(a), _all_classes(b)
    mean = (a + b) / 2

    def towards_mean(p):
        return jnp.where(p > 0, p * jnp.log2(jnp.where(p > 0, p, 1) / jnp.where(mean > 0, mean, 1)), 0)

    return jnp.sum(towards_mean(a) + towards_mean(b), axis=-1) / 2


# What each kind of judgment may be compared by; the first is what "auto" means.
DISAGREEMENTS = {
    "number": ("absolute", "squared", "relative", "log"),
    "probability": ("tv", "hellinger", "js", "squared"),
    "label": ("disagree", "ordinal"),
}
AGGREGATES = ("pairs", "std", "cv", "range")

_RHO = {
    "absolute": absolute,
    "squared": squared,
    "relative": relative,
    "log": log,
    "tv": total_variation,
    "hellinger": hellinger,
    "js": jensen_shannon,
    "disagree": disagree,
    "ordinal": absolute,  # of ranks divided by K - 1
}


def _pair_values(J, rho):
    """Disagreement (m, P) of every pair of judges."""
    first, second = np.triu_indices(J.shape[1], 1)
    values = _RHO[rho](J[:, first], J[:, second])
    if rho == "squared" and J.ndim == 3:
        values = jnp.sum(values, axis=-1) / 2
    return values


def _case_values(J, rho, aggregate, ddof):
    """Inconsistency (m,) of each case."""
    if aggregate == "pairs":
        return jnp.mean(_pair_values(J, rho), axis=1)
    if aggregate == "range":
        return jnp.max(J, axis=1) - jnp.min(J, axis=1)
    deviation = jnp.std(J, axis=1, ddof=ddof)
    if aggregate == "std":
        return deviation
    return jnp.where(deviation > 0, deviation / jnp.abs(jnp.mean(J, axis=1)), 0)


@partial(jax.jit, static_argnames=("rho", "aggregate", "ddof"))
def case_inconsistency(J, *, rho, aggregate, ddof=0):
    """Inconsistency (m,) of each case."""
    return _case_values(J, rho, aggregate, ddof)


def _sums(J, v, rho, aggregate, ddof):
    pairs = v @ _pair_values(J, rho)
    total = jnp.mean(pairs) if aggregate == "pairs" else v @ _case_values(J, rho, aggregate, ddof)
    return pairs, total


@partial(jax.jit, static_argnames=("rho", "aggregate", "ddof"))
def pair_and_total(J, v, *, rho, aggregate, ddof=0):
    """Weighted sums over cases: disagreement (P,) of each pair, and the inconsistency. ``v`` (m,) sums to one."""
    return _sums(J, v, rho, aggregate, ddof)


@partial(jax.jit, static_argnames=("link", "rho", "aggregate"))
def linear_pair_and_total(Z, v, coef, *, link, rho, aggregate):
    """The same for many panels of linear judges, whose judgments are never stored.

    Parameters
    ----------
    Z : array of shape (n_blocks, r, p)
        Cases in blocks.
    v : array of shape (n_blocks, r)
        Weights of the cases, which sum to one.
    coef : array of shape (p, G, B)
        B panels of G judges.
    link : {"identity", "sigmoid", "label"}
        From scores to judgments. Static.

    Returns
    -------
    pairs : array of shape (P, B)
    total : array of shape (B,)
    """
    p, n_judges, n_panels = coef.shape

    def block(carry, item):
        z, weight = item
        J = (z @ coef.reshape(p, -1)).reshape(-1, n_judges, n_panels)
        J = {"identity": lambda s: s, "sigmoid": jax.nn.sigmoid, "label": lambda s: 1.0 * (s > 0)}[link](J)
        pairs, total = jax.vmap(lambda J: _sums(J, weight, rho, aggregate, 0), in_axes=2)(J)
        return (carry[0] + pairs.T, carry[1] + total), None

    n_pairs = n_judges * (n_judges - 1) // 2
    start = jnp.zeros((n_pairs, n_panels), coef.dtype), jnp.zeros(n_panels, coef.dtype)
    return jax.lax.scan(block, start, (Z, v))[0]


def pair_matrix(pairs):
    """Symmetric (..., G, G) with zero diagonal from values (..., P) of pairs."""
    pairs = np.asarray(pairs)
    n_judges = round((1 + np.sqrt(1 + 8 * pairs.shape[-1])) / 2)
    first, second = np.triu_indices(n_judges, 1)
    matrix = np.zeros((*pairs.shape[:-1], n_judges, n_judges))
    matrix[..., first, second] = matrix[..., second, first] = pairs
    return matrix
