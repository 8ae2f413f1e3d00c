"""Figures of intervals against loops and closed forms."""

import numpy as np
import pytest
from scipy import stats

from trustml import metrics

RNG = np.random.default_rng(0)
Y = RNG.normal(size=60)
INTERVAL = np.sort(RNG.normal(size=(60, 2)), axis=1)
WEIGHT = RNG.integers(0, 3, 60)
REPEATED = np.repeat(np.arange(60), WEIGHT)


def test_interval_score_against_a_loop():
    expected = []
    for y, (low, high) in zip(Y, INTERVAL, strict=True):
        penalty = low - y if y < low else y - high if y > high else 0.0
        expected.append(high - low + 2 / 0.1 * penalty)
    assert metrics.interval_score(Y, INTERVAL, coverage=0.9) == pytest.approx(np.mean(expected))


def test_interval_score_of_the_normal_distribution():
    """4.6757 = 2 phi(z) / 0.025 for the central 95 % of N(0, 1)."""
    y = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    z = stats.norm.ppf(0.975)
    assert metrics.interval_score(y, [[-z, z]] * len(y), coverage=0.95) == pytest.approx(4.6757, abs=1e-3)
    assert metrics.interval_coverage(y, [[-z, z]] * len(y)) == pytest.approx(0.95, abs=1e-4)


@pytest.mark.parametrize(
    "figure",
    [
        metrics.interval_coverage,
        lambda y, i, **w: metrics.interval_score(y, i, coverage=0.8, **w),
        lambda y, i, **w: metrics.mean_interval_width(i, **w),
        lambda y, i, **w: metrics.side_coverage(y, np.zeros(len(y)), i, **w),
        lambda y, i, **w: metrics.group_coverage(y, i, y > 0, **w).coverage,
    ],
)
def test_weights_are_repetitions(figure):
    ours = figure(Y, INTERVAL, sample_weight=WEIGHT)
    np.testing.assert_allclose(ours, figure(Y[REPEATED], INTERVAL[REPEATED]))


def test_coverage_is_that_of_the_sides_and_of_the_groups():
    up, down = metrics.side_coverage(Y, np.zeros(60), INTERVAL)
    share = (Y > 0).mean()
    assert share * up + (1 - share) * down == pytest.approx(metrics.interval_coverage(Y, INTERVAL))
    report = metrics.group_coverage(Y, INTERVAL, np.arange(60) % 3)
    assert np.average(report.coverage, weights=report.n_samples) == pytest.approx(
        metrics.interval_coverage(Y, INTERVAL)
    )
    assert np.isnan(metrics.side_coverage([1.0], [0.0], [[0.0, 2.0]])[1])


def test_bins_of_width_hold_every_row_and_never_part_equal_widths():
    report = metrics.size_stratified_coverage(Y, INTERVAL, n_bins=7)
    assert report.n_samples.sum() == 60
    assert report.n_samples.min() >= 8
    assert (np.diff(report.width) > 0).all()
    constant = metrics.size_stratified_coverage(Y, np.stack([Y - 1, Y + 1], axis=1).round(0), n_bins=10)
    assert constant.n_samples.sum() == 60
    assert metrics.interval_calibration_error(np.arange(20) % 20, [[0, 18]] * 20, coverage=0.95) == 0


def test_infinite_intervals_cover_everything():
    assert metrics.interval_coverage([1.0, 2.0], [[-np.inf, np.inf]] * 2) == 1
    assert metrics.mean_interval_width([[0, np.inf]]) == np.inf


@pytest.mark.parametrize(
    ("interval", "message"),
    [([[2.0, 1.0]], "1 lower ends above"), ([[1.0, 2.0, 3.0]], r"shape \(1, 3\)"), ([[np.nan, 1.0]], "1 NaN")],
)
def test_bad_intervals(interval, message):
    with pytest.raises(ValueError, match=message):
        metrics.interval_coverage([1.0], interval)


def test_bad_coverage_and_bins():
    with pytest.raises(ValueError, match="coverage=1"):
        metrics.interval_score([1.0], [[0, 2]], coverage=1)
    with pytest.raises(ValueError, match="n_bins=0"):
        metrics.size_stratified_coverage([1.0], [[0, 2]], n_bins=0)
