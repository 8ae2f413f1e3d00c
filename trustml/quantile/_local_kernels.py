"""Weights that a network gives to each row: the mixture, its loss and its gradient."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from trustml._networks import MLP
from trustml._optimisation import weighted_mean
from trustml.losses._quantile import crossing_penalty, pinball


def n_logits(resolution, n_models, n_levels):
    """Outputs that the network needs."""
    return {"coarse": n_models, "medium": n_models * n_levels, "fine": n_models * n_levels**2}[resolution]


@jax.custom_vjp
def softmax_mean(logits, q):
    """Mean of ``q`` under the softmax of ``logits`` over the last axis; differentiated by ``logits`` only."""
    return _softmax_mean(logits, q)[0]


def _softmax_mean(logits, q):
    weights = jax.nn.softmax(logits)
    mean = jnp.sum(weights * q, axis=-1)
    return mean, (weights, q, mean)


def _softmax_mean_gradient(saved, cotangent):
    # With w the softmax and g the mean, dg/dz = w (q - g): one product, where a traced softmax keeps three tables.
    weights, q, mean = saved
    return weights * (q - mean[..., None]) * cotangent[..., None], jnp.zeros_like(q)


softmax_mean.defvjp(_softmax_mean, _softmax_mean_gradient)


def _arranged(logits, Q, resolution):
    """Logits and base quantiles with the axis of the softmax last; ``Q`` is (n, p, m)."""
    n, p, m = Q.shape
    if resolution == "coarse":
        return jnp.broadcast_to(logits[:, None, :], (n, m, p)), Q.transpose(0, 2, 1)
    if resolution == "medium":
        return logits.reshape(n, m, p), Q.transpose(0, 2, 1)
    return logits.reshape(n, m, p * m), Q.reshape(n, 1, p * m)


@dataclass(frozen=True)
class MixtureLoss:
    """Mean pinball loss of the mixture over the levels, and a penalty on crossing.

    The data are ``(X, Q, y)``; the numbers ``(levels, penalty, margin)``.
    """

    network: MLP
    resolution: str

    def __call__(self, params, batch, weight, key, hyper):
        X, Q, y = batch
        levels, penalty, margin = hyper
        logits, q = _arranged(self.network.apply(params, X), Q, self.resolution)
        mixed = softmax_mean(logits, q)
        losses = jnp.mean(pinball(mixed, y[:, None], levels), axis=-1) + penalty * crossing_penalty(mixed, margin)
        return weighted_mean(losses, weight)


@partial(jax.jit, static_argnames=("network", "resolution"))
def mix(params, X, Q, *, network, resolution):
    """Quantiles (n, m), the mean over the networks in the leading axis of ``params``."""

    def one(params):
        return softmax_mean(*_arranged(network.apply(params, X), Q, resolution))

    return jnp.mean(jax.vmap(one)(params), axis=0)


@partial(jax.jit, static_argnames=("network", "resolution", "n_levels"))
def mean_weights(params, X, *, network, resolution, n_levels):
    """Weights (n, p), (n, p, m) or (n, p, m, m) as those of all rows are laid out, the mean over the networks."""

    def one(params):
        logits = network.apply(params, X)
        if resolution == "coarse":
            return jax.nn.softmax(logits)
        by_level = jax.nn.softmax(logits.reshape(len(X), n_levels, -1))
        by_model = jnp.moveaxis(by_level, 1, 2)
        if resolution == "medium":
            return by_model
        return by_model.reshape(len(X), -1, n_levels, n_levels)

    return jnp.mean(jax.vmap(one)(params), axis=0)
