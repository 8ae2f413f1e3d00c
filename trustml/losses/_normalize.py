"""Normalised scores: a bound on how far a model may go to fit a label."""

import jax
import jax.numpy as jnp

from trustml.losses._rows import count_classes, row_max, row_sum

NORMALIZATIONS = ("softplus", "l1", "l2", None)
# Below this logit softplus is the exponential, to single precision.
_EXPONENTIAL = -15.0
# Rows whose largest absolute score is below count as rows of zeros: the gradient of a norm explodes there.
_ZERO = 2.0**-100


def normalize_scores(logits, normalize="softplus", *, where=None):
    """Scores whose size does not depend on that of the logits.

    Parameters
    ----------
    logits : array of shape (..., n_classes)
    normalize : {"softplus", "l1", "l2", None}, default="softplus"
        "softplus" makes positive scores of mean one, softplus(f) over its mean. "l1" and "l2" divide by a norm, so that
        the mean absolute or the root mean square score is one; a row of zeros stays one, without gradient. None
        leaves the logits as they are.
    where : bool array broadcastable to (..., n_classes), default=None
        Classes that take part; the scores of others are zero.

    Returns
    -------
    scores : array of shape (..., n_classes)
        Ranked as the logits are.

    Notes
    -----
    Rows of very negative logits are normalised in log space, where ``softplus(f)`` is ``exp(f)``; formed directly, they
    would be 0/0 from about -88 on. On the L1 ball a symmetric loss may prefer two classes equally [1]_, which the
    other two avoid.

    References
    ----------
    .. [1] D. Zhu, Y. Ying and T. Yang, "Label Distributionally Robust Losses for Multi-class Classification", ICML
       2023.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.losses import normalize_scores
    >>> np.asarray(normalize_scores([2.0, 1.0, 0.0, -1.0]), float).round(3)
    array([1.913, 1.181, 0.624, 0.282])
    """
    logits = jnp.asarray(logits)
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    if where is not None:
        where = jnp.broadcast_to(jnp.asarray(where, bool), logits.shape)
    return _normalized(normalize)(logits, where)


def _normalized(normalize):
    @jax.custom_jvp
    def scores(logits, where):
        return normalization(logits, where, normalize)[0]

    @scores.defjvp
    def derivative(primals, tangents):
        value, _, push = normalization(*primals, normalize)
        return value, push(tangents[0])

    return scores


def normalization(logits, where, normalize):
    """Scores; the pullback of a gradient in the scores to one in the logits; the pushforward of a change of logits."""
    if normalize is None:
        scores = logits if where is None else jnp.where(where, logits, 0)
        return scores, lambda gradient: gradient, lambda change: change
    if normalize not in NORMALIZATIONS:
        raise ValueError(f"normalize={normalize!r}; expected one of {NORMALIZATIONS}.")
    n_classes = count_classes(logits, where)
    scores, slope, weight = _RULES[normalize](logits, where, n_classes)

    # With scores g = n r(f) / |r(f)|: dg = slope * df - g * sum(weight * slope * df) / n.
    def pull(gradient):
        return slope * (gradient - weight * row_sum(gradient * scores, where) / n_classes)

    def push(change):
        change = slope * change
        return change - scores * row_sum(weight * change, where) / n_classes

    return scores, pull, push


def _softplus(logits, where, n_classes):
    largest = row_max(logits, where)
    is_low = largest < _EXPONENTIAL
    exponential = jnp.exp(jnp.where(is_low, logits - largest, -jnp.abs(logits)))
    value = jnp.where(is_low, exponential, jnp.maximum(logits, 0) + jnp.log1p(exponential))
    slope = jnp.where(is_low, exponential, jnp.where(logits >= 0, 1, exponential) / (1 + exponential))
    unit = jnp.where(is_low, 1, jax.nn.softplus(largest))
    # Divided by the largest first: a sum of huge scores would overflow.
    value = _take_part(_ratio(value, unit), where)
    total = row_sum(value, where)
    return n_classes * value / total, _take_part(n_classes * slope / (total * unit), where), 1


def _l1(logits, where, n_classes):
    ratio, unit, is_zero = _units(logits, where)
    total = row_sum(jnp.abs(ratio), where)
    slope = jnp.where(is_zero, 0, n_classes / (jnp.where(is_zero, 1, total) * unit))
    return n_classes * ratio / jnp.where(is_zero, 1, total), slope, jnp.sign(ratio)


def _l2(logits, where, n_classes):
    ratio, unit, is_zero = _units(logits, where)
    total = jnp.sqrt(jnp.where(is_zero, 1, row_sum(jnp.square(ratio), where)))
    scores = jnp.sqrt(n_classes) * ratio / total
    return scores, jnp.where(is_zero, 0, jnp.sqrt(n_classes) / (total * unit)), scores


def _units(logits, where):
    largest = row_max(jnp.abs(logits), where)
    is_zero = largest < _ZERO
    unit = jnp.where(is_zero, 1, largest)
    return _take_part(jnp.where(is_zero, 0, _ratio(logits, unit)), where), unit, is_zero


def _ratio(values, unit):
    # The compiler divides by multiplying with the reciprocal, and that of a huge number is no normal one.
    shrink = jnp.where(unit > 1, 2.0**-64, 1).astype(unit.dtype)
    return values * shrink / (unit * shrink)


def _take_part(values, where):
    return values if where is None else jnp.where(where, values, 0)


_RULES = {"softplus": _softplus, "l1": _l1, "l2": _l2}
