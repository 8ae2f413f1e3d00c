"""What LDRClassifier minimises, and what it makes of a network's outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from trustml._jax import bucket_size, pad_rows
from trustml._training import SampleLoss, weighted_mean
from trustml.losses import LOSSES, aldr_temperature, backward_correction, forward_correction, normalize_scores
from trustml.losses._registry import loss_parameters

ROBUST = ("ldr_kl", "aldr_kl", "ldr_topk_kl")
_CORRECTIONS = {"forward_correction": forward_correction, "backward_correction": backward_correction}
# Scores are multiplied by no more and no less than these to make the logarithms of probabilities.
_LEAST_SCALE, _MOST_SCALE = 1e-3, 1e3


@dataclass(frozen=True)
class RowLoss:
    """A loss with its options bound, compared by value; its numbers are traced.

    Parameters
    ----------
    loss : str or callable
    options : tuple of (name, value)
        What is compiled in.
    """

    loss: str | Callable
    options: tuple = ()

    @property
    def normalize(self):
        """How the loss makes scores of the network's outputs."""
        return dict(self.options).get("normalize")

    def __call__(self, logits, labels, hyper):
        if callable(self.loss):
            return self.loss(logits, labels)
        function = (LOSSES | _CORRECTIONS)[self.loss]
        return function(logits, labels, **hyper, **dict(self.options))


def bind_loss(loss, loss_params, *, lam, alpha, margin, normalize):
    """The loss, compiled, and its numbers, traced.

    Parameters of the estimator are passed to the losses that have them; ``loss_params`` come first.
    """
    given = dict(loss_params or {})
    if callable(loss):
        if given:
            raise ValueError(f"loss_params={given!r} has no meaning for a callable loss; expected None.")
        return RowLoss(loss), {}
    if loss in _CORRECTIONS:
        if set(given) != {"transition"}:
            raise ValueError(f"loss={loss!r} takes loss_params={{'transition': matrix}}; got the keys {sorted(given)}.")
        return RowLoss(loss), {"transition": np.asarray(given["transition"], np.float32)}
    known = loss_parameters(loss)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"loss_params: {loss!r} has no parameter {unknown[0]!r}; it has {sorted(known) or 'none'}.")
    if "margin" in known:
        given.setdefault("margin", margin)
    if loss in ROBUST:
        given.setdefault("lam", lam)
        given.setdefault("normalize", normalize)
    if loss == "aldr_kl":
        given.setdefault("alpha", alpha)
    given = known | given
    options = {key: value for key, value in given.items() if value is None or isinstance(value, str | bool)}
    numbers = {key: np.asarray(value, np.float32) for key, value in given.items() if key not in options}
    return RowLoss(loss, tuple(sorted(options.items()))), numbers


def check_numbers(row_loss, numbers, n_classes):
    """Let the loss refuse its numbers by name; where they are traced, it cannot."""
    logits, labels = jax.ShapeDtypeStruct((1, n_classes), jnp.float32), jax.ShapeDtypeStruct((1,), jnp.int32)
    jax.eval_shape(lambda logits, labels: row_loss(logits, labels, numbers), logits, labels)


@dataclass(frozen=True)
class Accuracy:
    """Share of the held-out rows that are classified as labelled: a score that uniform label noise keeps in order."""

    objective: SampleLoss

    def __call__(self, params, batch, weight, key, hyper):
        X, labels = batch
        predicted = jnp.argmax(self.objective.network.apply(params, X), axis=1)
        return weighted_mean((predicted == labels).astype(weight.dtype), weight)


@partial(jax.jit, static_argnames="row_loss")
def _rows(logits, labels, hyper, *, row_loss):
    temperature = None
    if row_loss.loss == "aldr_kl":
        temperature = aldr_temperature(logits, labels, **hyper, **dict(row_loss.options))
    return row_loss(logits, labels, hyper), temperature


def rows_losses(row_loss, logits, labels, hyper):
    """Loss of each row, and its temperature if it has one of its own, as NumPy."""
    n_rows = len(logits)
    padded = pad_rows(logits.astype(np.float32), bucket_size(n_rows)), pad_rows(labels, bucket_size(n_rows))
    losses, temperatures = _rows(*padded, hyper, row_loss=row_loss)
    return np.array(losses[:n_rows]), None if temperatures is None else np.array(temperatures[:n_rows])


@partial(jax.jit, static_argnames="normalize")
def _scores(logits, *, normalize):
    return normalize_scores(logits, normalize)


def scores_of(normalize, logits):
    """The scores that the loss sees, as NumPy in double precision."""
    if normalize is None:
        return logits.astype(float)
    n_rows = len(logits)
    padded = pad_rows(logits.astype(np.float32), bucket_size(n_rows))
    return np.array(_scores(padded, normalize=normalize)[:n_rows], float)


@jax.jit
def _best_scale(scores, labels, weight):
    scores = scores - jnp.max(scores, axis=1, keepdims=True)
    own = jnp.take_along_axis(scores, labels[:, None], axis=1)[:, 0]

    def slopes(scale):
        p = jax.nn.softmax(scale * scores, axis=1)
        mean = jnp.sum(p * scores, axis=1)
        variance = jnp.sum(p * jnp.square(scores - mean[:, None]), axis=1)
        return weighted_mean(mean - own, weight), weighted_mean(variance, weight)

    def step(_, carry):
        low, high, scale = carry
        slope, curvature = slopes(scale)
        low, high = jnp.where(slope < 0, scale, low), jnp.where(slope < 0, high, scale)
        newton = scale - slope / jnp.maximum(curvature, 1e-30)
        inside = (newton > low) & (newton < high)
        return low, high, jnp.where(inside, newton, jnp.sqrt(low * high))

    start = jnp.float32(_LEAST_SCALE), jnp.float32(_MOST_SCALE), jnp.float32(1)
    return lax.fori_loop(0, 25, step, start)[2]


def best_temperature(scores, labels, weight):
    """Temperature at which the softmax of the scores is likeliest to give the labels, from 0.001 to 1000."""
    n_rows = bucket_size(len(scores))
    padded = (pad_rows(a, n_rows) for a in (scores.astype(np.float32), labels, weight.astype(np.float32)))
    return 1 / float(_best_scale(*padded))
