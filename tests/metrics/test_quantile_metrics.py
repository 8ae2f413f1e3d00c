"""Quantile metrics: identities, closed forms, limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from trustml.metrics import (
    mean_quantile_loss,
    quantile_coverage,
    quantile_crossing_rate,
    quantile_crps,
    quantile_pit,
    weighted_interval_score,
)

LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
numbers = st.floats(-1e3, 1e3, allow_nan=False)


def test_pinball_by_hand_and_by_scikit_learn():
    assert mean_quantile_loss([3.0], [[1.0]], quantiles=[0.9]) == pytest.approx(1.8)
    assert mean_quantile_loss([1.0], [[3.0]], quantiles=[0.9]) == pytest.approx(0.2)
    rng = np.random.default_rng(0)
    y, q, w = rng.normal(size=40), rng.normal(size=(40, 5)), rng.random(40)
    ours = mean_quantile_loss(y, q, quantiles=LEVELS, sample_weight=w, multioutput="raw_values")
    theirs = [mean_pinball_loss(y, q[:, j], alpha=t, sample_weight=w) for j, t in enumerate(LEVELS)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(arrays(float, (4,), elements=numbers), arrays(float, (4, 5), elements=numbers))
def test_the_interval_score_is_twice_the_pinball_loss_and_the_sum_of_its_parts(y, q):
    """Crossed quantiles included."""
    score, parts = weighted_interval_score(y, q, quantiles=LEVELS, decompose=True)
    assert score == pytest.approx(2 * mean_quantile_loss(y, q, quantiles=LEVELS), abs=1e-9)
    assert sum(parts.values()) == pytest.approx(score, abs=1e-9)


def test_the_interval_score_by_its_definition():
    rng = np.random.default_rng(1)
    y, q = rng.normal(size=30), np.sort(rng.normal(size=(30, 5)), axis=1)
    total = 0.5 * np.abs(y - q[:, 2])
    for k, alpha in ((0, 0.1), (1, 0.5)):
        low, high = q[:, k], q[:, -1 - k]
        interval = high - low + 2 / alpha * np.maximum(low - y, 0) + 2 / alpha * np.maximum(y - high, 0)
        total = total + alpha / 2 * interval
    assert weighted_interval_score(y, q, quantiles=LEVELS) == pytest.approx(np.mean(total / 2.5), rel=1e-12)


@pytest.mark.parametrize(("m", "expected"), [(9, 0.2467282), (99, 0.2359120), (999, 0.2339273)])
def test_the_interval_score_tends_to_the_crps(m, expected):
    levels = np.arange(1, m + 1) / (m + 1)
    q = norm.ppf(levels)[None]
    assert weighted_interval_score([0.0], q, quantiles=levels) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("y", "crps"), [(0.0, 0.2336950), (1.5, 0.9944240)])
def test_crps_of_a_normal_distribution(y, crps):
    levels = (np.arange(4000) + 0.5) / 4000
    q = norm.ppf(levels)[None]
    assert quantile_crps([y], q, quantiles=levels) == pytest.approx(crps, abs=2e-5)
    assert quantile_crps([y], q, quantiles=levels) == pytest.approx(weighted_interval_score([y], q, quantiles=levels))
    uneven = np.concatenate([levels[:2000:4], levels[2000:]])  # finer above: the same integral
    assert quantile_crps([y], norm.ppf(uneven)[None], quantiles=uneven) == pytest.approx(crps, abs=2e-4)


def test_coverage_crossing_and_pit():
    rng = np.random.default_rng(2)
    y = rng.normal(size=20_000)
    q = np.tile(norm.ppf(LEVELS), (len(y), 1))
    np.testing.assert_allclose(quantile_coverage(y, q, quantiles=LEVELS), LEVELS, atol=0.01)
    assert quantile_crossing_rate(q) == 0
    assert quantile_crossing_rate(q[:, ::-1]) == 1
    levels = np.arange(1, 100) / 100
    pit = quantile_pit(y, np.tile(norm.ppf(levels), (len(y), 1)), quantiles=levels)
    np.testing.assert_allclose(pit, norm.cdf(y), atol=0.006)
    assert quantile_pit([0.0], [[0.0, 0.0, 1.0]], quantiles=[0.1, 0.3, 0.9])[0] == pytest.approx(0.2)


@pytest.mark.parametrize("quantiles", [[0.5, 0.2], [0.5, 0.5], [0.0, 0.5], [0.5, 1.0], [0.5, np.nan], []])
def test_levels_are_increasing_and_inside(quantiles):
    with pytest.raises(ValueError, match=r"quantiles=.*; expected|quantiles=.*expected a list"):
        mean_quantile_loss([0.0], np.zeros((1, len(quantiles))), quantiles=quantiles)


def test_bad_predictions():
    with pytest.raises(ValueError, match=r"y_quantiles has shape \(2, 1\); expected \(2, 3\)"):
        weighted_interval_score([0.0, 1.0], [[0.0], [1.0]], quantiles=[0.1, 0.5, 0.9])
    with pytest.raises(ValueError, match="y_quantiles holds NaN"):
        weighted_interval_score([0.0], [[np.nan]], quantiles=[0.5])
    with pytest.raises(ValueError, match="expected symmetric levels"):
        weighted_interval_score([0.0], [[0.0, 1.0]], quantiles=[0.1, 0.8], decompose=True)
    with pytest.raises(ValueError, match="y_quantiles cross"):
        quantile_pit([0.0], [[1.0, 0.0]], quantiles=[0.1, 0.8])
