"""The set of logistic regressions whose objective is at most a level: its extremes, in NumPy terms."""

import warnings

import jax
import numpy as np
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning

from trustml._jax import bucket_size, lanes_in_memory, pad_rows
from trustml.fairness import _level_set_kernels as kernels

_STAGES = 12  # of the way to a level that Newton's method does not reach at once
_SEARCHERS, _WIDTHS = 16, (0.1, 0.05, 0.02, 0.01, 0.005)


def distinct_rows(X, code, weight, penalty) -> kernels.Rows:
    """Equal rows as one, padded with rows of weight zero so that tables of about a size share a compiled program."""
    weight = weight / weight.sum()
    rows, inverse = np.unique(X, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    total, ones = np.bincount(inverse, weights=weight), np.bincount(inverse, weights=weight * code)
    mean = np.divide(ones, total, out=np.zeros_like(ones), where=total > 0)
    size = bucket_size(len(rows))
    return kernels.Rows(pad_rows(rows, size), pad_rows(mean, size), pad_rows(total, size), penalty)


class LevelSet:
    """All w with ``L(w) <= level``, around the minimum ``best`` of L with its ``hessian``."""

    def __init__(self, rows, best, hessian, objective, level, max_iter, tol):
        self.rows, self.best, self.hessian = rows, best, hessian
        self.objective, self.level, self.max_iter, self.tol = objective, level, max_iter, tol

    def _solve(self, directions, start, tilt, level):
        """Extremes in directions (B, p), in compiled batches of one size."""
        size = bucket_size(len(directions))
        padded = pad_rows(directions, size), pad_rows(start, size), pad_rows(tilt, size)
        lane = 8 * self.rows.X.size * 2
        batch = lanes_in_memory(lane, at_most=64)
        found = kernels.extremes(self.rows, *padded, level, self.max_iter, self.tol, batch_size=batch)
        return [np.asarray(array)[: len(directions)] for array in found]

    def extremes(self, directions):
        """Members (B, p) of the set that are largest in the directions (B, p)."""
        slack = self.level - self.objective
        with jax.enable_x64(True):
            start, tilt = map(
                np.asarray, kernels.ellipsoid_starts(self.best, self.hessian, np.asarray(directions, float), slack)
            )
            coef, _, converged = (np.array(array) for array in self._solve(directions, start, tilt, self.level))
            left = np.flatnonzero(~converged)
            if len(left):
                coef[left], converged[left] = self._in_stages(directions[left], start[left], tilt[left], slack)
        if not converged.all():
            warnings.warn(
                f"{(~converged).sum()} of {len(converged)} extremes did not converge in max_iter={self.max_iter} steps "
                "and are NaN; a larger C or epsilon makes them harder.",
                ConvergenceWarning,
                stacklevel=4,
            )
            coef[~converged] = np.nan
        return coef

    def _in_stages(self, directions, start, tilt, slack):
        """The same by levels that rise to the last, each from the solution of the one before."""
        coef, tilt = self.best + (start - self.best) / _STAGES, tilt / _STAGES
        for stage in range(1, _STAGES + 1):
            level = self.objective + slack * (stage / _STAGES) ** 2
            coef, tilt, converged = self._solve(directions, coef, tilt, level)
            if stage < _STAGES:
                growth = (stage + 1) / stage
                coef, tilt = self.best + (coef - self.best) * growth, tilt * growth
        return coef, converged

    def conflicts(self, X, coef, delta):
        """Share of conflicting cases (B, n_deltas) of members (B, p), for cases X (m, p) that weigh alike."""
        h0 = expit(X @ self.best)
        lanes = lanes_in_memory(24 * len(X), at_most=1024)
        shares = []
        for first in range(0, len(coef), lanes):
            moved = np.abs(expit(coef[first : first + lanes] @ X.T) - h0)
            shares.append(np.stack([(moved >= d).mean(axis=1) for d in delta], axis=1))
        return np.concatenate(shares)

    def search_conflict(self, X, coef, shares, delta):
        """A larger share of conflicting cases for one ``delta``, from the best of the members (B, p) found so far.

        A smoothed share is linearised at a member, and the member that is largest in that direction comes next: all
        are members, so that what is found is a lower bound.
        """
        best = shares.max()
        members = coef[np.argsort(-shares, kind="stable")[:_SEARCHERS]]
        h0 = expit(X @ self.best)
        size = bucket_size(len(X))
        padded, h0 = pad_rows(X, size), pad_rows(h0, size)
        weight = pad_rows(np.full(len(X), 1 / len(X)), size)
        for width in _WIDTHS:
            with jax.enable_x64(True):
                gradient = np.asarray(kernels.conflict_gradients(padded, weight, h0, members, delta, width))
            size_of = np.linalg.norm(gradient, axis=1)
            if not (size_of > 0).all():
                break
            members = self.extremes(gradient / size_of[:, None])
            best = max(best, np.nanmax(self.conflicts(X, members, [delta])))
        return float(best)
