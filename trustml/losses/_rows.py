"""What all losses share: labels, masks, and a derivative in closed form.

A *kernel* is a pure function ``kernel(logits, labels, where, hyper, **static) -> (value, gradient)`` of shapes (...,)
and (..., n_classes). :func:`row_loss` makes of it a function that JAX differentiates by the kernel's own gradient, in
one pass over the logits and with nothing kept but that gradient.
"""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

# Differences of scores beyond this count as this. Sums and products of losses then stay finite in float32, and no
# exponential or gradient notices.
LARGEST_GAP = 2.0**40


def row_loss(kernel, logits, labels, where, hyper, **static):
    """Loss of each row, of shape ``logits.shape[:-1]``.

    The derivative in ``logits`` is the kernel's, to any order; that in ``hyper`` is automatic.
    """
    logits, labels, where = check_rows(logits, labels, where)
    hyper = jax.tree.map(lambda a: jnp.asarray(a, logits.dtype), hyper)
    return _differentiable(kernel, tuple(sorted(static.items())))(logits, labels, where, hyper)


def check_rows(logits, labels, where):
    """Floating logits of at least single precision; labels int32 or of the logits' type; a full mask or None."""
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits has shape {logits.shape}; expected (..., n_classes) with at least one class.")
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    if jnp.issubdtype(labels.dtype, jnp.integer) and labels.shape == logits.shape[:-1]:
        labels = labels.astype(jnp.int32)
    elif jnp.issubdtype(labels.dtype, jnp.floating) and labels.shape == logits.shape:
        labels = labels.astype(logits.dtype)
    else:
        raise ValueError(
            f"labels has type {labels.dtype} and shape {labels.shape}; expected integers of shape {logits.shape[:-1]}, "
            f"or floats of shape {logits.shape}, for logits of that shape."
        )
    if where is not None:
        where = jnp.broadcast_to(jnp.asarray(where, bool), logits.shape)
    return logits, labels, where


def check_number(name, value, expected, is_right):
    """Raise ValueError unless a number known before compilation is right."""
    if not isinstance(value, jax.core.Tracer) and not np.all(is_right(np.asarray(value))):
        raise ValueError(f"{name}={value!r}; expected {expected}.")


@cache
def _differentiable(kernel, static):
    kernel = partial(kernel, **dict(static))

    def masked(logits, labels, where, hyper):
        value, gradient = kernel(logits, labels, where, hyper)
        value = jnp.where(_label_is_a_class(labels, where, logits.shape[-1]), value, jnp.nan)
        if where is None:
            return value, gradient
        some = jnp.any(where, axis=-1)
        return jnp.where(some, value, 0), jnp.where(where, gradient, 0)

    @jax.custom_jvp
    def loss(logits, labels, where, hyper):
        return masked(logits, labels, where, hyper)[0]

    def derivative(primals, tangents):
        logits, labels, where, hyper = primals
        d_logits, _, _, d_hyper = tangents
        value, gradient = masked(*primals)
        tangent = jnp.zeros_like(value)
        if not isinstance(d_logits, SymbolicZero):
            tangent += jnp.sum(gradient * d_logits, axis=-1)
        if not all(isinstance(leaf, SymbolicZero) for leaf in jax.tree.leaves(d_hyper, is_leaf=_is_zero)):
            d_hyper = jax.tree.map(_instantiate, d_hyper, is_leaf=_is_zero)
            tangent += jax.jvp(lambda h: masked(logits, labels, where, h)[0], (hyper,), (d_hyper,))[1]
        return value, tangent

    loss.defjvp(derivative, symbolic_zeros=True)
    # Outside of jit, loops and branches would be compiled in every call.
    return jax.jit(loss)


def _is_zero(leaf):
    return isinstance(leaf, SymbolicZero)


def _instantiate(tangent):
    return jnp.zeros(tangent.shape, tangent.dtype) if _is_zero(tangent) else tangent


def _label_is_a_class(labels, where, n_classes):
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        return True if where is None else ~jnp.any((labels != 0) & ~where, axis=-1) | ~jnp.any(where, axis=-1)
    is_class = (labels >= 0) & (labels < n_classes)
    if where is None:
        return is_class
    return (is_class & at_label(where, labels)) | ~jnp.any(where, axis=-1)


def is_label(labels, shape):
    """Mask (..., n_classes) of each row's label. Fused into what reads it, it takes no memory."""
    return jax.lax.broadcasted_iota(jnp.int32, shape, len(shape) - 1) == labels[..., None]


def at_label(values, labels):
    """Entry of each row at its label."""
    return jnp.take_along_axis(values, labels[..., None], axis=-1, mode="clip")[..., 0]


def count_classes(scores, where):
    """Number of classes that take part, as a number or of shape (..., 1)."""
    if where is None:
        return scores.shape[-1]
    return jnp.maximum(jnp.sum(where, axis=-1, keepdims=True, dtype=scores.dtype), 1)


def row_sum(values, where):
    return jnp.sum(values, axis=-1, keepdims=True, where=where)


def row_max(values, where):
    """Largest entry, of shape (..., 1); zero if no class takes part."""
    if where is None:
        return jnp.max(values, axis=-1, keepdims=True)
    largest = jnp.max(values, axis=-1, keepdims=True, where=where, initial=-jnp.inf)
    return jnp.where(jnp.any(where, axis=-1, keepdims=True), largest, 0)


def below_max(scores, where):
    """Scores minus their row's largest, at least ``-LARGEST_GAP``; and that largest, of shape (..., 1)."""
    largest = row_max(scores, where)
    below = jnp.maximum(scores - largest, -LARGEST_GAP)
    return (below if where is None else jnp.where(where, below, -LARGEST_GAP)), largest


def expected_over_labels(kernel):
    """A kernel for integer labels, extended to soft ones: the sum over classes of label times loss.

    Classes are taken one after the other, so that memory does not grow with their number squared.
    """

    def extended(logits, labels, where, hyper, **static):
        if jnp.issubdtype(labels.dtype, jnp.integer):
            return kernel(logits, labels, where, hyper, **static)

        def add(sums, label):
            share = labels[..., label]
            value, gradient = kernel(logits, jnp.full(share.shape, label, jnp.int32), where, hyper, **static)
            value = jnp.where(share != 0, share * value, 0)
            return (sums[0] + value, sums[1] + share[..., None] * gradient), None

        start = jnp.zeros_like(logits[..., 0]), jnp.zeros_like(logits)
        return jax.lax.scan(add, start, jnp.arange(logits.shape[-1]))[0]

    extended.__name__ = kernel.__name__
    return extended
