"""Label distributionally robust (LDR) losses: the worst mean margin over distributions of labels.

With scores g, label y and margins c, let ``z_k = g_k - g_y + c`` (and ``z_y = 0``). An LDR loss is the largest
``p . z - lam * KL(p || uniform)`` over distributions p. Its gradient in the scores is ``p - e_y``.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from trustml.losses._normalize import normalization
from trustml.losses._rows import (
    at_label,
    below_max,
    check_number,
    check_rows,
    count_classes,
    expected_over_labels,
    is_label,
    row_loss,
    row_sum,
)

# Temperatures beyond count as these: the limits, to rounding.
_COLDEST, _HOTTEST = 2.0**-64, 2.0**64
# From this temperature on, the logarithm of a mean of exponentials is taken by log1p and expm1.
_WARM = 32.0


def ldr_kl(logits, labels, *, lam=10.0, margin=0.1, normalize="softplus", where=None):
    """LDR-KL loss of each row.

    ``lam * log(mean(exp(z / lam)))``: the cross-entropy of temperature ``lam`` with a margin, less ``lam * log(K)``.
    It runs from the Crammer-Singer hinge at ``lam=0``, over the cross-entropy at ``lam=1``, to the mean margin at
    ``lam=inf``. That last one is symmetric, hence tolerant of uniform label noise.

    Parameters
    ----------
    logits : float array of shape (..., n_classes)
        A model's outputs.
    labels : int array of shape (...,) or float array of shape (..., n_classes)
        Labels 0 .. n_classes - 1; or weights of the classes, for the weighted sum of the loss over classes.
    lam : float, default=10.0
        Temperature in [0, inf], both ends included.
    margin : float or array of shape (n_classes,) or (n_classes, n_classes), default=0.1
        By how much the label's score is to exceed each other one: for all labels, for each label, or
        ``margin[k, y]`` for class k and label y.
    normalize : {"softplus", "l1", "l2", None}, default="softplus"
        How scores are made of logits: see :func:`normalize_scores`. Without it, and without margin or weight decay,
        ``lam`` only rescales the logits of the optimum.
    where : bool array broadcastable to (..., n_classes), default=None
        Classes that take part. A row without any has loss zero.

    Returns
    -------
    loss : array of shape (...,)
        May be negative. NaN where a label is no class, or one that takes no part.

    See Also
    --------
    aldr_kl : With a temperature of each row's own.

    References
    ----------
    D. Zhu, Y. Ying and T. Yang, "Label Distributionally Robust Losses for Multi-class Classification: Consistency,
    Robustness and Adaptivity", ICML 2023.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import ldr_kl
    >>> logits = jnp.array([2.0, 1.0, 0.0, -1.0])
    >>> [round(float(ldr_kl(logits, 1, lam=lam, normalize=None)), 4) for lam in (0, 1, jnp.inf)]
    [1.1, 0.1311, -0.425]
    """
    check_number("lam", lam, "a number in [0, inf]", lambda a: a >= 0)
    check_margin(margin)
    return row_loss(_ldr_kernel, logits, labels, where, {"lam": lam, "margin": margin}, normalize=normalize)


def aldr_kl(
    logits,
    labels,
    *,
    lam=10.0,
    alpha=2.0,
    margin=0.1,
    normalize="softplus",
    margin_in_temperature=True,
    where=None,
):
    """Adaptive LDR-KL loss of each row: every row chooses its own temperature.

    The largest, over temperatures t, of the LDR-KL loss at t less ``alpha * log(K) / (2 * lam) * (t - lam)**2``. Rows
    that the model is sure of are given lower temperatures, between ``lam * (1 - 1 / alpha)`` and ``lam``.

    Parameters
    ----------
    logits, labels, margin, normalize, where
        As in :func:`ldr_kl`.
    lam : float, default=10.0
        Temperature in [0, inf] that rows depart from.
    alpha : float, default=2.0
        At least 1. Large values keep the temperature at ``lam``. The authors' ``alpha``: the penalty's coefficient
        follows their code.
    margin_in_temperature : bool, default=True
        False finds the temperature without the margin, as the authors' code does: it then depends on the scores
        alone, not on the label.

    Returns
    -------
    loss : array of shape (...,)
        May be negative.

    Notes
    -----
    The temperature solves ``t = lam * (1 - KL(p) / (alpha * log(K)))`` for ``p = softmax(z / t)``. It is found by
    Newton's method from ``lam`` until the second-order correction that follows is exact to single precision, in one
    or two steps at the defaults; there is no state from epoch to epoch. It is the only solution, and the maximum, if
    ``alpha >= 1 + V / log(K)``, where V is the largest variance of log p over distributions p: 1.64 for two classes,
    1.9 for ten, 2.4 for a hundred. Below, it may be a local maximum.

    By the envelope theorem the gradient in the scores is ``p - e_y`` at that temperature.

    References
    ----------
    D. Zhu, Y. Ying and T. Yang, "Label Distributionally Robust Losses for Multi-class Classification: Consistency,
    Robustness and Adaptivity", ICML 2023.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import aldr_kl, aldr_temperature
    >>> logits = jnp.array([2.0, 1.0, 0.0, -1.0])
    >>> round(float(aldr_kl(logits, 1, lam=1.0, normalize=None)), 4)
    0.1814
    >>> round(float(aldr_temperature(logits, 1, lam=1.0, normalize=None)), 4)
    0.7704
    """
    _check_adaptive(lam, alpha, margin)
    hyper = {"lam": lam, "alpha": alpha, "margin": margin}
    return row_loss(
        _aldr_kernel, logits, labels, where, hyper, normalize=normalize, margin_in_temperature=margin_in_temperature
    )


def aldr_temperature(
    logits,
    labels,
    *,
    lam=10.0,
    alpha=2.0,
    margin=0.1,
    normalize="softplus",
    margin_in_temperature=True,
    where=None,
):
    """Temperature that :func:`aldr_kl` gives each row.

    Parameters
    ----------
    logits, lam, alpha, margin, normalize, margin_in_temperature, where
        As in :func:`aldr_kl`.
    labels : int array of shape (...,)

    Returns
    -------
    temperature : array of shape (...,)
        In ``[lam * (1 - 1 / alpha), lam]``. A constant to differentiation.
    """
    _check_adaptive(lam, alpha, margin)
    logits, labels, where = check_rows(logits, labels, where)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError("labels are soft, for which a row has no one temperature; expected integers.")
    lam, alpha, margin = (jnp.asarray(a, logits.dtype) for a in (lam, alpha, margin))
    scores, _, _ = normalization(logits, where, normalize)
    below, _ = _below_label(scores, labels, where, margin if margin_in_temperature else jnp.zeros(()))
    temperature, change = _solved(below, count_classes(below, where), where, lam, alpha)
    # At both ends a row has no choice.
    return lax.stop_gradient(jnp.where((lam == 0) | jnp.isinf(lam), lam, (temperature - change)[..., 0]))


def ldr_topk_kl(logits, labels, *, k=2, lam=1.0, margin=0.1, normalize="softplus", where=None):
    """LDR-KL loss of each row over distributions without an entry above ``1 / k``.

    A label among the k best scores then costs little. At ``lam=0`` it is the mean of the k largest margins, the top-k
    hinge loss; at ``k=1`` it is :func:`ldr_kl`, at ``k=n_classes`` the mean margin.

    Parameters
    ----------
    logits, labels, margin, normalize, where
        As in :func:`ldr_kl`.
    k : int, default=2
        From 1 to the number of classes.
    lam : float, default=1.0
        Temperature in [0, inf].

    Returns
    -------
    loss : array of shape (...,)
        May be negative.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import ldr_topk_kl
    >>> logits = jnp.array([2.0, 1.0, 0.0, -1.0])
    >>> [round(float(ldr_topk_kl(logits, 1, k=k, lam=0.5, normalize=None)), 4) for k in (1, 2, 4)]
    [0.4687, 0.2464, -0.425]
    """
    check_number("lam", lam, "a number in [0, inf]", lambda a: a >= 0)
    check_margin(margin)
    n_classes = jnp.shape(logits)[-1]
    check_number(
        "k", k, f"a number from 1 to the number of classes, {n_classes}", lambda a: (a >= 1) & (a <= n_classes)
    )
    return row_loss(_topk_kernel, logits, labels, where, {"lam": lam, "margin": margin, "k": k}, normalize=normalize)


@jax.jit
def _solved(below, n_classes, where, lam, alpha):
    temperature, _, change = _temperature(below, n_classes, where, _within_limits(lam), alpha)
    return temperature, change


def _check_adaptive(lam, alpha, margin):
    check_number("lam", lam, "a number in [0, inf]", lambda a: a >= 0)
    check_number("alpha", alpha, "a number of at least 1", lambda a: a >= 1)
    check_margin(margin)


def check_margin(margin):
    check_number("margin", margin, "finite numbers", np.isfinite)


def add_margins(scores, labels, margin):
    """Scores that compare as z does: equal to it but for a constant in each row."""
    n_classes = scores.shape[-1]
    if margin.shape not in ((), (n_classes,), (n_classes, n_classes)):
        raise ValueError(
            f"margin has shape {margin.shape}; expected a number, or shape {(n_classes,)} or {(n_classes, n_classes)}."
        )
    if margin.ndim == 2:
        shifts = jnp.swapaxes(margin, 0, 1)[labels]
        return jnp.where(is_label(labels, scores.shape), scores, scores + shifts)
    if margin.ndim == 1:
        margin = margin[labels][..., None]
    return jnp.where(is_label(labels, scores.shape), scores - margin, scores)


def _below_label(scores, labels, where, margin):
    """z less its largest entry; and that largest entry."""
    below, _ = below_max(add_margins(scores, labels, margin), where)
    return below, -at_label(below, labels)


def _within_limits(lam):
    return jnp.clip(lam, _COLDEST, _HOTTEST)


def _exponentials(below, n_classes, where, temperature):
    """exp(v), its sum and the logarithm of its mean, for v = below / temperature; the last two of shape (..., 1)."""
    v = below / temperature
    exponential = jnp.exp(v) if where is None else jnp.where(where, jnp.exp(v), 0)
    total = row_sum(exponential, where)
    # log(total / n) loses digits if all v are near zero, which a high temperature then magnifies.
    log_mean = lax.cond(
        jnp.any(temperature > _WARM),
        lambda: jnp.log1p(row_sum(jnp.expm1(v), where) / n_classes),
        lambda: jnp.log(total / n_classes),
    )
    return exponential, total, log_mean


def _gradient(distribution, labels):
    return distribution - is_label(labels, distribution.shape)


@expected_over_labels
def _ldr_kernel(logits, labels, where, hyper, *, normalize):
    scores, pull, _ = normalization(logits, where, normalize)
    below, largest = _below_label(scores, labels, where, hyper["margin"])
    exponential, total, log_mean = _exponentials(
        below, count_classes(below, where), where, jnp.maximum(hyper["lam"], _COLDEST).clip(max=_HOTTEST)
    )
    value = largest + jnp.minimum(hyper["lam"], _HOTTEST) * log_mean[..., 0]
    return value, pull(_gradient(exponential / total, labels))


def _strength(below, n_classes, lam, alpha):
    """Coefficient of the penalty on the temperature; any positive number will do for a single class."""
    n_classes = jnp.asarray(n_classes, below.dtype)
    return alpha * jnp.log(jnp.where(n_classes > 1, n_classes, 2)) / lam


def _temperature(below, n_classes, where, lam, alpha):
    """Newton's method: a temperature, what is known there, and the small change left to subtract, of shape (..., 1).

    The changes that are left to subtract are so small that first order does it.
    """
    strength = _strength(below, n_classes, lam, alpha)
    small = 3 * jnp.finfo(below.dtype).eps ** 0.5  # its square, the error of first order, is rounding

    def look(temperature):
        exponential, total, log_mean = _exponentials(below, n_classes, where, temperature)
        # Entries whose exponential is zero count for nothing, but their square may overflow.
        v = jnp.maximum(below / temperature, -120.0)
        mean = row_sum(exponential * v, where) / total
        variance = jnp.maximum(row_sum(exponential * jnp.square(v), where) / total - jnp.square(mean), 0)
        divergence = jnp.clip(mean - log_mean, 0, strength * lam / alpha)
        # Zero of the excess over lam * (1 - KL / (alpha log K)), which the temperature never leaves upwards.
        excess = temperature - lam + divergence / strength
        slope = 1 - variance / (strength * temperature)
        floor = lam * (1 - 1 / alpha)
        change = jnp.clip(excess / jnp.maximum(slope, 0.1), temperature - lam, jnp.maximum(temperature - floor, 0))
        known = {
            "exponential": exponential,
            "total": total,
            "log_mean": log_mean,
            "mean": mean,
            "gain": strength * (change * excess - slope * jnp.square(change) / 2),
        }
        return known, change, jnp.any(jnp.abs(change) * jnp.sqrt(variance + 1e-2) > small * temperature)

    def refine(first):
        def body(carry):
            temperature, change, _, n_looks = carry
            temperature = jnp.maximum(temperature - change, _COLDEST)
            _, change, is_rough = look(temperature)
            return temperature, change, is_rough, n_looks + 1

        temperature, change, _, _ = lax.while_loop(
            lambda carry: carry[2] & (carry[3] < 60), body, (*first, jnp.bool_(True), 0)
        )
        return temperature, look(temperature)[0], change

    start = jnp.broadcast_to(lam, (*below.shape[:-1], 1)).astype(below.dtype)
    known, change, is_rough = look(start)
    return lax.cond(is_rough, lambda: refine((start, change)), lambda: (start, known, change))


@expected_over_labels
def _aldr_kernel(logits, labels, where, hyper, *, normalize, margin_in_temperature):
    # By the envelope theorem the temperature is a constant to every derivative.
    fixed = lax.stop_gradient(hyper)
    lam, alpha = _within_limits(fixed["lam"]), fixed["alpha"]
    scores, pull, _ = normalization(logits, where, normalize)
    below, largest = _below_label(scores, labels, where, fixed["margin"])
    n_classes = count_classes(below, where)
    if margin_in_temperature:
        temperature, known, change = _temperature(below, n_classes, where, lam, alpha)
        exponential, total, log_mean = known["exponential"], known["total"], known["log_mean"]
        gain = known["gain"]
        # First order in the change of the logarithm of p.
        relative = change / temperature * (below / temperature - known["mean"])
        distribution = exponential / total * jnp.clip(1 + relative, 0, 2)
    else:
        unshifted, _ = _below_label(scores, labels, where, jnp.zeros_like(fixed["margin"]))
        temperature, _, change = _temperature(unshifted, n_classes, where, lam, alpha)
        temperature, gain = temperature - change, 0.0
        exponential, total, log_mean = _exponentials(below, n_classes, where, temperature)
        distribution = exponential / total
    gradient = _gradient(distribution, labels)
    free = _within_limits(hyper["lam"])
    penalty = _strength(below, n_classes, free, hyper["alpha"]) * jnp.square(temperature - free) / 2
    # At lam=0 all of this is zero, but for rounding.
    value = largest + jnp.where(fixed["lam"] == 0, 0, temperature * log_mean + gain - penalty)[..., 0]
    return value + _of_margin(gradient, scores, labels, hyper["margin"]), pull(gradient)


def _of_margin(gradient, scores, labels, margin):
    """Zero, with the derivative of the loss in the margin."""
    margins = add_margins(jnp.zeros_like(scores), labels, margin)
    return jnp.sum(lax.stop_gradient(gradient) * (margins - lax.stop_gradient(margins)), axis=-1)


@expected_over_labels
def _topk_kernel(logits, labels, where, hyper, *, normalize):
    scores, pull, _ = normalization(logits, where, normalize)
    below, largest = _below_label(scores, labels, where, hyper["margin"])
    n_classes, lam, k = count_classes(below, where), _within_limits(hyper["lam"]), hyper["k"]
    # Cap the entries above 1/k, share what is left among the rest as LDR-KL does, and again: nothing capped is ever
    # freed, since the others only gain.
    free = jnp.ones(below.shape, bool) if where is None else where

    def rest(free):
        """Shares of the free entries, with the largest of these and the logarithm of their mean exponential."""
        m = n_classes - row_sum(free, None).astype(below.dtype)
        left = jnp.maximum(1 - m / k, 0)
        from_best, best = below_max(below, free)
        exponential, total, log_mean = _exponentials(from_best, n_classes - m, free, lam)
        return left * exponential / jnp.where(total > 0, total, 1), m, left, best + _scaled(hyper["lam"], log_mean)

    def is_above(free):
        return free & (rest(free)[0] > (1 + 8 * jnp.finfo(below.dtype).eps) / k)

    def cap(carry):
        free = carry[0] & ~carry[1]
        return free, is_above(free)

    free, _ = lax.while_loop(lambda carry: jnp.any(carry[1]), cap, (free, is_above(free)))
    shares, m, left, mean_free = rest(free)
    capped = ~free if where is None else where & ~free
    mean_capped = row_sum(jnp.where(capped, below, 0), None) / k
    # lam times the divergence from uniform of the two groups as wholes.
    between = left * jnp.log(left * n_classes / (n_classes - m)) + m / k * jnp.log(n_classes / k)
    value = mean_capped + left * mean_free - _scaled(hyper["lam"], between)
    return largest + value[..., 0], pull(_gradient(jnp.where(capped, 1 / k, shares), labels))


def _scaled(lam, values):
    return jnp.minimum(lam, _HOTTEST) * values
