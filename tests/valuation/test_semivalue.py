"""Semivalues of games whose values are known in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import beta as beta_function
from sklearn.linear_model import Ridge

from trustml.valuation import semivalue
from trustml.valuation._game import CallableGame, all_coalitions, exact_semivalue
from trustml.valuation._semivalue import size_probabilities

KINDS = [
    {"kind": "shapley"},
    {"kind": "banzhaf"},
    {"kind": "beta", "alpha": 16, "beta": 1},
    {"kind": "beta", "alpha": 1, "beta": 4},
    {"kind": "leave_one_out"},
]


def unanimity(masks):
    """Worth one as soon as players 0, 1 and 2 are in."""
    return masks[:, :3].all(axis=1).astype(float)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"kind": "shapley"}, 1 / 3),
        ({"kind": "banzhaf"}, 1 / 4),
        ({"kind": "beta", "alpha": 16, "beta": 1}, 0.006535947712418),
        ({"kind": "beta", "alpha": 4, "beta": 1}, 1 / 15),
        ({"kind": "beta", "alpha": 1, "beta": 4}, 2 / 3),
        ({"kind": "leave_one_out"}, 1.0),
    ],
)
def test_unanimity_game(parameters, expected):
    values = semivalue(unanimity, 6, **parameters).values
    np.testing.assert_allclose(values, [expected] * 3 + [0] * 3, atol=1e-12)


@pytest.mark.parametrize(("alpha", "beta", "size"), [(2.5, 1.5, 2), (16, 1, 4), (0.5, 3, 1)])
def test_unanimity_game_of_any_beta(alpha, beta, size):
    values = semivalue(lambda masks: masks[:, :size].all(axis=1), 7, kind="beta", alpha=alpha, beta=beta).values
    expected = beta_function(beta + size - 1, alpha) / beta_function(beta, alpha)
    np.testing.assert_allclose(values[:size], expected, rtol=1e-10)


def test_airport_game():
    costs = np.arange(1.0, 6.0)

    def game(masks):
        return (masks * costs).max(axis=1)

    np.testing.assert_allclose(semivalue(game, 5).values, [1 / 5, 9 / 20, 47 / 60, 77 / 60, 137 / 60])
    banzhaf = semivalue(game, 5, kind="banzhaf").values
    np.testing.assert_allclose(banzhaf, [0.0625, 0.1875, 0.4375, 0.9375, 1.9375])


def test_glove_and_voting_games():
    def gloves(masks):
        return np.minimum(masks[:, 0], masks[:, 1:].sum(axis=1))

    def vote(masks):
        return masks @ [3, 2, 1, 1] >= 4

    np.testing.assert_allclose(semivalue(gloves, 3).values, [2 / 3, 1 / 6, 1 / 6])
    np.testing.assert_allclose(semivalue(gloves, 3, kind="banzhaf").values, [3 / 4, 1 / 4, 1 / 4])
    np.testing.assert_allclose(semivalue(vote, 4).values, [1 / 2, 1 / 6, 1 / 6, 1 / 6])
    np.testing.assert_allclose(semivalue(vote, 4, kind="banzhaf").values, [0.75, 0.25, 0.25, 0.25])


@pytest.mark.parametrize("parameters", KINDS)
@given(worths=st.lists(st.floats(-100, 100), min_size=1, max_size=7))
@settings(max_examples=25, deadline=None)
def test_additive_games_return_their_worths(parameters, worths):
    values = semivalue(lambda masks: masks @ np.array(worths), len(worths), **parameters).values
    np.testing.assert_allclose(values, worths, atol=1e-9)


def _ridge_score(X, y, X_val, y_val):
    def score(masks):
        scores = np.full(len(masks), -float(np.mean(np.square(y_val))))
        for i, mask in enumerate(masks):
            if mask.any():
                model = Ridge(fit_intercept=False).fit(X[mask], y[mask])
                scores[i] = -np.mean((model.predict(X_val) - y_val) ** 2)
        return scores

    return score


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"kind": "shapley"}, [0.525644, 0.863333, 1.158614, -0.799412]),
        ({"kind": "banzhaf"}, [0.306977, 0.635184, 0.933935, -1.013941]),
        ({"kind": "beta", "alpha": 16, "beta": 1}, [1.594505, 2.09375, 2.196026, -0.214173]),
        ({"kind": "leave_one_out"}, [0.050957, 0.239263, 0.740948, -0.740710]),
    ],
)
def test_ridge_worked_example(parameters, expected):
    X, y = np.array([[1.0], [2], [3], [4]]), np.array([1.0, 2, 3, 0])
    X_val, y_val = X[:2], np.array([1.0, 2.0])
    values = semivalue(_ridge_score(X, y, X_val, y_val), 4, **parameters).values
    np.testing.assert_allclose(values, expected, atol=5e-7)
    # The leave-one-out change of ridge coefficients in closed form, by the hat matrix.
    A = X.T @ X + np.eye(1)
    w = np.linalg.solve(A, X.T @ y)
    leverage = np.einsum("ij,ji->i", X, np.linalg.solve(A, X.T))
    without = w[None] - np.linalg.solve(A, X.T).T * ((y - X @ w) / (1 - leverage))[:, None]
    loo = np.mean((X_val @ without.T - y_val[:, None]) ** 2, axis=0) - np.mean((X_val @ w - y_val) ** 2)
    np.testing.assert_allclose(loo, [0.050957, 0.239263, 0.740948, -0.740710], atol=5e-7)


def test_probabilities_of_sizes():
    expected = {
        (16, 1): [0.7619, 0.19048, 0.0401, 0.00668, 0.00079, 0.00005],
        (4, 1): [0.44444, 0.27778, 0.15873, 0.07937, 0.03175, 0.00794],
    }
    for (alpha, beta), probabilities in expected.items():
        np.testing.assert_allclose(size_probabilities(6, "beta", alpha, beta), probabilities, atol=6e-6)
    for parameters in KINDS:
        for n_players in (1, 2, 100, 5000):
            np.testing.assert_allclose(size_probabilities(n_players, **parameters).sum(), 1, rtol=1e-9)


def test_beta_of_one_one_is_shapley_and_its_limit_leave_one_out():
    np.testing.assert_allclose(size_probabilities(50, "beta", 1, 1), size_probabilities(50, "shapley"), rtol=1e-10)
    limit = size_probabilities(6, "beta", 1, 1e9)
    np.testing.assert_allclose(limit, size_probabilities(6, "leave_one_out"), atol=1e-7)


@given(seed=st.integers(0, 2**31), n_players=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_shapley_of_random_games(seed, n_players):
    """Efficiency, equivariance and linearity, on games with a worth drawn for every coalition."""
    rng = np.random.default_rng(seed)
    worth, other = rng.normal(size=(2, 2**n_players))
    shapley = size_probabilities(n_players, "shapley")
    values = exact_semivalue(worth, shapley)
    np.testing.assert_allclose(values.sum(), worth[-1] - worth[0], atol=1e-9)
    np.testing.assert_allclose(
        exact_semivalue(3 * worth + other, shapley), 3 * values + exact_semivalue(other, shapley), atol=1e-9
    )
    renamed = rng.permutation(n_players)
    masks = all_coalitions(n_players)
    number = (masks[:, renamed] << np.arange(n_players)).sum(axis=1)
    np.testing.assert_allclose(exact_semivalue(worth[number], shapley)[renamed], values, atol=1e-9)


@pytest.mark.parametrize("parameters", KINDS)
def test_permutations_agree_with_all_coalitions(parameters):
    worth = np.random.default_rng(0).normal(size=32)

    def game(masks):
        return worth[masks @ (1 << np.arange(5))]

    exact = semivalue(game, 5, **parameters).values
    estimate = semivalue(game, 5, n_permutations=4000, random_state=0, **parameters)
    assert (estimate.standard_errors > 0).all()
    assert np.abs((estimate.values - exact) / estimate.standard_errors).max() < 4


def test_permutation_error_is_within_hoeffding_bound():
    n_players, n_permutations, delta = 6, 200, 0.01
    exact = semivalue(unanimity, n_players).values
    bound = np.sqrt(np.log(2 * n_players / delta) / (2 * n_permutations))
    for seed in range(20):
        estimate = semivalue(unanimity, n_players, n_permutations=n_permutations, random_state=seed).values
        assert np.abs(estimate - exact).max() <= bound


def test_callable_game_marginals_follow_the_orders():
    game = CallableGame(lambda masks: masks @ [1.0, 2.0, 4.0] + 10, 3)
    marginals = game.marginals(np.array([[2, 0, 1], [1, 2, 0]]))
    np.testing.assert_allclose(marginals, [[4, 1, 2], [2, 4, 1]])


def test_bad_games_are_refused():
    with pytest.raises(ValueError, match=r"game returned an array of shape \(2, 1\).*expected \(2,\)"):
        semivalue(lambda masks: np.ones((len(masks), 1)), 3)
    with pytest.raises(ValueError, match="game returned nan for a coalition"):
        semivalue(lambda masks: np.where(masks.all(axis=1), 1.0, np.nan), 3)
    with pytest.raises(ValueError, match=r"n_players=17 is too many.*n_permutations"):
        semivalue(lambda masks: masks.sum(axis=1), 17)
    with pytest.raises(ValueError, match="'kind' parameter of semivalue"):
        semivalue(lambda masks: masks.sum(axis=1), 3, kind="shaply")
