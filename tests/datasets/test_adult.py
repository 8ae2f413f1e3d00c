"""The bundled table of people."""

import numpy as np
import pandas as pd
import pytest

from trustml.datasets import load_adult


def test_size_and_order():
    adult = load_adult()
    assert adult.data.shape == (48842, 13)
    assert adult.target.value_counts().to_dict() == {"<=50K": 37155, ">50K": 11687}
    assert adult.target[:32561].eq(">50K").sum() == 7841  # of the training file
    assert adult.data.isna().sum()[lambda missing: missing > 0].to_dict() == {
        "workclass": 2799,
        "occupation": 2809,
        "native-country": 857,
    }
    pd.testing.assert_frame_equal(adult.frame, adult.data.assign(income=adult.target))
    assert np.ptp(adult.data["age"]) == 73


def test_as_a_pair():
    X, y = load_adult(return_X_y=True)
    assert list(X.columns)[:2] == ["age", "workclass"]
    assert y.name == "income"
    with pytest.raises(ValueError, match="return_X_y"):
        load_adult(return_X_y="yes")


@pytest.mark.data
def test_is_the_public_table(data_dir):
    public = pd.read_csv(data_dir / "adult.csv.gz")
    pd.testing.assert_frame_equal(load_adult().frame, public.drop(columns=["fnlwgt", "split"]))
