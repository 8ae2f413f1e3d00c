"""Squared gaps from judges of random halves of each group, and their bootstrap."""

import numpy as np

from trustml._jax import lanes_in_memory
from trustml.fairness._debias import as_vectors, split_half_gaps, squared_gaps


def draw_halves(court, n_splits, rng):
    """Half, 0 or 1, of each row (n_splits, n): halves of a group, and of a class in it, differ by a row at most."""
    n, stratum = len(court.y), court.codes
    if court.classes is not None:
        stratum = stratum * len(court.classes) + court.y
    sizes = np.bincount(court.codes)
    if sizes.min() < 2:
        raise ValueError("a group has one row, which has no halves; expected min_group_size >= 2 for 'split_half'.")
    first = np.cumsum(sizes) - sizes
    halves = np.empty((n_splits, n), int)
    for half in halves:
        order = np.lexsort((rng.random(n), stratum, court.codes))
        half[order] = (np.arange(n) - first[court.codes[order]] + rng.integers(2)) % 2
    return halves


def _vectors(panels, court):
    n_classes = 0 if court.classes is None else len(court.classes)
    return [as_vectors(J, court.response, n_classes) for J in panels]


def _panels(judges, court, rows, halves, Z):
    """Judges of the two halves of every split, one after the other; row ``rows[s, i]`` takes place i in split s."""
    weight = court.weight[rows]
    weights = np.stack([weight * (halves == 0), weight * (halves == 1)], axis=1).reshape(-1, len(court.y))
    twice = np.repeat(rows, 2, axis=0)
    return _vectors(judges.panels(twice, court.y[twice], weights, Z), court)


def gaps_of_halves(judges, court, halves, Z, v):
    """Unbiased squared gaps (G, G), averaged over splits."""
    rows = np.broadcast_to(np.arange(len(court.y)), halves.shape)
    panels = _panels(judges, court, rows, halves, Z)
    return np.mean([split_half_gaps(a, b, v) for a, b in zip(panels[::2], panels[1::2], strict=True)], axis=0)


def _resampled(cells, n_cells, size, rng):
    """Rows (size, n) drawn with replacement within cells."""
    order = np.argsort(cells, kind="stable")
    counts = np.bincount(cells, minlength=n_cells)
    first = np.cumsum(counts) - counts
    return order[first[cells] + (rng.random((size, len(cells))) * counts[cells]).astype(int)]


def bootstrap_gaps(judges, court, halves, Z, v, n_boot, rng):
    """Squared gaps (n_boot, G, G) of resampled groups; without ``halves``, with noise and so only for their spread.

    Rows stay in their half: copies of a row in both would make the judges of the halves alike.
    """
    n, n_splits = len(court.y), 1 if halves is None else len(halves)
    at_once = lanes_in_memory(64 * n * n_splits, at_most=n_boot)
    found = []
    for first in range(0, n_boot, at_once):
        size = min(at_once, n_boot - first)
        if halves is None:
            rows = _resampled(court.codes, court.n_groups, size, rng)
            panels = _vectors(judges.panels(rows, court.y[rows], court.weight[rows], Z), court)
            found += [squared_gaps(J, v) for J in panels]
            continue
        rows = np.stack([_resampled(2 * court.codes + half, 2 * court.n_groups, size, rng) for half in halves], axis=1)
        panels = _panels(judges, court, rows.reshape(-1, n), np.tile(halves, (size, 1)), Z)
        gaps = [split_half_gaps(a, b, v) for a, b in zip(panels[::2], panels[1::2], strict=True)]
        found += list(np.reshape(gaps, (size, n_splits, *gaps[0].shape)).mean(axis=1))
    return np.array(found)
