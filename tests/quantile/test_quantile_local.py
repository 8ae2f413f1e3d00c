"""Weights that depend on the row, and the networks among the base models."""

import numpy as np
import pytest
from quantile_models import LEVELS, Shifted, aggregator

from trustml.metrics import quantile_crossing_rate
from trustml.quantile import GaussianQuantileRegressor, NeuralQuantileRegressor


@pytest.fixture(scope="module")
def table():
    """Two models, each right in one half of the rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    return X, np.where(X[:, 1] > 0, 2, -2) * X[:, 0] + 0.3 * rng.normal(size=400)


MODELS = [("up", Shifted(2.0)), ("down", Shifted(-2.0))]


def local(**parameters):
    return aggregator(MODELS, weights="local", max_iter=60, learning_rate=5e-3, **parameters)


def test_local_weights_find_which_model_is_right_where(table):
    X, y = table
    fitted = local(resolution="coarse").fit(X, y)
    w, right = fitted.predict_weights(X), X[:, 1] > 0
    assert w.shape == (400, 2)
    assert w[right, 0].mean() > 0.9
    assert w[~right, 0].mean() < 0.1
    assert fitted.score(X, y) > aggregator(MODELS).fit(X, y).score(X, y) + 0.4
    Q = np.stack([model.predict_quantiles(X, LEVELS) for model in fitted.estimators_], axis=1)
    np.testing.assert_allclose(fitted.aggregate(Q, X), fitted.predict_quantiles(X))
    with pytest.raises(ValueError, match="X=None; expected the rows"):
        fitted.aggregate(Q)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "subscripts"),
    [({"resolution": "medium", "n_networks": 2}, "npm,npm->nm"), ({"resolution": "fine"}, "npv,npvm->nm")],
)
def test_predictions_are_the_weighted_quantiles_of_each_row(table, parameters, subscripts):
    X, y = table
    fitted = local(noncrossing="penalty", **parameters).fit(X, y)
    w = fitted.predict_weights(X)
    np.testing.assert_allclose(w.sum(axis=1 if w.ndim == 3 else (1, 2)), 1, rtol=1e-6)
    Q = np.stack([model.predict_quantiles(X, LEVELS) for model in fitted.estimators_], axis=1)
    np.testing.assert_allclose(
        fitted.predict_quantiles(X), np.sort(np.einsum(subscripts, Q, w), axis=1), rtol=1e-4, atol=1e-4
    )
    assert quantile_crossing_rate(fitted.predict_quantiles(X)) == 0


def test_networks_learn_a_linear_target_and_its_noise(table):
    X, _ = table
    y = 50 + X[:, 0] + np.exp(0.5 * X[:, 1]) * np.random.default_rng(1).normal(size=400)
    exact = 50 + X[:, :1] + np.exp(0.5 * X[:, 1:]) * np.array([-1.2816, 0, 1.2816])
    for model in (GaussianQuantileRegressor, NeuralQuantileRegressor):
        fitted = model(quantiles=(0.1, 0.5, 0.9), learning_rate=5e-3, random_state=0).fit(X, y)
        q = fitted.predict_quantiles(X)
        assert np.abs(q - exact).mean() < 0.35
        assert quantile_crossing_rate(q) == 0
        assert 0 < fitted.n_iter_ <= 500
        assert len(fitted.loss_curve_) == fitted.n_iter_


def test_too_few_rows_to_hold_out():
    with pytest.raises(ValueError, match="holds out 0 of n_samples=3 rows"):
        NeuralQuantileRegressor().fit(np.ones((3, 1)), np.arange(3.0))
