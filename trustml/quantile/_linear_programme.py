"""Exact minimisers of the pinball loss over linear combinations, certified by a dual bound.

Most rows only matter by the side of the fit on which they lie. Given a guess of it, such rows are replaced by their
dual value, which is known, and the interior-point kernel sees the few rows near the fit. A wrong guess cannot pass
unseen: the dual bound of *all* rows tells how far the result can be from the optimum, and while that is more than
``tol``, more rows are kept (the preprocessing of Portnoy and Koenker, 1997, with a bound in place of its sign check).
"""

import warnings
from dataclasses import dataclass, replace

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from sklearn.exceptions import ConvergenceWarning

from trustml._jax import bucket_size, lanes_in_memory
from trustml.quantile._kernels import solve_lanes

_VERTEX_ROWS = 64
_SMALL_TABLE = 20_000
# The inner programme is solved to a fraction of what the outer bound is allowed.
_INNER = 1e-2


@dataclass(frozen=True)
class Programme:
    """Quantile regressions that share a shape, one per lane. Axes of lanes may have length one.

    Attributes
    ----------
    Q : ndarray of shape (n_lanes or 1, n_rows, p)
    y : ndarray of shape (n_lanes or 1, n_rows)
    upper, lower : ndarray of shape (n_lanes, n_rows)
        Cost of a residual above and below zero.
    constraint : {"simplex", "affine", None}
    n_penalties : int, default=0
        The last rows are no data, but penalties of coefficients.
    """

    Q: NDArray
    y: NDArray
    upper: NDArray
    lower: NDArray
    constraint: str | None
    n_penalties: int = 0

    def lanes(self, chosen):
        """The programme of some lanes."""
        pick = [a if len(a) == 1 else a[chosen] for a in (self.Q, self.y)]
        return Programme(*pick, self.upper[chosen], self.lower[chosen], self.constraint, self.n_penalties)

    def residuals(self, w):
        """(n_lanes, n_rows)."""
        if len(self.Q) == 1:
            return self.y - w @ self.Q[0].T
        return self.y - (self.Q @ w[:, :, None])[:, :, 0]

    def times(self, a):
        """``Q'a`` of each lane (n_lanes, p)."""
        if len(self.Q) == 1:
            return a @ self.Q[0]
        return (a[:, None, :] @ self.Q)[:, 0, :]


@dataclass(frozen=True)
class Solution:
    """Weights (n_lanes, p), objective (n_lanes,) and a lower bound of the optimum (n_lanes,)."""

    w: NDArray
    objective: NDArray
    bound: NDArray


def minimise_pinball(programme: Programme, tol: float, solver: str = "auto") -> Solution:
    """Solve every lane to a gap of ``tol`` relative to its objective, in blocks of lanes that fit the memory."""
    n_lanes, n_rows = programme.upper.shape
    p = programme.Q.shape[2]
    # A few rows take HiGHS less time than a compilation takes.
    solve = _solve_highs if solver == "highs" or n_rows <= _VERTEX_ROWS else _solve_block
    block = lanes_in_memory(8 * n_rows * (p + 8), at_most=n_lanes)
    parts = [
        solve(programme.lanes(slice(start, min(start + block, n_lanes))), tol) for start in range(0, n_lanes, block)
    ]
    return Solution(*(np.concatenate(field) for field in zip(*parts, strict=True)))


