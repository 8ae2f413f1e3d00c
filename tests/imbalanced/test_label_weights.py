"""Weights of rare targets against published counts, closed forms and limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import gaussian_kde
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor

from trustml.imbalanced import DenseWeight, LabelDistributionSmoothing, ReweightedRegressor
from trustml.imbalanced._label_weights import smoothing_kernel

Y = np.repeat([0, 1, 2, 4], [10, 4, 1, 2])
VALUES = [0, 1, 2, 4]


def test_smoothed_counts():
    lds = LabelDistributionSmoothing(kernel="gaussian_reflected", clip=(1e-9, 1e9)).fit(Y)
    np.testing.assert_array_equal(lds.counts_, [10, 4, 1, 0, 2])
    np.testing.assert_allclose(lds.density_, [14.64159583, 14.40410414, 15.08273345, 6.2706239, 2.85828524], rtol=1e-8)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"kernel": None}, [0.70833, 1.41667, 1.41667, 1.41667]),
        ({"kernel": None, "weighting": "sqrt_inverse"}, [0.70954639, 1.12189135, 2.24378271, 1.58659397]),
        (
            {"kernel": "gaussian_reflected", "weighting": "sqrt_inverse"},
            [0.84772552, 0.84421583, 0.73493247, 2.20547453],
        ),
    ],
)
def test_weights(parameters, expected):
    lds = LabelDistributionSmoothing(**parameters).fit(Y)
    np.testing.assert_allclose(lds.weights(VALUES), expected, atol=6e-6)
    assert lds.weights(Y).mean() == pytest.approx(1)


def test_kernels():
    reflected = smoothing_kernel("gaussian_reflected", 5, 2.0)
    np.testing.assert_allclose(reflected, [0.858285, 0.945828, 1, 0.945828, 0.858285], atol=1e-6)
    narrow = smoothing_kernel("gaussian_reflected", 9, 1.0)
    np.testing.assert_allclose(narrow[:5], [0.000335, 0.011109, 0.135335, 0.606531, 1], atol=2e-4)
    np.testing.assert_allclose(smoothing_kernel("gaussian", 5, 2.0)[:3], np.exp([-0.5, -0.125, 0]))
    np.testing.assert_allclose(smoothing_kernel("triangular", 5, 2.0)[:3], [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(smoothing_kernel("laplace", 5, 2.0)[:3], np.exp([-1, -0.5, 0]))


def test_reflected_boundary_and_targets_beyond_the_bins():
    flat = LabelDistributionSmoothing(boundary="reflect").fit(np.repeat(np.arange(9), 20))
    np.testing.assert_allclose(flat.weights([-5, 0, 4, 8, 99]), 1)
    zero = LabelDistributionSmoothing(kernel=None, weighting="sqrt_inverse").fit(Y)
    assert zero.weights([3]) == pytest.approx(zero.scale_)


@pytest.mark.parametrize("weights", [LabelDistributionSmoothing(bins=7), DenseWeight(alpha=0.7)])
def test_a_weight_of_two_is_a_row_twice(weights):
    y = np.random.default_rng(0).exponential(size=60)
    counts = np.random.default_rng(1).integers(0, 4, 60)
    counts[[y.argmin(), y.argmax()]] = 1
    weighted, repeated = clone(weights).fit(y, counts).weights(y), clone(weights).fit(np.repeat(y, counts)).weights(y)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6)


@given(st.floats(-1e3, 1e3), st.floats(1e-2, 1e3))
def test_weights_do_not_depend_on_the_unit(shift, scale):
    y = np.random.default_rng(0).gamma(2.0, size=200)
    moved = shift + scale * y
    for weights in (LabelDistributionSmoothing(bins=12, clip=(1e-9, 1e9)), DenseWeight()):
        rare, moved_rare = weights.fit(y).weights(y), clone(weights).fit(moved).weights(moved)
        # A target on the edge of two bins may fall to either side.
        assert np.mean(np.isclose(rare, moved_rare, rtol=1e-3)) > 0.97


def test_dense_weight_against_the_density_itself():
    y = np.random.default_rng(0).gamma(2.0, size=400)
    model = DenseWeight(alpha=0.9).fit(y)
    bandwidth = 1.06 * y.std() * len(y) ** -0.2
    density = gaussian_kde(y, bw_method=bandwidth / y.std(ddof=1))(model.grid_)
    density = (density - density.min()) / (density.max() - density.min())
    np.testing.assert_allclose(model.density_, density, atol=2e-4)
    weights = 1 - 0.9 * np.interp(y, model.grid_, density)
    np.testing.assert_allclose(model.weights(y), weights / weights.mean(), rtol=5e-3)


def test_dense_weight_at_its_ends():
    y = np.random.default_rng(0).exponential(size=2000)
    np.testing.assert_array_equal(DenseWeight(alpha=0).fit(y).weights(y), 1)
    full = DenseWeight(alpha=1).fit(y).weights(y)
    assert full.max() / full.min() > 1e4
    np.testing.assert_array_equal(DenseWeight().fit(np.ones(5)).weights([1, 2]), 1)
    assert DenseWeight(bandwidth=1e-9).fit(y).weights(y).mean() == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LabelDistributionSmoothing(kernel_size=4).fit(Y), "kernel_size=4; expected an odd number"),
        (lambda: LabelDistributionSmoothing(clip=(3, 1)).fit(Y), r"clip=\(3, 1\); expected two"),
        (lambda: LabelDistributionSmoothing(kernel="box").fit(Y), "'kernel' parameter"),
        (lambda: LabelDistributionSmoothing().fit([1, np.nan]), "y contains NaN"),
        (lambda: DenseWeight(alpha=-1).fit(Y), "'alpha' parameter"),
        (lambda: DenseWeight().fit([1e300, 0]), "y holds a number beyond"),
        (lambda: DenseWeight().fit([1, 2], sample_weight=[1, -1]), "[Nn]egative"),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_reweighted_regressor_hands_its_weights_to_the_model():
    rng = np.random.default_rng(0)
    y = rng.exponential(size=300)
    X, own = y[:, None] + rng.normal(size=(300, 2)), rng.uniform(size=300)
    model = ReweightedRegressor(LinearRegression(), weights=DenseWeight(alpha=0.5)).fit(X, y, own)
    weights = DenseWeight(alpha=0.5).fit(y, own).weights(y)
    np.testing.assert_allclose(model.predict(X), LinearRegression().fit(X, y, own * weights).predict(X))
    rare = y > np.quantile(y, 0.95)
    plain, even = (
        HistGradientBoostingRegressor(max_iter=20),
        ReweightedRegressor(HistGradientBoostingRegressor(max_iter=20)),
    )
    errors = [np.abs(m.fit(X, y).predict(X) - y)[rare].mean() for m in (plain, even)]
    assert errors[1] < 0.8 * errors[0]


def test_weights_can_be_searched():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 2)), rng.exponential(size=80)
    search = GridSearchCV(
        ReweightedRegressor(Ridge(), weights=DenseWeight()),
        {"weights__alpha": [0.0, 0.9], "estimator__alpha": [1, 10]},
        cv=2,
    )
    assert set(search.fit(X, y).best_params_) == {"weights__alpha", "estimator__alpha"}


def test_a_model_without_weights_is_refused():
    with pytest.raises(ValueError, match=r"estimator=KNeighborsRegressor\(\) takes no sample_weight"):
        ReweightedRegressor(KNeighborsRegressor()).fit(np.eye(8), np.arange(8))
