"""Nearest-neighbour Shapley values against enumeration of all subsets, closed forms and invariances."""

from itertools import combinations, permutations, product
from math import factorial

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn import config_context
from sklearn.datasets import load_digits, load_iris
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from trustml.valuation._knn import KNNShapley, knn_shapley
from trustml.valuation._knn_kernels import hard_values, hard_values_tied, regression_values, regression_values_tied
from trustml.valuation._neighbour_order import sorted_neighbours

VARIANTS = ("hard", "soft", "regression")


def utility(variant, y, truth, k, n_classes):
    """Score of a tuple of rows numbered by their distance to one validation row."""

    def score(rows):
        nearest = sorted(rows)[:k]
        if variant == "regression":
            return -((sum(y[i] for i in nearest) / k - truth) ** 2)
        hits = sum(y[i] == truth for i in nearest)
        if variant == "hard":
            return hits / k
        return hits / len(nearest) if nearest else 1 / n_classes

    return score


def enumerated(score, n):
    """Shapley values by definition: a sum over all subsets."""
    scores = {rows: score(rows) for size in range(n + 1) for rows in combinations(range(n), size)}
    values = np.zeros(n)
    for rows, value in scores.items():
        weight = factorial(len(rows) - 1) * factorial(n - len(rows)) / factorial(n) if rows else 0
        for i in rows:
            values[i] += weight * (value - scores[tuple(j for j in rows if j != i)])
    return values


def enumerated_over_ties(variant, y, truth, k, n_classes, runs):
    """The mean of the above over all orders of rows with equal entries in ``runs``."""
    tied = [list(permutations(np.flatnonzero(runs == run))) for run in np.unique(runs)]
    orders = [np.concatenate(parts).astype(int) for parts in product(*tied)]
    values = np.zeros(len(y))
    for order in orders:
        values[order] += enumerated(utility(variant, y[order], truth, k, n_classes), len(y))
    return values / len(orders)


def labelled(variant, n, rng):
    if variant == "regression":
        return rng.normal(size=n), float(rng.normal())
    return rng.integers(0, 3, size=n), 1


LINE = np.arange(5.0)[:, None]


@pytest.mark.parametrize(
    ("variant", "k", "expected"),
    [
        ("hard", 1, [0.783333, -0.216667, 0.283333, -0.05, 0.2]),
        ("hard", 2, [0.283333, -0.216667, 0.283333, -0.05, 0.2]),
        ("hard", 3, [0.283333, -0.05, 0.283333, -0.05, 0.2]),
        ("soft", 2, [0.233333, -0.391667, 0.233333, -0.225, 0.15]),
        ("soft", 3, [0.266667, -0.275, 0.266667, -0.275, 0.183333]),
    ],
)
def test_five_rows_on_a_line(variant, k, expected):
    values = knn_shapley(LINE, [0, 1, 0, 1, 0], [[-1.0]], [0], n_neighbors=k, variant=variant)
    np.testing.assert_allclose(values, expected, atol=5e-7)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
def test_equals_enumeration_for_every_number_of_neighbours(variant, n):
    rng = np.random.default_rng(n)
    X = np.arange(n, dtype=float)[:, None]
    for k in range(1, n + 4):
        y, truth = labelled(variant, n, rng)
        values = knn_shapley(X, y, [[-1.0]], [truth], n_neighbors=k, variant=variant)
        expected = enumerated(utility(variant, y, truth, k, len(np.unique(y))), n)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("runs", [[0, 0], [0, 0, 0, 1, 1], [0, 1, 1, 2, 3, 3], [0, 0, 0, 0], [0, 1, 1, 1, 2]])
def test_ties_are_averaged_over_their_orders(variant, runs):
    rng = np.random.default_rng(len(runs))
    X = np.array(runs, dtype=float)[:, None]
    for k in (1, 2, 3, 4, 6):
        y, truth = labelled(variant, len(runs), rng)
        values = knn_shapley(X, y, [[-1.0]], [truth], n_neighbors=k, variant=variant)
        expected = enumerated_over_ties(variant, y, truth, k, len(np.unique(y)), np.array(runs))
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


