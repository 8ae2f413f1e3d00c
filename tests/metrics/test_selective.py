"""Figures of uncertainty scores against brute force, identities and limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from trustml import metrics

rows = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=3, max_size=30)


def test_aurc_against_a_loop():
    rng = np.random.default_rng(0)
    losses, score = rng.exponential(size=40), rng.normal(size=40)
    order = np.argsort(score)
    assert metrics.aurc(losses, score) == pytest.approx(np.mean([losses[order[:k]].mean() for k in range(1, 41)]))
    expected = np.trapezoid([losses[order[:k]].sum() / 40 for k in range(41)], dx=1 / 40)
    assert metrics.augrc(losses, score) == pytest.approx(expected)


def test_ties_are_the_mean_over_orders():
    rng = np.random.default_rng(1)
    losses, score = rng.random(6), np.array([0, 1, 1, 1, 2, 2])
    broken = [metrics.aurc(losses, score + rng.random(6) / 2) for _ in range(20_000)]
    assert metrics.aurc(losses, score) == pytest.approx(np.mean(broken), abs=3e-3)


@given(rows)
@settings(max_examples=60, deadline=None)
def test_augrc_is_a_function_of_auroc_and_error_rate(rows):
    wrong, score = map(np.array, zip(*rows, strict=True))
    if wrong.all() or not wrong.any():
        return
    error = wrong.mean()
    expected = (1 - roc_auc_score(wrong, score)) * error * (1 - error) + error**2 / 2
    assert metrics.augrc(wrong, score) == pytest.approx(expected)


def test_perfect_order():
    """E + (1 - E) ln(1 - E) for an error rate E."""
    losses = np.repeat([0, 1], [70_000, 30_000])
    assert metrics.aurc(losses, np.arange(100_000)) == pytest.approx(0.3 + 0.7 * np.log(0.7), abs=1e-4)


def test_ood_auroc_and_rank_correlation():
    rng = np.random.default_rng(2)
    low, high = rng.normal(size=50), rng.normal(size=30) + 1
    pairs = np.mean(high[:, None] > low)
    assert metrics.ood_auroc(low, high) == pytest.approx(pairs)
    assert metrics.error_uncertainty_correlation(-np.arange(9.0), np.arange(9) ** 2) == pytest.approx(1)
    assert np.isnan(metrics.error_uncertainty_correlation([1.0, 2.0], [3.0, 3.0]))


def test_calibration_error_against_a_loop():
    rng = np.random.default_rng(3)
    prob = rng.dirichlet(np.ones(3), 200)
    y = rng.integers(0, 3, 200)
    expected = 0.0
    for b in range(15):
        mine = [i for i in range(200) if min(14, int(15 * prob[i].max())) == b]
        if mine:
            right = np.mean([prob[i].argmax() == y[i] for i in mine])
            expected += len(mine) / 200 * abs(right - np.mean([prob[i].max() for i in mine]))
    assert metrics.calibration_error(y, prob) == pytest.approx(expected)
    names = np.array(["a", "b", "c"])
    assert metrics.calibration_error(names[y], prob, labels=names) == pytest.approx(expected)
    assert metrics.calibration_error([0, 1, 1], np.eye(2)[[0, 1, 1]]) == 0


def test_bad_input():
    with pytest.raises(ValueError, match="2 columns; expected one for each of the 3"):
        metrics.calibration_error([0, 1, 2], [[0.5, 0.5]] * 3)
    with pytest.raises(ValueError, match="uncertainty"):
        metrics.aurc([0, 1], [np.nan, 1.0])
