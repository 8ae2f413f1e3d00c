"""What every engine is given, and what it must be able to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


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


class Engine(Protocol):
    """Scores a model on the validation rows after fitting it to subsets of the training rows.

    Defined for every subset: no row (of positive weight) earns ``task.empty_score``; rows of a single
    class make the model that always predicts this class; a class that no row has is never predicted and
    has probability zero, which the log loss counts as the smallest positive float64 epsilon.
    """

    name: str

    def score_subsets(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Scores of shape (n_subsets,) for boolean masks of shape (n_subsets, n_rows)."""

    def score_prefixes(self, orders: NDArray[np.intp]) -> Iterator[NDArray[np.float64]]:
        """Scores of every prefix of every order of the rows.

        ``orders`` has shape (n_orders, n_rows). Yields blocks of shape (n_orders, block_length), whose
        concatenation along axis 1 has shape (n_orders, n_rows): column j is the score with the first
        j + 1 rows of the order. A caller that has seen enough stops iterating and later blocks cost nothing.
        """
