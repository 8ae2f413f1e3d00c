"""GroupRegretDisplay draws the curves of the estimator, and nothing else."""

import numpy as np
import pytest

from trustml.datasets._groupwise import make_groupwise_regression
from trustml.inspection._group_regret import GroupRegretDisplay
from trustml.online import GroupwiseRegressor

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(scope="module")
def model():
    X, y, membership = make_groupwise_regression(300, 4, random_state=0)
    membership[:, 2] = False
    return GroupwiseRegressor(fit_intercept=False).fit(X, y, membership)


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.mark.parametrize("against", ["hindsight", "expert"])
def test_lines_are_the_curves(model, against):
    display = GroupRegretDisplay.from_estimator(model, against=against)
    assert len(display.axes_) == 5  # the empty group has no picture
    for ax, name in zip(display.axes_, display.curves, strict=True):
        zero, always, method = ax.lines
        np.testing.assert_array_equal(zero.get_ydata(), [0, 0])
        np.testing.assert_array_equal(method.get_xydata().T, model.regret_curve(name, against))
        baseline = model.regret_curve(name, against, of="always")[1]
        np.testing.assert_allclose(always.get_ydata(), baseline, rtol=1e-9, atol=1e-9)
    assert display.figure_ is display.axes_[0].figure


def test_chosen_groups_on_given_axes(model):
    figure, axes = plt.subplots(1, 2)
    display = GroupRegretDisplay.from_estimator(model, groups=[0, "always"], against="always", axes=axes)
    assert list(display.curves) == ["group0", "always"]
    assert display.figure_ is figure
    assert all(len(ax.lines) == 2 for ax in axes)
    assert all(len(ax.lines) == 2 for ax in GroupRegretDisplay.from_estimator(model, baseline=False).axes_)


def test_bad_input(model):
    with pytest.raises(ValueError, match="axes must be 5"):
        GroupRegretDisplay.from_estimator(model, axes=[plt.figure().add_subplot()])
    with pytest.raises(ValueError, match="no groups to draw"):
        GroupRegretDisplay.from_estimator(model, groups=[])
    with pytest.raises(ValueError, match="group must be one of"):
        GroupRegretDisplay.from_estimator(model, groups=["nobody"])
