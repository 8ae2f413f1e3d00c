"""Any scikit-learn estimator: one fit per subset, spread by joblib.

Nothing here names a backend, so ``joblib.parallel_config(backend="dask")`` or ``"ray"`` moves the fits to a cluster.
"""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import check_scoring
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import has_fit_parameter

from trustml._sklearn import num_samples, safe_indexing


class SubsetClassifier(ClassifierMixin, BaseEstimator):
    """A classifier fitted to some of the classes, presented as one that knows all of them."""

    def __init__(self, fitted, known, classes):
        self.fitted = fitted
        self.known = known
        self.classes = classes

    def __sklearn_is_fitted__(self):
        return True

    @property
    def classes_(self):
        return self.classes

    def predict(self, X):
        if self.fitted is None:
            return np.repeat(self.classes[self.known], num_samples(X))
        return self.fitted.predict(X)

    def predict_proba(self, X):
        probabilities = np.zeros((num_samples(X), len(self.classes)))
        probabilities[:, self.known] = 1.0 if self.fitted is None else self.fitted.predict_proba(X)
        return probabilities


def _score(estimator, scorer, task, rows, weighted, error_score):
    """Score of a clone fitted to the training rows numbered ``rows``."""
    rows = np.sort(rows[task.sample_weight[rows] > 0])
    if not len(rows):
        return task.empty_score
    y, y_val = task.y[rows], task.y_val
    if task.classes is not None:
        known = np.unique(y)
        y, y_val = task.classes[y], task.classes[y_val]
        if len(known) == 1:
            return scorer(SubsetClassifier(None, known, task.classes), task.X_val, y_val)
    fit_params = {"sample_weight": task.sample_weight[rows]} if weighted else {}
    try:
        fitted = clone(estimator).fit(safe_indexing(task.X, rows), y, **fit_params)
    except Exception as error:
        if error_score == "raise":
            raise ValueError(
                f"estimator={estimator!r} could not be fitted to a subset of {len(rows)} training rows: {error}. "
                "Give error_score a number to score such subsets with it."
            ) from error
        return error_score
    if task.classes is not None and len(known) < len(task.classes):
        fitted = SubsetClassifier(fitted, known, task.classes)
    return scorer(fitted, task.X_val, y_val)


def _walk(estimator, scorer, task, order, ends, truncation, weighted, error_score):
    """Scores along one order, up to its cut."""
    scores = np.full(len(ends), np.inf)
    for player, end in enumerate(ends):
        # The last prefix holds every row, and its score is known.
        if player == len(ends) - 1:
            scores[player] = truncation.full_score
            break
        scores[player] = _score(estimator, scorer, task, order[: end + 1], weighted, error_score)
        recent = scores[max(0, player + 1 - truncation.patience) : player + 1]
        if len(recent) == truncation.patience and truncation.cuts(recent[None])[0] < len(recent):
            break
    return scores


class BlackBoxEngine:
    """One scikit-learn fit per subset."""

    name = "joblib"

    def __init__(self, estimator, task, *, n_jobs, error_score):
        self.estimator, self.task, self.n_jobs, self.error_score = estimator, task, n_jobs, error_score
        self.scorer = check_scoring(estimator, task.scoring)
        # Equal weights say nothing that the subset does not, so that estimators without weights stay usable.
        positive = task.sample_weight[task.sample_weight > 0]
        self.weighted = len(positive) > 0 and np.ptp(positive) > 0
        if self.weighted and not has_fit_parameter(estimator, "sample_weight"):
            raise ValueError(
                f"sample_weight has unequal positive weights, but {type(estimator).__name__}.fit takes no "
                "sample_weight: leave the weights out, or use an estimator that supports them."
            )

    def score_subsets(self, masks):
        scores = Parallel(n_jobs=self.n_jobs)(
            delayed(_score)(
                self.estimator, self.scorer, self.task, np.flatnonzero(mask), self.weighted, self.error_score
            )
            for mask in masks
        )
        return np.array(scores, dtype=float)

    def walk(self, orders, ends, truncation):
        scores = Parallel(n_jobs=self.n_jobs)(
            delayed(_walk)(
                self.estimator,
                self.scorer,
                self.task,
                order,
                end,
                truncation,
                self.weighted,
                self.error_score,
            )
            for order, end in zip(orders, ends, strict=True)
        )
        return np.array(scores)
