"""SPCRegressor: what it promises, units, sides, targets, models of all kinds, and bad input."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
import skops.io
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from trustml.uncertainty import SPCRegressor


def table(n, seed=0, d=3):
    """Targets with a skewed noise that grows with the first feature."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 2, size=(n, d))
    return X, X.sum(axis=1) + (0.3 + X[:, 0]) * (rng.exponential(size=n) - 1)


def covered(interval, y):
    return (interval[:, 0] <= y) & (y <= interval[:, 1])


@pytest.fixture(scope="module")
def fitted():
    X, y = table(400)
    return SPCRegressor(LinearRegression(), coverage=[0.8, 0.95], max_iter=60, random_state=0).fit(X, y)


def test_default_intervals_cover_and_follow_the_noise(fitted):
    X, y = table(4000, seed=1)
    interval = fitted.predict_interval(X)
    assert interval.shape == (4000, 2, 2)
    np.testing.assert_allclose(covered(interval, y[:, None]).mean(axis=0), [0.8, 0.95], atol=0.04)
    width = interval[:, 1] - interval[:, 0]
    assert (width[X[:, 0] > 1.5].mean(axis=0) > 1.5 * width[X[:, 0] < 0.5].mean(axis=0)).all()
    # The noise is skewed: most of the interval lies above the prediction.
    predicted = fitted.predict(X)
    assert (interval[:, 1, 1] - predicted > predicted - interval[:, 0, 1]).mean() > 0.95


def test_levels_are_nested_and_quantiles_rise(fitted):
    X, _ = table(300, seed=2)
    X[0] *= 1e6
    low, high = np.moveaxis(fitted.predict_interval(X), 2, 0)
    assert (high[:, 0] <= low[:, 0]).all()
    assert (low[:, 1] <= high[:, 1]).all()
    quantiles = fitted.predict_quantiles(X)
    np.testing.assert_array_equal(quantiles, np.stack([high[:, 0], low[:, 0], low[:, 1], high[:, 1]], axis=1))
    np.testing.assert_array_equal(fitted.predict_interval(X, 0.95), high)
    np.testing.assert_array_equal(fitted.predict_interval(X, [0.95, 0.8])[:, :, 1], low)


