"""Before training: standardised columns, held-out rows, and their weights."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trustml.metrics._label_bins import bin_numbers, bin_totals


class Scaling(NamedTuple):
    """Mean and standard deviation of columns; a constant one keeps its scale."""

    mean: NDArray
    scale: NDArray

    @classmethod
    def of(cls, columns, weight):
        """That of columns (n_samples, n) under the weight of each row."""
        mean = np.average(columns, axis=0, weights=weight)
        scale = np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=weight))
        # Of equal numbers the mean may differ from them by rounding.
        constant = scale <= 10 * np.finfo(float).eps * np.abs(mean)
        return cls(mean, np.where(constant | (scale == 0), 1.0, scale))

    def do(self, columns):
        """Columns of mean 0 and standard deviation 1."""
        return (columns - self.mean) / self.scale

    def undo(self, columns):
        """The reverse."""
        return columns * self.scale + self.mean


def draw_held_out(y, weight, fraction, rng):
    """Which rows to hold out: one from each of as many slices of the rows, sorted by the first output."""
    rows = np.flatnonzero(weight)
    if len(rows) < 2:
        raise ValueError(f"early_stopping=True needs two rows or more to hold out some; X has {len(rows)} sample.")
    rows = rows[rng.permutation(len(rows))]
    rows = rows[np.argsort(y[rows, 0], kind="stable")]
    n_held_out = int(np.clip(round(fraction * len(rows)), 1, len(rows) - 1))
    first = np.linspace(0, len(rows), n_held_out + 1).astype(int)
    drawn = rows[first[:-1] + (rng.random(n_held_out) * np.diff(first)).astype(int)]
    return np.isin(np.arange(len(y)), drawn)


def balance_of_bins(y, edges, weight):
    """Weights (n_samples, n_outputs) whose weighted sum of errors is the mean over outputs of the balanced error."""
    balance = np.zeros(y.shape)
    for output, column_edges in enumerate(edges):
        numbers, n_bins = bin_numbers(y[:, output], column_edges), len(column_edges) - 1
        totals = bin_totals(numbers, n_bins, weight)
        share = np.where(totals > 0, 1 / np.where(totals > 0, totals, 1), 0) / np.count_nonzero(totals)
        balance[:, output] = weight * share[numbers] / y.shape[1]
    return balance
