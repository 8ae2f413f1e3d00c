"""Whether every group has cases like those that are judged: where one has none, its judge extrapolates."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

# Of two groups of equal size, this is where one of them has 5 % of the cases.
LEAST_OVERLAP = 0.1
_MAX_ITER = 1000


def as_numbers(X, like=None):
    """Columns of a table as numbers: those that are not are indicators of the labels in the table ``like``."""
    if not hasattr(X, "columns"):
        return np.asarray(X, float)
    parts = []
    for name in X.columns:
        values, known = np.asarray(X[name]), np.asarray((X if like is None else like)[name])
        if known.dtype.kind in "fiub":
            number = values.astype(float)
            parts += [np.nan_to_num(number)[:, None], np.isnan(number).astype(float)[:, None]]
        else:
            parts.append((values.astype(str)[:, None] == np.unique(known.astype(str))).astype(float))
    return np.concatenate(parts, axis=1)


def propensities(X, codes, n_groups, weight, Z):
    """Probability (m, G) that a case of Z is of each group, if all groups were of one size."""
    scale = StandardScaler().fit(as_numbers(X), sample_weight=weight)
    balance = weight / np.bincount(codes, weights=weight, minlength=n_groups)[codes]
    model = LogisticRegression(max_iter=_MAX_ITER)
    model.fit(scale.transform(as_numbers(X)), codes, sample_weight=balance * len(codes) / balance.sum())
    return model.predict_proba(scale.transform(as_numbers(Z, like=X)))


def overlap(probability):
    """Between 0, where some group has no such cases, and 1, where all have as many (m,)."""
    return probability.shape[1] * probability.min(axis=1)


def overlap_weights(probability):
    """Weights (m,) that are highest where all groups have cases: the harmonic mean of the propensities.

    F. Li and F. Li, "Propensity score weighting for causal inference with multiple treatments", 2019.
    """
    return 1 / np.sum(1 / np.maximum(probability, np.finfo(float).tiny), axis=1)