def test_uncertainty_is_the_arithmetic_of_the_heads(fitted):
    X, y = table(2000, seed=3)
    u = fitted.predict_uncertainty(X)
    D = 2 * u.mar_up * u.mar_down - u.mar * (u.mar_up + u.mar_down)
    np.testing.assert_allclose(u.sds**2, np.abs(D), atol=1e-9)
    np.testing.assert_allclose(u.sds_relative, np.abs(D) / (2 * u.mar_up * u.mar_down), atol=1e-9)
    np.testing.assert_allclose(u.total, u.aleatoric + u.epistemic)
    e = y - fitted.predict(X)
    np.testing.assert_allclose(u.mar.mean(), np.abs(e).mean(), rtol=0.1)
    np.testing.assert_allclose(u.mar_up[e > 0].mean(), e[e > 0].mean(), rtol=0.15)
    assert np.corrcoef(-fitted.score_samples(X), u.sds)[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_units_of_the_target(fitted, unit):
    X, y = table(400)
    other = clone(fitted).fit(X, unit * y + 3 * unit)
    X = X[:50]
    np.testing.assert_allclose(other.predict_interval(X), unit * fitted.predict_interval(X) + 3 * unit, rtol=1e-3)
    np.testing.assert_allclose(other.predict_uncertainty(X).mar, unit * fitted.predict_uncertainty(X).mar, rtol=1e-3)


def test_reflection_swaps_the_sides():
    X, y = table(400)
    model = SPCRegressor(LinearRegression(), head="ridge", random_state=0)
    here, there = clone(model).fit(X, y), clone(model).fit(X, -y)
    np.testing.assert_allclose(there.predict_interval(X), -here.predict_interval(X)[:, ::-1], rtol=1e-6)
    ours, theirs = here.predict_uncertainty(X), there.predict_uncertainty(X)
    np.testing.assert_allclose(ours.mar_up, theirs.mar_down, rtol=1e-6)
    np.testing.assert_allclose(ours.sds**2, theirs.sds**2, atol=1e-6)


def coverage_of_calibrations(n_calibration, repetitions, level=0.9):
    """Coverage on fresh rows, in all and per side, of one model calibrated many times."""
    model = SPCRegressor(LinearRegression(), coverage=level, head="ridge", calibration="none", random_state=0)
    model.fit(*table(300))
    X, y = table(repetitions * (n_calibration + 200), seed=9)
    shares = []
    for X_part, y_part in zip(np.split(X, repetitions), np.split(y, repetitions), strict=True):
        model.calibrate(X_part[:n_calibration], y_part[:n_calibration])
        X_new, y_new = X_part[n_calibration:], y_part[n_calibration:]
        inside, up = covered(model.predict_interval(X_new), y_new), y_new > model.predict(X_new)
        shares.append([inside.mean(), inside[up].mean(), inside[~up].mean()])
    return np.array(shares), model.side_counts_[0]


def assert_within_the_band(shares, n_calibration, level=0.9):
    """E[coverage] is in [level, level + 1 / (n_side + 1)], up to three standard errors of the repetitions."""
    mean, error = shares.mean(axis=0), shares.std(axis=0) / np.sqrt(len(shares))
    fewest = 0.3 * n_calibration  # rows of the smaller side, p_up = 1 / e
    assert (mean >= level - 3 * error).all()
    assert (mean <= level + 1 / fewest + 3 * error).all()


def test_calibrated_intervals_hold_their_share_on_each_side():
    shares, _ = coverage_of_calibrations(120, 40)
    assert_within_the_band(shares, 120)


@pytest.mark.slow
def test_calibrated_intervals_hold_their_share_over_200_repetitions():
    shares, _ = coverage_of_calibrations(120, 200)
    assert_within_the_band(shares, 120)


def test_calibration_with_integer_weights_is_that_of_repeated_rows():
    X, y = table(200)
    model = SPCRegressor(LinearRegression(), coverage=0.7, head="ridge", random_state=0).fit(X, y)
    X, y = table(80, seed=4)
    weight = np.full(80, 2)
    once = model.calibrate(X, y).side_factors_
    np.testing.assert_array_equal(model.calibrate(X, y, sample_weight=weight).side_factors_, once)
    weight[40:] = 0
    np.testing.assert_array_equal(
        model.calibrate(X, y, sample_weight=weight).side_factors_, model.calibrate(X[:40], y[:40]).side_factors_
    )


@pytest.mark.parametrize("head", ["mlp", "ridge"])
def test_rows_of_weight_zero_are_as_if_absent(head):
    X, y = table(200)
    weight = np.ones(200)
    weight[::4] = 0
    X[0] = 1e5
    kept = weight > 0
    model = SPCRegressor(LinearRegression(), head=head, max_iter=5, cv=2, random_state=0)
    given, absent = clone(model).fit(X, y, sample_weight=weight), clone(model).fit(X[kept], y[kept])
    np.testing.assert_allclose(given.predict_interval(X[1:9]), absent.predict_interval(X[1:9]), rtol=1e-6)


def test_sds_widening_never_shrinks_and_is_bounded(fitted):
    X, y = table(400)
    plain = clone(fitted).set_params(calibration="none").fit(X, y)
    wide = clone(fitted).set_params(calibration="sds", max_widening=1.5).fit(X, y)
    predicted = plain.predict(X)[:, None, None]
    ratio = (wide.predict_interval(X) - predicted) / (plain.predict_interval(X) - predicted)
    assert ratio.min() >= 1 - 1e-6
    assert ratio.max() <= 1.5 + 1e-6
    assert ratio.max() > 1.05


def test_several_targets_are_fitted_as_each_alone():
    X, y = table(300)
    both = np.column_stack([y, -10 * y])
    model = SPCRegressor(LinearRegression(), head="ridge", coverage=0.9, random_state=0).fit(X, both)
    interval = model.predict_interval(X)
    assert interval.shape == (300, 2, 2)
    assert model.predict_quantiles(X).shape == (300, 2, 2)
    assert model.predict_uncertainty(X).sds.shape == (300, 2)
    assert model.score_samples(X).shape == (300,)
    alone = clone(model).fit(X, y).predict_interval(X)
    np.testing.assert_allclose(interval[:, 0], alone, rtol=1e-6)
    np.testing.assert_allclose(interval[:, 1], -10 * alone[:, ::-1], rtol=1e-6)


@pytest.mark.parametrize("loss", ["pinball", "coverage"])
def test_mlp_heads_of_two_targets(loss):
    X, y = table(300)
    model = SPCRegressor(LinearRegression(), coverage=0.9, quantile_loss=loss, max_iter=20, cv=3, random_state=0)
    model.fit(X, np.column_stack([y, -y]))
    X, y = table(2000, seed=6)
    interval = model.predict_interval(X)
    assert 0.84 < covered(interval[:, 0], y).mean() < 0.96
    assert 0.84 < covered(interval[:, 1], -y).mean() < 0.96


def test_a_fitted_model_is_used_as_it_is():
    X, y = table(300)
    frozen = LinearRegression().fit(X[:100], y[:100])
    prefit = SPCRegressor(frozen, residuals="prefit", head="ridge", random_state=0).fit(X[100:], y[100:])
    assert prefit.estimator_ is frozen
    by_cv = SPCRegressor(FrozenEstimator(frozen), head="ridge", random_state=0).fit(X[100:], y[100:])
    np.testing.assert_array_equal(prefit.predict_interval(X), by_cv.predict_interval(X))
    with pytest.raises(sklearn.exceptions.NotFittedError):
        SPCRegressor(LinearRegression(), residuals="prefit").fit(X, y)


def test_a_model_that_knows_its_rows_by_heart_is_noticed():
    X, y = table(100)
    model = KNeighborsRegressor(1).fit(X, y)
    with pytest.warns(UserWarning, match="100% of y exactly"):
        SPCRegressor(model, residuals="prefit", head="ridge", random_state=0).fit(X, y)


def test_out_of_fold_residuals_are_honest_where_training_residuals_are_not():
    X, y = table(300)
    X_new, y_new = table(2000, seed=5)
    model = SPCRegressor(DecisionTreeRegressor(max_depth=5), coverage=0.9, head="ridge", random_state=0)
    shares = {
        kind: covered(clone(model).set_params(residuals=kind).fit(X, y).predict_interval(X_new), y_new).mean()
        for kind in ("cv", "train")
    }
    assert shares["cv"] > 0.86 > 0.8 > shares["train"]


def test_heads_see_the_last_hidden_layer_of_a_network_in_a_pipeline():
    X, y = table(200)
    base = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(7, 5), max_iter=30, random_state=0))
    model = SPCRegressor(base, cv=2, head="ridge", random_state=0)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        model.fit(X, y)
    assert model.feature_mean_.shape == (5,)
    network = model.estimator_[-1]
    hidden = StandardScaler().fit_transform(X)
    for weights, biases in zip(network.coefs_[:-1], network.intercepts_[:-1], strict=True):
        hidden = np.maximum(hidden @ weights + biases, 0)
    np.testing.assert_allclose(model.feature_mean_, hidden.mean(axis=0), rtol=1e-4)


