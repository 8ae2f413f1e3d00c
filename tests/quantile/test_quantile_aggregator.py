"""QuantileAggregator: who saw which rows, what is promised of intervals, and bad input. Few rows: nothing compiles."""

import numpy as np
import pytest
from quantile_models import LEVELS, MODELS, Shifted, aggregator
from scipy.stats import norm
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression, QuantileRegressor
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trustml.metrics import QuantileScorer, quantile_crossing_rate, weighted_interval_score
from trustml.quantile._base_models import fit_model, model_quantiles


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    return X, 2 * X[:, 0] + rng.normal(size=60)


def test_each_row_is_predicted_by_models_that_did_not_see_it(table):
    X, y = table
    fitted = aggregator().fit(X, y)
    for train, test in KFold(3).split(X):
        for j, (_, model) in enumerate(MODELS):
            expected = Shifted(model.slope).fit(X[train], y[train]).predict_quantiles(X[test], LEVELS)
            np.testing.assert_allclose(fitted.oof_predictions_[test, j], expected)
    assert all(model.seen_ == set(X[:, 0].tolist()) for model in fitted.estimators_)
    assert fitted.validation_scores_.argmin() == 2
    scores = [weighted_interval_score(y, fitted.oof_predictions_[:, j], quantiles=LEVELS) for j in range(3)]
    np.testing.assert_allclose(fitted.validation_scores_, scores)


@pytest.mark.parametrize("resolution", ["coarse", "medium", "fine"])
def test_predictions_are_the_weighted_quantiles(table, resolution):
    X, y = table
    fitted = aggregator(resolution=resolution).fit(X, y)
    Q = np.stack([model.predict_quantiles(X, LEVELS) for model in fitted.estimators_], axis=1)
    subscripts = {"coarse": "npm,p->nm", "medium": "npm,pm->nm", "fine": "npv,pvm->nm"}[resolution]
    expected = np.sort(np.einsum(subscripts, Q, fitted.weights_), axis=1)
    np.testing.assert_allclose(fitted.predict_quantiles(X), expected, rtol=1e-10)
    np.testing.assert_allclose(fitted.aggregate(Q), expected, rtol=1e-10)
    np.testing.assert_allclose(fitted.predict(X), expected[:, 2], rtol=1e-10)
    np.testing.assert_allclose(fitted.predict_quantiles(X, [0.3])[:, 0], 0.8 * expected[:, 1] + 0.2 * expected[:, 2])
    np.testing.assert_array_equal(fitted.predict_weights(X)[7], fitted.weights_)
    assert fitted.weights_.min() >= 0
    total = fitted.weights_.sum(axis=0 if resolution != "fine" else (0, 1))
    np.testing.assert_allclose(total, 1, rtol=1e-10)
    assert fitted.objective_gap_ < 1e-6


@pytest.mark.parametrize("weights", ["average", "median"])
def test_rules_without_a_fit(table, weights):
    X, y = table
    fitted = aggregator(weights=weights).fit(X, y)
    Q = np.stack([model.predict_quantiles(X, LEVELS) for model in fitted.estimators_], axis=1)
    rule = np.mean if weights == "average" else np.median
    np.testing.assert_allclose(fitted.predict_quantiles(X), rule(Q, axis=1))


def test_free_weights_have_intercepts_and_fit_best(table):
    X, y = table
    fits = {c: aggregator(constraint=c).fit(X, y) for c in ("simplex", "affine", None)}
    losses = []
    for fitted in fits.values():
        raw = np.einsum("npm,pm->nm", fitted.oof_predictions_, fitted.weights_) + fitted.intercept_
        losses.append(weighted_interval_score(y, raw, quantiles=LEVELS))
    assert losses[0] >= losses[1] >= losses[2]
    assert np.any(fits[None].intercept_ != 0)
    assert not np.any(fits["affine"].intercept_)


def test_crossed_models_are_sorted_unless_asked_not_to(table):
    X, y = table
    models = [*MODELS, ("crossed", Shifted(2.0, flaw="crossed"))]
    fitted = aggregator(models).fit(X, y)
    assert quantile_crossing_rate(fitted.predict_quantiles(X)) == 0
    raw = aggregator(models[-1:], noncrossing=None).fit(X, y)
    assert quantile_crossing_rate(raw.predict_quantiles(X)) == 1
    isotonic = aggregator(models, noncrossing="isotonic", constraint="affine").fit(X, y)
    assert quantile_crossing_rate(isotonic.predict_quantiles(X)) == 0


def test_rows_of_weight_zero_are_absent(table):
    X, y = table
    weight = np.ones(60)
    weight[::4] = 0
    fitted, smaller = aggregator().fit(X, y, weight), aggregator().fit(X[weight > 0], y[weight > 0])
    np.testing.assert_allclose(fitted.weights_, smaller.weights_)
    assert np.isnan(fitted.oof_predictions_[::4]).all()
    assert not np.isnan(fitted.oof_predictions_[1::4]).any()


def test_prefit_models_are_used_as_they_are(table):
    X, y = table
    models = [(name, Shifted(m.slope).fit(X[:30], y[:30])) for name, m in MODELS]
    fitted = aggregator(models, cv="prefit").fit(X[30:], y[30:])
    assert fitted.estimators_[0] is models[0][1]
    expected = models[1][1].predict_quantiles(X[30:], LEVELS)
    np.testing.assert_allclose(fitted.oof_predictions_[:, 1], expected)


