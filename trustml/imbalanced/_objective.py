"""What ConRRegressor minimises, scores and reports: pure functions of JAX."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from trustml._networks import MLP
from trustml._training import weighted_mean
from trustml.losses import balanced_mse, conr_loss, conr_pairs, focal_r

# Numbers of each base loss, with their defaults, in standard deviations of the target.
LOSS_NUMBERS = {
    "squared_error": {},
    "absolute_error": {},
    "huber": {"delta": 1.0},
    "focal_r": {"beta": 1.0, "gamma": 1.0},
    "balanced_mse": {"noise_scale": 0.3},
}


def base_losses(name, outputs, targets, numbers, where):
    """Losses (n,) of outputs and targets (n, n_outputs)."""
    if name == "balanced_mse":
        return balanced_mse(outputs, targets, noise_variance=numbers["noise_scale"] ** 2, where=where)
    size = jnp.abs(outputs - targets)
    if name == "squared_error":
        losses = size**2
    elif name == "absolute_error":
        losses = size
    elif name == "huber":
        delta = numbers["delta"]
        losses = jnp.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta))
    else:
        losses = focal_r(outputs, targets, beta=numbers["beta"], gamma=numbers["gamma"])
    return jnp.mean(losses, axis=1)


def gaussian(key, X, scale):
    """Rows with normal noise of standard deviation ``scale``, in standard deviations of each feature."""
    return X + scale * jax.random.normal(key, X.shape, X.dtype)


def corrupt(key, X, scale):
    """Rows of which each entry is, with probability ``scale``, that of another row of the batch."""
    which, rows = jax.random.split(key)
    other = jax.random.randint(rows, X.shape, 0, len(X))
    return jnp.where(jax.random.bernoulli(which, scale, X.shape), jnp.take_along_axis(X, other, axis=0), X)


AUGMENTATIONS: dict[str, Callable] = {"gaussian": gaussian, "corrupt": corrupt}


@dataclass(frozen=True)
class ConRObjective:
    """Base loss and contrastive penalty of a batch of ``(X, targets, weights, rarity, balance)``.

    Parameters
    ----------
    network : MLP
    loss : str
    augmentation : callable or None
        ``(key, X, scale) -> X``; two views of each row enter the penalty, or with None the rows themselves.
    contrastive : bool
        Whether there is a penalty at all.
    push_form, denominator : str
        Of :func:`trustml.losses.conr_loss`.
    """

    network: MLP
    loss: str
    augmentation: Callable | None
    contrastive: bool
    push_form: str
    denominator: str

    def __call__(self, params, batch, weight, key, hyper):
        X, targets, weights, rarity, _ = batch
        exists = weight > 0
        n_rows, repeats = len(X), 1
        if self.contrastive and self.augmentation is not None:
            views = [self.augmentation(k, X, hyper["augmentation_scale"]) for k in jax.random.split(key)]
            # One pass of the network over all three.
            X, repeats = jnp.concatenate([X, *views]), 2
        outputs = self.network.apply(params, X)
        losses = weights * base_losses(self.loss, outputs[:n_rows], targets, hyper["loss"], exists)
        total = weighted_mean(losses, weight)
        if not self.contrastive:
            return total
        first = n_rows * (repeats - 1)
        penalty = conr_loss(
            self.network.features(params, X)[first:],
            jnp.tile(targets * hyper["units"], (repeats, 1)),
            outputs[first:] * hyper["units"],
            window=hyper["window"],
            push=hyper["push"],
            temperature=hyper["temperature"],
            weights=jnp.tile(rarity, repeats),
            where=jnp.tile(exists, repeats),
            push_form=self.push_form,
            denominator=self.denominator,
        )
        return total + hyper["conr_weight"] * weighted_mean(penalty, jnp.tile(weight, repeats))


@dataclass(frozen=True)
class BalancedScore:
    """Minus the balanced mean absolute error; ``balance`` holds each row's share of its bin over the bins."""

    network: MLP

    def __call__(self, params, batch, weight, key, hyper):
        X, targets, _, _, balance = batch
        errors = balance * jnp.abs(self.network.apply(params, X) - targets)
        return -jnp.sum(jnp.where(weight[:, None] > 0, errors, 0))


@partial(jax.jit, static_argnames="network")
def active_anchors(network, params, X, targets, batches, units, window):
    """How many rows of the batches, -1 for no row, have a negative; and how many rows there are."""

    def count(rows):
        index = jnp.maximum(rows, 0)
        predictions = network.apply(params, X[index]) * units
        _, negatives = conr_pairs(targets[index] * units, predictions, window=window, where=rows >= 0)
        return jnp.sum(jnp.any(negatives, axis=1)), jnp.sum(rows >= 0)

    active, total = jax.lax.map(count, batches)
    return jnp.sum(active), jnp.sum(total)
