"""The generator of overlapping groups, and the protocol that turns public tables into streams."""

import numpy as np
import pandas as pd
import pytest

from trustml.datasets import load_adult
from trustml.datasets._groupwise import (
    adult_stream,
    combine_targets,
    make_groupwise_regression,
    medical_costs_stream,
)


@pytest.mark.parametrize("combine", ["mean", "min", "max", "first"])
def test_generated_groups(combine):
    X, y, membership = make_groupwise_regression(2000, 7, combine=combine, random_state=0)
    assert X.shape == (2000, 12)
    np.testing.assert_array_equal(X[:, 7:], membership)
    np.testing.assert_array_equal(membership[:, :3].sum(axis=1), 1)
    np.testing.assert_array_equal(membership[:, 3:].sum(axis=1), 1)
    assert (y.min(), y.max()) == (0, 1)
    again = make_groupwise_regression(2000, 7, combine=combine, random_state=0)
    np.testing.assert_array_equal(again[1], y)


def test_first_group_is_an_exact_linear_model_without_noise():
    X, y, membership = make_groupwise_regression(500, 4, combine="first", noise=0.0, random_state=0)
    design = np.column_stack([X[:, :4], np.ones(500)])
    for first in (membership[:, 3], membership[:, 1] & ~membership[:, 3]):
        assert np.linalg.lstsq(design[first], y[first])[1][0] < 1e-20


def test_combinations_by_hand():
    targets = np.arange(10.0).reshape(2, 5)
    membership = np.array([[1, 0, 0, 0, 1], [0, 1, 0, 1, 0]], bool)
    np.testing.assert_array_equal(combine_targets(targets, membership, "mean"), [2, 7])
    np.testing.assert_array_equal(combine_targets(targets, membership, "min"), [0, 6])
    np.testing.assert_array_equal(combine_targets(targets, membership, "max"), [4, 8])
    np.testing.assert_array_equal(combine_targets(targets, membership, "first"), [4, 8])


def test_medical_costs_from_a_few_rows():
    frame = pd.DataFrame(
        {
            "age": [19, 36, 51, 35],
            "sex": ["female", "male", "male", "female"],
            "bmi": [18.4, 18.5, 25.0, 30.0],
            "children": [0, 1, 2, 4],
            "smoker": ["yes", "no", "no", "yes"],
            "region": ["southwest", "southeast", "northwest", "northeast"],
            "charges": [100.0, 200.0, 300.0, 500.0],
        }
    )
    data = medical_costs_stream(frame)
    assert data.data.shape == (4, 18)
    np.testing.assert_allclose(data.target, [0, 0.25, 0.5, 1])
    np.testing.assert_array_equal(data.membership["young"], [True, False, False, True])
    np.testing.assert_array_equal(
        data.membership[["underweight", "healthyweight", "overweight", "obese"]], np.eye(4, dtype=bool)
    )


@pytest.mark.data
def test_published_sizes(data_dir):
    medical = medical_costs_stream(pd.read_csv(data_dir / "medical_costs.csv.gz"))
    assert medical.data.shape == (1338, 18)
    assert medical.membership.sum().tolist() == [574, 408, 356, 20, 225, 386, 707, 274, 1064, 676, 662]


def test_adult_stream():
    adult = adult_stream(load_adult().frame)
    assert adult.data.shape == (48842, 96)
    assert adult.membership.sum().tolist() == [
        *(22346, 16688, 9808, 22192, 26650, 32650, 16192, 41762, 1519, 470, 406, 4685)
    ]
    assert adult.target.sum() == 11687
