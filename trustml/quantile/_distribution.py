"""From quantiles at some levels to other levels, to probabilities and to draws."""

import numpy as np


def at_levels(values, levels, wanted):
    """Quantiles at ``wanted`` levels (n_rows, n_wanted), linear between those at ``levels`` (n_rows, m)."""
    outside = wanted[(wanted < levels[0] - 1e-12) | (wanted > levels[-1] + 1e-12)]
    if len(outside):
        raise ValueError(
            f"quantiles={outside.tolist()}; expected levels from {levels[0]:g} to {levels[-1]:g}, those fitted: "
            "nothing is known beyond."
        )
    right = np.clip(np.searchsorted(levels, wanted - 1e-12), 0, len(levels) - 1)
    left = np.maximum(right - 1, 0)
    width = np.where(right > left, levels[right] - levels[left], 1.0)
    part = np.where(right > left, np.clip((wanted - levels[left]) / width, 0, 1), 1.0)
    # Exact at a level that was fitted, infinite values included.
    low, high = values[:, left], values[:, right]
    with np.errstate(invalid="ignore"):
        return np.where(part == 1, high, low + part * (high - low))


def _tails(values, levels):
    """Scales of the exponential tails, which go on with the density next to them (n_rows, 2)."""
    if len(levels) == 1:
        return np.zeros((len(values), 2))
    slopes = np.diff(values, axis=1)[:, [0, -1]] / np.diff(levels)[[0, -1]]
    return slopes * np.array([levels[0], 1 - levels[-1]])


def distribution(values, levels, y):
    """P(Y <= y) of each row; linear between the quantiles, exponential beyond."""
    scale = _tails(values, levels)
    n_at_most = (values <= y[:, None]).sum(axis=1)
    rows = np.arange(len(y))
    left, right = np.clip(n_at_most - 1, 0, len(levels) - 1), np.clip(n_at_most, 0, len(levels) - 1)
    low, high = values[rows, left], values[rows, right]
    between = (n_at_most > 0) & (n_at_most < len(levels))
    part = np.where(between, (y - low) / np.where(between & (high > low), high - low, 1.0), 0.0)
    inside = levels[left] + part * (levels[right] - levels[left])

    def decay(distance, scale):
        return np.where(scale > 0, np.exp(-distance / np.where(scale > 0, scale, 1.0)), distance <= 0)

    below = levels[0] * decay(np.maximum(values[:, 0] - y, 0), scale[:, 0])
    above = 1 - (1 - levels[-1]) * decay(np.maximum(y - values[:, -1], 0), scale[:, 1])
    return np.where(n_at_most == 0, below, np.where(n_at_most == len(levels), above, inside))


def inverse(values, levels, u):
    """Quantiles at the levels ``u`` (n_rows, n), each row its own; exponential beyond the fitted levels."""
    scale = _tails(values, levels)
    right = np.clip(np.searchsorted(levels, u), 0, len(levels) - 1)
    left = np.maximum(right - 1, 0)
    low, high = np.take_along_axis(values, left, axis=1), np.take_along_axis(values, right, axis=1)
    width = np.where(right > left, levels[right] - levels[left], 1.0)
    part = np.where(right > left, np.clip((u - levels[left]) / width, 0, 1), 0.0)
    inside = low + part * (high - low)
    below = values[:, :1] + scale[:, :1] * np.log(np.minimum(u / levels[0], 1))
    above = values[:, -1:] - scale[:, 1:] * np.log(np.minimum((1 - u) / (1 - levels[-1]), 1))
    return np.where(u < levels[0], below, np.where(u > levels[-1], above, inside))