def test_categories_and_missing_values():
    X, y = table(200)
    X[::7, 1] = np.nan
    with pytest.raises(ValueError, match="X holds 29 NaN, which heads cannot read"):
        SPCRegressor(HistGradientBoostingRegressor(max_iter=5), cv=2).fit(X, y)
    model = SPCRegressor(HistGradientBoostingRegressor(max_iter=5), cv=2, head="ridge", features=SimpleImputer())
    assert np.isfinite(model.fit(X, y).predict_interval(X)).all()
    frame = pd.DataFrame({"kind": np.where(X[:, 0] > 1, "a", "b")})
    pipeline = make_pipeline(OneHotEncoder(sparse_output=False), Ridge())
    assert np.isfinite(SPCRegressor(pipeline, cv=2, head="ridge").fit(frame, y).predict_interval(frame)).all()


def test_a_constant_target_has_intervals_of_no_width():
    X, _ = table(50)
    with pytest.warns(UserWarning, match="needs 19 rows above the prediction, and there are 0"):
        model = SPCRegressor(Ridge(), cv=2, random_state=0).fit(X, np.full(50, 7.0))
    np.testing.assert_allclose(model.predict_interval(X), 7.0, atol=1e-9)
    assert not any(np.isnan(values).any() for values in model.predict_uncertainty(X).values())


