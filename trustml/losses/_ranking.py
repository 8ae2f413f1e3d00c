"""Losses of an embedding that compare the pairs of one row with each other."""

import jax
import jax.numpy as jnp
from jax import lax

from trustml.losses._pairs import all_pairs, log_one_plus_sum, ratio


def multi_similarity_loss(
    embeddings, labels, *, alpha=2.0, beta=50.0, base=0.5, epsilon=0.1, mining=True, sample_weight=None
):
    """Multi-similarity loss: soft maxima over each row's hard pairs.

    The mean over rows of ``log(1 + sum of exp(-alpha * (s - base))) / alpha`` over pairs of its own label, plus
    ``log(1 + sum of exp(beta * (s - base))) / beta`` over pairs of two labels.

    Parameters
    ----------
    embeddings, labels, sample_weight
        As in :func:`tcm_loss`.
    alpha, beta : float, default=2.0 and 50.0
        Sharpness of the two soft maxima.
    base : float, default=0.5
        Cosine about which pairs are pulled together and pushed apart.
    epsilon : float, default=0.1
        Of mining: pairs of two labels take part if they are within it of the row's least similar pair of its own
        label, or closer; pairs of its own label if they are within it of the most similar pair of two, or further.
    mining : bool, default=True
        Whether to leave easy pairs out.

    Returns
    -------
    loss : scalar array

    References
    ----------
    X. Wang, X. Han, W. Huang, D. Dong and M. R. Scott, "Multi-Similarity Loss with General Pair Weighting for Deep
    Metric Learning", CVPR 2019.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import multi_similarity_loss
    >>> embeddings, labels = jnp.array([[1.0, 0], [0.8, 0.6], [1.0, 0.2]]), jnp.array([0, 0, 1])
    >>> round(float(multi_similarity_loss(embeddings, labels)), 4)
    0.4401
    """
    similarity, positive, negative, weight = all_pairs(embeddings, labels, sample_weight)
    if mining:
        closest = jnp.max(jnp.where(negative > 0, similarity, -jnp.inf), axis=1, keepdims=True)
        furthest = jnp.min(jnp.where(positive > 0, similarity, jnp.inf), axis=1, keepdims=True)
        positive = jnp.where(similarity - epsilon < closest, positive, 0)
        negative = jnp.where(similarity + epsilon > furthest, negative, 0)
    # A pair's weight holds the row's own, which the mean over rows brings in.
    own = jnp.where(weight > 0, weight, 1)[:, None]
    pull = log_one_plus_sum(-alpha * (similarity - base), positive / own) / alpha
    push = log_one_plus_sum(beta * (similarity - base), negative / own) / beta
    return ratio(jnp.sum(weight * (pull + push)), jnp.sum(weight))


def triplet_loss(embeddings, labels, *, margin=0.1, sample_weight=None):
    """Triplet loss on the cosine: ``max(0, s_an - s_ap + margin)``, averaged over the triplets where it is not zero.

    Parameters
    ----------
    embeddings, labels, sample_weight
        As in :func:`tcm_loss`; a triplet has the product of three weights.
    margin : float, default=0.1
        By how much a row is to be closer to one of its own label than to any other.

    Returns
    -------
    loss : scalar array

    Notes
    -----
    All triplets of the batch: n_rows cubed operations, in memory of n_rows squared.

    References
    ----------
    F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering",
    CVPR 2015.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import triplet_loss
    >>> embeddings, labels = jnp.array([[1.0, 0], [0.8, 0.6], [1.0, 0.2]]), jnp.array([0, 0, 1])
    >>> round(float(triplet_loss(embeddings, labels)), 4)
    0.2414
    """
    similarity, positive, negative, weight = all_pairs(embeddings, labels, sample_weight)

    @jax.checkpoint
    def of_anchor(row):
        similarity, positive, negative, own = row
        excess = similarity[None] - similarity[:, None] + margin
        triplets = positive[:, None] * negative[None] / jnp.where(own > 0, own, 1)
        triplets = jnp.where(excess > 0, triplets, 0)
        return jnp.sum(triplets * excess), jnp.sum(triplets)

    totals, weights = lax.map(of_anchor, (similarity, positive, negative, weight))
    return ratio(jnp.sum(totals), jnp.sum(weights))


