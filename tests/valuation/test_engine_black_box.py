"""Any estimator through joblib: defined on every subset, the same for any number of jobs."""

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from trustml.valuation._engines import BlackBoxEngine, Task, Truncation


def make_task(scoring=None, weight=None):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 3)), np.repeat([0, 1, 2], 4)
    classes = np.array(["ant", "bee", "cat"])
    weight = np.ones(12) if weight is None else weight
    return Task(X, y, weight, rng.normal(size=(9, 3)), np.tile([0, 1, 2], 3), classes, scoring, 0.25)


def engine_for(estimator, task, **parameters):
    return BlackBoxEngine(estimator, task, **{"n_jobs": 1, "error_score": "raise"} | parameters)


def mask(*rows):
    return np.isin(np.arange(12), rows)[None]


def test_rows_of_one_class_make_the_constant_model():
    assert engine_for(SVC(), make_task()).score_subsets(mask(4, 5))[0] == pytest.approx(1 / 3)
    log_loss = engine_for(GaussianNB(), make_task("neg_log_loss")).score_subsets(mask(4, 5))[0]
    assert log_loss == pytest.approx(2 / 3 * np.log(np.finfo(float).eps))


def test_an_absent_class_has_probability_zero():
    task = make_task("neg_log_loss")
    rows = [0, 1, 2, 3, 4, 5, 6, 7]
    fitted = GaussianNB().fit(task.X[rows], task.y[rows])
    probabilities = np.zeros((9, 3))
    probabilities[:, :2] = fitted.predict_proba(task.X_val)
    own = np.clip(probabilities[np.arange(9), task.y_val], np.finfo(float).eps, 1)
    assert engine_for(GaussianNB(), task).score_subsets(mask(*rows))[0] == pytest.approx(np.log(own).mean())


def test_rows_of_weight_zero_are_absent():
    weight = np.ones(12)
    weight[[2, 7]] = 0
    tree = DecisionTreeClassifier(random_state=0)
    weighted = engine_for(tree, make_task(weight=weight)).score_subsets(np.ones((1, 12), bool))
    without = engine_for(tree, make_task()).score_subsets(~mask(2, 7))
    assert weighted == without
    assert engine_for(tree, make_task(weight=weight)).score_subsets(mask(2, 7))[0] == 0.25


def test_weights_that_a_model_cannot_take_are_refused():
    with pytest.raises(ValueError, match=r"sample_weight has unequal positive weights, but KNeighborsClassifier"):
        engine_for(KNeighborsClassifier(), make_task(weight=np.arange(12.0)))


def test_a_failing_fit_is_reported_or_scored():
    task = make_task()
    with pytest.raises(ValueError, match=r"could not be fitted to a subset of 2 training rows.*error_score"):
        engine_for(DecisionTreeClassifier(max_features=9.0), task).score_subsets(mask(0, 5))
    failing = engine_for(DecisionTreeClassifier(max_features=9.0), task, error_score=-1.0)
    assert failing.score_subsets(mask(0, 5))[0] == -1.0


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_walks_stop_where_the_scores_are_cut(n_jobs):
    task = make_task()
    tree = DecisionTreeClassifier(random_state=0)
    orders = np.stack([np.random.default_rng(s).permutation(12) for s in range(4)])
    ends = np.tile(np.arange(12), (4, 1))
    full = engine_for(tree, task).score_subsets(np.ones((1, 12), bool))[0]
    whole = engine_for(tree, task).walk(orders, ends, Truncation(full, None, 2))
    truncation = Truncation(full, 0.5, 2)
    cut = engine_for(tree, task, n_jobs=n_jobs).walk(orders, ends, truncation)
    cuts = truncation.cuts(whole)
    assert (cuts < 11).any()
    for lane in range(4):
        np.testing.assert_array_equal(cut[lane, : cuts[lane] + 1], whole[lane, : cuts[lane] + 1])


def test_truncation_waits_for_its_patience():
    truncation = Truncation(full_score=-2.0, tolerance=0.1, patience=2)
    scores = np.array([[-1.9, -1.0, -2.1, -2.0, -1.0], [-1.0, -1.9, -1.0, -1.9, -1.0], [-2.0, -2.0, 0, 0, 0]])
    np.testing.assert_array_equal(truncation.cuts(scores), [3, 5, 1])
    np.testing.assert_array_equal(Truncation(-2.0, None, 2).cuts(scores), [5, 5, 5])
