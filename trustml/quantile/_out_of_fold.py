"""Out-of-fold predictions of base models: each row is predicted by models that did not see it."""

from itertools import combinations
from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from sklearn.model_selection import check_cv

from trustml._sklearn import safe_indexing
from trustml.quantile._base_models import fit_model, model_quantiles


def folds_of(cv, X, y, positive):
    """Row numbers of the test folds, which hold every row of positive weight once."""
    rows = np.flatnonzero(positive)
    if cv is None or isinstance(cv, Integral):
        n_folds = 5 if cv is None else cv
        if len(rows) < n_folds:
            raise ValueError(f"cv={cv!r} needs as many rows of positive weight; found n_samples={len(rows)}.")
        splits = check_cv(cv).split(rows)
        return [rows[test] for _, test in splits]
    tests = [np.asarray(test)[positive[test]] for _, test in check_cv(cv).split(X, y)]
    counts = np.bincount(np.concatenate(tests), minlength=len(positive))
    if np.any(counts[rows] != 1):
        raise ValueError(f"cv={cv!r} predicts some rows never or more than once; expected a partition into test folds.")
    return [test for test in tests if len(test)]


class BaseModels:
    """The base models on one table: fits them on sets of rows, in parallel, and predicts.

    Parameters
    ----------
    named : list of (str, estimator)
    X, y, weight : table and weights
        ``weight`` None passes none to the models.
    levels : ndarray of shape (m,)
    prepare : callable
        What is done to predictions before they are stacked: sorting, or nothing.
    n_jobs : int or None
    """

    def __init__(self, named, X, y, weight, levels, prepare, n_jobs):
        self.named, self.X, self.y, self.weight = named, X, y, weight
        self.levels, self.prepare, self.n_jobs = levels, prepare, n_jobs

    def fit(self, row_sets):
        """Models fitted on each set of rows: a list, by set, of lists, by model."""
        jobs = [(rows, model) for rows in row_sets for _, model in self.named]
        models = Parallel(n_jobs=self.n_jobs)(delayed(self._fit)(model, rows) for rows, model in jobs)
        p = len(self.named)
        return [models[i : i + p] for i in range(0, len(models), p)]

    def _fit(self, model, rows):
        weight = None if self.weight is None else self.weight[rows]
        return fit_model(model, safe_indexing(self.X, rows), self.y[rows], weight, self.levels)

    def predict(self, models, rows):
        """Quantiles (n_rows, p, m) of rows of the table."""
        return stacked_quantiles(self.named, models, safe_indexing(self.X, rows), self.levels, self.prepare)


def stacked_quantiles(named, models, X, levels, prepare):
    """Quantiles (n_rows, p, m) of fitted models."""
    each = (prepare(model_quantiles(name, model, X, levels)) for (name, _), model in zip(named, models, strict=True))
    return np.stack([*each], axis=1)


def out_of_fold(base, folds):
    """Predictions (n_rows, p, m) of every row by models of the other folds, and these models by fold.

    Rows in no fold are NaN.
    """
    everything = np.sort(np.concatenate(folds))
    models = base.fit([np.setdiff1d(everything, fold) for fold in folds])
    Q = np.full((len(base.y), len(base.named), len(base.levels)), np.nan)
    for fold, fitted in zip(folds, models, strict=True):
        Q[fold] = base.predict(fitted, fold)
    return Q, models


def nested_out_of_fold(base, folds):
    """For each fold k, predictions of all other rows, by models that saw neither their fold nor fold k.

    ``K (K - 1) / 2`` fits of every model serve all K stacks, since a pair of folds is left out for both.
    """
    everything = np.sort(np.concatenate(folds))
    pairs = list(combinations(range(len(folds)), 2))
    models = base.fit([np.setdiff1d(everything, np.concatenate([folds[k], folds[l]])) for k, l in pairs])
    nested = np.full((len(folds), len(base.y), len(base.named), len(base.levels)), np.nan)
    for (k, l), fitted in zip(pairs, models, strict=True):
        nested[k, folds[l]] = base.predict(fitted, folds[l])
        nested[l, folds[k]] = base.predict(fitted, folds[k])
    return nested
