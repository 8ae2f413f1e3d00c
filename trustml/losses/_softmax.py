"""Losses that depend on a row by the probability that a softmax gives its label: ``l = log p_y``.

Each is a function from l, and its hyper-parameters, to the loss and its slope in l; the gradient in the logits is
``slope * (e_y - p)``. What two of them add, the same for every label, is a function of all probabilities.
"""

import jax.numpy as jnp

from trustml.losses._rows import (
    at_label,
    below_max,
    check_number,
    count_classes,
    is_label,
    row_loss,
    row_sum,
)

_LOG_ZERO = -9.210340371976182  # log(1e-4), which stands for the logarithm of zero in reverse cross-entropies


def cross_entropy(logits, labels, *, where=None):
    """Cross-entropy of each row: ``-log p_y``.

    Parameters
    ----------
    logits : float array of shape (..., n_classes)
        A model's outputs; p is their softmax.
    labels : int array of shape (...,) or float array of shape (..., n_classes)
        Labels 0 .. n_classes - 1; or weights of the classes, for the weighted sum of the loss over classes.
    where : bool array broadcastable to (..., n_classes), default=None
        Classes that take part. A row without any has loss zero.

    Returns
    -------
    loss : array of shape (...,)
        NaN where a label is no class, or one that takes no part.
    """
    return row_loss(_softmax_kernel, logits, labels, where, {}, of_label=_cross_entropy)


def gce(logits, labels, *, q=0.7, where=None):
    """Generalised cross-entropy of each row: ``(1 - p_y**q) / q``, the cross-entropy at q=0 and half the MAE at q=1.

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.
    q : float, default=0.7
        In [0, 1].

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    Z. Zhang and M. Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    NeurIPS 2018, equation 6.
    """
    check_number("q", q, "a number in [0, 1]", lambda a: (a >= 0) & (a <= 1))
    return row_loss(_softmax_kernel, logits, labels, where, {"q": q}, of_label=_gce)


def tgce(logits, labels, *, q=0.7, threshold=0.5, where=None):
    """Truncated generalised cross-entropy of each row: that of :func:`gce`, but constant where ``p_y <= threshold``.

    Rows below the threshold have no gradient: start from a model that was trained with ``threshold=0``.

    Parameters
    ----------
    logits, labels, q, where
        As in :func:`gce`.
    threshold : float, default=0.5
        In [0, 1].

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    Z. Zhang and M. Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    NeurIPS 2018, equation 9.
    """
    check_number("q", q, "a number in [0, 1]", lambda a: (a >= 0) & (a <= 1))
    check_number("threshold", threshold, "a number in [0, 1]", lambda a: (a >= 0) & (a <= 1))
    return row_loss(_softmax_kernel, logits, labels, where, {"q": q, "threshold": threshold}, of_label=_tgce)


def sce(logits, labels, *, alpha=0.5, beta=0.5, log_zero=-4.0, where=None):
    """Symmetric cross-entropy of each row: ``alpha * CE + beta * RCE``.

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.
    alpha, beta : float, default=0.5
        Weights. The original paper has (0.1, 1) for CIFAR-10 and (6, 0.1) for CIFAR-100, with ``log_zero=log(1e-4)``.
    log_zero : float, default=-4.0
        What stands for log 0 in the reverse cross-entropy.

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    Y. Wang, X. Ma, Z. Chen, Y. Luo, J. Yi and J. Bailey, "Symmetric Cross Entropy for Robust Learning with Noisy
    Labels", ICCV 2019.
    """
    hyper = {"alpha": alpha, "beta": beta, "log_zero": log_zero}
    return row_loss(_softmax_kernel, logits, labels, where, hyper, of_label=_sce)