def warn_of_gap(solution: Solution, programme: Programme, tol: float) -> float:
    """Largest relative gap of a lane; a warning if it is more than ``tol``."""
    gap = (solution.objective - solution.bound) / np.maximum(solution.objective, _floor(programme))
    largest = float(np.max(gap))
    if not largest <= tol:
        warnings.warn(
            f"The loss may be {largest:.1e} above its minimum, relative to it, which is more than tol={tol:g}.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return largest


def _floor(programme):
    """What counts as a loss of zero (n_lanes,): of less, no fraction can be asked of float64."""
    return 1e-7 * np.sum((programme.upper + programme.lower) * np.abs(programme.y), axis=1) + np.finfo(float).tiny


def _objective(programme, residuals):
    return np.sum(np.where(residuals > 0, programme.upper, -programme.lower) * residuals, axis=1)


def _bound(programme, w, a):
    """Lower bound of the optimum of each lane, valid for any ``a`` between the costs, whatever made it.

    Weights that are not on the simplex are unbounded, and rounding in ``Q'a`` then has a price without bound: the
    bound is one for weights up to twice the largest of ``w``.
    """
    value, slope = np.sum(programme.y * a, axis=1), programme.times(a)
    if programme.constraint == "simplex":
        return value - slope.max(axis=1)
    if programme.constraint == "affine":
        mean = slope.mean(axis=1, keepdims=True)
        value, slope = value - mean[:, 0], slope - mean
    return value - 2 * np.sum(np.abs(slope) * np.abs(w).max(axis=1, keepdims=True), axis=1)


def _solve_block(programme, tol):
    n_lanes, n_rows = programme.upper.shape
    p = programme.Q.shape[2]
    floor = _floor(programme)
    best = _Best(programme, tol, floor)
    # So many rows that those which the error of a guess from as many can move are among those kept, or nearly so.
    n_kept = _rung(int((n_rows * np.sqrt(p)) ** (2 / 3)) + 4 * p + programme.n_penalties)
    if 2 * n_kept >= n_rows:
        n_kept = n_rows
    guess = _guess(programme, n_kept, floor) if n_kept < n_rows else np.zeros((n_lanes, p))
    todo = np.arange(n_lanes)
    while len(todo) and n_kept < n_rows:
        part = programme.lanes(todo)
        rows, fixed = _split(part, part.residuals(guess), n_kept)
        best.offer(todo, *_solve_rows(part, rows, fixed, _INNER * tol, floor[todo]))
        todo, n_kept = best.open(todo), 2 * n_kept
        guess = best.w[todo]
    if len(todo):
        rows = np.broadcast_to(np.arange(n_rows), (len(todo), n_rows))
        best.offer(todo, *_solve_rows(programme.lanes(todo), rows, None, _INNER * tol, floor[todo]))
    # What float64 leaves open in the interior, as where a fit has no loss, is decided at a vertex, if that is cheap.
    for t in best.open(todo) if n_rows * p <= _SMALL_TABLE else ():
        best.offer([t], *(found[None] for found in _one_highs(programme.lanes([t]))))
    return best.w, best.objective, best.bound


def _rung(n_rows):
    """Sizes of few programs: a compilation costs more than rows of padding."""
    return max(128, 1 << int(n_rows - 1).bit_length())


class _Best:
    """The best weights and the highest bound that were found for each lane."""

    def __init__(self, programme, tol, floor):
        self.programme, self.tol, self.floor = programme, tol, floor
        self.w = np.zeros((len(programme.upper), programme.Q.shape[2]))
        self.objective, self.bound = np.full(len(self.w), np.inf), np.full(len(self.w), -np.inf)

    def offer(self, lanes, w, a):
        part, lanes = self.programme.lanes(lanes), np.asarray(lanes)
        value, below = _objective(part, part.residuals(w)), _bound(part, w, a)
        better = value < self.objective[lanes]
        self.w[lanes[better]], self.objective[lanes[better]] = w[better], value[better]
        self.bound[lanes] = np.fmax(self.bound[lanes], below)

    def open(self, lanes):
        """Which of the lanes are not yet solved to ``tol``."""
        gap = self.objective[lanes] - self.bound[lanes]
        return lanes[~(gap <= self.tol * np.maximum(self.objective[lanes], self.floor[lanes]))]


def _guess(programme, n_kept, floor):
    """Weights from a sample of the rows, the same for every lane and every call."""
    n_rows = programme.upper.shape[1]
    n_data = n_rows - programme.n_penalties
    sample = np.sort(np.random.default_rng(0).choice(n_data, n_kept - programme.n_penalties, replace=False))
    rows = np.append(sample, np.arange(n_data, n_rows))
    share = np.where(np.arange(n_rows) < n_data, n_data / len(sample), 1.0)
    sampled = replace(programme, upper=programme.upper * share, lower=programme.lower * share)
    return _solve_rows(sampled, np.broadcast_to(rows, (len(programme.upper), n_kept)), None, 1e-4, floor)[0]


def _split(programme, residuals, n_kept):
    """Rows to keep (n_lanes, n_kept), and the dual values of the others, zero for those kept."""
    n_rows = residuals.shape[1]
    # How far a row's residual can move when the weights do.
    reach = np.ptp(programme.Q, axis=2) if programme.constraint else np.linalg.norm(programme.Q, axis=2)
    nearness = np.abs(residuals) / (reach + 1e-12 * reach.max())
    nearness[:, n_rows - programme.n_penalties :] = 0
    rows = np.argpartition(nearness, n_kept, axis=1)[:, :n_kept]
    fixed = np.where(residuals > 0, programme.upper, -programme.lower)
    np.put_along_axis(fixed, rows, 0.0, axis=1)
    return rows, fixed


def _solve_rows(programme, rows, fixed, tol, floor):
    """Weights, and duals of all rows, of the programme in which only ``rows`` are free to change sides."""
    n_lanes, n_kept = rows.shape
    n_rows, p = programme.Q.shape[1:]

    def take(array):
        if len(array) == 1:
            return array[0][rows]
        return np.take_along_axis(array, rows if array.ndim == 2 else rows[:, :, None], axis=1)

    linear = np.zeros((n_lanes, p)) if fixed is None else -programme.times(fixed)
    Q, y, upper, lower = take(programme.Q), take(programme.y), take(programme.upper), take(programme.lower)
    # Costs and targets of order one, so that nothing depends on units. Shifting y and Q alike is no change if the
    # weights sum to one, and saves digits.
    cost = (upper + lower).mean(axis=1)[:, None]
    shift = np.zeros((n_lanes, 1)) if programme.constraint is None else np.median(y, axis=1)[:, None]
    y, Q = y - shift, Q - shift[:, :, None]
    if fixed is not None:
        linear = linear + shift * fixed.sum(axis=1)[:, None]
    scale = np.abs(y).mean(axis=1)[:, None]
    scale = np.where(scale > 0, scale, 1.0)
    spread = np.ones((n_lanes, 1, p))
    if programme.constraint is None:
        spread = np.abs(Q).mean(axis=1)[:, None, :]
        spread = np.where(spread > 0, spread, 1.0)
        Q = Q / spread
    else:
        Q = Q / scale[:, :, None]
    constant = np.zeros(n_lanes) if fixed is None else np.sum(fixed * (programme.y - shift), axis=1)
    money = (cost * scale)[:, 0]
    more_lanes = 0 if n_lanes == 1 else bucket_size(n_lanes) - n_lanes
    pad = [(0, more_lanes), (0, _rung(n_kept) - n_kept)]

    def padded(array, fill=0.0):
        return np.pad(array, pad + [(0, 0)] * (array.ndim - 2), constant_values=fill)

    unit = spread[:, 0, :] if programme.constraint is None else scale
    with jax.enable_x64(True):
        solved = solve_lanes(
            padded(Q),
            padded(y / scale),
            padded(upper / cost, 1.0),
            padded(lower / cost, 1.0),
            np.pad(linear / (cost * unit), [pad[0], (0, 0)]),
            np.pad(constant / money, pad[0]),
            np.pad(floor / money, pad[0], constant_values=1.0),
            tol,
            constraint=programme.constraint,
        )
        w, a = (np.asarray(array)[:n_lanes] for array in solved[:2])
    if programme.constraint is None:
        w = w * scale / spread[:, 0, :]
    elif programme.constraint == "simplex":
        w = np.maximum(w, 0)
    if programme.constraint is not None:
        w = w / w.sum(axis=1, keepdims=True)
    duals = np.zeros((n_lanes, n_rows)) if fixed is None else fixed
    kept = np.clip(a[:, :n_kept] * cost, -lower, upper)
    np.put_along_axis(duals, rows, kept, axis=1)
    return w, duals


def _solve_highs(programme, tol):
    """Level by level, by the dual simplex of HiGHS: the reference."""
    n_lanes = len(programme.upper)
    solved = [_one_highs(programme.lanes(slice(t, t + 1))) for t in range(n_lanes)]
    w, a = np.array([w for w, _ in solved]), np.array([a for _, a in solved])
    return w, _objective(programme, programme.residuals(w)), _bound(programme, w, a)


def _power_of_two(number):
    """The least one above each number; one for zero."""
    return np.ldexp(1.0, np.frexp(number)[1])


def _one_highs(lane):
    Q, y, upper, lower = lane.Q[0], lane.y[0], lane.upper[0], lane.lower[0]
    p = Q.shape[1]
    sums = lane.constraint is not None
    # HiGHS knows tolerances, not units: numbers near one, by powers of two, so that nothing is rounded.
    unit = _power_of_two(np.maximum(np.abs(y).max(), np.abs(Q).max() if sums else 0))
    units = unit if sums else _power_of_two(np.abs(Q).max(axis=0))
    y, Q = y / unit, Q / units
    # The dual, whose constraints are few: maximise y'a + lam with Q'a + lam = 0 (<= 0 on the simplex).
    matrix = np.column_stack([Q.T, np.ones(p)]) if sums else Q.T
    bounds = [*zip(-lower, upper, strict=True)] + ([(None, None)] if sums else [])
    rows = (
        {"A_ub": matrix, "b_ub": np.zeros(p)} if lane.constraint == "simplex" else {"A_eq": matrix, "b_eq": np.zeros(p)}
    )
    found = linprog(-np.append(y, 1.0) if sums else -y, bounds=bounds, method="highs-ds", **rows)
    if found.status != 0:
        raise RuntimeError(f"HiGHS did not solve the linear programme: {found.message}")
    w = -(found.ineqlin if lane.constraint == "simplex" else found.eqlin).marginals
    return w if sums else w / units * unit, found.x[: len(y)]
