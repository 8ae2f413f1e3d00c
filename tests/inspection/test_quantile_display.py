"""QuantileDisplay draws the numbers of the forecasts, and nothing else."""

import numpy as np
import pytest
from scipy.stats import norm

from trustml.inspection import QuantileDisplay
from trustml.metrics import quantile_coverage
from trustml.quantile import LinearQuantileRegressor, QuantileAggregator

plt = pytest.importorskip("matplotlib.pyplot")
LEVELS = [0.1, 0.5, 0.9]


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_fan_and_reliability():
    rng = np.random.default_rng(0)
    mean = rng.normal(size=50)
    y, q = mean + rng.normal(size=50), mean[:, None] + norm.ppf(LEVELS)
    display = QuantileDisplay.from_predictions(y, q, quantiles=LEVELS)
    fan, reliability = display.axes_
    np.testing.assert_array_equal(fan.lines[0].get_ydata(), np.sort(mean))
    np.testing.assert_array_equal(fan.lines[1].get_ydata(), y[np.argsort(mean)])
    np.testing.assert_array_equal(reliability.lines[1].get_xdata(), LEVELS)
    covered = quantile_coverage(y, q, quantiles=LEVELS)
    np.testing.assert_array_equal(reliability.lines[1].get_ydata(), covered)


@pytest.mark.parametrize("resolution", ["coarse", "medium", "fine"])
def test_weights_of_an_aggregator(resolution):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2))
    y = X[:, 0] + rng.normal(size=50)
    models = [("plain", LinearQuantileRegressor()), ("penalised", LinearQuantileRegressor(alpha=0.3))]
    stack = QuantileAggregator(models, quantiles=LEVELS, resolution=resolution, cv=2).fit(X, y)
    display = QuantileDisplay.from_estimator(stack, X, y)
    assert list(display.weights) == ["plain", "penalised"]
    np.testing.assert_allclose(np.sum([*display.weights.values()], axis=0), 1)
    if resolution == "medium":
        np.testing.assert_array_equal(display.weights["plain"], stack.weights_[0])
    assert [text.get_text() for text in display.axes_[2].get_legend().get_texts()] == ["plain", "penalised"]
    assert QuantileDisplay.from_estimator(stack.estimators_[0], X, y).weights is None


def test_axes_of_the_wrong_number():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="axes holds 1; expected 2"):
        QuantileDisplay.from_predictions([0.0, 1.0], np.zeros((2, 3)), quantiles=LEVELS, axes=[ax])
