"""Intervals whose coverage does not depend on the models: split conformal and CV+, with exact ranks."""

import numpy as np


def conformal_rank(n, coverage):
    """``ceil((n + 1) coverage)``, free of the rounding of the product; above ``n`` no finite bound is valid."""
    return int(np.ceil(np.round((n + 1) * coverage, 9)))


def scores(intervals, y):
    """How far each target lies outside its interval; negative inside (n,)."""
    return np.maximum(intervals[:, 0] - y, y - intervals[:, 1])


def ordered(lower, upper):
    """Intervals (n, 2). One whose ends have passed each other is empty, and becomes its middle, which covers more."""
    inverted = lower > upper
    ends = np.column_stack([lower, upper])
    ends[inverted] = ends[inverted].mean(axis=1, keepdims=True)
    return ends


def split_conformal(intervals, calibration_scores, coverage):
    """Widen (or narrow) the intervals by the score of the exact rank."""
    n = len(calibration_scores)
    rank = conformal_rank(n, coverage)
    margin = np.inf if rank > n else np.partition(calibration_scores, rank - 1)[rank - 1]
    return ordered(intervals[:, 0] - margin, intervals[:, 1] + margin)


def cv_plus(fold_intervals, fold_scores, coverage, chunk_bytes=1 << 26):
    """CV+ intervals (n, 2).

    ``fold_intervals`` are the intervals (n_folds, n, 2) of the models that did not see a fold, and ``fold_scores`` the
    scores of the rows of each fold, a list. With rank r = ``ceil((n + 1) coverage)``, the upper end is the r-th
    smallest of all ``upper_k(x) + score_i``, and the lower end the r-th largest of all ``lower_k(x) - score_i``.
    """
    n = sum(map(len, fold_scores))
    n_rows = fold_intervals.shape[1]
    rank = conformal_rank(n, coverage)
    if rank > n:
        return np.column_stack([np.full(n_rows, -np.inf), np.full(n_rows, np.inf)])
    fold = np.repeat(np.arange(len(fold_scores)), [len(s) for s in fold_scores])
    margins = np.concatenate(fold_scores)
    lower, upper = np.empty(n_rows), np.empty(n_rows)
    size = max(1, chunk_bytes // (8 * n))
    for start in range(0, n_rows, size):
        rows = slice(start, start + size)
        # The lower end by reflection, so that both have the same rank.
        below = margins - fold_intervals[fold, rows, 0].T
        above = fold_intervals[fold, rows, 1].T + margins
        lower[rows] = -np.partition(below, rank - 1, axis=1)[:, rank - 1]
        upper[rows] = np.partition(above, rank - 1, axis=1)[:, rank - 1]
    return ordered(lower, upper)
