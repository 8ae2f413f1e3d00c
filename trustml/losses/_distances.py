"""Distances of targets and similarities of features, of all pairs of rows."""

import jax.numpy as jnp

from trustml.losses._pairs import unit_rows


def distances(left, right):
    """Distances (n, m) of rows of shape (n,) and (m,), or (n, k) and (m, k)."""
    if left.ndim == 1:
        return jnp.abs(left[:, None] - right)
    return jnp.sqrt(jnp.sum((left[:, None] - right) ** 2, axis=2))


def cosine_similarity(left, right):
    """Cosines (n, m) of rows of shape (n, d) and (m, d); 0, with gradient 0, for a row of zeros."""
    return unit_rows(left)[0] @ unit_rows(right)[0].T
