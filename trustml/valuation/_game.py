"""Cooperative games: what a coalition of players (training rows, or units of rows) earns."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trustml.valuation._engines import Engine, Task, Truncation

MAX_EXACT_PLAYERS = 16


def _finite(scores, what):
    if not np.isfinite(scores).all():
        raise ValueError(
            f"{what} returned {scores[~np.isfinite(scores)][0]} for a coalition; expected a finite number for each."
        )
    return scores


class TrainingGame:
    """The game in which units of training rows earn the validation score of the model fitted to them.

    Parameters
    ----------
    engine : Engine
        Fits and scores.
    task : Task
        The data behind the engine.
    unit_of_row : ndarray of int of shape (n_rows,)
        Player that each row belongs to, 0..n_players-1.
    """

    def __init__(self, engine: Engine, task: Task, unit_of_row: NDArray[np.intp]):
        self.engine, self.task, self.unit_of_row = engine, task, unit_of_row
        self.sizes = np.bincount(unit_of_row)
        self.n_players = len(self.sizes)
        self.n_evaluations = 0
        self.empty_score = task.empty_score
        self.full_score = float(self(np.ones((1, self.n_players), bool))[0])

    def __call__(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Scores of shape (n_coalitions,) for masks of shape (n_coalitions, n_players)."""
        rows = masks[:, self.unit_of_row] & (self.task.sample_weight > 0)
        scores = np.full(len(masks), self.empty_score)
        played = rows.any(axis=1)
        if played.any():
            scores[played] = self.engine.score_subsets(rows[played])
        self.n_evaluations += int(played.sum())
        return _finite(scores, f"scoring={self.task.scoring!r}")

    def marginals(
        self, orders: NDArray[np.intp], tolerance: float | None = None, patience: int = 1
    ) -> NDArray[np.float64]:
        """Marginal contributions (n_orders, n_players) at each position of each order of the players.

        From the position on where an order is truncated the contributions are zero; without truncation those of an
        order sum to ``full_score - empty_score``.
        """
        truncation = Truncation(self.full_score, tolerance, patience)
        ends = np.cumsum(self.sizes[orders], axis=1) - 1
        scores = self.engine.walk(self._rows_in(orders), ends, truncation)
        # Every order ends with the same set, whose score is known.
        scores[:, -1] = self.full_score
        weights = self.task.sample_weight
        unit_weights = np.bincount(self.unit_of_row, weights, minlength=self.n_players)
        scores[np.cumsum(unit_weights[orders], axis=1) == 0] = self.empty_score
        cuts = truncation.cuts(scores)
        used = np.minimum(cuts + 1, self.n_players)
        self.n_evaluations += int(used.sum())
        columns = np.arange(self.n_players)
        beyond = columns > cuts[:, None]
        _finite(scores[~beyond], f"scoring={self.task.scoring!r}")
        held = np.take_along_axis(scores, np.minimum(columns, cuts[:, None]), axis=1)
        return np.diff(held, axis=1, prepend=self.empty_score)

    def _rows_in(self, orders):
        """Orders of the rows (n_orders, n_rows) that list each player's rows together."""
        if self.n_players == len(self.unit_of_row):
            row_of_unit = np.argsort(self.unit_of_row)
            return row_of_unit[orders]
        position = np.argsort(orders, axis=1)
        return np.argsort(position[:, self.unit_of_row], axis=1, kind="stable")


class CallableGame:
    """A game given by a function from boolean masks (n_coalitions, n_players) to scores (n_coalitions,)."""

    def __init__(self, game: Callable, n_players: int):
        self.game, self.n_players = game, n_players
        ends = self(np.array([[False] * n_players, [True] * n_players]))
        self.empty_score, self.full_score = float(ends[0]), float(ends[1])

    def __call__(self, masks):
        scores = np.asarray(self.game(masks), dtype=float)
        if scores.shape != (len(masks),):
            raise ValueError(
                f"game returned an array of shape {scores.shape} for {len(masks)} coalitions; expected ({len(masks)},)."
            )
        return _finite(scores, "game")

    def marginals(self, orders):
        """Marginal contributions (n_orders, n_players) at each position of each order."""
        position = np.argsort(orders, axis=1)
        prefixes = position[:, None, :] <= np.arange(self.n_players)[None, :, None]
        scores = self(prefixes.reshape(-1, self.n_players)).reshape(orders.shape)
        return np.diff(scores, axis=1, prepend=self.empty_score)


def all_coalitions(n_players: int) -> NDArray[np.bool_]:
    """Masks of all coalitions, (2 ** n_players, n_players); coalition number c holds player i if bit i of c is set."""
    return (np.arange(2**n_players)[:, None] >> np.arange(n_players) & 1).astype(bool)


def exact_semivalue(scores: NDArray, size_probabilities: NDArray) -> NDArray[np.float64]:
    """Semivalues from the scores of all coalitions, in the order of :func:`all_coalitions`.

    ``size_probabilities`` (n_players,) is the probability that a player joins a coalition of k others.
    """
    n_players = len(size_probabilities)
    coalitions = np.arange(2**n_players)
    sizes = all_coalitions(n_players).sum(axis=1)
    values = np.empty(n_players)
    for player in range(n_players):
        without = coalitions[coalitions >> player & 1 == 0]
        gains = scores[without | 1 << player] - scores[without]
        by_size = np.bincount(sizes[without], gains) / np.bincount(sizes[without])
        values[player] = size_probabilities @ by_size
    return values