def test_one_model_and_one_level(table):
    X, y = table
    fitted = aggregator(MODELS[:1], quantiles=[0.5]).fit(X, y)
    np.testing.assert_allclose(fitted.predict(X), np.median(y))
    np.testing.assert_allclose(fitted.weights_, [[1]])
    with pytest.raises(ValueError, match=r"quantiles=\[0.9\]; expected levels from 0.5 to 0.5"):
        fitted.predict_quantiles(X, [0.9])


def test_distribution_and_draws_agree(table):
    X, y = table
    fitted = aggregator().fit(X, y)
    q = fitted.predict_quantiles(X)
    np.testing.assert_allclose([fitted.predict_cdf(X, q[:, k]) for k in range(5)], np.tile(LEVELS, (60, 1)).T)
    thresholds = np.linspace(-9, 9, 50)
    cdf = np.array([fitted.predict_cdf(X[:1], t)[0] for t in thresholds])
    assert np.all(np.diff(cdf) >= 0)
    assert 0 < cdf[0] < 0.01
    assert 0.99 < cdf[-1] <= 1
    draws = fitted.sample(X[:1], 40_000, random_state=0)[0]
    np.testing.assert_allclose(cdf, [(draws <= t).mean() for t in thresholds], atol=0.01)
    np.testing.assert_array_equal(draws, fitted.sample(X[:1], 40_000, random_state=0)[0])


def test_scores(table):
    X, y = table
    fitted = aggregator().fit(X, y)
    theirs = weighted_interval_score(
        y, np.tile(np.quantile(y, LEVELS, method="inverted_cdf"), (60, 1)), quantiles=LEVELS
    )
    ours = weighted_interval_score(y, fitted.predict_quantiles(X), quantiles=LEVELS)
    assert fitted.score(X, y) == pytest.approx(1 - ours / theirs)
    found = cross_val_score(aggregator(), X, y, scoring=QuantileScorer(weighted_interval_score), cv=2)
    assert np.all(found < 0)


@pytest.mark.parametrize(
    ("model", "is_list"),
    [
        (QuantileRegressor(alpha=0), True),
        (HistGradientBoostingRegressor(max_iter=20), True),
        (GradientBoostingRegressor(n_estimators=20), True),
        (make_pipeline(StandardScaler(), QuantileRegressor(alpha=0)), True),
        (BayesianRidge(), False),
        (make_pipeline(StandardScaler(), GaussianProcessRegressor(alpha=1.0)), False),
        (make_pipeline(StandardScaler(), Shifted(1.0)), False),
    ],
    ids=str,
)
def test_models_of_every_kind(table, model, is_list):
    X, y = table
    fitted = fit_model(model, X, y, None, np.array(LEVELS))
    assert isinstance(fitted, list) is is_list
    q = model_quantiles("model", fitted, X, np.array(LEVELS))
    assert q.shape == (60, 5)
    assert np.all(np.diff(np.mean(y[:, None] <= q, axis=0)) > 0)
    if isinstance(model, BayesianRidge):
        mean, std = fitted.predict(X, return_std=True)
        np.testing.assert_allclose(q, mean[:, None] + std[:, None] * norm.ppf(LEVELS))


def test_parameters_of_models(table):
    X, y = table
    stack = aggregator().set_params(flat__slope=2.0)
    assert stack.get_params()["flat__slope"] == 2.0
    weighted = aggregator([("pipe", make_pipeline(StandardScaler(), Shifted()))]).fit(X, y, np.ones(60))
    assert weighted.predict(X).shape == (60,)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"estimators": []}, r"estimators=\[\]; expected a list of at least one"),
        ({"estimators": [("a", LinearRegression())]}, "LinearRegression is no model of quantiles"),
        ({"estimators": [("a", Shifted(flaw="nan"))]}, "Model 'a' predicted NaN or infinite quantiles in 1 rows"),
        ({"estimators": [("a", Shifted(flaw="few"))]}, r"Model 'a' predicted .*\(20, 4\); expected \(n_samples, 5\)"),
        ({"estimators": [("a", Shifted()), ("a", Shifted())]}, "not unique"),
        ({"quantiles": [0.5, 0.1]}, "strictly increasing"),
        ({"quantiles": [0.1, 1.0]}, "between 0 and 1"),
        ({"cv": 61}, "cv=61 needs as many rows"),
        ({"cv": [(np.arange(30), np.arange(30, 60))]}, "expected a partition"),
        ({"noncrossing": "penalty"}, "is for weights='local'"),
        ({"conformal": "cv+", "cv": "prefit"}, "use conformal='cqr'"),
        ({"conformal": "cqr", "calibration_fraction": 0.001}, "takes 0 of 60 rows"),
    ],
    ids=str,
)
def test_bad_input(table, parameters, message):
    with pytest.raises(ValueError, match=message):
        aggregator(**parameters).fit(*table)


def test_weights_for_a_model_without_them(table):
    class Unweighted(Shifted):
        def fit(self, X, y):
            return super().fit(X, y)

    with pytest.raises(ValueError, match="sample_weight is given, and Unweighted has none"):
        aggregator([("a", Unweighted())]).fit(*table, np.ones(60))


def test_coverage_beyond_the_levels(table):
    with pytest.raises(ValueError, match=r"coverage=0\.9 needs the levels"):
        aggregator().fit(*table).predict_interval(table[0], 0.9)


def test_constant_targets(table):
    X, _ = table
    fitted = aggregator([("a", Shifted()), ("b", Shifted())]).fit(X, np.full(60, 4.0))
    np.testing.assert_allclose(fitted.predict_quantiles(X), 4.0)
