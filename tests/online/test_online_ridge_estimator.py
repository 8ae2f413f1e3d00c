"""OnlineRidge as an estimator: scikit-learn's own checks, Ridge as the oracle, long streams with forgetting."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from trustml.online import OnlineRidge


@parametrize_with_checks([OnlineRidge()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def known_failures(estimator):
    if estimator.forgetting_factor < 1:
        return {"check_sample_weight_equivalence_on_dense_data": "a repeated row ages what came before twice"}
    return {}


@pytest.mark.slow
@parametrize_with_checks(
    [OnlineRidge(forward=True), OnlineRidge(fit_intercept=False, forgetting_factor=0.99)],
    expected_failed_checks=known_failures,
)
def test_scikit_learn_checks_of_variants(estimator, check):
    check(estimator)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_is_ridge_with_weights(fit_intercept):
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(300, 6)) + 3, rng.random(300)
    y = X[:, 0] - 5 + rng.normal(size=300)
    batch = Ridge(2.0, fit_intercept=fit_intercept).fit(X, y, w)
    online = OnlineRidge(alpha=2.0, fit_intercept=fit_intercept)
    for rows in np.array_split(np.arange(300), 17):
        online.partial_fit(X[rows], y[rows], w[rows])
    np.testing.assert_allclose(online.coef_, batch.coef_, rtol=1e-10)
    np.testing.assert_allclose(online.intercept_, batch.intercept_, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(online.predict(X), batch.predict(X), rtol=1e-9)


def test_forgetting_follows_a_drift_and_stays_symmetric():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 5))
    y = np.where(np.arange(4000) < 2000, 1, -1) * X[:, 0]
    for single_rows in (False, True):
        model = OnlineRidge(forgetting_factor=0.95)
        if single_rows:
            for t in range(1500, 2600):
                model.partial_fit(X[t : t + 1], y[t : t + 1])
        else:
            model.partial_fit(X, y)
        np.testing.assert_allclose(model.coef_, [-1, 0, 0, 0, 0], atol=1e-8)
        np.testing.assert_allclose(model.covariance_, model.covariance_.T, rtol=1e-12, atol=1e-15)


def test_huge_offset_costs_no_accuracy_with_an_intercept():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    y = X @ [1.0, 2.0, 3.0]
    plain = OnlineRidge(alpha=1e-3).fit(X, y)
    shifted = OnlineRidge(alpha=1e-3).fit(X + 2000.0, y + 1e5)
    np.testing.assert_allclose(shifted.coef_, plain.coef_, rtol=1e-8)


def test_a_row_that_destroys_the_inverse_is_refused():
    X, y = np.random.default_rng(0).normal(size=(2, 12, 3)), np.zeros(12)
    model = OnlineRidge().fit(X[0], y)
    X[1, 8, 1] = 1e30
    before = model.coef_.copy()
    with pytest.raises(ValueError, match=r"X holds magnitudes up to 1e\+30.*standardise X"):
        model.partial_fit(X[1], y)
    np.testing.assert_array_equal(model.coef_, before)