def test_too_few_rows_for_a_side_make_it_infinite_when_calibrated(fitted):
    model = pickle.loads(pickle.dumps(fitted))
    X, y = table(12, seed=7)
    with pytest.warns(UserWarning, match=r"needs 19 rows (above|below) the prediction, and there are \d+: that side"):
        model.calibrate(X, y)
    assert np.isinf(model.predict_interval(X, 0.95)).any()


def test_calibration_with_the_rows_of_fit_is_noticed(fitted):
    model = pickle.loads(pickle.dumps(fitted))
    with pytest.warns(UserWarning, match="100% rows that fit has seen"):
        model.calibrate(*table(400))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"coverage": 1.0}, "coverage"),
        ({"coverage": [0.5, 1.5]}, r"coverage=\[0.5, 1.5\]; expected a number, or several, between 0 and 1"),
        ({"coverage": "high"}, "coverage"),
        ({"estimator": LogisticRegression()}, "is no regressor"),
        ({"cv": [(np.arange(25), np.arange(25, 50))]}, "holds 25 rows out of no fold"),
        ({"residuals": "oob"}, "residuals"),
    ],
)
def test_bad_parameters(parameters, message):
    X, y = table(50)
    with pytest.raises(ValueError, match=message):
        SPCRegressor(**{"estimator": Ridge(), **parameters}).fit(X, y)


def test_bad_data(fitted):
    X, y = table(50)
    with pytest.raises(ValueError, match=r"coverage=0.7 was not fitted; expected some of \[0.8, 0.95\]"):
        fitted.predict_interval(X, 0.7)
    with pytest.raises(ValueError, match="takes none"):
        SPCRegressor(KNeighborsRegressor(), cv=2).fit(X, y, sample_weight=np.ones(50))
    with pytest.raises(ValueError, match="features"):
        fitted.predict_interval(X[:, :2])
    with pytest.raises(ValueError, match="y has 2 targets; expected 1"):
        fitted.calibrate(X, np.column_stack([y, y]))


def test_weights_reach_the_last_step_of_a_pipeline():
    X, y = table(100)
    weight = np.random.default_rng(0).uniform(0.1, 5, 100)
    pipeline = make_pipeline(StandardScaler(), Ridge())
    model = SPCRegressor(pipeline, cv=2, head="ridge", random_state=0).fit(X, y, sample_weight=weight)
    direct = clone(pipeline).fit(X, y, ridge__sample_weight=weight)
    np.testing.assert_allclose(model.predict(X), direct.predict(X))


def test_single_precision_in_and_a_grid_of_base_models():
    X, y = table(120)
    model = SPCRegressor(Ridge(), cv=2, head="ridge", random_state=0)
    search = GridSearchCV(model, {"estimator__alpha": [0.1, 1e4]}, cv=2).fit(X.astype(np.float32), y.astype(np.float32))
    assert search.best_params_ == {"estimator__alpha": 0.1}
    assert np.isfinite(search.best_estimator_.predict_interval(X.astype(np.float32))).all()


def test_networks_are_stored_and_repeated(fitted):
    X, y = table(400)
    again = clone(fitted).fit(X, y)
    np.testing.assert_array_equal(again.predict_interval(X), fitted.predict_interval(X))
    stored = skops.io.dumps(fitted)
    untrusted = skops.io.get_untrusted_types(data=stored)
    assert untrusted == ["trustml.uncertainty._regressor.SPCRegressor"]
    np.testing.assert_array_equal(
        skops.io.loads(stored, trusted=untrusted).predict_interval(X), fitted.predict_interval(X)
    )


def test_other_folds_and_numbers_compile_nothing(fitted, count_compilations):
    X, y = table(401)
    with count_compilations() as compilations:
        clone(fitted).set_params(learning_rate=3e-3, alpha=0.01, tol=1e-3, coverage=[0.7, 0.9]).fit(X[:397], y[:397])
    assert compilations.count == 0
