"""The exact solver against HiGHS, closed forms and its own certificate."""

import numpy as np
import pytest
from sklearn.linear_model import QuantileRegressor

from trustml.metrics import mean_quantile_loss
from trustml.quantile import LinearQuantileRegressor
from trustml.quantile._global_weights import combine, fit_global_weights
from trustml.quantile._linear_programme import Programme, _bound, minimise_pinball

LEVELS = np.array([0.1, 0.5, 0.9])


def forecasts(n=180, p=3, seed=0):
    """Quantiles of biased normal forecasts (n, p, 3), and targets."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = np.sin(2 * x) + (0.5 + np.abs(x)) * rng.normal(size=n)
    shift = rng.normal(size=(n, p)) + rng.normal(size=p)
    return np.sin(2 * x)[:, None, None] + shift[:, :, None] + np.array([-1.3, 0, 1.3]) * rng.uniform(0.5, 2, (p, 1)), y


def fit(Q, y, resolution="medium", constraint="simplex", weight=None, solver="auto", levels=LEVELS, tol=1e-8):
    weight = np.ones(len(y)) if weight is None else weight
    return fit_global_weights(
        Q, y, weight, levels, resolution=resolution, constraint=constraint, solver=solver, tol=tol
    )


def loss(Q, y, w, intercept=0.0, levels=LEVELS):
    return mean_quantile_loss(y, combine(Q, w) + intercept, quantiles=levels)


@pytest.mark.parametrize(
    ("n", "resolution", "constraint"),
    [(900, "medium", "simplex"), (180, "medium", "affine"), (180, "medium", None), (400, "coarse", "simplex")],
)
def test_as_good_as_highs_and_certified(n, resolution, constraint):
    """Those of more rows are solved on the rows near the fit."""
    Q, y = forecasts(n)
    ours, intercept, gap = fit(Q, y, resolution, constraint)
    theirs, their_intercept, their_gap = fit(Q, y, resolution, constraint, solver="highs")
    assert loss(Q, y, ours, intercept) == pytest.approx(loss(Q, y, theirs, their_intercept), rel=2e-8)
    assert 0 <= gap <= 1e-8
    assert abs(their_gap) < 1e-10
    if constraint is not None:
        np.testing.assert_allclose(ours.sum(axis=0), 1, rtol=1e-12)
    if constraint == "simplex":
        assert ours.min() >= 0


def test_any_dual_gives_a_bound():
    """Even one drawn at random, which is what makes the stopping rule rigorous."""
    Q, y = forecasts(n=60)
    upper = np.repeat(LEVELS[:, None], 60, axis=1)
    programme = Programme(Q.transpose(2, 0, 1), y[None], upper, 1 - upper, "simplex")
    best = minimise_pinball(programme, 1e-8).objective
    rng = np.random.default_rng(0)
    for _ in range(20):
        a = upper - rng.random(upper.shape)
        assert np.all(_bound(programme, np.zeros((3, 3)), a) <= best)


def test_constant_models_give_sample_quantiles():
    y = np.array([-1.0, 0.2, 0.3, 0.6, 2.0])
    Q = np.stack([np.zeros((5, 3)), np.ones((5, 3))], axis=1)
    w, _, _ = fit(Q, y)
    np.testing.assert_allclose(w[1], [0, 0.3, 1], atol=1e-6)
    residual = y[:, None] - combine(Q, w)
    losses = np.maximum(LEVELS * residual, (LEVELS - 1) * residual).sum(axis=0)
    np.testing.assert_allclose(losses, [1.21, 1.70, 1.29], rtol=1e-7)


def test_finer_weights_fit_better_than_coarser_and_those_than_the_best_model():
    Q, y = forecasts()
    fine, medium, coarse = (loss(Q, y, fit(Q, y, r)[0]) for r in ("fine", "medium", "coarse"))
    models = [mean_quantile_loss(y, Q[:, j], quantiles=LEVELS) for j in range(3)]
    average = mean_quantile_loss(y, Q.mean(axis=1), quantiles=LEVELS)
    assert fine < medium < coarse < min(average, *models)


def test_affine_equivariance_and_reflection():
    Q, y = forecasts()
    w = fit(Q, y)[0]
    np.testing.assert_allclose(fit(7 * Q - 3, 7 * y - 3)[0], w, atol=1e-5)
    reflected = fit(-Q[:, :, ::-1], -y)[0]
    np.testing.assert_allclose(reflected[:, ::-1], w, atol=1e-5)


def test_a_duplicated_model_changes_no_prediction():
    Q, y = forecasts()
    doubled = np.concatenate([Q, Q[:, :1]], axis=1)
    w = fit(doubled, y)[0]
    np.testing.assert_allclose(combine(doubled, w), combine(Q, fit(Q, y)[0]), atol=1e-4)
    np.testing.assert_allclose(w[0], w[3], atol=1e-6)  # the interior point shares alike


def test_integer_weights_are_repetitions_and_zero_is_absence():
    Q, y = forecasts()
    weight = np.arange(180) % 3
    repeated = np.repeat(np.arange(180), weight)
    np.testing.assert_allclose(fit(Q, y, weight=weight)[0], fit(Q[repeated], y[repeated])[0], atol=1e-5)


def test_a_fit_without_loss():
    Q, y = forecasts()
    Q[:, 1] = y[:, None]
    w, _, gap = fit(Q, y)
    np.testing.assert_allclose(w[1], 1, atol=1e-6)
    assert gap <= 1e-8
    w, _, gap = fit(np.ones((180, 3, 3)), np.ones(180))
    np.testing.assert_allclose(combine(np.ones((1, 3, 3)), w), 1)
    assert gap <= 1e-8


@pytest.mark.parametrize(("alpha", "weight"), [(0.03, None), (0.0, "integers")])
def test_linear_regression_is_that_of_scikit_learn(alpha, weight):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(180, 4))
    y = 1 + X[:, 0] + (1 + np.abs(X[:, 1])) * rng.standard_t(3, size=180)
    weight = None if weight is None else rng.integers(0, 3, 180)
    model = LinearQuantileRegressor(quantiles=LEVELS, alpha=alpha, noncrossing=None, tol=1e-8).fit(X, y, weight)
    for k, level in enumerate(LEVELS):
        theirs = QuantileRegressor(quantile=level, alpha=alpha).fit(X, y, weight)
        np.testing.assert_allclose(model.coef_[k], theirs.coef_, atol=1e-5)
        assert model.intercept_[k] == pytest.approx(theirs.intercept_, abs=1e-5)
    assert model.objective_gap_ <= 1e-8


def test_linear_regression_of_rare_tables():
    one = LinearQuantileRegressor(quantiles=LEVELS).fit([[1.0, 2.0]], [3.0])
    np.testing.assert_allclose(one.predict_quantiles([[1.0, 2.0]]), 3, rtol=1e-7)
    X = np.column_stack([np.ones(50), np.arange(50.0), np.arange(50.0)])  # a constant, and a column twice
    y = np.random.default_rng(0).normal(size=50) + X[:, 1]
    theirs = LinearQuantileRegressor(quantiles=LEVELS, solver="highs").fit(X[:, 1:2], y)
    ours = LinearQuantileRegressor(quantiles=LEVELS).fit(X, y)
    np.testing.assert_allclose(ours.predict_quantiles(X), theirs.predict_quantiles(X[:, 1:2]), atol=1e-3)
    wide = np.random.default_rng(1).normal(size=(8, 12))
    fitted = LinearQuantileRegressor(quantiles=LEVELS).fit(wide, y[:8])
    np.testing.assert_allclose(fitted.predict_quantiles(wide), np.repeat(y[:8, None], 3, axis=1), atol=1e-6)


def test_folds_share_a_program(count_compilations):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(180, 4)), rng.normal(size=180)
    LinearQuantileRegressor(quantiles=LEVELS).fit(X, y)
    with count_compilations() as compilations:
        for n in (150, 160, 170):
            LinearQuantileRegressor(quantiles=LEVELS, tol=1e-5).fit(X[:n], y[:n])
    assert compilations.count == 0