def js(logits, labels, *, pi=0.5, where=None):
    """Jensen-Shannon loss of each row, scaled to run from the cross-entropy (pi=0) to ``1 - p_y`` (pi=1).

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.
    pi : float, default=0.5
        Weight of the label in the mixture, in (0, 1).

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    E. Englesson and H. Azizpour, "Generalized Jensen-Shannon Divergence Loss for Learning with Noisy Labels", NeurIPS
    2021.
    """
    check_number("pi", pi, "a number in (0, 1)", lambda a: (a > 0) & (a < 1))
    return row_loss(_softmax_kernel, logits, labels, where, {"pi": pi}, of_label=_js)


def rll(logits, labels, *, a=1.0, where=None):
    """Robust log loss of each row; the sum over labels is the same for all predictions.

    ``log((a + 1) / a) - log(a + p_y) + mean over k != y of log(a + p_k)``.

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.
    a : float, default=1.0
        Positive.

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    D. Patel and P. Sastry, "Memorization in Deep Neural Networks: Does the Loss Function Matter?", PAKDD 2021.
    """
    check_number("a", a, "a positive number", lambda a: a > 0)
    return row_loss(_rll_kernel, logits, labels, where, {"a": a})


def mae(logits, labels, *, where=None):
    """Mean absolute error of each row: the distance ``2 (1 - p_y)`` of p from the label.

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    A. Ghosh, H. Kumar and P. Sastry, "Robust Loss Functions under Label Noise for Deep Neural Networks", AAAI 2017.
    """
    return row_loss(_softmax_kernel, logits, labels, where, {}, of_label=_mae)


def mse(logits, labels, *, where=None):
    """Squared error of each row: the squared distance of p from the label, known as the Brier score.

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.

    Returns
    -------
    loss : array of shape (...,)
    """
    return row_loss(_softmax_kernel, logits, labels, where, {}, of_label=_mse, of_all=_mse_all)


def focal(logits, labels, *, gamma=0.5, where=None):
    """Focal loss of each row: ``-(1 - p_y)**gamma * log p_y``.

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.
    gamma : float, default=0.5
        Non-negative. 2 in object detection.

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollár, "Focal Loss for Dense Object Detection", ICCV 2017.
    """
    check_number("gamma", gamma, "a non-negative number", lambda a: a >= 0)
    return row_loss(_softmax_kernel, logits, labels, where, {"gamma": gamma}, of_label=_focal)


def rce(logits, labels, *, log_zero=_LOG_ZERO, where=None):
    """Reverse cross-entropy of each row: ``-log_zero * (1 - p_y)``.

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.
    log_zero : float, default=log(1e-4)
        What stands for log 0.

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    X. Ma, H. Huang, Y. Wang, S. Romano, S. Erfani and J. Bailey, "Normalized Loss Functions for Deep Learning with
    Noisy Labels", ICML 2020.
    """
    return row_loss(_softmax_kernel, logits, labels, where, {"log_zero": log_zero}, of_label=_rce)


def agce(logits, labels, *, a=3.0, q=1.5, where=None):
    """Asymmetric generalised cross-entropy of each row: ``((a + 1)**q - (a + p_y)**q) / q``.

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.
    a, q : float, default=3.0 and 1.5
        Positive.

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    X. Zhou, X. Liu, J. Jiang, X. Gao and X. Ji, "Asymmetric Loss Functions for Learning with Noisy Labels", ICML 2021.
    """
    check_number("a", a, "a positive number", lambda a: a > 0)
    check_number("q", q, "a positive number", lambda a: a > 0)
    return row_loss(_softmax_kernel, logits, labels, where, {"a": a, "q": q}, of_label=_agce)


def aul(logits, labels, *, a=6.0, q=1.5, where=None):
    """Asymmetric unhinged loss of each row: ``((a - p_y)**q - (a - 1)**q) / q``.

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.
    a : float, default=6.0
        Above 1.
    q : float, default=1.5
        Positive.

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    X. Zhou, X. Liu, J. Jiang, X. Gao and X. Ji, "Asymmetric Loss Functions for Learning with Noisy Labels", ICML 2021.
    """
    check_number("a", a, "a number above 1", lambda a: a > 1)
    check_number("q", q, "a positive number", lambda a: a > 0)
    return row_loss(_softmax_kernel, logits, labels, where, {"a": a, "q": q}, of_label=_aul)