def test_one_and_two_rows_by_hand():
    assert knn_shapley([[0.0]], [1], [[5.0]], [1], n_neighbors=3) == pytest.approx([1 / 3])
    assert knn_shapley([[0.0]], [1], [[5.0]], [1], n_neighbors=3, variant="soft") == pytest.approx([0])
    # v(empty) = -4, v(row) = -(3 / 2 - 2)^2.
    value = knn_shapley([[0.0]], [3.0], [[5.0]], [2.0], n_neighbors=2, variant="regression")
    assert value == pytest.approx([-0.25 + 4])
    assert knn_shapley([[0.0], [1.0]], [1, 0], [[0.0]], [1], n_neighbors=1) == pytest.approx([1, 0])


def example(variant, n=30, m=12, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X, X_val = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    if variant == "regression":
        return X, rng.normal(size=n), X_val, rng.normal(size=m)
    return X, rng.integers(0, 3, size=n), X_val, rng.integers(0, 3, size=m)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("k", [1, 4, 29, 30, 50])
def test_values_add_up_to_the_gain_over_no_row(variant, k):
    X, y, X_val, y_val = example(variant)
    nearest = np.argsort(cdist(X_val, X), axis=1)[:, :k]
    votes = y[nearest] if variant == "regression" else y[nearest] == y_val[:, None]
    if variant == "regression":
        gain = np.mean(y_val**2 - (votes.sum(axis=1) / k - y_val) ** 2)
    else:
        gain = votes.sum() / len(votes) / k if variant == "hard" else votes.mean() - 1 / 3
    values = knn_shapley(X, y, X_val, y_val, n_neighbors=k, variant=variant)
    assert values.sum() == pytest.approx(gain, abs=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_linear_in_validation_rows_and_blind_to_their_order(variant):
    X, y, X_val, y_val = example(variant)
    values = knn_shapley(X, y, X_val, y_val, variant=variant)
    one_by_one = [knn_shapley(X, y, X_val[i : i + 1], y_val[i : i + 1], variant=variant) for i in range(12)]
    np.testing.assert_allclose(values, np.mean(one_by_one, axis=0), atol=1e-14)
    np.testing.assert_allclose(values, knn_shapley(X, y, X_val[::-1], y_val[::-1], variant=variant), atol=1e-14)


# Few distinct coordinates, so that rows tie often.
coordinates = st.lists(st.integers(-2, 2), min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(xs=coordinates, variant=st.sampled_from(VARIANTS), k=st.integers(1, 11), seed=st.integers(0, 2**31 - 1))
def test_properties_with_ties(xs, variant, k, seed):
    rng = np.random.default_rng(seed)
    X = np.array(xs, dtype=float)[:, None]
    y = rng.integers(0, 2, size=len(xs))
    X_val, y_val = np.array([[0.0], [1.5]]), np.array([1, 0])

    def values_of(rows, shift=0.0):
        return knn_shapley(X[rows] + shift, y[rows], X_val + shift, y_val, n_neighbors=k, variant=variant)

    every = np.arange(len(xs))
    values = values_of(every)
    order = rng.permutation(every)
    np.testing.assert_allclose(values_of(order), values[order], atol=1e-12)
    np.testing.assert_allclose(values_of(every, shift=64.0), values, atol=1e-12)
    for i, j in combinations(every, 2):
        if xs[i] == xs[j] and y[i] == y[j]:
            assert values[i] == pytest.approx(values[j], abs=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_many_ties_keep_their_sum(variant):
    rng = np.random.default_rng(0)
    X, X_val = rng.integers(0, 2, size=(2000, 6)), rng.integers(0, 2, size=(40, 6))
    y, y_val = rng.integers(0, 2, size=2000), rng.integers(0, 2, size=40)
    values = knn_shapley(X, y, X_val, y_val, variant=variant)
    order = rng.permutation(2000)
    np.testing.assert_allclose(
        knn_shapley(X[order], y[order], X_val, y_val, variant=variant), values[order], atol=1e-13
    )
    same = np.equal(X, X[0]).all(axis=1) & (y == y[0])
    assert same.sum() > 5
    np.testing.assert_allclose(values[same], values[0], atol=1e-13)


def test_labels_of_any_kind():
    X, y, X_val, y_val = example("hard")
    values = knn_shapley(X, y, X_val, y_val)
    names = np.array(["cat", "dog", "emu"])
    np.testing.assert_array_equal(knn_shapley(X, names[y], X_val, names[y_val]), values)
    np.testing.assert_array_equal(knn_shapley(X, names[y].tolist(), X_val, names[y_val].astype(object)), values)


def test_a_validation_label_that_no_row_has_is_never_hit():
    X, y, X_val, _ = example("hard")
    np.testing.assert_array_equal(knn_shapley(X, y, X_val, np.full(12, 9)), 0.0)


@pytest.mark.parametrize("metric", ["manhattan", "cosine", "sqeuclidean", lambda a, b: abs(a - b).max()])
def test_metrics_and_chunks(metric):
    X, y, X_val, y_val = example("hard", n=200, m=60)
    values = knn_shapley(X, y, X_val, y_val, metric=metric)
    with config_context(working_memory=0.02):
        np.testing.assert_allclose(knn_shapley(X, y, X_val, y_val, metric=metric), values, atol=1e-14)
    same_order = {"manhattan": "cityblock", "sqeuclidean": "euclidean"}.get(metric)
    if same_order:
        np.testing.assert_allclose(knn_shapley(X, y, X_val, y_val, metric=same_order), values, atol=1e-14)
    if callable(metric):
        np.testing.assert_allclose(knn_shapley(X, y, X_val, y_val, metric="chebyshev"), values, atol=1e-14)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e7])
@pytest.mark.parametrize("scale", [1e-8, 1.0])
def test_order_is_that_of_distances_computed_term_by_term(offset, scale):
    """Far from the origin, and with tight clusters, where the matrix product alone loses the order."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(150, 5)), 40 + scale * rng.normal(size=(150, 5))]) + offset
    X_val = np.concatenate([rng.normal(size=(20, 5)), 40 + scale * rng.normal(size=(20, 5))]) + offset
    distance = cdist(X_val, X, "sqeuclidean")
    for rows, order, tied in sorted_neighbours(X, X_val, "euclidean"):
        found = np.take_along_axis(distance[rows], order, axis=1)
        assert (np.diff(found, axis=1) >= 0).all()
        np.testing.assert_array_equal(tied, np.diff(found, axis=1) == 0)


def test_duplicates_tie_exactly_whatever_the_chunks():
    rng = np.random.default_rng(0)
    X = np.tile(rng.normal(size=(37, 11)), (3, 1))
    for memory in (0.01, 64):
        with config_context(working_memory=memory):
            for _, order, tied in sorted_neighbours(X, rng.normal(size=(23, 11)), "euclidean"):
                assert (tied.sum(axis=1) == 74).all()
                assert (np.sort(order % 37, axis=1) == np.repeat(np.arange(37), 3)).all()


@pytest.mark.parametrize("k", [3, 20])
def test_kernels_compile_with_jax(k):
    rng = np.random.default_rng(0)
    target, truth = rng.integers(0, 3, size=(4, 12)).astype(float), np.ones((4, 1))
    hit = (target == truth).astype(float)
    runs = np.sort(rng.integers(0, 5, size=(4, 12)), axis=1)
    first = np.stack([np.searchsorted(run, run) for run in runs])
    last = np.stack([np.searchsorted(run, run, side="right") - 1 for run in runs])
    alone = np.broadcast_to(np.arange(12), (4, 12))
    with jax.enable_x64(True):
        for plain, tied, rows in (
            (hard_values, hard_values_tied, (hit,)),
            (regression_values, regression_values_tied, (target, truth)),
        ):
            compiled = jax.jit(plain, static_argnums=len(rows))(*rows, k)
            np.testing.assert_allclose(compiled, plain(*rows, k), atol=1e-13)
            np.testing.assert_allclose(tied(*rows, alone, alone, k), plain(*rows, k), atol=1e-13)
            compiled = jax.jit(tied, static_argnums=len(rows) + 2)(*rows, first, last, k)
            np.testing.assert_allclose(compiled, tied(*rows, first, last, k), atol=1e-13)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": [[np.nan], [1.0]]}, "X contains NaN"),
        ({"X_val": [[0.0, 1.0]]}, "X_val has 2 features; expected 1"),
        ({"y": [0, 1, 1]}, "inconsistent numbers of samples"),
        ({"y_val": [0, 1]}, "inconsistent numbers of samples"),
        ({"y_val": ["a"]}, "Mix of label input types"),
        ({"y": [0.5, 1.5]}, "Unknown label type"),
        ({"n_neighbors": 0}, "n_neighbors"),
        ({"variant": "weighted"}, "variant"),
        ({"metric": "precomputed"}, "metric"),
        ({"X": [[1e200], [2.0]]}, "X holds a number beyond"),
        ({"metric": lambda a, b: np.inf}, "gives the distance inf between row 0 of X_val and row 1 of X"),
        ({"metric": lambda a, b: np.nan}, "gives the distance nan"),
        ({"X": np.empty((0, 1)), "y": []}, "0 sample"),
        ({"y": ["a", "b"], "y_val": ["a"], "variant": "regression"}, "could not convert"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_bad_input_is_named(change, message):
    good = {"X": [[0.0], [1.0]], "y": [0, 1], "X_val": [[0.5]], "y_val": [0]}
    with pytest.raises(ValueError, match=message):
        knn_shapley(**good | change)


# The estimator.


@pytest.mark.parametrize("variant", VARIANTS)
def test_estimator_with_a_validation_set_gives_the_function(variant):
    X, y, X_val, y_val = example(variant)
    valuation = KNNShapley(n_neighbors=4, variant=variant, select="all").fit(X, y, X_val=X_val, y_val=y_val)
    if variant == "regression":
        # Missing neighbours count as the mean of the training rows.
        y_val, y = y_val - y.mean(), y - y.mean()
    expected = knn_shapley(X, y, X_val, y_val, n_neighbors=4, variant=variant)
    np.testing.assert_allclose(valuation.data_values_, expected, atol=1e-14)
    np.testing.assert_array_equal(valuation.standard_errors_, 0.0)
    gain = valuation.full_score_ - valuation.empty_score_
    assert valuation.data_values_.sum() == pytest.approx(gain, abs=1e-12)
    assert valuation.converged_
    assert valuation.n_evaluations_ == 0


def test_estimator_without_a_validation_set_values_rows_against_other_folds():
    X, y, *_ = example("hard")
    cv = KFold(3, shuffle=True, random_state=0)
    total, count = np.zeros(30), np.zeros(30)
    for train, test in cv.split(X):
        total[train] += knn_shapley(X[train], y[train], X[test], y[test], n_neighbors=2)
        count[train] += 1
    valuation = KNNShapley(n_neighbors=2, cv=cv).fit(X, y)
    np.testing.assert_allclose(valuation.data_values_, total / count, atol=1e-14)
    np.testing.assert_array_equal(valuation.support_, total > 0)


def test_full_score_is_that_of_scikit_learn():
    X, y, X_val, y_val = example("regression")
    valuation = KNNShapley(variant="regression").fit(X, y, X_val=X_val, y_val=y_val)
    model = KNeighborsRegressor().fit(X, y)
    assert valuation.full_score_ == pytest.approx(-np.mean((model.predict(X_val) - y_val) ** 2))
    assert valuation.empty_score_ == pytest.approx(-np.mean((y.mean() - y_val) ** 2))


def test_regression_values_do_not_depend_on_the_origin_of_y():
    X, y, X_val, y_val = example("regression")
    near = KNNShapley().fit(X, y, X_val=X_val, y_val=y_val)
    far = KNNShapley().fit(X, y + 1000, X_val=X_val, y_val=y_val + 1000)
    np.testing.assert_allclose(far.data_values_, near.data_values_, atol=1e-9)
    assert isinstance(far.estimator_, KNeighborsRegressor)


def test_flipped_labels_are_found_and_left_out():
    X, y = load_digits(return_X_y=True)
    X, y = X[:600], y[:600].copy()
    flipped = np.random.default_rng(0).random(600) < 0.2
    y[flipped] = (y[flipped] + 3) % 10
    valuation = KNNShapley().fit(X, y)
    assert roc_auc_score(flipped, -valuation.data_values_) > 0.98
    assert flipped[valuation.support_].mean() < 0.05
    X_test, y_test = load_digits(return_X_y=True)
    assert valuation.score(X_test[600:], y_test[600:]) > KNeighborsClassifier().fit(X, y).score(
        X_test[600:], y_test[600:]
    )


def test_rows_of_no_weight_are_absent():
    X, y, X_val, y_val = example("hard")
    weight = np.full(30, 2.0)
    weight[::3] = 0
    kept = weight > 0
    for select in ("positive", "all", 0.9):
        whole = KNNShapley(select=select).fit(X, y, X_val=X_val, y_val=y_val, sample_weight=weight)
        part = KNNShapley(select="all").fit(X[kept], y[kept], X_val=X_val, y_val=y_val)
        np.testing.assert_array_equal(whole.data_values_[~kept], 0.0)
        np.testing.assert_allclose(whole.data_values_[kept], part.data_values_, atol=1e-14)
        assert not whole.support_[~kept].any()


def test_more_neighbours_than_rows_still_predicts():
    X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]
    valuation = KNNShapley(n_neighbors=9, select="all").fit(X, y, X_val=[[0.2]], y_val=["a"])
    np.testing.assert_allclose(valuation.data_values_, [1 / 9, 0, 1 / 9, 0], atol=1e-14)
    assert valuation.predict(X).tolist() == ["a"] * 4
    assert valuation.get_params()["n_neighbors"] == 9


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ({"sample_weight": [1.0, 2, 1, 1, 1, 1]}, "unequal positive weights"),
        ({"units": ["a", "b", "a", "c", "d", "e"]}, "units holds 'a' more than once"),
        ({"X_val": [[0.0]], "y_val": [7]}, "y_val holds labels that y does not"),
    ],
)
def test_what_has_no_exact_value_is_refused(fit, message):
    X, y = np.arange(6.0)[:, None], [0, 1, 0, 1, 0, 1]
    with pytest.raises(ValueError, match=message):
        KNNShapley(cv=2).fit(X, y, **fit)


def test_units_of_one_row_each_are_allowed():
    X, y, X_val, y_val = example("hard")
    names = np.array([f"patient {i}" for i in np.random.default_rng(0).permutation(30)])
    named = KNNShapley().fit(X, y, X_val=X_val, y_val=y_val, units=names)
    plain = KNNShapley().fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_array_equal(named.data_values_, plain.data_values_)
    np.testing.assert_array_equal(named.unit_values_, plain.data_values_[np.argsort(names)])


def test_classes_that_are_numbers_or_not_as_variant_says():
    X, y = load_iris(return_X_y=True)
    assert isinstance(KNNShapley().fit(X, y).estimator_, KNeighborsClassifier)
    assert isinstance(KNNShapley(variant="regression").fit(X, y).estimator_, KNeighborsRegressor)
    with pytest.raises(ValueError, match="Unknown label type"):
        KNNShapley(variant="soft").fit(X, y + X[:, 0] / 7)


def test_memory_mapped_arrays_are_as_good_as_arrays(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 5)), rng.integers(0, 2, 300)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    with config_context(working_memory=0.05):
        from_disk = knn_shapley(mapped, y, mapped[:50], y[:50])
    np.testing.assert_allclose(from_disk, knn_shapley(X, y, X[:50], y[:50]), atol=1e-12)
