"""Losses corrected for label noise whose transition matrix is known."""

import jax
import jax.numpy as jnp
import numpy as np

from trustml.losses._rows import LARGEST_GAP, below_max, expected_over_labels, row_loss, row_sum
from trustml.losses._softmax import cross_entropy, softmax


def forward_correction(logits, labels, transition, *, where=None):
    """Cross-entropy of each row with the noisy labels that a model of clean ones predicts.

    ``-log(sum over k of p_k * transition[k, y])``. A model that minimises it over noisy labels predicts clean ones.

    Parameters
    ----------
    logits, labels, where
        As in :func:`cross_entropy`.
    transition : float array of shape (n_classes, n_classes)
        Probability of each observed label (column), given the clean one (row).

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    G. Patrini, A. Rozza, A. Menon, R. Nock and L. Qu, "Making Deep Neural Networks Robust to Label Noise: A Loss
    Correction Approach", CVPR 2017, theorem 2.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import cross_entropy, forward_correction
    >>> logits, flips = jnp.array([3.0, 0.0]), jnp.array([[0.8, 0.2], [0.2, 0.8]])
    >>> [round(float(loss), 3) for loss in (cross_entropy(logits, 1), forward_correction(logits, 1, flips))]
    [3.049, 1.476]
    """
    _check_transition(transition, jnp.shape(logits)[-1])
    return row_loss(_forward_kernel, logits, labels, where, {"transition": transition})


def backward_correction(logits, labels, transition, *, loss=cross_entropy, where=None, **params):
    """Unbiased estimate, from a noisy label, of a row's loss with its clean label.

    The losses of all classes, weighted by the label's row of the inverse transition matrix. Weights may be negative,
    and so may the loss.

    Parameters
    ----------
    logits, where
        As in :func:`cross_entropy`.
    labels : int array of shape (...,) or float array of shape (..., n_classes)
    transition : float array of shape (n_classes, n_classes)
        As in :func:`forward_correction`, and invertible.
    loss : callable, default=cross_entropy
        Any loss of this module that takes soft labels.
    **params
        Parameters of ``loss``.

    Returns
    -------
    loss : array of shape (...,)

    References
    ----------
    G. Patrini, A. Rozza, A. Menon, R. Nock and L. Qu, "Making Deep Neural Networks Robust to Label Noise: A Loss
    Correction Approach", CVPR 2017, theorem 1.
    """
    _check_transition(transition, jnp.shape(logits)[-1])
    if not isinstance(transition, jax.core.Tracer) and np.linalg.cond(np.asarray(transition, float)) > 1e6:
        raise ValueError("transition has no inverse to speak of: its condition number is above 1e6.")
    inverse = jnp.linalg.inv(jnp.asarray(transition, jnp.promote_types(jnp.asarray(logits).dtype, jnp.float32)))
    labels = jnp.asarray(labels)
    soft = inverse[labels] if jnp.issubdtype(labels.dtype, jnp.integer) else labels @ inverse
    return loss(logits, soft, where=where, **params)


def _check_transition(transition, n_classes):
    if jnp.shape(transition) != (n_classes, n_classes):
        raise ValueError(f"transition has shape {jnp.shape(transition)}; expected {(n_classes, n_classes)}.")
    if isinstance(transition, jax.core.Tracer):
        return
    transition = np.asarray(transition, float)
    if not (np.all(transition >= 0) and np.allclose(transition.sum(axis=1), 1, atol=1e-5)):
        raise ValueError(
            f"transition is not stochastic: its entries are as low as {transition.min():.3g} and its rows sum to "
            f"{transition.sum(axis=1).round(5).tolist()}; expected non-negative entries and sums of 1."
        )


@expected_over_labels
def _forward_kernel(logits, labels, where, hyper):
    below, log_total, p = softmax(logits, where)
    log_transition = jnp.maximum(jnp.log(hyper["transition"]), -LARGEST_GAP)
    joint, largest = below_max(below + jnp.swapaxes(log_transition, 0, 1)[labels], where)
    exponential = jnp.exp(joint) if where is None else jnp.where(where, jnp.exp(joint), 0)
    total = row_sum(exponential, where)
    total = total if where is None else jnp.where(total > 0, total, 1)
    value = log_total - largest - jnp.log(total)
    return value[..., 0], p - exponential / total
