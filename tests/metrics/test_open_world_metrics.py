"""Metrics of embeddings against brute force over all pairs, worked examples and invariances."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import roc_curve

from trustml.metrics import _pair_counts as pair_counts
from trustml.metrics import (
    class_operating_curves,
    epsilon_opis_score,
    equal_error_rate,
    far_frr_curve,
    map_at_r,
    open_world_report,
    opis_score,
    recall_at_k,
    tar_at_far,
    threshold_at_far,
)

METRICS = ("cosine", "euclidean")


def circle(*degrees):
    angles = np.deg2rad(np.array(degrees, float))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def table(seed=0, n_classes=8, most=7, n_components=3):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_classes), rng.integers(1, most, n_classes))
    y = np.append(y, [0, 1])
    X = rng.normal(size=(n_classes, n_components))[y] + 0.5 * rng.normal(size=(len(y), n_components))
    order = rng.permutation(len(y))
    return X[order], y[order]


def distances(X, metric):
    if metric == "cosine":
        X = X / np.linalg.norm(X, axis=1, keepdims=True)
        return 1 - np.clip(X @ X.T, -1, 1)
    return np.linalg.norm(X[:, None] - X[None], axis=2)


def rates_by_loops(X, y, thresholds, metric):
    d = distances(X, metric)
    far, frr = [], []
    for label in np.unique(y):
        own = np.flatnonzero(y == label)
        if len(own) < 2:
            continue
        inside = d[np.ix_(own, own)][np.triu_indices(len(own), 1)]
        across = d[np.ix_(own, np.flatnonzero(y != label))].ravel()
        frr.append([np.mean(inside > t) for t in thresholds])
        far.append([np.mean(across <= t) for t in thresholds])
    return np.array(far), np.array(frr)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(METRICS))
def test_curves_against_loops(seed, metric):
    X, y = table(seed)
    curves = class_operating_curves(X, y, n_thresholds=13, metric=metric)
    far, frr = rates_by_loops(X, y, curves.thresholds, metric)
    np.testing.assert_allclose(curves.far, far, atol=1e-12)
    np.testing.assert_allclose(curves.frr, frr, atol=1e-12)
    phi, psi = 1 - far, 1 - frr
    with np.errstate(invalid="ignore"):
        utility = np.nan_to_num(2 * phi * psi / (phi + psi))
    np.testing.assert_allclose(curves.utility, utility, atol=1e-12)
    assert opis_score(X, y, n_thresholds=13, metric=metric) <= 0.25
    assert 0 <= epsilon_opis_score(X, y, n_thresholds=13, metric=metric) <= 1


@pytest.mark.parametrize("metric", METRICS)
def test_blocks_and_the_selection_of_ranks(metric, monkeypatch):
    X, y = table(3, n_classes=12)
    d = distances(X, metric)
    i, j = np.triu_indices(len(y), 1)
    negatives = np.sort(d[i, j][y[i] != y[j]])
    data = pair_counts.embedded(X, y, metric)
    ranks = [0, 1, 7, len(negatives) // 2, len(negatives) - 1]
    expected = class_operating_curves(X, y, metric=metric)
    for block, sampled in ((1 << 20, 1 << 18), (5, 1 << 18), (100, 40), (100, 1)):
        monkeypatch.setattr(pair_counts, "_BLOCK", block)
        monkeypatch.setattr(pair_counts, "_SAMPLED", sampled)
        found = data.distance(pair_counts.kth_closest_negatives(data, ranks))
        np.testing.assert_allclose(found, negatives[ranks], atol=1e-7)
        curves = class_operating_curves(X, y, metric=metric)
        np.testing.assert_allclose(curves.thresholds, expected.thresholds, atol=1e-7)
        np.testing.assert_array_equal(curves.far, expected.far)


@pytest.mark.parametrize("metric", METRICS)
def test_thresholds_keep_to_their_rate(metric):
    for seed in range(10):
        X, y = table(seed)
        d = distances(X, metric)
        i, j = np.triu_indices(len(y), 1)
        negative, positive = d[i, j][y[i] != y[j]], d[i, j][y[i] == y[j]]
        for far in (0.01, 0.1, 0.5):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)
                found = threshold_at_far(X, y, far=far, metric=metric, n_resamples=0)
            assert found.far == pytest.approx(np.mean(negative <= found.threshold), abs=1e-12)
            assert found.tar == pytest.approx(np.mean(positive <= found.threshold), abs=1e-12)
            assert found.far <= far
            assert found.far + 1 / len(negative) > far  # one more pair would be too many
            y_true, y_score = np.r_[np.ones(len(positive)), np.zeros(len(negative))], -np.r_[positive, negative]
            assert tar_at_far(y_true, y_score, far) == pytest.approx(found.tar, abs=1e-12)


def test_opis_in_closed_form():
    X, y = circle(0, 10, 90, 110, 200, 240), [0, 0, 1, 1, 2, 2]
    d0 = 1 - np.cos(np.deg2rad(40))
    for n in (201, 20001):
        thresholds = np.linspace(0.1, 0.3, n)
        step = 0.2 / (n - 1)
        opis, difference = opis_score(X, y, thresholds=thresholds), epsilon_opis_score(X, y, thresholds=thresholds)
        assert opis == pytest.approx(2 / 9 * (d0 - 0.1) / 0.2, abs=2 / 9 * step / 0.2)
        assert difference == pytest.approx((d0 - 0.1) / 0.2, abs=step / 0.2)
    euclidean = opis_score(X, y, thresholds=np.linspace(np.sqrt(0.2), np.sqrt(0.6), 20001), metric="euclidean")
    assert euclidean == pytest.approx(0.16075404567417, abs=2e-5)


def test_equal_classes_are_consistent():
    X = circle(*(centre + offset for centre in (0, 90, 180, 270) for offset in (-5, 5, 9)))
    y = np.repeat(list("abcd"), 3)
    thresholds = np.linspace(0.001, 1.2, 50)
    assert opis_score(X, y, thresholds=thresholds) == pytest.approx(0, abs=1e-20)
    assert epsilon_opis_score(X, y, thresholds=thresholds) == pytest.approx(0, abs=1e-20)


def test_all_classes_on_both_sides_are_consistent():
    assert epsilon_opis_score(*table(1), epsilon=1.0) == 0


def test_invariances():
    X, y = table(5)
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(len(y))
    names = np.array(list("zyxwvuts"))
    for score in (opis_score, epsilon_opis_score, map_at_r, recall_at_k):
        expected = score(X, y)
        for other, labels in (
            (X @ rotation, y),
            (X[order], y[order]),
            (X, names[y]),
            (X * rng.uniform(0.1, 9, (len(y), 1)), y),
        ):
            assert score(other, labels) == pytest.approx(expected, abs=1e-12), score.__name__


def test_pairs_by_hand():
    d = np.array([0.1, 0.2, 0.3, 0.6, 0.25, 0.5, 0.7, 0.8, 0.9])
    y_true = np.r_[np.ones(4), np.zeros(5)]
    assert equal_error_rate(y_true, -d) == pytest.approx(0.25)
    assert tar_at_far(y_true, -d, 0.2) == pytest.approx(0.75)
    assert tar_at_far(y_true, -d, 0.1) == pytest.approx(0.5)
    curve = far_frr_curve(y_true, -d)
    fpr, tpr, thresholds = roc_curve(y_true, -d, drop_intermediate=False)
    np.testing.assert_allclose(curve.far[::-1], fpr, atol=1e-15)
    np.testing.assert_allclose(1 - curve.frr[::-1], tpr, atol=1e-15)
    np.testing.assert_array_equal(curve.thresholds[::-1], thresholds)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(METRICS))
def test_retrieval_against_loops(seed, metric):
    X, y = table(seed)
    X[:4] = np.round(X[:4])  # some rows may be equal, or zero
    X[(X == 0).all(axis=1)] += 1
    d = distances(X, metric)
    recalls, precisions = [], []
    for i in range(len(y)):
        others = np.delete(np.arange(len(y)), i)
        hits = y[others] == y[i]
        if not hits.any():
            continue
        ranked = hits[np.lexsort((hits, np.round(d[i, others], 9)))]
        r = hits.sum()
        recalls.append(ranked[:3].any())
        precisions.append(np.sum(ranked[:r] * np.cumsum(ranked[:r]) / np.arange(1, r + 1)) / r)
    assert recall_at_k(X, y, k=3, metric=metric) == pytest.approx(np.mean(recalls), abs=1e-12)
    assert map_at_r(X, y, metric=metric) == pytest.approx(np.mean(precisions), abs=1e-12)
    assert recall_at_k(X, y, k=len(y) + 5) == 1


def test_a_constant_embedding_finds_nothing():
    X, y = np.tile([[0.3, 0.7, 0.1]], (40, 1)), np.arange(40) % 4
    assert recall_at_k(X, y) == map_at_r(X, y) == 0
    with pytest.warns(UndefinedMetricWarning, match="range of thresholds is empty"):
        assert np.isnan(opis_score(X, y))
    with pytest.warns(UndefinedMetricWarning, match="range of thresholds is empty"):
        assert np.isnan(epsilon_opis_score(X, y))


def test_interval_of_the_rate_covers_it_and_knows_the_number_of_classes():
    rng = np.random.default_rng(0)
    widths = {}
    for n_classes in (10, 40):
        y = np.repeat(np.arange(n_classes), 6)
        X = rng.normal(size=(n_classes, 4))[y] + 0.4 * rng.normal(size=(len(y), 4))
        found = threshold_at_far(X, y, far=0.1, random_state=0)
        low, high = found.far_interval
        assert low < found.far < high
        widths[n_classes] = high - low
        assert found.far_interval == threshold_at_far(X, y, far=0.1, random_state=0).far_interval
    assert widths[40] < widths[10]


def test_report_agrees_with_its_parts():
    X, y = table(7, n_classes=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        report = open_world_report(X, y, random_state=0)
        assert report.opis == opis_score(X, y)
    assert report.recall_at_1 == recall_at_k(X, y)
    assert report.n_singletons == np.sum(np.bincount(y) == 1)
    i, j = np.triu_indices(len(y), 1)
    exact = equal_error_rate(y[i] == y[j], -distances(X, "cosine")[i, j])
    assert report.equal_error_rate == pytest.approx(exact, abs=5e-3)
    assert len(report.class_far) == len(report.classes) == report.n_classes - report.n_singletons


def test_single_precision_is_close():
    X, y = table(9, n_classes=20)
    assert opis_score(X.astype(np.float32), y) == pytest.approx(opis_score(X, y), rel=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(6, int)}, "y has 1 class; expected at least 2"),
        ({"y": np.arange(6)}, "no class of 2 rows"),
        ({"X": np.full((6, 2), np.nan)}, "contains NaN"),
        ({"X": np.eye(6)[:, :2]}, "4 rows of zeros, the first at 2"),
        ({"metric": "angle"}, "metric='angle'; expected one of"),
        ({"far_range": (0.1, 0.01)}, r"far_range=\(0.1, 0.01\)"),
        ({"far_range": (0.0, 0.01)}, "expected a number in"),
        ({"c": 0}, "c=0; expected a positive number"),
        ({"n_thresholds": 1}, "n_thresholds=1"),
        ({"thresholds": [0.3, 0.1]}, "thresholds must be"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"X": circle(0, 10, 90, 110, 200, 240), "y": [0, 0, 1, 1, 2, 2]} | change
    with pytest.raises(ValueError, match=message):
        opis_score(**arguments)


def test_too_few_pairs_for_a_rate_are_reported():
    X, y = circle(0, 10, 90, 110, 200, 240), [0, 0, 1, 1, 2, 2]
    with pytest.warns(UndefinedMetricWarning, match="less than one of the 12 pairs"):
        assert threshold_at_far(X, y, far=0.01).far == 0
    with pytest.warns(UndefinedMetricWarning, match="less than one of the 12 pairs"):
        opis_score(X, y)
    with pytest.warns(UndefinedMetricWarning, match="1 class has pairs"):
        assert np.isnan(opis_score(X, [0, 0, 1, 2, 3, 4], far_range=(0.1, 0.5)))


def test_counts_of_pairs_have_64_bits():
    data = pair_counts.embedded(*table())
    for counts in (*pair_counts.accepted_pairs(data, np.array([0.5, 2.1])), data.n_positive, data.n_negative):
        assert counts.dtype == np.int64
    many = data._replace(counts=np.array([200_000, 300_000]), codes=np.empty(500_000, np.int8))
    assert many.n_positive.tolist() == [19_999_900_000, 44_999_850_000]
    assert many.n_negative.tolist() == [60_000_000_000] * 2
