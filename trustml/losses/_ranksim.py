"""RankSim: neighbours in the targets are to be neighbours in the features, in the same order."""

import jax
import jax.numpy as jnp

from trustml.losses._distances import cosine_similarity, distances


def ranksim(features, targets, *, interpolation=2.0, where=None):
    r"""Ranking similarity of each row, the squared difference of two rankings; the loss of a batch is the sum.

    A row ranks all rows by the cosine similarity of features, and by how close the targets are. Ranks are divided by
    the number of rows; the loss is the mean squared difference. The gradient of a ranking, which is 0 almost
    everywhere, is that of a piecewise linear interpolation. It is not proportional to factors on the loss: a mean in
    place of the sum may leave no gradient at all.

    Parameters
    ----------
    features : array of shape (n, n_features)
    targets : array of shape (n,) or (n, n_outputs)
    interpolation : float, default=2.0
        :math:`\lambda` of the interpolation; positive. The larger, the smoother.
    where : bool array of shape (n,), default=None
        Rows that exist. Of rows with equal targets only the first takes part, so that there are no ties: shuffle the
        batches, and it is any of them.

    Returns
    -------
    loss : array of shape (n,)
        0 for rows that take no part.

    References
    ----------
    Y. Gong, G. Mori and F. Tung, "RankSim: Ranking Similarity Regularization for Deep Imbalanced Regression", ICML
    2022.

    Examples
    --------
    Features in the order of the targets cost nothing:

    >>> import jax.numpy as jnp
    >>> from trustml.losses import ranksim
    >>> targets = jnp.array([0.0, 1.0, 3.0])
    >>> features = jnp.stack([jnp.cos(targets / 2), jnp.sin(targets / 2)], axis=1)
    >>> ranksim(features, targets).tolist()
    [0.0, 0.0, 0.0]
    """
    features, targets = jnp.asarray(features), jnp.asarray(targets)
    gaps = distances(targets, targets)
    exists = jnp.ones(len(features), bool) if where is None else jnp.asarray(where, bool)
    earlier = jnp.tri(len(features), k=-1, dtype=bool)
    first = exists & ~jnp.any(earlier & exists & (gaps == 0), axis=1)
    wanted = _ranks(-gaps, first)
    found = _interpolated_ranks(cosine_similarity(features, features), first, interpolation)
    both = first[:, None] & first
    return jnp.sum(jnp.where(both, (found - wanted) ** 2, 0), axis=1) / jnp.maximum(jnp.sum(first), 1)


def _ranks(scores, exists):
    """Ranks of each row's entries over their number, the least for the greatest; absent columns come last."""
    order = jnp.argsort(jnp.where(exists, -scores, jnp.inf), axis=1)
    return (1 + jnp.argsort(order, axis=1).astype(scores.dtype)) / jnp.maximum(jnp.sum(exists), 1)


@jax.custom_vjp
def _interpolated_ranks(scores, exists, interpolation):
    return _ranks(scores, exists)


def _forward(scores, exists, interpolation):
    ranks = _ranks(scores, exists)
    return ranks, (scores, exists, interpolation, ranks)


def _backward(kept, cotangent):
    scores, exists, interpolation, ranks = kept
    # Black-box differentiation (Pogancic et al. 2020): the ranks at the scores that the gradient would like better.
    moved = _ranks(scores + interpolation * cotangent, exists)
    return jnp.where(exists, -(ranks - moved) / interpolation, 0), None, None


_interpolated_ranks.defvjp(_forward, _backward)
