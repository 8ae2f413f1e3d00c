"""Similarities and weights of all pairs of a batch, which the losses of metric learning share."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Pairs(NamedTuple):
    """All pairs of the rows of a batch with those of a reference set, or with each other.

    Attributes
    ----------
    similarity : array of shape (n_rows, n_reference)
        Cosines.
    positive, negative : arrays of shape (n_rows, n_reference)
        Products of the rows' weights for pairs of one label and of two; 0 for all others.
    weight : array of shape (n_rows,)
        Weights of the rows, 0 for a row of zeros.
    """

    similarity: jax.Array
    positive: jax.Array
    negative: jax.Array
    weight: jax.Array


def unit_rows(embeddings):
    """Rows scaled to length 1, and whether they can be; a row of zeros stays, with a gradient of zero."""
    squares = jnp.sum(embeddings * embeddings, axis=-1, keepdims=True)
    nonzero = squares > 0
    # Both branches of a where are differentiated: the root must not see the zero.
    return embeddings * jnp.where(nonzero, jax.lax.rsqrt(jnp.where(nonzero, squares, 1)), 0), nonzero[..., 0]


def check_batch(embeddings, labels, sample_weight, names=("embeddings", "labels", "sample_weight")):
    """Floats (n_rows, n_components), labels (n_rows,) and weights (n_rows,)."""
    embeddings, labels = jnp.asarray(embeddings), jnp.asarray(labels)
    if embeddings.ndim != 2:
        raise ValueError(f"{names[0]} has shape {embeddings.shape}; expected (n_rows, n_components).")
    if not jnp.issubdtype(embeddings.dtype, jnp.floating):
        embeddings = embeddings.astype(jnp.result_type(float))
    weight = jnp.ones(len(embeddings), embeddings.dtype) if sample_weight is None else jnp.asarray(sample_weight)
    for name, array in zip(names[1:], (labels, weight), strict=True):
        if array.shape != embeddings.shape[:1]:
            raise ValueError(f"{name} has shape {array.shape}; expected {embeddings.shape[:1]}, one for each row.")
    return embeddings, labels, weight.astype(embeddings.dtype)


def all_pairs(embeddings, labels, sample_weight=None, reference=None, reference_labels=None) -> Pairs:
    """Pairs of different rows of a batch, or of its rows with those of a reference set."""
    embeddings, labels, weight = check_batch(embeddings, labels, sample_weight)
    if (reference is None) != (reference_labels is None):
        raise ValueError("reference and reference_labels belong together; found only one of them.")
    rows, nonzero = unit_rows(embeddings)
    weight = weight * nonzero
    same_set = reference is None
    if same_set:
        others, other_labels, other_weight = rows, labels, weight
    else:
        names = ("reference", "reference_labels", "")
        others, other_labels, other_weight = check_batch(reference, reference_labels, None, names)
        others, nonzero = unit_rows(others)
        other_weight = other_weight * nonzero
    both = weight[:, None] * other_weight
    same = labels[:, None] == other_labels
    # A row is no pair with itself; by number, not by similarity, since two equal rows are a pair like any other.
    itself = jnp.eye(len(labels), dtype=bool) if same_set else False
    positive = jnp.where(same & ~jnp.asarray(itself), both, 0)
    return Pairs(rows @ others.T, positive, jnp.where(same, 0, both), weight)


def ratio(total, weight):
    """``total / weight``, and zero without weight."""
    return jnp.where(weight > 0, total, 0) / jnp.where(weight > 0, weight, 1)


def log_one_plus_sum(exponents, weight):
    """``log(1 + sum of weight * exp(exponents))`` along the last axis; entries without weight may hold anything."""
    exponents = jnp.where(weight > 0, exponents, -jnp.inf)
    largest = jax.lax.stop_gradient(jnp.maximum(jnp.max(exponents, axis=-1, keepdims=True), 0))
    total = jnp.exp(-largest[..., 0]) + jnp.sum(weight * jnp.exp(exponents - largest), axis=-1)
    return largest[..., 0] + jnp.log(total)
