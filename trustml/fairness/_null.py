"""What the coefficient would be if all groups were judged alike, by simulation."""

from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from trustml._jax import lanes_in_memory
from trustml.fairness._debias import as_vectors, squared_gaps
from trustml.fairness._disagreement import linear_pair_and_total, pair_and_total
from trustml.fairness._from_judgments import ranked
from trustml.fairness._judges import LinearJudges

_ROWS_OF_BLOCK = 512
_LINKS = {"number": "identity", "probability": "sigmoid", "label": "label"}


class Statistic(NamedTuple):
    """What is measured on judgments of kind ``response``."""

    rho: str
    aggregate: str
    response: str
    n_classes: int

    def __call__(self, J, v):
        """Disagreement (P,) of every pair of judges, and the coefficient."""
        with jax.enable_x64(True):
            prepared = ranked(J, self.rho, self.n_classes)
            pairs, total = pair_and_total(prepared, v, rho=self.rho, aggregate=self.aggregate)
            return np.asarray(pairs), float(total)


class Simulated(NamedTuple):
    """The statistic of B simulated data sets: pairs (B, P), total (B,), squared gaps of pairs (B, P) if asked for."""

    pairs: NDArray
    total: NDArray
    squares: NDArray | None


def simulate(judges, court, Z, v, statistic, *, null, null_estimator, n_null, rng, with_squares=False) -> Simulated:
    """Audits of ``n_null`` data sets in which the groups are judged alike, in batches that fit into memory."""
    if null == "conditional":
        draw = _conditional(judges, court, Z, v, statistic, null_estimator, with_squares)
    else:
        draw = _permuted(judges, court, Z, v, statistic, with_squares)
    bytes_each = 40 * len(court.y) * (1 if court.classes is None else len(court.classes))
    n_batches = -(-n_null // lanes_in_memory(bytes_each, at_most=2 * n_null))
    batches = [len(part) for part in np.array_split(np.arange(n_null), n_batches)]
    found = [draw(size, rng) for size in batches]
    pairs, total, squares = zip(*found, strict=True)
    return Simulated(np.concatenate(pairs), np.concatenate(total), np.concatenate(squares) if with_squares else None)


def _of_panels(panels, v, statistic, with_squares):
    found, squares = [], []
    first, second = np.triu_indices(next(iter(panels)).shape[1], 1)
    for J in panels:
        found.append(statistic(J, v))
        if with_squares:
            squares.append(squared_gaps(as_vectors(J, statistic.response, statistic.n_classes), v)[first, second])
    pairs, total = zip(*found, strict=True)
    return Simulated(np.array(pairs), np.array(total), np.array(squares) if with_squares else None)


def _permuted(judges, court, Z, v, statistic, with_squares):
    def draw(size, rng):
        orders = np.argsort(rng.random((size, len(court.y))), axis=1)
        panels = judges.panels(orders, court.y[orders], court.weight[orders], Z)
        return _of_panels(panels, v, statistic, with_squares)

    return draw


def random_signs(size, n, rng):
    """Signs (n, size) as int8, whatever the batches: every data set takes its own whole words of the generator."""
    words = rng.integers(0, 2**64, size=(size, -(-n // 64)), dtype=np.uint64)
    return 2 * np.unpackbits(words.view(np.uint8), axis=1)[:, :n].T.astype(np.int8) - 1


def _conditional(judges, court, Z, v, statistic, null_estimator, with_squares):
    pooled, freedom = judges.pooled(null_estimator, court.X)
    n = len(court.y)
    if court.classes is None:
        base, residual = pooled, (court.y - pooled) * np.sqrt(n / max(n - freedom, 1))
    else:
        base, residual = pooled[:, -1], None
        thresholds = np.cumsum(pooled, axis=1)[:, :-1]

    measure = _linear(judges, Z, v, statistic, with_squares) if isinstance(judges, LinearJudges) else None

    def targets(size, rng):
        if court.classes is None:
            return random_signs(size, n, rng)
        return (rng.random((size, n)).T[..., None] > thresholds[:, None]).sum(axis=2)

    def draw(size, rng):
        drawn = targets(size, rng)
        if measure is not None:
            return measure(judges.conditional_panels(base, residual, drawn))
        y = drawn.T if residual is None else (base[:, None] + residual[:, None] * drawn).T
        rows, weight = np.broadcast_to(np.arange(n), y.shape), np.broadcast_to(court.weight, y.shape)
        return _of_panels(judges.panels(rows, y, weight, Z), v, statistic, with_squares)

    return draw


def _linear(judges, Z, v, statistic, with_squares=False):
    """From panels (p, G, B) of linear judges to their statistic; squared gaps of numbers are quadratic forms."""
    options = {"link": _LINKS[statistic.response], "rho": statistic.rho, "aggregate": statistic.aggregate}
    only_squares = (statistic.response, statistic.rho, statistic.aggregate) == ("number", "squared", "pairs")
    S = judges.second_moment(Z, v) if statistic.response == "number" else None
    if not only_squares:
        cases = judges.augment(Z)
        n_blocks = -(-len(cases) // _ROWS_OF_BLOCK)
        padding = n_blocks * _ROWS_OF_BLOCK - len(cases)
        blocks = np.pad(cases, ((0, padding), (0, 0))).reshape(n_blocks, _ROWS_OF_BLOCK, -1)
        weights = np.pad(v, (0, padding)).reshape(n_blocks, -1)

    def squared(coef):
        if S is None:
            # Judgments that are labels are zero or one, and then all distances are alike.
            squares, _ = linear_pair_and_total(
                blocks, weights, coef, **options | {"rho": "squared", "aggregate": "pairs"}
            )
            return np.asarray(squares).T
        first, second = np.triu_indices(coef.shape[1], 1)
        gaps = coef[:, first] - coef[:, second]
        return np.sum((S @ gaps.reshape(len(S), -1)).reshape(gaps.shape) * gaps, axis=0).T

    def measure(coef):
        with jax.enable_x64(True):
            squares = squared(coef) if with_squares or only_squares else None
            if only_squares:
                return Simulated(squares, squares.mean(axis=1), squares)
            pairs, total = linear_pair_and_total(blocks, weights, coef, **options)
            return Simulated(np.asarray(pairs).T, np.asarray(total), squares)

    return measure


def p_values(observed, simulated):
    """Share of simulated data sets that reach what was observed, which counts as one of them: never 0."""
    return (1 + np.sum(simulated >= observed - 1e-12, axis=0)) / (1 + len(simulated))


def holm(p):
    """p-values (P,) after Holm's correction for their number."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]), 1)
    return corrected
