"""From rows and weights to what the device is given: padded arrays, and index plans drawn by NumPy."""

from dataclasses import dataclass
from typing import Protocol

import jax
import numpy as np
from numpy.typing import NDArray

from trustml._jax import bucket_size
from trustml._optimisation import Plan

# Epochs in one call of the device: at most the one number, and no more than make the other of row slots.
_MOST_EPOCHS, _MOST_SLOTS = 256, 1 << 17


class Sampler(Protocol):
    """Draws the batches of an epoch."""

    def __call__(self, rng: np.random.Generator) -> NDArray[np.integer]:
        """Row numbers of shape (n_steps, batch_size), the same shape in every call; -1 for an empty slot."""


@dataclass(frozen=True)
class ShuffledBatches:
    """Each of ``rows`` once, in random order or in theirs."""

    rows: NDArray
    batch_size: int
    shuffle: bool = True

    def __call__(self, rng):
        width = min(self.batch_size, bucket_size(len(self.rows)))
        n_steps = -(-len(self.rows) // self.batch_size)
        batches = np.full(n_steps * width, -1, np.int32)
        batches[: len(self.rows)] = rng.permutation(self.rows) if self.shuffle else self.rows
        return batches.reshape(n_steps, width)


class Plans:
    """Draws index plans: several epochs, for every lane."""

    def __init__(self, weights, samplers, seeds, first_epoch, options):
        self.seeds, self.first_epoch, self.schedule = seeds, first_epoch, options.schedule
        self.n_rows = weights.shape[1]
        rows = [np.flatnonzero(lane) for lane in weights]
        most, batch_size = max(map(len, rows)), options.batch_size
        if options.optimizer == "lbfgs":
            batch_size = None
        # One step takes all rows, so that their order does not matter and they are gathered once.
        self.constant = samplers is None and (batch_size is None or batch_size >= most)
        if self.constant:
            self.rows, self.n_steps, self.capacity = row_lists(weights)[:, None], 1, _MOST_EPOCHS
            return
        self.samplers = samplers or [ShuffledBatches(lane, batch_size, options.shuffle) for lane in rows]
        shapes = np.array([sampler(np.random.default_rng(0)).shape for sampler in self.samplers])
        self.n_steps, width = shapes.max(axis=0)
        self.shape = (bucket_size(self.n_steps, minimum=2), width)
        self.capacity = int(np.clip(_MOST_SLOTS // (len(rows) * np.prod(self.shape)), 1, _MOST_EPOCHS))

    def draw(self, done, n_epochs):
        """The plan of ``n_epochs`` epochs after ``done``; its rows have a leading axis of lanes."""
        epochs = range(self.first_epoch + done, self.first_epoch + done + n_epochs)
        rates = np.ones(self.capacity)
        if self.schedule is not None:
            rates[:n_epochs] = [self.schedule(epoch) for epoch in epochs]
        if self.constant:
            return Plan(self.rows, 1, n_epochs, rates)
        rows = np.full((len(self.seeds), self.capacity, *self.shape), -1, np.int32)
        for lane, sampler in enumerate(self.samplers):
            for slot, epoch in enumerate(epochs):
                batches = sampler(np.random.default_rng([self.seeds[lane], epoch]))
                if batches.max() >= self.n_rows:
                    raise ValueError(f"sampler drew row {batches.max()}; expected rows below {self.n_rows}.")
                rows[lane, slot, : batches.shape[0], : batches.shape[1]] = batches
        return Plan(rows, self.n_steps, n_epochs, rates)


def count_rows(data, axes):
    counts = set()

    def count(axis, part):
        counts.update(np.shape(leaf)[axis + 1 if axis is not None else 0] for leaf in jax.tree.leaves(part))

    jax.tree.map(count, axes, data, is_leaf=lambda axis: axis is None)
    if len(counts) != 1:
        raise ValueError(f"data holds arrays of {sorted(counts)} rows; expected the same number in all of them.")
    return counts.pop()


def check_weights(weights, validation, shape):
    """Training and validation weights of shape (n_lanes, n_rows); None for the latter without held-out rows."""
    weights = np.ones(shape) if weights is None else np.asarray(weights, float)
    held_out = None if validation is None else np.asarray(validation, float)
    for name, given in (("sample_weight", weights), ("validation_weight", held_out)):
        if given is None:
            continue
        if given.shape != shape:
            raise ValueError(f"{name} has shape {given.shape}; expected {shape}, for lanes and rows.")
        if not (np.isfinite(given).all() and (given >= 0).all()):
            raise ValueError(f"{name} holds negative or non-finite numbers; expected non-negative ones.")
    if held_out is not None:
        weights = np.where(held_out > 0, 0.0, weights)
        if not (held_out > 0).any(axis=1).all():
            raise ValueError("validation_weight is zero for every row; expected some to be positive.")
    if not (weights > 0).any(axis=1).all():
        raise ValueError("No row is left to train on: sample_weight is zero wherever validation_weight is.")
    return weights, held_out


def row_lists(weights):
    """Numbers of the rows of positive weight of each lane (n_lanes, bucket), padded by -1."""
    rows = [np.flatnonzero(lane) for lane in weights]
    lists = np.full((len(rows), bucket_size(max(map(len, rows)))), -1, np.int32)
    for padded, numbers in zip(lists, rows, strict=True):
        padded[: len(numbers)] = numbers
    return lists


def cast(array, dtype):
    """Floats as ``dtype``, integers as int32."""
    array = np.asarray(array)
    kinds = {"f": dtype, "i": np.int32, "u": np.int32}
    return array.astype(kinds.get(array.dtype.kind, array.dtype), copy=False)


def pad(array, n_rows, axis, dtype):
    """``array``, cast, with zeros along ``axis`` up to ``n_rows``; no step ever reads them."""
    array = cast(array, dtype)
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, n_rows - array.shape[axis])
    return np.pad(array, widths)


def place_data(data, axes, n_rows, dtype, place):
    def part(axis, subtree):
        if axis is None:
            return jax.device_put(jax.tree.map(lambda a: pad(a, n_rows, 0, dtype), subtree))
        return place(jax.tree.map(lambda a: pad(a, n_rows, 1, dtype), subtree))

    return jax.tree.map(part, axes, data, is_leaf=lambda axis: axis is None)
