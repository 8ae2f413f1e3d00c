"""Sorting and isotonic regression: the published example, the proposition, and what it does not say."""

import numpy as np
import pytest
from sklearn.isotonic import isotonic_regression

from trustml.quantile import isotonic_quantiles, sort_quantiles
from trustml.quantile._noncrossing import sweep_quantiles


def pinball(y, q, levels):
    return np.maximum(levels * (y - q), (levels - 1) * (y - q))


def test_a_worked_example():
    levels, q = np.array([0.25, 0.5, 0.75]), np.array([10.0, 0.0, 0.0])
    for repair, total in (
        (np.asarray, 12.5),
        (sort_quantiles, 7.5),
        (isotonic_quantiles, 10.0),
        (sweep_quantiles, 15.0),
    ):
        assert pinball(10.0, repair(q), levels).sum() == pytest.approx(total)


@pytest.mark.parametrize("m", [2, 5, 9])
def test_no_loss_of_any_row_rises(m):
    """The proposition, on 60,000 rows in all: any increasing levels of equal weight."""
    rng = np.random.default_rng(m)
    q, y = rng.normal(size=(20_000, m)) + np.linspace(-1, 1, m), 2 * rng.normal(size=(20_000, 1))
    levels = np.sort(rng.random(m))
    before = pinball(y, q, levels).sum(axis=1)
    for repair in (sort_quantiles, isotonic_quantiles):
        repaired = repair(q)
        assert not np.any(repaired[:, 1:] < repaired[:, :-1])
        assert np.all(pinball(y, repaired, levels).sum(axis=1) <= before + 1e-12)
        # Nor does a distance to anything ordered.
        target = np.sort(rng.normal(size=q.shape), axis=1)
        for power in (1, 1.5, 4):
            far, near = (np.sum(np.abs(a - target) ** power, axis=1) for a in (q, repaired))
            assert np.all(near <= far * (1 + 1e-12))


def test_unequal_weights_of_levels_are_the_exception():
    levels, weight = np.array([0.25, 0.75]), np.array([4.0, 1.0])
    before = weight @ pinball(3.0, np.array([3.0, 1.0]), levels)
    after = weight @ pinball(3.0, sort_quantiles([3.0, 1.0]), levels)
    assert (before, after) == (1.5, 2.0)


def test_isotonic_is_that_of_scikit_learn():
    q = np.random.default_rng(0).normal(size=(200, 7)).round(1)  # ties included
    expected = [isotonic_regression(row) for row in q]
    np.testing.assert_allclose(isotonic_quantiles(q), expected, atol=1e-12)
    np.testing.assert_allclose(isotonic_quantiles(q[0]), expected[0], atol=1e-12)


def test_the_sweep_keeps_the_middle_and_order():
    q = np.random.default_rng(0).normal(size=(200, 7))
    swept = sweep_quantiles(q)
    np.testing.assert_array_equal(swept[:, 3], q[:, 3])
    assert not np.any(np.diff(swept, axis=1) < 0)
    np.testing.assert_array_equal(sweep_quantiles(np.sort(q, axis=1)), np.sort(q, axis=1))


def test_bad_input():
    with pytest.raises(ValueError, match="quantiles holds NaN"):
        sort_quantiles([[0.0, np.nan]])
    with pytest.raises(ValueError, match="infinite"):
        isotonic_quantiles([[0.0, np.inf]])
