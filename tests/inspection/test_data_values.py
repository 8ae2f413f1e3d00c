import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from trustml.datasets import make_mislabelled_classification
from trustml.inspection import DataValueDisplay
from trustml.valuation._curves import addition_curve, removal_curve

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


class Valued(BaseEstimator):
    """What the display reads of a fitted valuation."""

    def __init__(self, values):
        self.values = values

    def fit(self):
        self.data_values_ = self.values
        self.estimator_ = LogisticRegression()
        return self

    def confidence_interval(self, level):
        half = 10 * (level - 0.9)
        return np.column_stack([self.data_values_ - half, self.data_values_ + half])


@pytest.fixture(scope="module")
def table():
    X, y, is_flipped = make_mislabelled_classification(120, 4, flip_fraction=0.3, random_state=0)
    return {"X": X[:60], "y": y[:60], "X_test": X[60:], "y_test": y[60:], "is_flipped": is_flipped[:60]}


def legend_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def line(display, label):
    return next(line for line in display.ax_.lines if line.get_label().startswith(label)).get_xydata().T


def test_values_are_drawn_in_order_with_their_intervals_and_verdicts():
    valued = Valued(np.array([0.7, -0.9, 0.2, -0.1, 0.6])).fit()
    display = DataValueDisplay.from_estimator(valued, is_flipped=[0, 1, 0, 0, 0], level=0.95)
    assert legend_of(display) == ["1 hurts", "2 unclear", "2 help", "1 known to be wrong"]
    drawn = {c.get_label(): c for c in display.ax_.collections}
    np.testing.assert_allclose(drawn["1 hurts"].get_offsets(), [[0, -0.9]])
    np.testing.assert_allclose(drawn["2 unclear"].get_offsets(), [[1, -0.1], [2, 0.2]])
    np.testing.assert_allclose(drawn["2 help"].get_offsets(), [[3, 0.6], [4, 0.7]])
    np.testing.assert_allclose(drawn["1 known to be wrong"].get_offsets(), [[0, -0.9]])
    (bar,) = (c for c in display.ax_.collections if len(c.get_paths()) == 1 and len(c.get_paths()[0]) == 2)
    np.testing.assert_allclose(bar.get_paths()[0].vertices, [[0, -1.4], [0, -0.4]])
    assert display.ax_.get_ylabel() == "data value, 95% interval"
    assert display.figure_ is display.ax_.figure


def test_values_without_errors_are_judged_by_their_sign():
    display = DataValueDisplay.from_values([0.0, -1.0, 2.0])
    assert legend_of(display) == ["1 hurts", "1 unclear", "1 helps"]
    assert display.ax_.get_ylabel() == "data value"


def test_interval_of_from_values_is_the_normal_one():
    display = DataValueDisplay.from_values([1.0], standard_errors=[0.5], level=0.9)
    np.testing.assert_allclose(display.interval, [[1 - 0.5 * 1.6448536, 1 + 0.5 * 1.6448536]])


def test_names_label_the_axis_in_order_of_value():
    display = DataValueDisplay.from_values([0.5, -1.0], names=["north", "south"])
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["south", "north"]


@pytest.mark.parametrize("from_values", [True, False])
def test_detection_curve(from_values):
    values, flips = np.array([0.1, -0.5, 0.3, -0.2]), [False, True, True, False]
    if from_values:
        display = DataValueDisplay.from_values(values, kind="detection", is_flipped=flips)
    else:
        display = DataValueDisplay.from_estimator(Valued(values).fit(), kind="detection", is_flipped=flips)
    inspected, found = line(display, "lowest value first (AUROC 0.50)")
    np.testing.assert_allclose(inspected, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found, [0, 0.5, 0.5, 0.5, 1])
    np.testing.assert_allclose(line(display, "perfect"), [[0, 0.5, 1], [0, 1, 1]])


@pytest.mark.parametrize(("kind", "compute"), [("removal", removal_curve), ("addition", addition_curve)])
def test_score_curves_are_those_of_the_functions(kind, compute, table):
    values = np.where(table["is_flipped"], -1.0, 1.0) + np.random.RandomState(0).normal(size=60)
    arguments = {name: table[name] for name in ("X", "y", "X_test", "y_test")} | {"fractions": [0.2, 0.6]}
    display = DataValueDisplay.from_estimator(Valued(values).fit(), kind=kind, **arguments, n_repeats=3, random_state=0)
    for order in ("lowest", "highest"):
        expected = compute(LogisticRegression(), **arguments, data_values=values, order=order)
        np.testing.assert_allclose(line(display, f"{order} value first"), [[0.2, 0.6], expected.scores])
    rng = np.random.RandomState(0)
    random = [
        compute(LogisticRegression(), **arguments, data_values=values, order="random", random_state=rng).scores
        for _ in range(3)
    ]
    np.testing.assert_allclose(line(display, "random order")[1], np.mean(random, axis=0))
    assert display.ax_.get_ylabel() == "accuracy on test rows"


def test_score_axis_names_the_metric(table):
    arguments = {name: table[name] for name in ("X", "y", "X_test", "y_test")}
    valued = Valued(np.arange(60.0)).fit()
    display = DataValueDisplay.from_estimator(
        valued, kind="removal", **arguments, scoring="neg_log_loss", fractions=[0, 0.1], n_repeats=1
    )
    assert display.ax_.get_ylabel() == "neg log loss on test rows"


def test_draws_on_the_axes_it_is_given():
    _, axes = plt.subplots(1, 2)
    display = DataValueDisplay.from_values([1.0, 2.0], ax=axes[1])
    assert display.ax_ is axes[1]
    assert not axes[0].collections
    assert display.plot(ax=axes[0]).ax_ is axes[0]
    assert axes[0].collections


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "bars"}, "kind='bars' must be one of"),
        ({"kind": "removal"}, "kind='removal' must be one of 'values', 'detection'"),
        ({"kind": "detection"}, "needs is_flipped"),
        ({"is_flipped": [True]}, "inconsistent numbers of samples"),
        ({"names": ["a"]}, "inconsistent numbers of samples"),
        ({"standard_errors": [1.0]}, "inconsistent numbers of samples"),
        ({"standard_errors": [1.0, 1.0], "level": 1.0}, r"level=1.0 must lie in \(0, 1\)"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DataValueDisplay.from_values([0.0, 1.0], **arguments)


def test_removal_says_what_is_absent(table):
    with pytest.raises(ValueError, match="kind='removal' fits and scores the model again; give y, X_test"):
        DataValueDisplay.from_estimator(Valued(np.zeros(60)).fit(), table["X"], kind="removal", y_test=table["y_test"])


def test_without_matplotlib_the_extra_is_named():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from trustml.inspection import DataValueDisplay\n"
        "try:\n    DataValueDisplay.from_values([0.0, 1.0])\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'trustml[plot]'" in done.stdout
