"""Before training: scales of columns, held-out rows, and their weights."""

import numpy as np

from trustml.metrics._label_bins import bin_numbers, bin_totals


def mean_and_scale(columns, weight):
    """Mean and standard deviation of columns (n_samples, n) under the weight of each row; 1 for a constant one."""
    mean = np.average(columns, axis=0, weights=weight)
    gaps = columns - mean
    largest = np.max(np.abs(gaps), axis=0)
    # Squares of tiny numbers would vanish.
    scale = largest * np.sqrt(np.average((gaps / np.where(largest > 0, largest, 1)) ** 2, axis=0, weights=weight))
    # The mean of equal numbers may differ from them by rounding.
    constant = scale <= 10 * np.finfo(float).eps * np.abs(mean)
    return mean, np.where(constant | (scale == 0), 1.0, scale)


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
