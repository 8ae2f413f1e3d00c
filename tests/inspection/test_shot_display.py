"""The picture of errors along the target."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.dummy import DummyRegressor

from trustml.inspection import ShotDisplay
from trustml.metrics import shot_report

mpl.use("Agg")
TRAIN = np.repeat([0, 1, 2], [300, 60, 10])


def test_bars_are_the_counts_and_errors_of_bins():
    display = ShotDisplay.from_predictions([0, 1, 2, 2, 9], [0, 1, 1, 0, 9], TRAIN)
    assert display.counts.tolist() == [300, 60, 10]
    assert display.errors.tolist() == [0, 0, 1.5]
    assert display.regions == ["many", "median", "few"]
    assert display.report == shot_report([0, 1, 2, 2, 9], [0, 1, 1, 0, 9], TRAIN)
    assert [bar.get_height() for bar in display.axes_[0].patches] == [300, 60, 10]
    assert [bar.get_height() for bar in display.axes_[1].patches] == [0, 0, 1.5]
    assert display.axes_[1].get_legend_handles_labels()[1][2] == "few: MAE 1"


def test_from_estimator_and_own_axes():
    model = DummyRegressor().fit(np.zeros((370, 1)), TRAIN)
    _, axes = plt.subplots(2)
    display = ShotDisplay.from_estimator(model, np.zeros((3, 1)), [0, 1, 2], TRAIN, relative=True, axes=axes)
    assert display.axes_[0] is axes[0]
    np.testing.assert_allclose(display.errors, np.abs(np.arange(3) - TRAIN.mean()))
    with pytest.raises(ValueError, match="axes must be two; got 1"):
        display.plot(axes=axes[:1])
    plt.close("all")
