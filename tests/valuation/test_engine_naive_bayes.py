"""The compiled engine of Gaussian naive Bayes against scikit-learn's own fits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import get_scorer
from sklearn.naive_bayes import GaussianNB

from trustml.valuation._engines._naive_bayes import NaiveBayesEngine
from trustml.valuation._engines._task import Task

SMALLEST = np.log(np.finfo(float).eps)


def make_task(n_classes=3, n_rows=40, n_val=25, n_features=5, scoring=None, weighted=False, seed=0):
    rng = np.random.default_rng(seed)
    X, X_val = rng.normal(size=(n_rows, n_features)), rng.normal(size=(n_val, n_features))
    coef = rng.normal(size=n_features)
    y = np.clip(np.digitize(X @ coef, [-0.7, 0.7]), 0, n_classes - 1)
    y_val = np.clip(np.digitize(X_val @ coef, [-0.7, 0.7]), 0, n_classes - 1)
    scale, origin = 10.0 ** rng.integers(-2, 3, size=n_features), rng.normal(size=n_features) * 100
    weight = rng.exponential(size=n_rows) * (rng.random(n_rows) < 0.8) if weighted else np.ones(n_rows)
    return Task(X * scale + origin, y, weight, X_val * scale + origin, y_val, np.arange(n_classes), scoring, 0.0)


def reference(model, task, rows):
    """Score by scikit-learn of the model fitted to the rows numbered ``rows``.

    The log loss is computed from log-probabilities: scikit-learn's, from probabilities, is that of 1 - (1 -
    p) for two classes and loses the digits of a small p.
    """
    rows = np.sort(rows[task.sample_weight[rows] > 0])
    known = np.unique(task.y[rows])
    log_probability = np.full((len(task.y_val), len(task.classes)), -np.inf)
    if len(known) == 1:
        log_probability[:, known] = 0.0
    else:
        fitted = clone(model).fit(task.X[rows], task.y[rows], sample_weight=task.sample_weight[rows])
        log_probability[:, known] = fitted.predict_log_proba(task.X_val)
    if task.scoring == "neg_log_loss":
        own = log_probability[np.arange(len(task.y_val)), task.y_val]
        return np.mean(np.clip(own, SMALLEST, 0))
    hit = log_probability.argmax(axis=1) == task.y_val
    if task.scoring == "balanced_accuracy":
        return np.mean([hit[task.y_val == code].mean() for code in np.unique(task.y_val)])
    return hit.mean()


@pytest.mark.parametrize(
    ("n_classes", "var_smoothing", "scoring", "weighted"),
    [
        (2, 1e-9, None, False),
        (2, 1e-9, "neg_log_loss", True),
        (2, 1e-14, "neg_log_loss", True),
        (3, 1e-9, "neg_log_loss", False),
        (3, 0.1, "neg_log_loss", False),
        (3, 1e-9, "balanced_accuracy", True),
    ],
)
def test_subsets_and_prefixes_equal_scikit_learn(n_classes, var_smoothing, scoring, weighted):
    task, model = make_task(n_classes, scoring=scoring, weighted=weighted), GaussianNB(var_smoothing=var_smoothing)
    assert NaiveBayesEngine.accepts(model, task)
    engine, rng = NaiveBayesEngine(model, task), np.random.default_rng(1)
    masks = rng.random((30, 40)) < rng.random((30, 1))
    masks[(masks & (task.sample_weight > 0)).sum(axis=1) == 0] = True
    expected = [reference(model, task, np.flatnonzero(mask)) for mask in masks]
    np.testing.assert_allclose(engine.score_subsets(masks), expected, rtol=1e-6)

    orders = np.stack([rng.permutation(40) for _ in range(3)])
    scores = np.concatenate(list(engine.score_prefixes(orders)), axis=1)
    for order, row in zip(orders, scores, strict=True):
        # The first rows may be of weight zero: the game, not the engine, scores such prefixes.
        ends = np.flatnonzero(np.cumsum(task.sample_weight[order]))[::3]
        expected = [reference(model, task, order[: end + 1]) for end in ends]
        np.testing.assert_allclose(row[ends], expected, rtol=1e-6)


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
def test_equals_the_scorer_of_scikit_learn_where_no_probability_is_tiny(scoring):
    rng = np.random.default_rng(0)
    X, X_val = rng.normal(size=(60, 2)), rng.normal(size=(30, 2))
    y, y_val = rng.integers(0, 2, size=60), rng.integers(0, 2, size=30)
    task = Task(X, y, np.ones(60), X_val, y_val, np.arange(2), scoring, 0.0)
    masks = rng.random((30, 60)) < 0.7
    expected = [get_scorer(scoring)(GaussianNB().fit(X[mask], y[mask]), X_val, y_val) for mask in masks]
    np.testing.assert_allclose(NaiveBayesEngine(GaussianNB(), task).score_subsets(masks), expected, rtol=1e-9)


def test_digits_with_constant_columns_and_more_rows_than_a_block():
    X, y = load_digits(return_X_y=True)
    task = Task(X[:150], y[:150], np.ones(150), X[150:200], y[150:200], np.arange(10), "neg_log_loss", 0.0)
    rng = np.random.default_rng(0)
    orders = np.stack([rng.permutation(150) for _ in range(2)])
    engine = NaiveBayesEngine(GaussianNB(), task)
    prefixes = np.concatenate(list(engine.score_prefixes(orders)), axis=1)
    masks = (np.argsort(orders, axis=1)[:, None, :] <= np.arange(150)[:, None]).reshape(-1, 150)
    np.testing.assert_allclose(engine.score_subsets(masks), prefixes.ravel(), rtol=1e-7)
    expected = [reference(GaussianNB(), task, orders[0, : end + 1]) for end in range(0, 150, 10)]
    np.testing.assert_allclose(prefixes[0, ::10], expected, rtol=1e-6)


def test_a_long_stream_far_from_the_origin_stays_accurate():
    task = make_task(n_rows=3000, scoring="neg_log_loss", weighted=True)
    task = replace(task, X=task.X + 1e4, X_val=task.X_val + 1e4)
    order = np.random.default_rng(0).permutation(3000)
    *_, last = NaiveBayesEngine(GaussianNB(), task).score_prefixes(order[None])
    assert last[0, -1] == pytest.approx(reference(GaussianNB(), task, order), rel=1e-8)


def test_rows_that_are_all_the_same_leave_the_prior():
    """Their variance is zero, so that scikit-learn divides zero by zero: the limit of a vanishing variance is meant."""
    X = np.array([[0.1, 0.7], [0.1, 0.7], [0.1, 0.7], [2.0, 3.0]])
    task = Task(X, np.array([0, 1, 1, 0]), np.ones(4), X[[0, 3]], np.array([0, 1]), np.arange(2), "neg_log_loss", 0.0)
    engine = NaiveBayesEngine(GaussianNB(), task)
    expected = np.mean(np.log([1 / 3, 2 / 3]))
    assert engine.score_subsets(np.array([[True, True, True, False]])) == pytest.approx([expected])
    (prefixes,) = engine.score_prefixes(np.array([[1, 0, 2, 3]]))
    np.testing.assert_allclose(prefixes[0, :3], [SMALLEST / 2, np.log(0.5), expected])
    assert np.isfinite(prefixes).all()


def test_rows_of_a_single_class_make_the_constant_model():
    task = make_task(3)
    engine = NaiveBayesEngine(GaussianNB(), task)
    for code in range(3):
        share = np.mean(task.y_val == code)
        assert engine.score_subsets((task.y == code)[None]) == pytest.approx([share])
        loss = NaiveBayesEngine(GaussianNB(), replace(task, scoring="neg_log_loss"))
        assert loss.score_subsets((task.y == code)[None]) == pytest.approx([(1 - share) * SMALLEST])


@settings(max_examples=10, deadline=None)
@given(
    n_rows=st.integers(1, 8),
    n_val=st.integers(1, 8),
    seed=st.integers(0, 1000),
    weighted=st.booleans(),
)
def test_any_size_and_any_chunk(n_rows, n_val, seed, weighted):
    """Padding of rows, validation rows and lanes changes nothing."""
    task = make_task(2, n_rows=n_rows, n_val=n_val, scoring="neg_log_loss", seed=seed, weighted=weighted)
    task.sample_weight[0] = 1.0
    engine, rng = NaiveBayesEngine(GaussianNB(), task), np.random.default_rng(seed)
    masks = rng.random((5, n_rows)) < 0.6
    masks[:, 0] = True
    scores = engine.score_subsets(masks)
    expected = [reference(GaussianNB(), task, np.flatnonzero(mask)) for mask in masks]
    np.testing.assert_allclose(scores, expected, rtol=1e-6, atol=1e-12)
    with config_context(working_memory=0.001):
        np.testing.assert_allclose(engine.score_subsets(masks), scores, rtol=1e-12, atol=1e-12)


def test_moving_and_scaling_the_features_or_the_weights_changes_nothing():
    task = make_task(scoring="neg_log_loss", weighted=True)
    masks = np.random.default_rng(0).random((20, 40)) < 0.5
    scores = NaiveBayesEngine(GaussianNB(), task).score_subsets(masks)
    moved = replace(task, X=4 * task.X + 64, X_val=4 * task.X_val + 64, sample_weight=8 * task.sample_weight)
    np.testing.assert_allclose(NaiveBayesEngine(GaussianNB(), moved).score_subsets(masks), scores, rtol=1e-7)


class Subclass(GaussianNB):
    pass


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (Subclass(), {}),
        (GaussianNB(priors=[0.2, 0.3, 0.5]), {}),
        (GaussianNB(var_smoothing=0), {}),
        (GaussianNB(), {"scoring": "roc_auc_ovr"}),
        (GaussianNB(), {"scoring": get_scorer("accuracy")}),
        (GaussianNB(), {"classes": None}),
        # scikit-learn takes so light a class for an empty one.
        (GaussianNB(), {"sample_weight": np.full(40, 1e-9)}),
    ],
)
def test_what_the_engine_cannot_reproduce_is_not_accepted(model, change):
    assert not NaiveBayesEngine.accepts(model, replace(make_task(), **change))
