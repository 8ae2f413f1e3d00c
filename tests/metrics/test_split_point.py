"""The identities of split points hold on every finite sample, and the moments of known distributions come out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trustml.metrics import split_point_stats
from trustml.metrics._split_point import discrepancy, widening

numbers = st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), min_size=2, max_size=40).filter(
    lambda e: any(x > 0 for x in e) and any(x <= 0 for x in e)
)


def test_four_residuals_by_hand():
    found = split_point_stats([3.0, -1, -1, -1])
    expected = {"mar": 1.5, "mar_up": 3, "mar_down": 1, "p_up": 0.25, "p_down": 0.75, "bias": 0, "discrepancy": 0}
    assert {name: found[name].item() for name in expected} == expected
    assert found.n_samples.tolist() == [4]


@given(numbers)
@settings(max_examples=100, deadline=None)
def test_discrepancy_is_bias_times_asymmetry(e):
    found = split_point_stats(e)
    size = np.mean(np.abs(e))
    np.testing.assert_allclose(
        found.discrepancy, found.bias * (found.mar_down - found.mar_up), atol=1e-12 * size * np.max(np.abs(e))
    )
    np.testing.assert_allclose(found.mar, found.p_up * found.mar_up + found.p_down * found.mar_down, rtol=1e-12)
    np.testing.assert_allclose(found.sds, np.sqrt(np.abs(found.discrepancy)))
    if found.mar_down > 0:
        shares = found.mar / (2 * found.mar_up) + found.mar / (2 * found.mar_down)
        np.testing.assert_allclose(found.sds_relative, np.abs(1 - shares), rtol=1e-9, atol=1e-9)


def test_the_mar_of_centred_residuals_is_the_harmonic_mean_of_those_of_the_sides():
    e = np.random.default_rng(0).lognormal(1.5, 1, 999)
    found = split_point_stats(e - e.mean())
    np.testing.assert_allclose(found.mar, 2 / (1 / found.mar_up + 1 / found.mar_down), rtol=1e-12)
    np.testing.assert_allclose(found.p_up, found.mar / (2 * found.mar_up), rtol=1e-12)


@given(numbers, st.floats(0.1, 10))
@settings(max_examples=50, deadline=None)
def test_units_and_reflection(e, unit):
    e = np.array(e)
    e = e[e != 0] if (e > 0).any() and (e < 0).any() else np.array([-1.0, 2.0])
    here, scaled, reflected = split_point_stats(e), split_point_stats(unit * e), split_point_stats(-e)
    size = 1e-12 * np.max(np.abs(e)) ** 2
    np.testing.assert_allclose(scaled.discrepancy, unit**2 * here.discrepancy, atol=size * 100)
    np.testing.assert_allclose(scaled.mar_up, unit * here.mar_up, rtol=1e-12)
    assert reflected.mar_up == pytest.approx(here.mar_down)
    assert reflected.p_up == pytest.approx(here.p_down)
    np.testing.assert_allclose(reflected.discrepancy, here.discrepancy, atol=size)


def test_weights_are_repetitions_and_zero_weight_is_absence():
    rng = np.random.default_rng(1)
    e, counts = rng.normal(size=30), rng.integers(0, 3, 30)
    groups = np.arange(30) % 3
    weighted = split_point_stats(e, groups=groups, sample_weight=counts)
    repeated = split_point_stats(np.repeat(e, counts), groups=np.repeat(groups, counts))
    for name in weighted.keys() - {"n_samples"}:
        np.testing.assert_allclose(weighted[name], repeated[name], err_msg=name)


def test_a_side_without_rows_has_no_mar():
    found = split_point_stats([1.0, 2.0, -1.0, 1.0], groups=["only up", "only up", "both", "both"])
    assert found.group.tolist() == ["both", "only up"]
    assert np.isnan(found.mar_down).tolist() == [False, True]
    assert found.p_up.tolist() == [0.5, 1.0]


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [[1.0, 2.0], [3.0, 4.0]], ["a", "b"]])
def test_bad_residuals_are_refused(bad):
    with pytest.raises(ValueError, match=r"residuals|1d|y should|convert"):
        split_point_stats(bad)


@pytest.mark.parametrize(
    ("mean", "expected"),
    [
        (0.5, (0.895593, 1.009160, 0.641078, -0.184041)),
        (1.0, (1.166631, 1.287600, 0.525135, -0.762465)),
        (0.0, (0.7978846, 0.7978846, 0.7978846, 0.0)),
    ],
)
def test_normal_residuals(mean, expected):
    """Quantiles of the normal distribution on a fine grid, against its truncated moments."""
    found = split_point_stats(stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000) + mean)
    got = np.concatenate([found.mar, found.mar_up, found.mar_down, found.discrepancy])
    np.testing.assert_allclose(got, expected, atol=3e-5)


def test_exponential_residuals():
    found = split_point_stats(-np.log1p(-(np.arange(200_000) + 0.5) / 200_000) - 1)
    got = np.concatenate([found.p_up, found.mar, found.mar_up, found.mar_down, found.discrepancy])
    np.testing.assert_allclose(got, [np.exp(-1), 2 / np.e, 1, 0.581977, 0], atol=3e-5)


@pytest.mark.parametrize(
    ("mar", "factors"), [(0.8, (1, 1)), (0.9, (2.25, 1.161290)), (0.6, (1, 1)), (1.0, (9, 1.333333)), (1.5, (9, 2.4))]
)
def test_widening(mar, factors):
    """Continuous where the harmonic mean is exceeded by so much that one side takes all."""
    np.testing.assert_allclose(np.ravel(widening(*np.array([[mar], [2.0], [0.5]]), 9.0)), factors, rtol=1e-6)


def test_discrepancy_does_not_cancel():
    mar_up, mar_down = 1.0, 1.0 + 1e-9
    assert discrepancy(2 * mar_up * mar_down / (mar_up + mar_down), mar_up, mar_down) == pytest.approx(0, abs=3e-16)
