"""The compiled ridge engine against scikit-learn's own fits, subset by subset and prefix by prefix."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge, RidgeClassifier
from sklearn.metrics import get_scorer

from trustml.valuation._engines import BlackBoxEngine, Task, Truncation, compiled_engine
from trustml.valuation._engines._ridge import RidgeEngine

RNG = np.random.default_rng(0)
NEVER = Truncation(0.0, None, 1)


def make_task(n_classes=None, n_rows=40, n_features=6, n_val=25, scoring=None, weighted=False, seed=0):
    rng = np.random.default_rng(seed)
    X, X_val = rng.normal(size=(n_rows, n_features)) + 3, rng.normal(size=(n_val, n_features)) + 3
    coef = rng.normal(size=n_features)
    y, y_val = X @ coef + rng.normal(size=n_rows), X_val @ coef + rng.normal(size=n_val)
    classes = None
    if n_classes is not None:
        cuts = np.quantile(y, np.arange(1, n_classes) / n_classes)
        y, y_val, classes = np.digitize(y, cuts), np.digitize(y_val, cuts), np.arange(n_classes)
    weight = rng.integers(0, 4, size=n_rows).astype(float) if weighted else np.ones(n_rows)
    return Task(X, y, weight, X_val, y_val, classes, scoring, 0.0)


MODELS = [
    (Ridge(), None, None),
    (Ridge(alpha=0.1, fit_intercept=False), None, "neg_mean_absolute_error"),
    (Ridge(alpha=50), None, "neg_root_mean_squared_error"),
    (LinearRegression(), None, "neg_mean_squared_error"),
    (LinearRegression(fit_intercept=False), None, "r2"),
    (RidgeClassifier(), 2, None),
    (RidgeClassifier(alpha=3, fit_intercept=False), 2, "balanced_accuracy"),
    (RidgeClassifier(), 4, "accuracy"),
]


@pytest.mark.parametrize(("model", "n_classes", "scoring"), MODELS)
@pytest.mark.parametrize("weighted", [False, True])
def test_subsets_and_prefixes_equal_scikit_learn(model, n_classes, scoring, weighted):
    task = make_task(n_classes, scoring=scoring, weighted=weighted)
    engine, reference = RidgeEngine(model, task), BlackBoxEngine(model, task, n_jobs=1, error_score="raise")
    assert compiled_engine(model, task) is RidgeEngine
    masks = RNG.random((60, task.n_rows)) < RNG.random((60, 1))
    masks[(masks & (task.sample_weight > 0)).sum(axis=1) == 0] = True
    expected = reference.score_subsets(masks)
    np.testing.assert_allclose(engine.score_subsets(masks), expected, rtol=1e-6, atol=1e-8)

    orders = np.stack([RNG.permutation(task.n_rows) for _ in range(3)])
    # The first rows may all be of weight zero: the game, not the engine, scores such prefixes.
    some = np.cumsum(task.sample_weight[orders], axis=1) > 0
    ends = np.tile(np.arange(task.n_rows), (3, 1))
    expected = reference.walk(orders, ends, NEVER)
    expected[:, -1] = reference.score_subsets(np.ones((1, task.n_rows), bool))
    walked = engine.walk(orders, ends, NEVER)
    np.testing.assert_allclose(walked[some], expected[some], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("model", [Ridge(), LinearRegression()])
def test_long_stream_stays_accurate(model):
    task = make_task(n_rows=3000, n_features=10, scoring="neg_mean_squared_error")
    order = RNG.permutation(3000)[None]
    *_, last = RidgeEngine(model, task).score_prefixes(order)
    fitted = model.fit(task.X, task.y)
    expected = get_scorer("neg_mean_squared_error")(fitted, task.X_val, task.y_val)
    np.testing.assert_allclose(last[0, -1], expected, rtol=1e-9)


def test_repeated_rows_do_not_break_the_smallest_norm_model():
    """Duplicates and a constant column add no direction to the span."""
    task = make_task(n_rows=12, n_features=8, scoring="neg_mean_squared_error")
    X = np.concatenate([task.X[:6], task.X[:6]])
    X[:, 3] = 1.0
    task = Task(X, np.tile(task.y[:6], 2), task.sample_weight, task.X_val, task.y_val, None, task.scoring, 0.0)
    orders = np.stack([np.arange(12), np.arange(12)[::-1]])
    walked = RidgeEngine(LinearRegression(), task).walk(orders, np.tile(np.arange(12), (2, 1)), NEVER)
    reference = BlackBoxEngine(LinearRegression(), task, n_jobs=1, error_score="raise")
    expected = reference.walk(orders, np.tile(np.arange(12), (2, 1)), Truncation(walked[0, -1], None, 1))
    np.testing.assert_allclose(walked, expected, rtol=1e-7)


def test_score_does_not_depend_on_how_many_orders_are_walked():
    task = make_task()
    engine, orders = RidgeEngine(Ridge(), task), np.stack([RNG.permutation(40) for _ in range(5)])
    together = np.concatenate(list(engine.score_prefixes(orders)), axis=1)
    alone = np.concatenate(list(engine.score_prefixes(orders[3:4])), axis=1)
    np.testing.assert_allclose(together[3], alone[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("model", "n_classes", "scoring"),
    [
        (Ridge(positive=True), None, None),
        # With fewer rows than features scikit-learn solves a singular system here, whose answer means nothing.
        (Ridge(alpha=0), None, None),
        (RidgeClassifier(alpha=0), 2, None),
        (Ridge(alpha=[1.0] * 3), None, None),
        (RidgeClassifier(class_weight="balanced"), 2, None),
        (RidgeClassifier(), 2, "roc_auc"),
        (Ridge(), None, "explained_variance"),
        (LinearRegression(positive=True), None, None),
    ],
)
def test_what_the_engine_cannot_reproduce_goes_to_joblib(model, n_classes, scoring):
    assert compiled_engine(model, make_task(n_classes, scoring=scoring)) is None


def test_a_subclass_is_not_taken_for_its_parent():
    class MyRidge(Ridge):
        pass

    assert compiled_engine(MyRidge(), make_task()) is None