def nce(logits, labels, *, where=None):
    """Normalised cross-entropy of each row: ``log p_y`` over the sum of ``log p_k``; the labels' losses sum to one.

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    X. Ma, H. Huang, Y. Wang, S. Romano, S. Erfani and J. Bailey, "Normalized Loss Functions for Deep Learning with
    Noisy Labels", ICML 2020.
    """
    return row_loss(_nce_kernel, logits, labels, where, {})


PASSIVE = {"rce": rce, "agce": agce, "aul": aul, "mae": mae}


def nce_plus(logits, labels, *, passive="rce", alpha=5.0, beta=5.0, where=None, **params):
    """Active plus passive loss of each row: ``alpha * NCE + beta * passive``.

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.
    passive : {"rce", "agce", "aul", "mae"}, default="rce"
        The loss that NCE, which alone underfits, is combined with.
    alpha, beta : float, default=5.0
        Weights.
    **params
        Parameters of the passive loss.

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    X. Ma, H. Huang, Y. Wang, S. Romano, S. Erfani and J. Bailey, "Normalized Loss Functions for Deep Learning with
    Noisy Labels", ICML 2020.
    """
    if passive not in PASSIVE:
        raise ValueError(f"passive={passive!r}; expected one of {sorted(PASSIVE)}.")
    active = nce(logits, labels, where=where)
    return alpha * active + beta * PASSIVE[passive](logits, labels, where=where, **params)


def softmax(logits, where):
    """Logits below their largest, the logarithm of the sum of exponentials of these, and probabilities."""
    below, _ = below_max(logits, where)
    exponential = jnp.exp(below)
    if where is not None:
        exponential = jnp.where(where, exponential, 0)
    total = row_sum(exponential, where)
    # Without a class there is no probability; the row is masked later.
    total = total if where is None else jnp.where(total > 0, total, 1)
    return below, jnp.log(total), exponential / total


def _softmax_kernel(logits, labels, where, hyper, *, of_label, of_all=None):
    below, log_total, p = softmax(logits, where)
    if jnp.issubdtype(labels.dtype, jnp.integer):
        value, slope = of_label(at_label(below, labels) - log_total[..., 0], **hyper)
        gradient = slope[..., None] * (is_label(labels, p.shape) - p)
        share = 1
    else:
        values, slopes = of_label(below - log_total, **hyper)
        value = jnp.sum(jnp.where(labels != 0, labels * values, 0), axis=-1)
        slopes = labels * slopes
        gradient = slopes - p * row_sum(slopes, None)
        share = jnp.sum(labels, axis=-1)
    if of_all is not None:
        common, slopes = of_all(p, where, **hyper)
        value = value + share * common
        gradient = gradient + jnp.reshape(share, (*jnp.shape(share), 1)) * p * (slopes - row_sum(p * slopes, None))
    return value, gradient


def _rll_kernel(logits, labels, where, hyper):
    # The mean over the other classes is that over all of them, less the label's part, times n / (n - 1).
    value, gradient = _softmax_kernel(logits, labels, where, hyper, of_label=_minus_log, of_all=_mean_log)
    n_classes = count_classes(logits, where)
    factor = jnp.asarray(n_classes / jnp.maximum(n_classes - 1, 1), logits.dtype)
    share = 1 if jnp.issubdtype(labels.dtype, jnp.integer) else jnp.sum(labels, axis=-1)
    value = share * jnp.log1p(1 / hyper["a"]) + jnp.reshape(factor, factor.shape[:-1]) * value
    return value, factor * gradient


