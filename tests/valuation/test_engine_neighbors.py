"""The compiled engine of nearest neighbours against scikit-learn's own fits, and against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.metrics import get_scorer
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from trustml.valuation._engines._black_box import SubsetClassifier
from trustml.valuation._engines._neighbors import NeighborsEngine
from trustml.valuation._engines._task import Task
from trustml.valuation._knn import knn_shapley
from trustml.valuation._semivalue import semivalue


def make_task(n_classes=None, n_rows=40, n_val=25, scoring=None, seed=0):
    rng = np.random.default_rng(seed)
    X, X_val = rng.normal(size=(n_rows, 4)), rng.normal(size=(n_val, 4))
    coef = rng.normal(size=4)
    y, y_val = X @ coef + rng.normal(size=n_rows), X_val @ coef + rng.normal(size=n_val)
    classes = None
    if n_classes is not None:
        cuts = np.quantile(y, np.arange(1, n_classes) / n_classes)
        y, y_val, classes = np.digitize(y, cuts), np.digitize(y_val, cuts), np.arange(n_classes)
    return Task(X, y, np.ones(n_rows), X_val, y_val, classes, scoring, 0.0)


def reference(model, task, rows):
    """Score by scikit-learn of the model fitted to the rows numbered ``rows``, of at most as many neighbours."""
    rows = np.sort(rows[task.sample_weight[rows] > 0])
    fitted = clone(model).set_params(n_neighbors=min(model.n_neighbors, len(rows))).fit(task.X[rows], task.y[rows])
    scorer = get_scorer(task.scoring or ("r2" if task.classes is None else "accuracy"))
    if task.classes is not None:
        fitted = SubsetClassifier(fitted, fitted.classes_, task.classes)
    return scorer(fitted, task.X_val, task.y_val)


MODELS = [
    (KNeighborsClassifier(), 2, None),
    (KNeighborsClassifier(n_neighbors=1), 4, "balanced_accuracy"),
    (KNeighborsClassifier(n_neighbors=4, weights="distance"), 3, "neg_log_loss"),
    (KNeighborsClassifier(n_neighbors=7, metric="cosine", weights=None), 3, "neg_log_loss"),
    (KNeighborsClassifier(n_neighbors=100, p=3, weights="distance"), 2, None),
    (KNeighborsRegressor(), None, None),
    (KNeighborsRegressor(n_neighbors=30, metric="sqeuclidean", weights="distance"), None, "neg_mean_squared_error"),
    (KNeighborsRegressor(n_neighbors=3, weights="distance"), None, "neg_mean_absolute_error"),
]


@pytest.mark.parametrize(("model", "n_classes", "scoring"), MODELS)
def test_subsets_and_prefixes_equal_scikit_learn(model, n_classes, scoring):
    task = make_task(n_classes, scoring=scoring)
    # A validation row that is also a training row, twice: distance zero silences all other neighbours.
    task.X_val[0] = task.X[5] = task.X[6]
    task.y[6] = task.y[5]
    task.sample_weight[::7] = 0
    assert NeighborsEngine.accepts(model, task)
    engine, rng = NeighborsEngine(model, task), np.random.default_rng(1)
    masks = rng.random((20, 40)) < rng.random((20, 1))
    masks[(masks & (task.sample_weight > 0)).sum(axis=1) == 0] = True
    expected = [reference(model, task, np.flatnonzero(mask)) for mask in masks]
    np.testing.assert_allclose(engine.score_subsets(masks), expected, rtol=1e-12, atol=1e-13)

    orders = np.stack([rng.permutation(40) for _ in range(3)])
    scores = np.concatenate(list(engine.score_prefixes(orders)), axis=1)
    for order, row in zip(orders, scores, strict=True):
        # The first rows may be of weight zero: the game, not the engine, scores such prefixes.
        ends = np.flatnonzero(np.cumsum(task.sample_weight[order]))[::6]
        expected = [reference(model, task, order[: end + 1]) for end in ends]
        np.testing.assert_allclose(row[ends], expected, rtol=1e-12, atol=1e-13)


def test_labels_and_prefixes_beyond_one_block():
    """More rows than a block of prefixes, more subsets than a chunk, and neighbours deep in the order."""
    task, rng = make_task(3, n_rows=150, n_val=7), np.random.default_rng(0)
    engine = NeighborsEngine(KNeighborsClassifier(n_neighbors=20), task)
    orders = np.stack([rng.permutation(150) for _ in range(2)])
    prefixes = np.concatenate(list(engine.score_prefixes(orders)), axis=1)
    assert prefixes.shape == (2, 150)
    masks = np.argsort(orders, axis=1)[:, None, :] <= np.arange(150)[:, None]
    np.testing.assert_allclose(engine.score_subsets(masks.reshape(-1, 150)).reshape(2, 150), prefixes, atol=1e-14)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("n_classes", [None, 3])
def test_ties_go_to_the_lower_row_number(weights, n_classes):
    """On integer coordinates, by a plain sort on (distance, row number)."""
    rng = np.random.default_rng(0)
    X, X_val = rng.integers(0, 3, size=(30, 2)).astype(float), rng.integers(0, 3, size=(8, 2)) + 0.0
    y, y_val = rng.integers(0, 3, size=30), rng.integers(0, 3, size=8)
    classes = None if n_classes is None else np.arange(3)
    model = (KNeighborsRegressor if n_classes is None else KNeighborsClassifier)(n_neighbors=4, weights=weights)
    if n_classes is None:
        y, y_val = y + 0.0, y_val + 0.0
    task = Task(X, y, np.ones(30), X_val, y_val, classes, None if n_classes else "neg_mean_squared_error", 0.0)
    engine = NeighborsEngine(model, task)

    def plain(members):
        predictions = []
        for x in X_val:
            distance = np.sqrt(((X - x) ** 2).sum(axis=1))
            nearest = sorted(members, key=lambda i: (distance[i], i))[:4]
            exact = [distance[i] == 0 for i in nearest]
            with np.errstate(divide="ignore"):
                votes = exact if any(exact) else 1 / distance[nearest]
            votes = np.ones(len(nearest)) if weights == "uniform" else np.array(votes, dtype=float)
            if n_classes is None:
                predictions.append(votes @ y[nearest] / votes.sum())
            else:
                predictions.append(np.argmax(np.bincount(y[nearest], votes, minlength=3)))
        predictions = np.array(predictions)
        return np.mean(predictions == y_val) if n_classes else -np.mean((predictions - y_val) ** 2)

    masks = rng.random((25, 30)) < rng.uniform(0.1, 1, size=(25, 1))
    masks[:, 0] |= ~masks.any(axis=1)
    expected = [plain(np.flatnonzero(mask)) for mask in masks]
    np.testing.assert_allclose(engine.score_subsets(masks), expected, rtol=1e-12)
    order = rng.permutation(30)
    (prefixes,) = engine.score_prefixes(order[None])
    expected = [plain(order[: end + 1]) for end in range(30)]
    np.testing.assert_allclose(prefixes[0], expected, rtol=1e-12)


def line_task(n_neighbors):
    """Mean hits of the nearest of five rows on a line, as a regression of hits whose truth is one."""
    task = Task(
        np.arange(5.0)[:, None],
        np.array([1.0, 0, 1, 0, 1]),
        np.ones(5),
        np.array([[-1.0]]),
        np.array([1.0]),
        None,
        "neg_mean_absolute_error",
        0.0,
    )
    return NeighborsEngine(KNeighborsRegressor(n_neighbors=n_neighbors), task)


def test_leave_one_out_and_banzhaf_of_five_rows_on_a_line():
    """By hand: v(S) = mean hits of the two nearest, or of the nearest, minus one."""
    full = np.ones((1, 5), bool)
    two = line_task(2)
    np.testing.assert_allclose(two.score_subsets(full) - two.score_subsets(~np.eye(5, dtype=bool)), [0, -0.5, 0, 0, 0])
    one = line_task(1)
    banzhaf = semivalue(
        lambda masks: np.where(masks.any(axis=1), one.score_subsets(masks), -1), 5, kind="banzhaf"
    ).values
    np.testing.assert_allclose(banzhaf, [0.6875, -0.3125, 0.1875, -0.0625, 0.0625], atol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 9])
def test_exact_shapley_of_its_game_is_the_closed_form(k):
    """The soft-label utility is the score of this regression of hits, up to a constant."""
    engine = line_task(k)
    values = semivalue(lambda masks: np.where(masks.any(axis=1), engine.score_subsets(masks), -0.5), 5).values
    expected = knn_shapley(np.arange(5.0)[:, None], [0, 1, 0, 1, 0], [[-1]], [0], n_neighbors=k, variant="soft")
    np.testing.assert_allclose(values, expected, atol=1e-12)


def test_a_class_that_no_row_has_is_never_predicted():
    task = make_task(3, scoring="neg_log_loss")
    (one,) = NeighborsEngine(KNeighborsClassifier(), task).score_subsets((task.y == 1)[None])
    share = np.mean(task.y_val != 1)
    assert one == pytest.approx(share * np.log(np.finfo(float).eps))
    accuracy = NeighborsEngine(KNeighborsClassifier(), replace(task, scoring=None))
    assert accuracy.score_subsets((task.y == 1)[None]) == pytest.approx([1 - share])


@settings(max_examples=10, deadline=None)
@given(n_rows=st.integers(3, 15), n_val=st.integers(1, 8), seed=st.integers(0, 1000), regress=st.booleans())
def test_any_size_and_any_chunk(n_rows, n_val, seed, regress):
    """Padding of rows, validation rows and lanes changes nothing: each subset alone has the score it has in a batch."""
    task = make_task(None if regress else 2, n_rows=n_rows, n_val=n_val, seed=seed)
    if regress:
        task, model = replace(task, scoring="neg_mean_squared_error"), KNeighborsRegressor(n_neighbors=3)
    else:
        task, model = replace(task, y=np.arange(n_rows) % 2, classes=np.arange(2)), KNeighborsClassifier(3)
    engine, rng = NeighborsEngine(model, task), np.random.default_rng(seed)
    masks = rng.random((5, n_rows)) < 0.6
    masks[:, 0] = True
    scores = engine.score_subsets(masks)
    expected = [reference(model, task, np.flatnonzero(mask)) for mask in masks]
    np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-14)
    with config_context(working_memory=0.001):
        np.testing.assert_array_equal(NeighborsEngine(model, task).score_subsets(masks), scores)


def test_score_does_not_depend_on_how_many_orders_are_walked():
    task = make_task(3)
    engine = NeighborsEngine(KNeighborsClassifier(weights="distance"), task)
    orders = np.stack([np.random.default_rng(i).permutation(40) for i in range(5)])
    together = np.concatenate(list(engine.score_prefixes(orders)), axis=1)
    alone = np.concatenate(list(engine.score_prefixes(orders[3:4])), axis=1)
    np.testing.assert_array_equal(together[3], alone[0])


class Subclass(KNeighborsClassifier):
    pass


@pytest.mark.parametrize(
    ("model", "n_classes", "scoring"),
    [
        (Subclass(), 2, None),
        (KNeighborsClassifier(weights=lambda distance: distance), 2, None),
        (KNeighborsClassifier(metric="mahalanobis"), 2, None),
        (KNeighborsClassifier(metric="precomputed"), 2, None),
        (KNeighborsClassifier(metric=lambda a, b: 0.0), 2, None),
        (KNeighborsClassifier(metric_params={"w": np.ones(4)}), 2, None),
        (KNeighborsClassifier(p=np.inf), 2, None),
        (KNeighborsClassifier(n_neighbors=0), 2, None),
        (KNeighborsClassifier(), 2, "roc_auc"),
        (KNeighborsClassifier(), 2, get_scorer("accuracy")),
        (KNeighborsRegressor(), None, "explained_variance"),
        (KNeighborsRegressor(), 2, None),
        (KNeighborsClassifier(), None, None),
    ],
)
def test_what_the_engine_cannot_reproduce_is_not_accepted(model, n_classes, scoring):
    assert not NeighborsEngine.accepts(model, make_task(n_classes, scoring=scoring))


def test_unequal_weights_are_not_accepted():
    task = make_task(2)
    for first, accepted in ((0.0, True), (1.0, True), (2.0, False)):
        weight = np.ones(40)
        weight[0] = first
        assert NeighborsEngine.accepts(KNeighborsClassifier(), replace(task, sample_weight=weight)) is accepted
