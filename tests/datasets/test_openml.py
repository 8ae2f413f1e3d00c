"""The network is not needed: OpenML's answer is replaced by one of the same form."""

import numpy as np
import pytest
from sklearn.utils import Bunch

from trustml.datasets import _openml, fetch_valuation_table


@pytest.fixture
def openml(monkeypatch):
    """Replaces the fetcher; gives the arguments of its last call, and lets a test choose the target."""
    seen = Bunch(target=np.array(["P", "N", "P", "P"], dtype=object), arguments=None)

    def fetch_openml(**arguments):
        seen.arguments = arguments
        data, target, frame = np.arange(8.0).reshape(4, 2), seen.target, None
        if arguments["as_frame"]:
            pd = pytest.importorskip("pandas")
            data = pd.DataFrame(data, columns=["a", "b"], index=[3, 4, 5, 6])
            target = pd.Series(target, name="binaryClass", dtype="category", index=data.index)
            frame = data.assign(binaryClass=target)
        return Bunch(data=data, target=target, frame=frame, feature_names=["a", "b"], details={"id": "1"})

    monkeypatch.setattr(_openml, "fetch_openml", fetch_openml)
    return seen


@pytest.mark.parametrize(
    ("name", "data_id"),
    [
        ("2dplanes", 727),
        ("click", 1218),
        ("cpu_act", 761),
        ("default", 42477),
        ("fraud", 42397),
        ("phoneme", 1489),
    ],
)
def test_asks_openml_for_the_right_table(openml, name, data_id, tmp_path):
    fetch_valuation_table(name, data_home=tmp_path, cache=False, n_retries=5, delay=0.5)
    assert openml.arguments == {
        "data_id": data_id,
        "data_home": tmp_path,
        "cache": False,
        "as_frame": False,
        "n_retries": 5,
        "delay": 0.5,
    }


def test_bunch_of_arrays(openml):
    table = fetch_valuation_table("2dplanes")
    np.testing.assert_array_equal(table.target, [1, 0, 1, 1])
    assert table.target_names.tolist() == ["N", "P"]
    assert table.data.shape == (4, 2)
    assert table.feature_names == ["a", "b"]


def test_numeric_labels_become_codes_too(openml):
    openml.target = np.array([2.0, 1.0, 1.0, 2.0])
    X, y = fetch_valuation_table("phoneme", return_X_y=True)
    np.testing.assert_array_equal(y, [1, 0, 0, 1])
    assert y.dtype.kind == "i"
    assert X.shape == (4, 2)


def test_frames(openml):
    pd = pytest.importorskip("pandas")
    table = fetch_valuation_table("fraud", as_frame=True)
    expected = pd.Series([1, 0, 1, 1], index=[3, 4, 5, 6], name="binaryClass")
    pd.testing.assert_series_equal(table.target, expected)
    assert list(table.frame.columns) == ["a", "b", "binaryClass"]
    pd.testing.assert_series_equal(table.frame["binaryClass"], expected)


def test_a_table_that_changed_is_refused(openml):
    openml.target = np.array(["1", "2", "3", "1"])
    with pytest.raises(ValueError, match=r"1489 \('phoneme'\) should have a target of two classes; found 3"):
        fetch_valuation_table("phoneme")


def test_unknown_name_lists_the_tables():
    with pytest.raises(ValueError, match="'name' parameter of fetch_valuation_table must be a str among"):
        fetch_valuation_table("iris")
