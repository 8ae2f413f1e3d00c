"""Hinge losses for more than two classes."""

import jax.numpy as jnp

from trustml.losses._ldr import add_margins, check_margin
from trustml.losses._rows import LARGEST_GAP, at_label, below_max, expected_over_labels, is_label, row_loss, row_sum


def crammer_singer(logits, labels, *, margin=1.0, where=None):
    """Crammer and Singer's hinge loss of each row: ``max(0, max over k != y of f_k - f_y + margin)``.

    Parameters
    ----------
    logits, labels, margin, where
        As in :func:`ldr_kl`, whose value at ``lam=0`` without normalisation this is. Not calibrated if no class has
        a probability above one half.

    Returns
    -------
    loss : array of shape (...,)
        Non-negative.

    References
    ----------
    K. Crammer and Y. Singer, "On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines", JMLR 2001.
    """
    check_margin(margin)
    return row_loss(_crammer_singer_kernel, logits, labels, where, {"margin": margin})


def weston_watkins(logits, labels, *, margin=1.0, average=True, where=None):
    """Weston and Watkins' hinge loss of each row: the sum over k != y of ``max(0, f_k - f_y + margin)``.

    Parameters
    ----------
    logits, labels, margin, where
        As in :func:`ldr_kl`.
    average : bool, default=True
        Divide the sum by the number of classes, so that learning rates do not depend on it.

    Returns
    -------
    loss : array of shape (...,)
        Non-negative.

    References
    ----------
    J. Weston and C. Watkins, "Support Vector Machines for Multi-class Pattern Recognition", ESANN 1999.
    """
    check_margin(margin)
    return row_loss(_weston_watkins_kernel, logits, labels, where, {"margin": margin}, average=average)


@expected_over_labels
def _crammer_singer_kernel(logits, labels, where, hyper):
    below, _ = below_max(add_margins(logits, labels, hyper["margin"]), where)
    best = below == 0 if where is None else (below == 0) & where
    # Tied classes share the subgradient, so that it sums to zero.
    share = best / jnp.maximum(row_sum(best, None), 1)
    return -at_label(below, labels), share - is_label(labels, logits.shape)


@expected_over_labels
def _weston_watkins_kernel(logits, labels, where, hyper, *, average):
    shifted = add_margins(logits, labels, hyper["margin"])
    excess = jnp.clip(shifted - at_label(shifted, labels)[..., None], 0, LARGEST_GAP)
    if where is not None:
        excess = jnp.where(where, excess, 0)
    active = excess > 0
    gradient = active - is_label(labels, logits.shape) * row_sum(active, None).astype(logits.dtype)
    scale = 1.0
    if average:
        scale = 1 / (logits.shape[-1] if where is None else jnp.maximum(jnp.sum(where, axis=-1), 1))
    return scale * jnp.sum(excess, axis=-1), jnp.reshape(scale, (*jnp.shape(scale), 1)) * gradient