def _nce_kernel(logits, labels, where, hyper):
    below, log_total, p = softmax(logits, where)
    n_classes = p.shape[-1] if where is None else jnp.sum(where, axis=-1, keepdims=True)
    total = row_sum(below, where) - n_classes * log_total
    total = jnp.where(total < 0, total, -1)  # A single class: nothing over nothing.
    log_p = below - log_total
    if jnp.issubdtype(labels.dtype, jnp.integer):
        of_label, labels, share = at_label(log_p, labels)[..., None], is_label(labels, p.shape), 1
    else:
        of_label, share = row_sum(jnp.where(labels != 0, labels * log_p, 0), None), row_sum(labels, None)
    value = of_label / total
    return value[..., 0], (labels - share * p - value * (1 - n_classes * p)) / total


def _cross_entropy(log_p):
    return -log_p, -jnp.ones_like(log_p)


def _power_loss(log_p, q):
    positive = jnp.where(q > 0, q, 1)
    return jnp.where(q > 0, -jnp.expm1(positive * log_p) / positive, -log_p)


def _gce(log_p, q):
    return _power_loss(log_p, q), -jnp.exp(q * log_p)


def _tgce(log_p, q, threshold):
    log_threshold = jnp.log(jnp.maximum(threshold, jnp.finfo(log_p.dtype).tiny))
    kept = (log_p > log_threshold) | (threshold == 0)
    value, slope = _gce(log_p, q)
    return jnp.where(kept, value, _power_loss(log_threshold, q)), jnp.where(kept, slope, 0)


def _sce(log_p, alpha, beta, log_zero):
    return -alpha * log_p + beta * log_zero * jnp.expm1(log_p), -alpha + beta * log_zero * jnp.exp(log_p)


def _js(log_p, pi):
    p, other = jnp.exp(log_p), -jnp.expm1(log_p)
    # log of the mixture over p, from the odds of the label's part in it: p alone may be zero.
    log_odds = jnp.log(pi) + jnp.log(jnp.maximum(other, jnp.finfo(p.dtype).tiny)) - log_p
    log_ratio = jnp.logaddexp(log_odds, 0)
    log_other = jnp.log1p(-pi)
    scale = -1 / ((1 - pi) * log_other)
    of_label = -pi * jnp.log(pi + (1 - pi) * p)
    of_prediction = -(1 - pi) * (other * log_other + p * log_ratio)
    return scale * (of_label + of_prediction), scale * (1 - pi) * p * (log_other - log_ratio)


def _minus_log(log_p, a):
    p = jnp.exp(log_p)
    return -jnp.log(a + p), -p / (a + p)


def _mean_log(p, where, a):
    n_classes = count_classes(p, where)
    slopes = 1 / (a + p) / n_classes
    return (row_sum(jnp.log(a + p), where) / n_classes)[..., 0], slopes


def _mae(log_p):
    return -2 * jnp.expm1(log_p), -2 * jnp.exp(log_p)


def _mse(log_p):
    return 1 - 2 * jnp.exp(log_p), -2 * jnp.exp(log_p)


def _mse_all(p, where):
    return jnp.sum(jnp.square(p), axis=-1), 2 * p


def _focal(log_p, gamma):
    p, other = jnp.exp(log_p), -jnp.expm1(log_p)
    weight = other**gamma
    ratio = jnp.where(other > 0, log_p / jnp.where(other > 0, other, 1), -1)
    return -weight * log_p, -weight * (1 - gamma * p * ratio)


def _rce(log_p, log_zero):
    return log_zero * jnp.expm1(log_p), log_zero * jnp.exp(log_p)


def _agce(log_p, a, q):
    p = jnp.exp(log_p)
    return ((a + 1) ** q - (a + p) ** q) / q, -p * (a + p) ** (q - 1)


def _aul(log_p, a, q):
    p = jnp.exp(log_p)
    return ((a - p) ** q - (a - 1) ** q) / q, -p * (a - p) ** (q - 1)
