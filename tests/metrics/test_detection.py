from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustml.metrics import detection_auroc, detection_recall


@st.composite
def valued_rows(draw, max_size=6):
    n = draw(st.integers(2, max_size))
    values = draw(st.lists(st.integers(-2, 2), min_size=n, max_size=n))
    flips = draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda f: any(f) and not all(f)))
    return np.array(values, float), np.array(flips)


@given(valued_rows())
def test_auroc_is_the_share_of_pairs_in_the_right_order(rows):
    values, flips = rows
    pairs = values[flips][:, None] - values[~flips][None]
    expected = np.mean((pairs < 0) + 0.5 * (pairs == 0))
    assert detection_auroc(values, flips) == pytest.approx(expected, abs=1e-12)


@given(valued_rows(max_size=5))
def test_recall_is_the_mean_over_all_orders_of_equal_values(rows):
    values, flips = rows
    n = len(values)
    orders = np.array([order for order in permutations(range(n)) if np.all(np.diff(values[list(order)]) >= 0)])
    for inspected in range(n + 1):
        expected = flips[orders[:, :inspected]].sum(axis=1).mean() / flips.sum()
        assert detection_recall(values, flips, inspected / n) == pytest.approx(expected, abs=1e-12)
    assert detection_recall(values, flips) == pytest.approx(detection_recall(values, flips, flips.sum() / n), abs=1e-12)


def test_integer_masks_count_as_boolean():
    assert detection_auroc([0.0, 1.0], [1, 0]) == 1.0


@pytest.mark.parametrize(
    ("values", "flips", "message"),
    [
        ([0.0, 1.0], [True, True], "marks 2 of 2 rows"),
        ([0.0, 1.0], [False, False], "marks 0 of 2 rows"),
        ([0.0, 1.0, 2.0], [True, False], "inconsistent numbers of samples"),
        ([0.0, np.nan], [True, False], "data_values contains NaN"),
        ([0.0, 1.0], [3, 7], "boolean mask"),
    ],
)
def test_bad_input_is_named(values, flips, message):
    with pytest.raises(ValueError, match=message):
        detection_auroc(values, flips)
    with pytest.raises(ValueError, match=message):
        detection_recall(values, flips)


def test_fraction_outside_the_unit_interval():
    with pytest.raises(ValueError, match=r"fraction=1.5 must lie in \[0, 1\]"):
        detection_recall([0.0, 1.0], [True, False], 1.5)
