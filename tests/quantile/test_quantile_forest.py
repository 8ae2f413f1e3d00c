"""The quantile forest against its definition."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge

from trustml.quantile import ForestQuantileRegressor


@pytest.mark.parametrize("weighted", [False, True])
def test_quantiles_are_those_of_the_leaf_weights(weighted):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 3)), rng.normal(size=80).round(1)
    weight = rng.integers(0, 3, 80).astype(float) if weighted else None
    forest = ExtraTreesRegressor(n_estimators=12, min_samples_leaf=4)
    fitted = ForestQuantileRegressor(forest=forest, random_state=0).fit(X, y, weight)
    levels = np.array([0.1, 0.5, 0.83])
    ours = fitted.predict_quantiles(X[:10], levels)
    train, new = fitted.forest_.apply(X), fitted.forest_.apply(X[:10])
    for row in range(10):
        shares = (train == new[row]) * (np.ones(80) if weight is None else weight)[:, None]
        w = (shares / shares.sum(axis=0)).mean(axis=1)
        order = np.argsort(y)
        cumulative = np.cumsum(w[order])
        np.testing.assert_array_equal(ours[row], y[order][np.searchsorted(cumulative, levels - 1e-9)])


def test_only_forests():
    with pytest.raises(ValueError, match="expected a RandomForestRegressor"):
        ForestQuantileRegressor(forest=Ridge()).fit(np.ones((4, 1)), np.arange(4.0))
