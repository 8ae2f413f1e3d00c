"""Engines fit a model to many subsets of the training rows: compiled for the models they know, joblib for the rest."""

from scipy.sparse import issparse

from trustml.valuation._engines._black_box import BlackBoxEngine, SubsetClassifier
from trustml.valuation._engines._logistic import LogisticEngine
from trustml.valuation._engines._naive_bayes import NaiveBayesEngine
from trustml.valuation._engines._neighbors import NeighborsEngine
from trustml.valuation._engines._ridge import RidgeEngine
from trustml.valuation._engines._task import Engine, Task, Truncation

__all__ = ["BlackBoxEngine", "Engine", "SubsetClassifier", "Task", "Truncation", "compiled_engine"]

_COMPILED = (LogisticEngine, RidgeEngine, NeighborsEngine, NaiveBayesEngine)


def compiled_engine(estimator, task: Task) -> type | None:
    """The compiled engine that reproduces ``estimator`` on ``task``, or None."""
    if issparse(task.X):
        return None
    return next((engine for engine in _COMPILED if engine.accepts(estimator, task)), None)
