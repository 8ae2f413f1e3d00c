"""From what a user passes to ``fit`` to what is valued: checked arrays, units, validation splits, games."""

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import check_scoring
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, check_cv
from sklearn.utils import check_array, check_consistent_length, column_or_1d, indexable
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from trustml._sklearn import check_sample_weight, safe_indexing
from trustml._validation import check_magnitude
from trustml.valuation._engines import BlackBoxEngine, SubsetClassifier, Task, compiled_engine
from trustml.valuation._game import TrainingGame


@dataclass(frozen=True)
class Split:
    """Rows that play and the validation rows on which their model is scored."""

    rows: NDArray[np.intp]
    X_val: Any
    y_val: NDArray


@dataclass(frozen=True)
class Problem:
    """A checked valuation problem.

    Attributes
    ----------
    estimator : estimator
        Unfitted model that the rows train.
    X_given, y_given : array-like
        As the user passed them: the refitted model sees these.
    X : array-like of shape (n_rows, n_features)
        A float64 array if the method needs numbers, else ``X_given``.
    y : ndarray of shape (n_rows,)
        Class codes for a classifier, float64 for a regressor.
    classes : ndarray or None
        Sorted labels; None for a regressor.
    sample_weight : ndarray of shape (n_rows,)
    unit_of_row : ndarray of int of shape (n_rows,)
    units : ndarray of shape (n_units,)
        Label of each unit.
    splits : list of Split
        One for a validation set, one per fold otherwise; none for a method that needs no validation rows.
    """

    estimator: Any
    X_given: Any
    y_given: NDArray
    X: Any
    y: NDArray
    classes: NDArray | None
    sample_weight: NDArray[np.float64]
    unit_of_row: NDArray[np.intp]
    units: NDArray
    splits: list[Split]

    @property
    def n_units(self) -> int:
        return len(self.units)

    def task(self, scoring, split=None) -> Task:
        """The task of a split; without one, of all rows scored on themselves."""
        rows = np.arange(len(self.y)) if split is None else split.rows
        return Task(
            X=self.X if split is None else safe_indexing(self.X, rows),
            y=self.y[rows],
            sample_weight=self.sample_weight[rows],
            X_val=self.X if split is None else split.X_val,
            y_val=self.y if split is None else split.y_val,
            classes=self.classes,
            scoring=scoring,
            empty_score=0.0 if split is None else empty_score(self, split, scoring),
        )


def is_class_target(y) -> bool:
    """Whether ``y`` holds labels: strings, booleans, integers, or any two values; floats are numbers otherwise."""
    kind = type_of_target(y, input_name="y")
    return kind == "binary" or (kind == "multiclass" and np.asarray(y).dtype.kind != "f")


def check_problem(valuation, X, y, X_val, y_val, units, sample_weight) -> Problem:
    """Check the input of ``valuation.fit``."""
    if y is None:
        raise ValueError(
            f"requires y to be passed, but the target y is None: {type(valuation).__name__} values training rows "
            "with their targets."
        )
    X, y = indexable(X, y)
    y_given = column_or_1d(y, warn=True)
    estimator = valuation._model(y_given)
    classes = None
    if is_classifier(estimator):
        check_classification_targets(y_given)
        classes, y = np.unique(y_given, return_inverse=True)
    else:
        y = check_magnitude(check_array(y_given, ensure_2d=False, dtype=np.float64, input_name="y"), "y")
    weights = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    check_magnitude(weights, "sample_weight")
    if classes is not None and len(found := classes[np.unique(y[weights > 0])].tolist()) < 2:
        raise ValueError(f"y holds {found} among the rows of positive weight: no or only one class, expected two.")
    labels, unit_of_row = _check_units(units, len(y))
    problem = Problem(estimator, X, y_given, X, y, classes, weights, unit_of_row, labels, [])
    numeric = valuation._needs_numbers(problem)
    problem = replace(problem, X=_check_X(valuation, X, numeric, reset=True))
    if X_val is not None or y_val is not None:
        if not valuation._validates:
            raise ValueError(f"{type(valuation).__name__} needs no validation rows, but X_val or y_val was given.")
        X_val, y_val = _check_validation(valuation, X_val, y_val, classes, numeric)
        splits = [Split(np.arange(len(y)), X_val, y_val)]
    elif valuation._validates:
        splits = _folds(valuation.cv, problem, grouped=units is not None)
    else:
        splits = []
    return replace(problem, splits=splits)


