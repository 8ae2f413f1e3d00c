"""UncertaintyDisplay draws the figures of the metrics, and nothing else."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from trustml import metrics
from trustml.inspection import UncertaintyDisplay
from trustml.uncertainty import SPCRegressor

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(400, 2))
    return X, X[:, 0] * (1 + rng.normal(size=400))


@pytest.fixture(scope="module")
def model(rows):
    X, y = rows
    return SPCRegressor(LinearRegression(), coverage=[0.5, 0.9], head="ridge", random_state=0).fit(X[:200], y[:200])


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.mark.parametrize("coverage", [None, 0.5])
def test_pictures_are_the_figures(rows, model, coverage):
    X, y = rows[0][200:], rows[1][200:]
    display = UncertaintyDisplay.from_estimator(model, X, y, coverage=coverage, n_bins=4)
    level = coverage or 0.9
    interval = model.predict_interval(X, level)
    intervals, by_width, errors = display.axes_
    assert f"{metrics.interval_coverage(y, interval):.1%} inside, {level:.0%} promised" == intervals.get_title()
    assert sum(len(line.get_xdata()) for line in intervals.lines) == 200
    report = metrics.size_stratified_coverage(y, interval, n_bins=4)
    np.testing.assert_allclose(by_width.lines[1].get_xdata(), report.width)
    np.testing.assert_allclose(by_width.lines[1].get_ydata(), report.coverage)
    np.testing.assert_allclose(errors.lines[0].get_xdata(), model.predict_uncertainty(X).sds)
    np.testing.assert_allclose(errors.lines[0].get_ydata(), np.abs(y - model.predict(X)))
    assert display.figure_ is intervals.figure


def test_given_axes_and_bad_input(rows, model):
    X, y = rows
    figure, axes = plt.subplots(1, 3)
    assert UncertaintyDisplay.from_estimator(model, X, y, axes=axes).figure_ is figure
    with pytest.raises(ValueError, match="axes must be 3; got 2"):
        UncertaintyDisplay.from_estimator(model, X, y, axes=axes[:2])
    with pytest.raises(ValueError, match="expected one target for each of 400 rows"):
        UncertaintyDisplay.from_estimator(model, X, np.column_stack([y, y]))
