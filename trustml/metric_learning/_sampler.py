"""Batches that hold several rows of each of several classes, so that no batch is without pairs of one class."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trustml._jax import bucket_size


@dataclass(frozen=True)
class ClassBalancedBatches:
    """Each class as often as any other, in batches of ``n_classes`` classes with ``n_samples`` rows each.

    An epoch has as many batches as it takes to draw the number of rows. A class with fewer than ``n_samples`` rows
    gives all it has; no row is twice in a batch.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,)
        Numbers of the rows to draw from.
    labels : ndarray of shape (n_rows,)
        Their classes.
    n_classes, n_samples : int
        Of a batch.
    """

    rows: NDArray
    labels: NDArray
    n_classes: int
    n_samples: int
    _counts: NDArray = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "_counts", np.unique(self.labels, return_counts=True)[1])

    def __call__(self, rng):
        counts = self._counts
        at_once = min(self.n_classes, len(counts))
        n_steps = -(-len(self.rows) // (at_once * self.n_samples))
        # Within one shuffle of the classes, no class comes twice: batches are cut from it, and what is left is dropped.
        per_shuffle = len(counts) // at_once
        shuffles = rng.permuted(np.tile(np.arange(len(counts)), (-(-n_steps // per_shuffle), 1)), axis=1)
        drawn = shuffles[:, : per_shuffle * at_once].reshape(-1, at_once)[:n_steps]

        grouped = self.rows[np.lexsort((rng.random(len(self.rows)), self.labels))]
        starts = np.cumsum(counts) - counts
        # The next visit to a class goes on where the last one ended.
        flat = drawn.ravel()
        order = np.argsort(flat, kind="stable")
        firsts = np.searchsorted(flat[order], flat[order])
        visits = np.empty(len(flat), int)
        visits[order] = np.arange(len(flat)) - firsts
        offsets = visits[:, None] * self.n_samples + np.arange(self.n_samples)
        sizes = counts[flat][:, None]
        batches = grouped[starts[flat][:, None] + offsets % sizes]
        batches = np.where(np.arange(self.n_samples) < sizes, batches, -1).reshape(n_steps, -1)
        padded = np.full((n_steps, bucket_size(at_once * self.n_samples)), -1, np.int32)
        padded[:, : batches.shape[1]] = batches
        return padded
