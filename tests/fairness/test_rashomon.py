"""Refits against the exact set of good models, and against the definitions."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.tree import DecisionTreeClassifier

from trustml.fairness import rashomon_ensemble


def binary():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    return X, np.where(X[:, 0] + rng.normal(size=150) > 0, "yes", "no")


def test_definitions():
    X, y = binary()
    found = rashomon_ensemble(LogisticRegression(), X, y, n_refits=20, epsilon=0.05, delta=0.05, random_state=0)
    assert len(found.estimators) == 21
    assert found.is_good[0]
    assert (found.losses[found.is_good] <= 1.05 * found.losses[0]).all()
    h = found.probabilities[:, :, 1]
    np.testing.assert_array_equal(found.viable_range, np.stack([h.min(axis=0), h.max(axis=0)], axis=1))
    conflict = np.abs(h - h[0]) >= 0.05
    assert found.ambiguity == conflict.any(axis=0).mean()
    assert found.discrepancy == conflict.mean(axis=1).max() <= found.ambiguity
    np.testing.assert_allclose(h[0], LogisticRegression().fit(X, y).predict_proba(X)[:, 1])


def test_no_slack_and_no_randomness():
    X, y = binary()
    found = rashomon_ensemble(LogisticRegression(), X, y, n_refits=3, epsilon=0, resample="seed", random_state=0)
    assert found.is_good.all()
    assert found.ambiguity == found.discrepancy == 0


def test_several_classes_and_a_class_that_a_resample_misses():
    X, y = load_iris(return_X_y=True)
    X, y = np.vstack([X[:100], X[-1:]]), np.append(y[:100], 2)
    tree = DecisionTreeClassifier(min_samples_leaf=5)
    found = rashomon_ensemble(tree, X, y, n_refits=5, epsilon=10, random_state=0)
    assert found.viable_range.shape == (101, 3, 2)
    np.testing.assert_allclose(found.probabilities.sum(axis=2), 1)


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        (RidgeClassifier(), {}, "predict_proba"),
        (LogisticRegression(), {"X_eval": [[0.0] * 3]}, "y_eval"),
        (LogisticRegression(), {"X_eval": [[0.0] * 3], "y_eval": ["maybe"]}, "maybe"),
        (LogisticRegression(), {"n_refits": 0}, "n_refits"),
    ],
)
def test_bad_input(estimator, options, message):
    with pytest.raises(ValueError, match=message):
        rashomon_ensemble(estimator, *binary(), **options)
