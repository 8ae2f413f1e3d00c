"""OperatingCurveDisplay draws the curves of the classes, and nothing else."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from trustml.inspection import OperatingCurveDisplay
from trustml.metric_learning import PairVerifier
from trustml.metrics import class_operating_curves, opis_score, threshold_at_far

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(scope="module")
def embeddings():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(12), 6)
    return rng.normal(size=(12, 4))[y] + 0.5 * rng.normal(size=(72, 4)), y


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.mark.parametrize("rate", ["utility", "far", "frr"])
def test_lines_are_the_curves(embeddings, rate):
    display = OperatingCurveDisplay.from_embeddings(*embeddings, rate=rate)
    curves = class_operating_curves(*embeddings, thresholds=display.curves.thresholds)
    assert len(display.class_lines_) == 12
    for line, values in zip(display.class_lines_, curves[rate], strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
    np.testing.assert_array_equal(display.mean_line_.get_ydata(), curves[rate].mean(axis=0))
    low, high = display.calibration_range
    assert threshold_at_far(*embeddings, far=0.01).threshold == low < high
    assert display.ax_.get_title() == f"OPIS {opis_score(*embeddings):.4f}"


def test_the_threshold_of_an_estimator_on_given_axes(embeddings):
    X, y = embeddings
    model = PairVerifier(StandardScaler(), random_state=0).fit(X, y)
    figure, ax = plt.subplots()
    display = OperatingCurveDisplay.from_estimator(model, X, y, ax=ax)
    assert display.figure_ is figure
    (line,) = [line for line in ax.lines if line.get_label() == "threshold"]
    assert line.get_xdata()[0] == 1 - model.threshold_
    plain = StandardScaler().fit(X)
    assert OperatingCurveDisplay.from_estimator(plain, X, y).threshold is None


def test_another_rate_is_refused(embeddings):
    with pytest.raises(ValueError, match="rate='tar'; expected one of"):
        OperatingCurveDisplay.from_embeddings(*embeddings, rate="tar")
