"""Scores of compiled models: pure functions of the predictions, equal to scikit-learn's scorers of the same name.

A classification score takes ``scores`` of shape (n_val, n_classes): any increasing function of the class
probabilities, -inf for a class that the training subset does not have; for ``neg_log_loss`` they are
unnormalised log-probabilities. A regression score takes ``predictions`` of shape (n_val,). ``weight`` of shape
(n_val,) is one for a validation row and zero for padding.
"""

import jax
import jax.numpy as jnp
import numpy as np

# sklearn.metrics.log_loss clips the probabilities of float64 predictions here.
_LOG_EPS = float(np.log(np.finfo(np.float64).eps))


def accuracy(scores, y_val, weight):
    hit = jnp.argmax(scores, axis=-1) == y_val
    return jnp.sum(weight * hit) / jnp.sum(weight)


def balanced_accuracy(scores, y_val, weight):
    hit = jnp.argmax(scores, axis=-1) == y_val
    n_classes = scores.shape[-1]
    members = jax.ops.segment_sum(weight, y_val, n_classes)
    hits = jax.ops.segment_sum(weight * hit, y_val, n_classes)
    recall = jnp.where(members > 0, hits / jnp.where(members > 0, members, 1), 0)
    return jnp.sum(recall) / jnp.sum(members > 0)


def neg_log_loss(scores, y_val, weight):
    log_probability = jax.nn.log_softmax(scores, axis=-1)
    own = jnp.take_along_axis(log_probability, y_val[..., None], axis=-1)[..., 0]
    return jnp.sum(weight * jnp.clip(own, _LOG_EPS, 0.0)) / jnp.sum(weight)


def neg_mean_squared_error(predictions, y_val, weight):
    return -jnp.sum(weight * (predictions - y_val) ** 2) / jnp.sum(weight)


def neg_root_mean_squared_error(predictions, y_val, weight):
    return -jnp.sqrt(-neg_mean_squared_error(predictions, y_val, weight))


def neg_mean_absolute_error(predictions, y_val, weight):
    return -jnp.sum(weight * jnp.abs(predictions - y_val)) / jnp.sum(weight)


def r2(predictions, y_val, weight):
    mean = jnp.sum(weight * y_val) / jnp.sum(weight)
    total = jnp.sum(weight * (y_val - mean) ** 2)
    residual = jnp.sum(weight * (y_val - predictions) ** 2)
    # scikit-learn's convention for a constant target: 1 if predicted exactly, else 0.
    return jnp.where(total > 0, 1 - residual / jnp.where(total > 0, total, 1), jnp.where(residual > 0, 0.0, 1.0))


LABEL_SCORES = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy}
PROBABILITY_SCORES = LABEL_SCORES | {"neg_log_loss": neg_log_loss}
REGRESSION_SCORES = {
    "r2": r2,
    "neg_mean_squared_error": neg_mean_squared_error,
    "neg_root_mean_squared_error": neg_root_mean_squared_error,
    "neg_mean_absolute_error": neg_mean_absolute_error,
}
