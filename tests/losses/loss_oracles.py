"""Slow and obvious versions of the losses, in NumPy and float64, for one row; and differences for derivatives."""

import jax
import numpy as np
from scipy.special import logsumexp, softmax


def margins(scores, label, margin):
    z = scores - scores[label] + margin
    z[label] = 0
    return z


def divergence(p):
    return float(np.sum(p[p > 0] * np.log(len(p) * p[p > 0])))


def ldr_kl(scores, label, lam, margin):
    z = margins(scores, label, margin)
    return lam * (logsumexp(z / lam) - np.log(len(z)))


def aldr_kl_on_grid(scores, label, lam, alpha, margin, n_points=20_001):
    """Largest value over a grid of temperatures, and where it is."""
    z = margins(scores, label, margin)
    temperatures = np.linspace(max(lam * (1 - 1 / alpha), 1e-9), lam, n_points)
    values = temperatures * (logsumexp(z / temperatures[:, None], axis=1) - np.log(len(z)))
    values -= alpha * np.log(len(z)) / (2 * lam) * (temperatures - lam) ** 2
    return values.max(), temperatures[values.argmax()]


def normalized(logits, kind):
    if kind == "softplus":
        values = np.logaddexp(logits, 0)
        return values / values.mean()
    if kind == "l1":
        return logits / np.abs(logits).mean()
    if kind == "l2":
        return logits / np.sqrt(np.mean(logits**2))
    return logits


def by_name(name, f, y, **params):
    """The baselines, from the formulas of their papers."""
    p, log_p = softmax(f), f - logsumexp(f)
    others = np.arange(len(f)) != y
    e = (~others).astype(float)
    get = params.get
    if name == "cross_entropy":
        return -log_p[y]
    if name == "crammer_singer":
        return max(0.0, np.max(f[others] - f[y] + get("margin", 1.0)))
    if name == "weston_watkins":
        return np.sum(np.maximum(0, f[others] - f[y] + get("margin", 1.0))) / len(f)
    if name in ("gce", "tgce"):
        q = get("q", 0.7)
        floor = get("threshold", 0.5) if name == "tgce" else 0.0
        return (1 - max(p[y], floor) ** q) / q
    if name == "sce":
        return get("alpha", 0.5) * -log_p[y] - get("beta", 0.5) * get("log_zero", -4.0) * (1 - p[y])
    if name == "js":
        pi = get("pi", 0.5)
        mixture = pi * e + (1 - pi) * p
        of_label, of_prediction = np.log(1 / mixture[y]), np.sum(p * (log_p - np.log(mixture)))
        return (pi * of_label + (1 - pi) * of_prediction) / (-(1 - pi) * np.log(1 - pi))
    if name == "rll":
        a = get("a", 1.0)
        return np.log((a + 1) / a) - np.log(a + p[y]) + np.mean(np.log(a + p[others]))
    if name == "mae":
        return np.abs(e - p).sum()
    if name == "mse":
        return np.sum((e - p) ** 2)
    if name == "focal":
        return -((1 - p[y]) ** get("gamma", 0.5)) * log_p[y]
    if name == "nce":
        return log_p[y] / log_p.sum()
    if name == "rce":
        return 4 * np.log(10) * (1 - p[y])
    if name == "agce":
        a, q = get("a", 3.0), get("q", 1.5)
        return ((a + 1) ** q - (a + p[y]) ** q) / q
    if name == "aul":
        a, q = get("a", 6.0), get("q", 1.5)
        return ((a - p[y]) ** q - (a - 1) ** q) / q
    active, passive = name.split("_")
    weights = get("alpha", 5.0), get("beta", 5.0)
    return weights[0] * by_name(active, f, y) + weights[1] * by_name(passive, f, y)


def assert_slope(function, *arguments, rtol=1e-6):
    """The gradient of a function of one or more pytrees is that of central differences in a random direction."""
    compiled = jax.jit(jax.value_and_grad(function, argnums=tuple(range(len(arguments)))))
    rng = np.random.default_rng(0)
    arguments = jax.tree.map(np.asarray, arguments)
    direction = jax.tree.map(lambda a: rng.normal(size=a.shape), arguments)
    up, down = (compiled(*jax.tree.map(lambda a, d, h=h: a + h * d, arguments, direction))[0] for h in (1e-5, -1e-5))
    gradient = compiled(*arguments)[1]
    slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: float(np.sum(g * d)), gradient, direction)))
    np.testing.assert_allclose(slope, (float(up) - float(down)) / 2e-5, rtol=rtol, atol=1e-7)
