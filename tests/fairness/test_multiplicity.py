"""Viable ranges against closed forms, a general solver and the definitions."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from trustml.fairness import PredictiveMultiplicity


@pytest.fixture(scope="module")
def data():
    """Forty distinct rows, several times each."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))[rng.integers(40, size=150)]
    return X, (X[:, 0] + rng.normal(size=150) > 0).astype(int)


def objective(model, X, y, w):
    """Mean log loss and penalty of uncentred coefficients (..., p + 1), by the definition."""
    score = X @ w[:-1] + w[-1]
    return np.mean(np.logaddexp(0, score) - y * score) + w[:-1] @ w[:-1] / (2 * model.C * len(y))


def test_best_model_is_that_of_scikit_learn(data):
    X, y = data
    weight = np.random.default_rng(1).integers(0, 3, size=len(y))
    model = PredictiveMultiplicity(C=0.5).fit(X, y, sample_weight=weight)
    exact = LogisticRegression(C=0.5, solver="newton-cholesky", tol=1e-12).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(X), exact.predict_proba(X), atol=1e-9)


def test_intercept_alone():
    """Base rate .3, .01 nats more: the two roots of the binomial log loss; the ellipsoid is off by .003."""
    entropy = -0.3 * np.log(0.3) - 0.7 * np.log(0.7)
    model = PredictiveMultiplicity(epsilon=0.01 / entropy).fit(np.zeros((10, 3)), [0] * 7 + [1] * 3)
    assert model.objective_ == pytest.approx(entropy, abs=1e-12)
    np.testing.assert_allclose(model.viable_range(np.zeros((1, 3))), [[0.238138, 0.367162]], atol=1e-6)


def test_ends_are_those_of_a_general_solver(data):
    X, y = data
    model = PredictiveMultiplicity(epsilon=0.05).fit(X, y)
    found = model.viable_range(X[:3])
    for case, ends in zip(X[:3], found, strict=True):
        for sign, end in zip((1, -1), ends, strict=True):
            slack = {"type": "ineq", "fun": lambda w: model.level_ - objective(model, X, y, w)}
            start = np.append(model.coef_[0], model.intercept_[0])
            score = np.append(case, 1.0) * sign
            best = minimize(lambda w, score=score: w @ score, start, constraints=slack, tol=1e-12)
            assert end == pytest.approx(expit(sign * best.fun), abs=1e-6)


def test_members_are_on_the_level(data):
    X, y = data
    model = PredictiveMultiplicity(epsilon=0.1).fit(X, y)
    distinct, _, members = model._extremes(X)
    assert len(distinct) <= 40
    for w in members[:, :8].reshape(-1, 4):
        slope = w[:-1]
        uncentred = np.append(slope, w[-1] - model._centre @ slope)
        assert objective(model, X, y, uncentred) == pytest.approx(model.level_, abs=1e-12)


def test_order_of_ranges_ambiguity_and_discrepancy(data):
    X, y = data
    deltas, last = [0.02, 0.05, 0.1, 0.3], None
    for epsilon in (0.0, 0.001, 0.05, 0.5, 2.0):
        model = PredictiveMultiplicity(epsilon=epsilon).fit(X, y)
        ends = model.viable_range(X)
        lower, upper = model.discrepancy(X, deltas)
        ambiguity = model.ambiguity(X, deltas)
        h0 = model.predict_proba(X)[:, 1]
        assert (ends[:, 0] <= h0 + 1e-12).all()
        assert (h0 <= ends[:, 1] + 1e-12).all()
        np.testing.assert_array_equal(upper, ambiguity)
        assert (lower <= upper).all()
        assert (np.diff(upper) <= 0).all()
        if epsilon == 0:
            np.testing.assert_allclose(ends[:, 0], ends[:, 1], atol=1e-12)
            assert ambiguity.tolist() == lower.tolist() == [0] * 4
        else:
            assert (np.diff(ends, axis=1) >= np.diff(last[0], axis=1) - 1e-12).all()
            assert (ambiguity >= last[1]).all()
        last = ends, ambiguity


def test_discrepancy_in_one_dimension_is_found():
    """With one coefficient the good models are a segment, whose ends conflict about most."""
    X = np.linspace(-1, 1, 40)[:, None] * [1, 0, 0]
    y = (X[:, 0] + 0.5 * np.sin(40 * X[:, 0]) > 0).astype(int)
    model = PredictiveMultiplicity(epsilon=0.1, fit_intercept=False).fit(X, y)
    ends = np.log(1 / model.viable_range([[1.0, 0, 0]])[0] - 1) * -1
    segment = expit(np.linspace(*ends, 201)[:, None] * X[:, 0])
    most = (np.abs(segment - expit(model.coef_[0, 0] * X[:, 0])) >= 0.05).mean(axis=1).max()
    lower, upper = model.discrepancy(X, 0.05)
    assert lower == pytest.approx(most)
    assert lower <= upper


def test_a_linear_map_of_the_features_changes_nothing(data):
    X, y = data
    mixed = X @ np.random.default_rng(2).normal(size=(3, 3)) + 5
    ranges = [PredictiveMultiplicity(C=1e9).fit(Z, y).viable_range(Z) for Z in (X, mixed)]
    np.testing.assert_allclose(*ranges, atol=1e-6)


def test_strings_and_repeated_rows(data):
    X, y = data
    model = PredictiveMultiplicity().fit(X, y)
    named = PredictiveMultiplicity().fit(X, np.where(y == 1, "yes", "no"))
    assert set(named.predict(X)) == {"no", "yes"}
    np.testing.assert_array_equal(named.viable_range(X), model.viable_range(X))
    twice = PredictiveMultiplicity(C=0.5).fit(np.vstack([X, X]), np.append(y, y))
    np.testing.assert_allclose(twice.viable_range(X), model.viable_range(X), atol=1e-9)


def test_unfinished_extremes_are_named(data):
    X, y = data
    model = PredictiveMultiplicity(epsilon=0.5, max_iter=50).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        assert np.isnan(model.set_params(max_iter=1).viable_range(X)).all()


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({"C": np.inf}, [0, 1, 1], "'C'"),
        ({}, [0, 0, 0], "one class"),
        ({}, [0, 1, 2], "Only binary classification"),
        ({"epsilon": -1}, [0, 1, 1], "'epsilon'"),
    ],
)
def test_bad_input(options, y, message):
    with pytest.raises(ValueError, match=message):
        PredictiveMultiplicity(**options).fit(np.eye(3), y)


def test_bad_delta(data):
    model = PredictiveMultiplicity().fit(*data)
    with pytest.raises(ValueError, match="delta=0"):
        model.ambiguity(data[0], 0)
