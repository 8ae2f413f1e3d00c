"""What every engine is given, and what it must be able to do."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trustml._jax import bucket_size, pad_rows


@dataclass(frozen=True)
class Task:
    """Training rows, and the validation rows on which a model of some of them is scored.

    Attributes
    ----------
    X : array-like of shape (n_rows, n_features)
        Training rows: a float64 array for compiled engines, whatever the user gave for the others.
    y : ndarray of shape (n_rows,)
        Targets. Classifiers: codes 0..n_classes-1 into ``classes``. Regressors: float64.
    sample_weight : ndarray of shape (n_rows,)
        float64, non-negative. A row of weight zero is absent from every subset.
    X_val, y_val : of shape (n_val, n_features) and (n_val,)
        Validation rows, in the form of X and y. A code may stand for a class that no training row has.
    classes : ndarray of shape (n_classes,) or None
        Labels in sorted order, at least two; None for regression.
    scoring : str, callable or None
        As in scikit-learn; None is the estimator's own ``score``.
    empty_score : float
        The score of a model that has seen no row.
    """

    X: Any
    y: NDArray
    sample_weight: NDArray[np.float64]
    X_val: Any
    y_val: NDArray
    classes: NDArray | None
    scoring: Any
    empty_score: float

    @property
    def n_rows(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Truncation:
    """When to stop a walk along an order: the score stayed near the full score for ``patience`` players.

    Near means ``|score - full_score| <= tolerance * |full_score|``; a ``tolerance`` of None never stops.
    """

    full_score: float
    tolerance: float | None
    patience: int

    def cuts(self, scores: NDArray) -> NDArray[np.intp]:
        """Last useful column of each row of ``scores`` (n_orders, n_columns); n_columns where there is none."""
        n_columns = scores.shape[1]
        if self.tolerance is None:
            return np.full(len(scores), n_columns)
        near = np.abs(scores - self.full_score) <= self.tolerance * abs(self.full_score)
        columns = np.arange(n_columns)
        last_far = np.maximum.accumulate(np.where(near, -1, columns), axis=1)
        stopped = columns - last_far >= self.patience
        return np.where(stopped.any(axis=1), stopped.argmax(axis=1), n_columns)


class Engine(Protocol):
    """Scores a model on the validation rows after fitting it to subsets of the training rows.

    Defined for every subset that holds a row of positive weight (the game itself scores the others): rows of a
    single class make the model that always predicts this class; a class that no row has is never predicted and has
    probability zero, which the log loss counts as the smallest positive float64 epsilon.
    """

    name: str

    def score_subsets(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Scores of shape (n_subsets,) for boolean masks of shape (n_subsets, n_rows)."""

    def walk(self, orders: NDArray[np.intp], ends: NDArray[np.intp], truncation: Truncation) -> NDArray[np.float64]:
        """Scores of shape (n_orders, n_players) after each player's rows.

        ``orders`` (n_orders, n_rows) lists the rows in the order in which they join, and ``ends``
        (n_orders, n_players) the position of each player's last row. Columns after the cut of ``truncation``
        are not used and may hold anything.
        """


class CompiledEngine(ABC):
    """What the compiled engines share: a walk advances all orders by blocks of rows until every one is cut."""

    def __init__(self, task: Task):
        self.task = task

    @abstractmethod
    def score_subsets(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """As in :class:`Engine`."""

    @abstractmethod
    def score_prefixes(self, orders: NDArray[np.intp]) -> Iterator[NDArray[np.float64]]:
        """Scores of every prefix of every order of the rows.

        ``orders`` has shape (n_orders, n_rows). Yields blocks of shape (n_orders, block_length), whose
        concatenation along axis 1 has shape (n_orders, n_rows): column j is the score with the first
        j + 1 rows of the order. A caller that has seen enough stops iterating and later blocks cost nothing.
        """

    def walk(self, orders, ends, truncation):
        n_orders, n_rows = orders.shape
        rows_done, by_row = 0, np.full((n_orders, n_rows), np.inf)
        for block in self.score_prefixes(orders):
            by_row[:, rows_done : rows_done + block.shape[1]] = block
            rows_done += block.shape[1]
            scores = np.take_along_axis(by_row, ends, axis=1)
            if (truncation.cuts(scores) < scores.shape[1]).all():
                break
        return scores


def padded_validation(X_val, y_val):
    """Validation rows padded to their bucket, with the weight that marks the real ones."""
    n_val = len(y_val)
    size = bucket_size(n_val)
    return pad_rows(X_val, size), pad_rows(y_val, size), pad_rows(np.ones(n_val), size)