def _check_X(valuation, X, as_numbers, reset):
    if as_numbers:
        return check_magnitude(validate_data(valuation, X, reset=reset, dtype=np.float64), "X" if reset else "X_val")
    return validate_data(valuation, X, reset=reset, skip_check_array=True)


def _check_units(units, n_rows):
    if units is None:
        return np.arange(n_rows), np.arange(n_rows)
    units = column_or_1d(units, warn=True)
    if len(units) != n_rows:
        raise ValueError(f"units has {len(units)} entries for {n_rows} rows of X; expected one per row.")
    return np.unique(units, return_inverse=True)


def _folds(cv, problem, grouped):
    classify = problem.classes is not None
    groups = problem.unit_of_row if grouped else None
    if grouped and (cv is None or isinstance(cv, Integral)):
        cv = (StratifiedGroupKFold if classify else GroupKFold)(5 if cv is None else cv)
    splitter = check_cv(cv, problem.y, classifier=classify)
    splits = []
    for train, test in splitter.split(problem.X, problem.y, groups):
        if grouped and np.intersect1d(groups[train], groups[test]).size:
            raise ValueError(
                f"cv={cv!r} puts rows of the same unit on both sides of a fold; "
                "expected a group-aware splitter such as GroupKFold when units are given."
            )
        splits.append(Split(np.sort(train), safe_indexing(problem.X, test), problem.y[test]))
    valued = np.concatenate([split.rows for split in splits])
    missing = np.setdiff1d(np.arange(len(problem.y)), valued)
    if len(missing):
        raise ValueError(
            f"cv={cv!r} leaves {len(missing)} rows out of every training fold (the first is row {missing[0]}), so "
            "that they cannot be valued; expected each row in at least one."
        )
    return splits


def _check_validation(valuation, X_val, y_val, classes, as_numbers):
    if X_val is None or y_val is None:
        absent = "X_val" if X_val is None else "y_val"
        raise ValueError(f"{absent} is None; expected X_val and y_val together, or neither.")
    check_consistent_length(X_val, y_val)
    X_val = _check_X(valuation, X_val, as_numbers, reset=False)
    y_val = column_or_1d(y_val, warn=True)
    if classes is None:
        y_val = check_array(y_val, ensure_2d=False, dtype=np.float64, input_name="y_val")
        return X_val, check_magnitude(y_val, "y_val")
    unseen = np.setdiff1d(y_val, classes)
    if len(unseen):
        raise ValueError(f"y_val holds labels that y does not: {unseen[:5].tolist()}; expected some of {classes[:20]}.")
    return X_val, np.searchsorted(classes, y_val)


def make_games(problem: Problem, *, scoring, n_jobs=None, error_score="raise"):
    """One game per split, each with the units that play in it.

    Returns
    -------
    games : list of TrainingGame
    players : list of ndarray of int
        ``players[g][i]`` is the number of the unit that player i of game g stands for.
    """
    games, players = [], []
    for split in problem.splits:
        units, unit_of_row = np.unique(problem.unit_of_row[split.rows], return_inverse=True)
        task = problem.task(scoring, split)
        compiled = compiled_engine(problem.estimator, task)
        engine = (
            compiled(problem.estimator, task)
            if compiled is not None
            else BlackBoxEngine(problem.estimator, task, n_jobs=n_jobs, error_score=error_score)
        )
        games.append(TrainingGame(engine, task, unit_of_row))
        players.append(units)
    return games, players


def empty_score(problem: Problem, split: Split, scoring) -> float:
    """Score of a model that has seen no row: the best constant prediction for the validation targets."""
    if problem.classes is None:
        dummy, y_val = DummyRegressor(), split.y_val
    else:
        dummy, y_val = DummyClassifier(strategy="prior"), problem.classes[split.y_val]
    X_val = np.zeros((len(y_val), 1))
    scorer = check_scoring(dummy, scoring)
    dummy.fit(X_val, y_val)
    if problem.classes is not None and len(dummy.classes_) < len(problem.classes):
        dummy = SubsetClassifier(dummy, np.unique(split.y_val), problem.classes)
    score = float(scorer(dummy, X_val, y_val))
    if not np.isfinite(score):
        raise ValueError(
            f"scoring={scoring!r} of a constant prediction is {score} on {len(y_val)} validation rows (y_val, or a "
            "fold of cv); expected a finite number: give more validation rows, or another scoring."
        )
    return score
