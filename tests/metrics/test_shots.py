"""Errors by how often a target was seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error

from trustml.metrics import balanced_mean_absolute_error, geometric_mean_absolute_error, shot_report

TRAIN = np.repeat([20, 30, 40], [150, 50, 10])
TRUE, PRED = [20, 20, 30, 30, 40, 50], [21, 18, 33, 30.5, 30, 35]


def test_toy():
    report = shot_report(TRUE, PRED, TRAIN)
    found = {region: (round(e["mae"], 5), round(e["gm"], 5)) for region, e in report.items() if region != "all"}
    assert found == {"many": (1.5, 1.41421), "median": (1.75, 1.22474), "few": (12.5, 12.24745)}
    assert {region: (e["rows"], e["bins"]) for region, e in report.items()} == {
        "all": (6, 4),
        "many": (2, 1),
        "median": (2, 1),
        "few": (2, 2),
    }


def test_thresholds_belong_to_the_median_and_empty_regions_are_nan():
    report = shot_report([1, 2], [1, 3], np.repeat([1, 2], [100, 20]))
    assert report["median"]["rows"] == 2
    assert report["many"]["rows"] == report["few"]["rows"] == report["few"]["bins"] == 0
    assert np.isnan([report["many"][name] for name in ("mae", "rmse", "gm")]).all()
    assert report["median"]["gm"] == 0


def test_fractional_targets_fall_into_the_bins_of_the_training_targets():
    train = np.concatenate([np.random.default_rng(0).uniform(0, 1, 500), [2.0]])
    report = shot_report([0.5, 1.5, 2.0, 9.0, -9.0], np.zeros(5), train, bins=2)
    assert report["many"]["rows"] == 1
    assert report["few"]["rows"] == 4
    assert report["few"]["bins"] == 3


def test_relative_thresholds_follow_the_size_of_the_table():
    train = np.repeat([0, 1, 2], [30, 12, 3])
    assert shot_report([0, 1, 2], [0, 0, 0], train)["many"]["rows"] == 0
    report = shot_report([0, 1, 2], [0, 0, 0], train, relative=True)  # 15 rows per bin: 12.3 and 2.5
    assert [report[region]["rows"] for region in ("many", "median", "few")] == [1, 2, 0]


def test_weights():
    report = shot_report(TRUE, PRED, TRAIN, sample_weight=[3, 1, 1, 1, 1, 0])
    assert report["many"]["mae"] == pytest.approx((3 * 1 + 2) / 4)
    assert report["few"]["mae"] == 10
    assert report["few"]["rows"] == 2


@given(st.lists(st.tuples(st.integers(0, 8), st.floats(-5, 15)), min_size=1, max_size=30), st.integers(-50, 50))
def test_balanced_error_is_the_mean_over_distinct_targets(rows, shift):
    y, p = (np.array(column, float) for column in zip(*rows, strict=True))
    expected = np.mean([mean_absolute_error(y[y == value], p[y == value]) for value in np.unique(y)])
    found = balanced_mean_absolute_error(y + shift, p + shift)
    assert found == pytest.approx(expected, abs=1e-9)
    assert balanced_mean_absolute_error(y, p, bins=[-1.0, 100.0]) == pytest.approx(mean_absolute_error(y, p))
    assert balanced_mean_absolute_error(np.tile(y, 2), np.tile(p, 2)) == pytest.approx(expected)


def test_geometric_mean():
    assert geometric_mean_absolute_error([0, 0, 0], [1, 2, 4]) == pytest.approx(2)
    assert geometric_mean_absolute_error([0, 1], [0, 2]) == 0
    assert geometric_mean_absolute_error([0, 1], [0, 2], eps=1) == pytest.approx(2**0.5)
    assert geometric_mean_absolute_error([0, 1], [0, 2], sample_weight=[0, 1]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shot_report([1], [1], [1, np.nan]), "y_train contains NaN"),
        (lambda: shot_report([1], [1, 2], [1]), "inconsistent numbers"),
        (lambda: shot_report([1], [1], [1], many=3, few=4), "few=4 and many=3"),
        (lambda: shot_report([1], [1], [1.5, 2], bins=0), "bins=0; expected"),
        (lambda: shot_report([1], [1], [1.5, 2], bins="fd"), "bins='fd'; expected"),
        (lambda: shot_report([1], [1], [1.5, 2], bins=[1, 1]), "edges that increase"),
        (lambda: balanced_mean_absolute_error([1], [1], sample_weight=[0]), "at least one non-zero"),
        (lambda: geometric_mean_absolute_error([1], [1], eps=-1), "eps=-1; expected"),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