def smooth_ap_loss(embeddings, labels, *, temperature=0.01, sample_weight=None):
    """One minus the mean over rows of a smooth average precision, each row's query being the others.

    Ranks are ``1 + sum of sigmoid((s_j - s_i) / temperature)``. As the temperature falls, the loss tends to one minus
    the mean average precision.

    Parameters
    ----------
    embeddings, labels, sample_weight
        As in :func:`tcm_loss`. Rows without another one of their label are no queries.
    temperature : float, default=0.01
        Width of the sigmoids.

    Returns
    -------
    loss : scalar array
        In [0, 1].

    Notes
    -----
    The query itself is left out of the ranking. The authors' code, and pytorch-metric-learning, count it as the first
    hit, which makes the loss smaller.

    References
    ----------
    A. Brown, W. Xie, V. Kalogeiton and A. Zisserman, "Smooth-AP: Smoothing the Path Towards Large-Scale Image
    Retrieval", ECCV 2020.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import smooth_ap_loss
    >>> embeddings, labels = jnp.array([[1.0, 0], [0.8, 0.6], [1.0, 0.2]]), jnp.array([0, 0, 1])
    >>> round(float(smooth_ap_loss(embeddings, labels)), 4)
    0.5
    """
    similarity, positive, negative, weight = all_pairs(embeddings, labels, sample_weight)
    own = jnp.where(weight > 0, weight, 1)[:, None]

    @jax.checkpoint
    def of_query(row):
        similarity, positive, negative = row
        before = _before(similarity, temperature)
        among, overall = before @ positive, before @ (positive + negative)
        return ratio(jnp.sum(positive * (1 + among) / (1 + overall)), jnp.sum(positive))

    precision = lax.map(of_query, (similarity, positive / own, negative / own))
    weight = jnp.where(jnp.sum(positive, axis=1) > 0, weight, 0)
    return jnp.where(jnp.sum(weight) > 0, 1 - ratio(jnp.sum(weight * precision), jnp.sum(weight)), 0)


def recall_at_k_loss(
    embeddings, labels, *, k=(1, 2, 4, 8, 16), temperature=0.01, rank_temperature=1.0, sample_weight=None
):
    """One minus the mean, over rows and values of k, of a smooth recall among the first k.

    With the smooth rank r of each row of the query's label, the recall is
    ``min(k, sum of sigmoid((k - r) / rank_temperature)) / min(k, number of them)``.

    Parameters
    ----------
    embeddings, labels, sample_weight
        As in :func:`tcm_loss`. Rows without another one of their label are no queries.
    k : sequence of int, default=(1, 2, 4, 8, 16)
        Lengths of the list.
    temperature : float, default=0.01
        Width of the sigmoids of similarities, which make ranks.
    rank_temperature : float, default=1.0
        Width of the sigmoids of ranks. Even with all ranks right the loss is above zero.

    Returns
    -------
    loss : scalar array

    Notes
    -----
    The query is no part of its own list, as in the paper's formula. The authors' code counts it, so that all its ranks
    are one too high.

    References
    ----------
    Y. Patel, G. Tolias and J. Matas, "Recall@k Surrogate Loss with Large Batches and Similarity Mixup", CVPR 2022.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import recall_at_k_loss
    >>> embeddings, labels = jnp.array([[1.0, 0], [0.8, 0.6], [1.0, 0.2]]), jnp.array([0, 0, 1])
    >>> round(float(recall_at_k_loss(embeddings, labels, k=(1, 2))), 4)
    0.6155
    """
    similarity, positive, negative, weight = all_pairs(embeddings, labels, sample_weight)
    own = jnp.where(weight > 0, weight, 1)[:, None]
    lengths = jnp.asarray(k, similarity.dtype)

    @jax.checkpoint
    def of_query(row):
        similarity, positive, negative = row
        ranks = 1 + _before(similarity, temperature) @ (positive + negative)
        found = jax.nn.sigmoid((lengths[:, None] - ranks) / rank_temperature) @ positive
        return jnp.mean(ratio(jnp.minimum(lengths, found), jnp.minimum(lengths, jnp.sum(positive))))

    recall = lax.map(of_query, (similarity, positive / own, negative / own))
    weight = jnp.where(jnp.sum(positive, axis=1) > 0, weight, 0)
    return jnp.where(jnp.sum(weight) > 0, 1 - ratio(jnp.sum(weight * recall), jnp.sum(weight)), 0)


def _before(similarity, temperature):
    """How far each other row (column) comes before a row in the ranking."""
    steps = jax.nn.sigmoid((similarity[None] - similarity[:, None]) / temperature)
    return jnp.where(jnp.eye(len(similarity), dtype=bool), 0, steps)
