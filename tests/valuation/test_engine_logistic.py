"""The compiled logistic engine against scikit-learn's own optimum, subset by subset and prefix by prefix."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from trustml.valuation._engines import BlackBoxEngine, Task, Truncation, compiled_engine
from trustml.valuation._engines._logistic import LogisticEngine

NEVER = Truncation(0.0, None, 1)
EXACT = {"tol": 1e-9, "max_iter": 20_000}


def make_task(n_classes=2, n_rows=40, n_features=5, n_val=60, scoring=None, weighted=False, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows + n_val, n_features))
    logits = X @ rng.normal(size=(n_features, n_classes)) + 0.5 * rng.gumbel(size=(n_rows + n_val, n_classes))
    y = logits.argmax(axis=1)
    y[:n_classes] = np.arange(n_classes)
    weight = rng.integers(0, 4, size=n_rows).astype(float) if weighted else np.ones(n_rows)
    return Task(X[:n_rows], y[:n_rows], weight, X[n_rows:], y[n_rows:], np.arange(n_classes), scoring, 0.0)


def real_task(load, n_rows, n_val, seed=0):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(y))[: n_rows + n_val]
    X, y, n_classes = X[rows], y[rows], y.max() + 1
    flipped = rng.choice(n_rows, n_rows // 5, replace=False)
    y[flipped] = (y[flipped] + rng.integers(1, n_classes, len(flipped))) % n_classes
    return Task(X[:n_rows], y[:n_rows], np.ones(n_rows), X[n_rows:], y[n_rows:], np.arange(n_classes), None, 0.0)


def reference(model, task):
    return BlackBoxEngine(clone(model).set_params(**EXACT), task, n_jobs=1, error_score="raise")


def random_masks(task, n_masks, seed=1):
    rng = np.random.default_rng(seed)
    masks = rng.random((n_masks, task.n_rows)) < rng.random((n_masks, 1))
    masks[(masks & (task.sample_weight > 0)).sum(axis=1) == 0] = True
    return masks


def prefixes(order, places):
    """Masks of the prefixes of an order that end at these places."""
    return np.argsort(order)[None] <= np.asarray(places)[:, None]


@pytest.mark.parametrize(
    ("model", "n_classes"),
    [
        (LogisticRegression(), 2),
        (LogisticRegression(C=0.01, fit_intercept=False), 2),
        (LogisticRegression(C=100.0, class_weight="balanced"), 2),
        (LogisticRegression(class_weight={0: 3.0, 1: 0.5}), 2),
        (LogisticRegression(), 4),
        (LogisticRegression(C=10.0, class_weight="balanced", fit_intercept=False), 3),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_log_losses_equal_scikit_learn(model, n_classes, weighted):
    """Log losses tell the coefficients apart where labels would not."""
    task = make_task(n_classes, scoring="neg_log_loss", weighted=weighted)
    assert compiled_engine(model, task) is LogisticEngine
    engine, exact = LogisticEngine(model, task), reference(model, task)
    masks = random_masks(task, 40)
    np.testing.assert_allclose(engine.score_subsets(masks), exact.score_subsets(masks), rtol=2e-3, atol=2e-4)

    orders = np.stack([np.random.default_rng(seed).permutation(task.n_rows) for _ in range(1) for seed in range(2)])
    walked = engine.walk(orders, np.tile(np.arange(task.n_rows), (2, 1)), NEVER)
    for lane, order in enumerate(orders):
        some = np.cumsum(task.sample_weight[order]) > 0
        expected = exact.score_subsets(prefixes(order, np.flatnonzero(some)))
        np.testing.assert_allclose(walked[lane, some], expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("scoring", [None, "balanced_accuracy"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_of_labels_equal_scikit_learn(n_classes, scoring):
    task = make_task(n_classes, scoring=scoring)
    masks = random_masks(task, 60)
    ours = LogisticEngine(LogisticRegression(), task).score_subsets(masks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = reference(LogisticRegression(), task).score_subsets(masks)
    assert np.mean(np.abs(ours - theirs) < 1e-6) >= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "n_rows", "n_val", "n_subsets"), [(load_breast_cancer, 100, 200, 600), (load_digits, 150, 300, 60)]
)
def test_995_of_1000_utilities_of_real_tables_equal_scikit_learn(load, n_rows, n_val, n_subsets):
    task = real_task(load, n_rows, n_val)
    model, exact = LogisticRegression(), reference(LogisticRegression(), task)
    engine = LogisticEngine(model, task)
    masks = random_masks(task, n_subsets)
    cold = np.abs(engine.score_subsets(masks) - exact.score_subsets(masks)) < 1e-6
    orders = np.stack([np.random.default_rng(seed).permutation(n_rows) for seed in range(6)])
    walked = engine.walk(orders, np.tile(np.arange(n_rows), (6, 1)), NEVER)
    warm = []
    for lane, order in enumerate(orders):
        places = np.random.default_rng(lane).choice(n_rows, n_subsets // 6, replace=False)
        warm.append(np.abs(walked[lane, places] - exact.score_subsets(prefixes(order, places))) < 1e-6)
    assert cold.mean() >= 0.995
    assert np.mean(warm) >= 0.995


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_badly_scaled_features_do_not_diverge(scale):
    """Undamped Newton steps are wrong on most prefixes of such data."""
    task = make_task(scoring="neg_log_loss", n_features=4)
    columns = scale ** np.array([0.0, 0.5, 1.0, -0.5])
    shifted = task.X * columns + 5 * columns, task.X_val * columns + 5 * columns
    task = Task(shifted[0], task.y, task.sample_weight, shifted[1], task.y_val, task.classes, "neg_log_loss", 0.0)
    model = LogisticRegression(solver="newton-cholesky")
    masks = random_masks(task, 20)
    expected = reference(model, task).score_subsets(masks)
    ours = LogisticEngine(model, task).score_subsets(masks)
    assert np.isfinite(ours).all()
    # A subset separated to a training loss below what float32 can solve for leaves open how sure the model is.
    fits = [clone(model).fit(task.X[mask], task.y[mask]) if np.ptp(task.y[mask]) else None for mask in masks]
    losses = [
        1.0 if fit is None else log_loss(task.y[mask], fit.predict_proba(task.X[mask]), normalize=False)
        for fit, mask in zip(fits, masks, strict=True)
    ]
    solvable = np.array(losses) > 1e-6
    assert solvable.sum() >= 19
    np.testing.assert_allclose(ours[solvable], expected[solvable], rtol=2e-3, atol=1e-3)


def test_separable_rows_with_a_weak_penalty():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-3, 1, size=(20, 2)), rng.normal(3, 1, size=(20, 2))])
    y = np.repeat([0, 1], 20)
    task = Task(X, y, np.ones(40), X, y, np.arange(2), "neg_log_loss", 0.0)
    model = LogisticRegression(C=1e3)
    masks = random_masks(task, 20)
    expected = reference(model, task).score_subsets(masks)
    np.testing.assert_allclose(LogisticEngine(model, task).score_subsets(masks), expected, atol=1e-3)


def test_constant_columns_and_fewer_rows_than_features():
    task = make_task(n_rows=9, n_features=12, scoring="neg_log_loss")
    task.X[:, 3], task.X_val[:, 3] = 1.0, 1.0
    masks = np.ones((1, 9), bool)
    expected = reference(LogisticRegression(), task).score_subsets(masks)
    engine = LogisticEngine(LogisticRegression(), task)
    np.testing.assert_allclose(engine.score_subsets(masks), expected, rtol=1e-3)


def test_padding_and_company_do_not_change_a_score():
    """41 rows are padded to more than 40; an order walked alone scores as it does among others."""
    for n_rows in (40, 41):
        task = make_task(n_rows=n_rows, scoring="neg_log_loss")
        engine = LogisticEngine(LogisticRegression(), task)
        orders = np.stack([np.random.default_rng(seed).permutation(n_rows) for seed in range(5)])
        together = np.concatenate(list(engine.score_prefixes(orders)), axis=1)
        alone = np.concatenate(list(engine.score_prefixes(orders[3:4])), axis=1)
        assert together.shape == (5, n_rows)
        np.testing.assert_allclose(together[3], alone[0], atol=2e-4)
        whole = engine.score_subsets(np.ones((1, n_rows), bool))
        np.testing.assert_allclose(together[:, -1], whole[0], atol=2e-4)


def test_values_of_c_and_folds_share_the_programs(count_compilations):
    orders = np.arange(50)[None]
    for n_rows in (50, 50):
        list(LogisticEngine(LogisticRegression(), make_task(n_rows=n_rows)).score_prefixes(orders))
    with count_compilations() as found:
        for C in (0.1, 3.0):
            list(LogisticEngine(LogisticRegression(C=C), make_task(n_rows=51)).score_prefixes(np.arange(51)[None]))
        weighted = LogisticRegression(class_weight="balanced")
        list(LogisticEngine(weighted, make_task(n_rows=49)).score_prefixes(np.arange(49)[None]))
    assert found.count == 0


@pytest.mark.parametrize(
    ("model", "scoring"),
    [
        (LogisticRegression(l1_ratio=0.5, solver="saga"), None),
        (LogisticRegression(solver="liblinear"), None),
        (LogisticRegression(C=np.inf), None),
        (LogisticRegression(), "roc_auc"),
    ],
)
def test_what_the_engine_cannot_reproduce_goes_to_joblib(model, scoring):
    assert compiled_engine(model, make_task(scoring=scoring)) is None
