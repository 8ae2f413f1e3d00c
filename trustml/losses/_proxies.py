"""Losses that compare an embedding with one learned proxy for each class."""

import jax
import jax.numpy as jnp

from trustml.losses._pairs import check_batch, log_one_plus_sum, ratio, unit_rows


def proxy_anchor_loss(embeddings, labels, proxies, *, alpha=32.0, delta=0.1, sample_weight=None):
    """Proxy-Anchor loss: each class's proxy pulls the rows of its class and pushes all others.

    Parameters
    ----------
    embeddings, labels, sample_weight
        As in :func:`tcm_loss`; labels are 0 .. n_classes - 1.
    proxies : float array of shape (n_classes, n_components)
        To be learned with the embedding, of any length.
    alpha : float, default=32.0
        Sharpness of the soft maxima.
    delta : float, default=0.1
        Margin on the cosine.

    Returns
    -------
    loss : scalar array
        The pull is averaged over the classes in the batch, the push over all.

    References
    ----------
    S. Kim, D. Kim, M. Cho and S. Kwak, "Proxy Anchor Loss for Deep Metric Learning", CVPR 2020.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import proxy_anchor_loss
    >>> round(float(proxy_anchor_loss(jnp.array([[1.0, 0], [0.6, 0.8]]), jnp.array([0, 1]), jnp.eye(2))), 4)
    12.82
    """
    cosines, labels, weight = _to_proxies(embeddings, labels, proxies, sample_weight)
    own = (labels[:, None] == jnp.arange(len(proxies))) * weight[:, None]
    present = jnp.sum(own, axis=0) > 0
    pull = log_one_plus_sum(-alpha * (cosines - delta).T, own.T)
    push = log_one_plus_sum(alpha * (cosines + delta).T, (weight[:, None] - own).T)
    return ratio(jnp.sum(jnp.where(present, pull, 0)), jnp.sum(present)) + jnp.mean(push)


def arcface_loss(embeddings, labels, proxies, *, scale=64.0, margin=0.5, sample_weight=None):
    """ArcFace loss: cross-entropy of scaled cosines, with a margin on the angle to the own proxy.

    Parameters
    ----------
    embeddings, labels, proxies, sample_weight
        As in :func:`proxy_anchor_loss`.
    scale : float, default=64.0
        Factor on the cosines.
    margin : float, default=0.5
        Angle, in radians, that is added to the one between a row and its own proxy.

    Returns
    -------
    loss : scalar array
        Weighted mean over rows.

    References
    ----------
    J. Deng, J. Guo, N. Xue and S. Zafeiriou, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR
    2019.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import arcface_loss
    >>> round(float(arcface_loss(jnp.array([[1.0, 0.5]]), jnp.array([0]), jnp.eye(2), scale=4.0)), 4)
    0.4766
    """
    cosines, labels, weight = _to_proxies(embeddings, labels, proxies, sample_weight)
    own = labels[:, None] == jnp.arange(len(proxies))
    # cos(theta + margin), with a root whose gradient is finite at theta = 0.
    squares = 1 - jnp.square(cosines)
    sines = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)
    shifted = cosines * jnp.cos(margin) - sines * jnp.sin(margin)
    # Past pi the cosine would rise again: a line goes on downwards.
    shifted = jnp.where(cosines > -jnp.cos(margin), shifted, cosines - margin * jnp.sin(margin))
    return _cross_entropy(scale * jnp.where(own, shifted, cosines), own, weight)


def cosface_loss(embeddings, labels, proxies, *, scale=64.0, margin=0.35, sample_weight=None):
    """CosFace loss: cross-entropy of scaled cosines, with a margin on the cosine to the own proxy.

    Parameters
    ----------
    embeddings, labels, proxies, sample_weight
        As in :func:`proxy_anchor_loss`.
    scale : float, default=64.0
        Factor on the cosines.
    margin : float, default=0.35
        Taken from the cosine between a row and its own proxy.

    Returns
    -------
    loss : scalar array
        Weighted mean over rows.

    References
    ----------
    H. Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import cosface_loss
    >>> round(float(cosface_loss(jnp.array([[1.0, 0.5]]), jnp.array([0]), jnp.eye(2), scale=4.0)), 4)
    0.5175
    """
    cosines, labels, weight = _to_proxies(embeddings, labels, proxies, sample_weight)
    own = labels[:, None] == jnp.arange(len(proxies))
    return _cross_entropy(scale * (cosines - margin * own), own, weight)


def _to_proxies(embeddings, labels, proxies, sample_weight):
    """Cosines (n_rows, n_classes), labels, and weights that are zero for rows of zeros."""
    embeddings, labels, weight = check_batch(embeddings, labels, sample_weight)
    if jnp.ndim(proxies) != 2 or jnp.shape(proxies)[1] != embeddings.shape[1]:
        raise ValueError(f"proxies has shape {jnp.shape(proxies)}; expected (n_classes, {embeddings.shape[1]}).")
    rows, nonzero = unit_rows(embeddings)
    cosines = rows @ unit_rows(jnp.asarray(proxies, rows.dtype))[0].T
    return jnp.clip(cosines, -1, 1), labels, weight * nonzero


def _cross_entropy(logits, own, weight):
    losses = jax.nn.logsumexp(logits, axis=1) - jnp.sum(jnp.where(own, logits, 0), axis=1)
    return ratio(jnp.sum(weight * losses), jnp.sum(weight))
