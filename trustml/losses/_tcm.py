"""Losses on cosines with two margins: the threshold-consistent margin, and contrastive."""

import jax.numpy as jnp

from trustml.losses._pairs import all_pairs, ratio


def tcm_loss(
    embeddings,
    labels,
    *,
    margin_plus=0.9,
    margin_minus=0.5,
    lambda_plus=1.0,
    lambda_minus=1.0,
    sample_weight=None,
    reference=None,
    reference_labels=None,
):
    """Threshold-consistent margin loss: how far hard pairs are on the wrong side of two margins on the cosine.

    ``lambda_plus`` times the mean of ``margin_plus - s`` over pairs of one label with ``s <= margin_plus``, plus
    ``lambda_minus`` times the mean of ``s - margin_minus`` over pairs of two labels with ``s >= margin_minus``. At
    zero, every threshold between the margins separates every class. It is added to another loss of the embedding.

    Parameters
    ----------
    embeddings : float array of shape (n_rows, n_components)
        Embeddings of a batch, of any length. A row of zeros has no direction and takes part in no pair.
    labels : int array of shape (n_rows,)
        Labels of the rows.
    margin_plus : float, default=0.9
        Cosine that pairs of one label are to exceed.
    margin_minus : float, default=0.5
        Cosine that pairs of two labels are to stay below. Below ``margin_plus``, or no threshold fits both.
    lambda_plus, lambda_minus : float, default=1.0
        Weights of the two parts.
    sample_weight : array of shape (n_rows,), default=None
        Non-negative weights of the rows; a pair has the product of two. Zero is a row left out.
    reference : float array of shape (n_reference, n_components), default=None
        Compare the batch with these rows instead of with itself.
    reference_labels : int array of shape (n_reference,), default=None
        Labels of the reference.

    Returns
    -------
    loss : scalar array
        From 0 to ``lambda_plus * (1 + margin_plus) + lambda_minus * (1 - margin_minus)``. A part without hard pairs
        is zero.

    Notes
    -----
    Each mean is over the hard pairs alone, so that easy pairs do not dilute it. Hence the loss jumps when a pair
    passes its margin, and may rise when training goes well: no line search, and no finite differences at a margin.

    References
    ----------
    Q. Zhang et al., "Threshold-Consistent Margin Loss for Open-World Deep Metric Learning", ICLR 2024.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import tcm_loss
    >>> angles = jnp.deg2rad(jnp.array([0.0, 10, 90, 110, 200, 240]))
    >>> embeddings = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    >>> round(float(tcm_loss(embeddings, jnp.array([0, 0, 1, 1, 2, 2]))), 4)  # 0.9 - cos 40°
    0.134
    """
    pairs = all_pairs(embeddings, labels, sample_weight, reference, reference_labels)
    below, above = margin_plus - pairs.similarity, pairs.similarity - margin_minus
    positive, negative = jnp.where(below >= 0, pairs.positive, 0), jnp.where(above >= 0, pairs.negative, 0)
    return lambda_plus * _mean(below, positive) + lambda_minus * _mean(above, negative)


def contrastive_loss(
    embeddings,
    labels,
    *,
    positive_margin=1.0,
    negative_margin=0.0,
    sample_weight=None,
    reference=None,
    reference_labels=None,
):
    """Contrastive loss on the cosine: hinges on both sides, each averaged over its non-zero terms.

    ``max(0, positive_margin - s)`` of pairs of one label, and ``max(0, s - negative_margin)`` of pairs of two.

    Parameters
    ----------
    embeddings, labels, sample_weight, reference, reference_labels
        As in :func:`tcm_loss`.
    positive_margin, negative_margin : float, default=1.0 and 0.0
        Cosines that pairs of one label are to exceed, and pairs of two to stay below. The defaults are margins 0 and 1
        on the distance ``1 - s``.

    Returns
    -------
    loss : scalar array

    References
    ----------
    R. Hadsell, S. Chopra and Y. LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import contrastive_loss
    >>> round(float(contrastive_loss(jnp.array([[1.0, 0], [0, 1.0], [1.0, 1.0]]), jnp.array([0, 0, 1]))), 4)
    1.7071
    """
    pairs = all_pairs(embeddings, labels, sample_weight, reference, reference_labels)
    below, above = positive_margin - pairs.similarity, pairs.similarity - negative_margin
    positive, negative = jnp.where(below > 0, pairs.positive, 0), jnp.where(above > 0, pairs.negative, 0)
    return _mean(below, positive) + _mean(above, negative)


def _mean(excess, weight):
    return ratio(jnp.sum(weight * excess), jnp.sum(weight))
