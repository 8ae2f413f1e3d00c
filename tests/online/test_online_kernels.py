"""Oracles of the two kernels: closed forms, brute force, identities and the inequalities of the theory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from online_oracles import (
    adanormalhedge_loop,
    best_linear,
    hedge_weight,
    log_det,
    ridge_row_by_row,
)

from trustml.online import AdaNormalHedge, OnlineRidge, Specialists
from trustml.online._kernels import distribution, log_hedge_weight


@pytest.mark.parametrize(
    ("R", "C", "expected"),
    [
        (0, 0, 0.19780621254304476),
        (0.5, 0.5, (np.exp(1 / 2) - 1) / 2),
        (-0.5, 0.5, (np.exp(1 / 18) - 1) / 2),
        (-1, 7, 0.0),
        (-3, 7, 0.0),
        (1, 1, (np.exp(2 / 3) - 1) / 2),
        (2, 2, (np.e - np.exp(1 / 9)) / 2),
    ],
)
def test_hedge_weight_closed_forms(R, C, expected):
    np.testing.assert_allclose(np.exp(log_hedge_weight(np.float64(R), np.float64(C), np)), expected, rtol=1e-14)


def test_hedge_weight_in_logarithms_is_the_definition():
    rng = np.random.default_rng(0)
    C = rng.uniform(0, 50, 20_000)
    R = rng.uniform(-1, 1, 20_000) * np.minimum(C, 3 * np.sqrt(C))
    # The definition is a difference of two numbers near 1 where R is near -1: absolute accuracy is all it has.
    np.testing.assert_allclose(np.exp(log_hedge_weight(R, C, np)), hedge_weight(R, C), rtol=1e-12, atol=1e-15)


def test_hedge_weight_does_not_overflow():
    huge = log_hedge_weight(np.array([1e9, 1e150]), np.array([1e9, 1e150]), np)
    assert np.isfinite(huge).all()
    np.testing.assert_allclose(distribution(huge, np.array([True, True]), np), [0.0, 1.0])


@given(
    C=st.floats(0, 1e6),
    position=st.floats(-1, 1),
    r=st.floats(-1, 1),
)
@settings(max_examples=300, deadline=None)
def test_step_lemma(C, position, r):
    """Phi(R + r, C + |r|) <= Phi(R, C) + w(R, C) r + 3 |r| / (2 (C + 1)) where the potential is in floating range."""

    def potential(R, C):
        return 1.0 if R <= 0 else np.exp(R**2 / (3 * C))

    R = position * min(C, np.sqrt(3 * C * 30))
    right = potential(R, C) + hedge_weight(R, C) * r + 1.5 * abs(r) / (C + 1)
    assert potential(R + r, C + abs(r)) <= right * (1 + 1e-12)


def test_two_experts_by_hand():
    hedge = AdaNormalHedge(2)
    expected, p = hedge.update(np.tile([0.0, 1.0], (100, 1)), return_weights=True)
    np.testing.assert_allclose(p[0], 0.5)
    np.testing.assert_allclose(p[1, 0], 0.9190652058599573, rtol=1e-14)
    np.testing.assert_array_equal(p[2:], np.tile([1.0, 0.0], (98, 1)))
    np.testing.assert_allclose(expected.sum(), 0.5809347941400428, rtol=1e-14)


def random_rounds(seed, T=400, N=13, awake=0.4):
    rng = np.random.default_rng(seed)
    return rng.random((T, N)), rng.random((T, N)) < awake


@pytest.mark.parametrize("prior", [None, np.arange(1, 14) / 91])
def test_hedge_is_the_interleaved_loop(prior):
    losses, awake = random_rounds(0, T=2000)
    weight = np.random.default_rng(1).random(2000)
    P, expected, R, C = adanormalhedge_loop(losses, awake, prior, weight)
    hedge = AdaNormalHedge(13, prior=prior)
    got, p = hedge.update(losses, awake, weight, return_weights=True)
    np.testing.assert_allclose(p, P, atol=1e-11)
    np.testing.assert_allclose(got, expected, atol=1e-11)
    np.testing.assert_allclose(hedge.regret_, R[-1], atol=1e-10)
    np.testing.assert_allclose(hedge.abs_regret_, C[-1], rtol=1e-11)


def test_all_weights_zero_is_uniform_over_the_awake():
    hedge = AdaNormalHedge(3)
    hedge.update(np.tile([0.0, 1.0, 1.0], (20, 1)))
    assert (hedge.regret_[1:] <= -1).all()
    np.testing.assert_array_equal(hedge.weights([False, True, True]), [0, 0.5, 0.5])
    np.testing.assert_array_equal(hedge.weights([False, False, False]), [0, 0, 0])


@pytest.mark.parametrize("make", [AdaNormalHedge, Specialists])
def test_one_round_at_a_time_is_the_batch(make):
    losses, awake = random_rounds(3)
    batch, single = make(13), make(13)
    expected = batch.update(losses, awake)
    one_by_one = [single.update(row, a) for row, a in zip(losses, awake, strict=True)]
    np.testing.assert_allclose(one_by_one, expected, atol=1e-12)
    np.testing.assert_allclose(single.regret_, batch.regret_, atol=1e-11)
    np.testing.assert_allclose(single.weights(), batch.weights(), atol=1e-12)


@pytest.mark.parametrize("make", [AdaNormalHedge, Specialists])
def test_sleeping_rounds_and_zero_weights_change_nothing(make):
    losses, awake = random_rounds(4, T=100)
    reference = make(13)
    reference.update(losses, awake)
    where = np.sort(np.random.default_rng(0).integers(0, 100, 40))
    sleepy = make(13)
    padded = np.insert(losses, where, np.nan, axis=0)
    sleepy.update(padded, np.insert(awake, where, False, axis=0))
    np.testing.assert_array_equal(sleepy.regret_, reference.regret_)
    weightless = make(13)
    weightless.update(
        np.insert(losses, where, 0.7, axis=0),
        np.insert(awake, where, True, axis=0),
        np.insert(np.ones(100), where, 0.0),
    )
    np.testing.assert_array_equal(weightless.regret_, reference.regret_)
    np.testing.assert_array_equal(weightless.weights(), reference.weights())


def test_losses_of_the_sleeping_are_never_read():
    losses, awake = random_rounds(5)
    first, second = AdaNormalHedge(13), AdaNormalHedge(13)
    first.update(losses, awake)
    second.update(np.where(awake, losses, np.nan), awake)
    np.testing.assert_array_equal(first.regret_, second.regret_)


def adversary(make, T, N):
    """Loss 1 for the half of the experts that weighs most (ties by index), so that following the weights hurts."""
    hedge = make(N)
    for _ in range(T):
        heaviest = np.argsort(-hedge.weights(), kind="stable")[: N // 2]
        hedge.update(np.isin(np.arange(N), heaviest) * 1.0)
    return hedge


@pytest.mark.parametrize("make", [AdaNormalHedge, Specialists])
def test_regret_bound_on_random_and_adversarial_sequences(make):
    for seed in range(5):
        losses, awake = random_rounds(seed, T=3000)
        for table in (losses, (losses < 0.5) * 1.0, losses**8):
            hedge = make(13)
            expected = hedge.update(table, awake)
            assert (hedge.regret_ <= hedge.regret_bound()).all()
            own = np.where(awake, table, 0).sum(axis=0)
            np.testing.assert_allclose(hedge.regret_, awake.T @ expected - own, atol=1e-9)
    hedge = adversary(make, 800, 8)
    assert (hedge.regret_ <= hedge.regret_bound()).all()
    assert hedge.regret_.max() > 1  # the adversary does hurt


def test_potential_small_loss_and_zero_sum():
    for seed in range(5):
        losses, awake = random_rounds(seed, T=2000, N=9)
        losses **= 4
        hedge = AdaNormalHedge(9)
        expected, p = hedge.update(losses, awake, return_weights=True)
        instant = np.where(awake, expected[:, None] - losses, 0)
        np.testing.assert_allclose((p * instant).sum(axis=1), 0, atol=1e-15)
        R, C = hedge.regret_, hedge.abs_regret_
        bound = 1 + 1.5 * np.mean(1 + np.log1p(C))
        assert np.mean(np.exp(np.maximum(R, 0) ** 2 / (3 * C))) <= bound
        own = np.where(awake, losses, 0).sum(axis=0)
        assert (R + 2 * own + 1e-9 >= C).all()
        kappa = np.log(9) + np.log(bound)
        assert (3 * kappa + np.sqrt(6 * kappa * own) >= R).all()


def test_specialists_mixture_of_squared_loss_has_constant_regret():
    rng = np.random.default_rng(0)
    T, N = 3000, 10
    y, awake = (rng.random(T) < 0.5) * 1.0, rng.random((T, N)) < 0.6
    f = np.clip(y[:, None] * np.linspace(0, 1, N) + 0.3 * rng.normal(size=(T, N)), 0, 1)
    losses = (f - y[:, None]) ** 2
    hedge = Specialists(N, learning_rate=0.5)
    _, p = hedge.update(losses, awake, return_weights=True)
    mixture = ((p * f).sum(axis=1) - y) ** 2
    excess = awake.T @ np.where(awake.any(axis=1), mixture, 0) - np.where(awake, losses, 0).sum(axis=0)
    assert (excess <= np.log(N) / 0.5 + 1e-9).all()


def test_permuted_and_duplicated_experts():
    losses, awake = random_rounds(6)
    order = np.random.default_rng(0).permutation(13)
    plain, permuted, doubled = AdaNormalHedge(13), AdaNormalHedge(13), AdaNormalHedge(26)
    expected, p = plain.update(losses, awake, return_weights=True)
    permuted.update(losses[:, order], awake[:, order])
    np.testing.assert_allclose(permuted.regret_, plain.regret_[order], atol=1e-10)
    twice, q = doubled.update(np.hstack([losses] * 2), np.hstack([awake] * 2), return_weights=True)
    np.testing.assert_allclose(twice, expected, atol=1e-10)
    np.testing.assert_allclose(q[:, :13], p / 2, atol=1e-10)


def test_disjoint_cover_follows_the_awake_expert_bit_for_bit():
    losses, _ = random_rounds(7)
    group = np.random.default_rng(0).integers(0, 13, len(losses))
    hedge = AdaNormalHedge(13)
    expected = hedge.update(losses, np.arange(13) == group[:, None])
    np.testing.assert_array_equal(expected, losses[np.arange(len(losses)), group])
    np.testing.assert_array_equal(hedge.regret_, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": np.full((5, 3), 1.5)}, r"losses of awake experts must lie in \[0, 1"),
        ({"losses": np.full((5, 3), np.nan)}, "losses of awake experts must lie in"),
        ({"losses": np.zeros((5, 4))}, "column for each of 3 experts"),
        ({"awake": np.ones((5, 4), bool)}, "column for each of 3 experts"),
        ({"awake": np.full((5, 3), 2)}, "awake must be boolean"),
        ({"sample_weight": np.full(5, 2.0)}, r"sample_weight must be 5 numbers in \[0, 1\]"),
    ],
)
def test_aggregator_rejects_bad_rounds(change, message):
    rounds = {"losses": np.zeros((5, 3)), "awake": np.ones((5, 3), bool)} | change
    for hedge in (AdaNormalHedge(3), Specialists(3)):
        with pytest.raises(ValueError, match=message):
            hedge.update(**rounds)
        np.testing.assert_array_equal(hedge.n_rounds_, 0)


def test_aggregator_rejects_bad_parameters():
    with pytest.raises(ValueError, match="n_experts"):
        AdaNormalHedge(0)
    with pytest.raises(ValueError, match="loss_scale"):
        AdaNormalHedge(2, loss_scale=0.0)
    with pytest.raises(ValueError, match="learning_rate"):
        Specialists(2, learning_rate=-1.0)
    with pytest.raises(ValueError, match="prior must be 2 non-negative"):
        AdaNormalHedge(2, prior=[0.5, -0.5])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("make", "unplayed"), [(AdaNormalHedge, 0.0), (Specialists, np.inf)])
def test_nothing_is_guaranteed_for_an_expert_without_prior(make, unplayed):
    hedge = make(3, prior=[0.5, 0.5, 0.0])
    np.testing.assert_array_equal(hedge.regret_bound()[2], unplayed)
    assert hedge.update([1.0, 1.0, 0.0]) == 1
    assert np.isfinite(hedge.regret_bound()[:2]).all()
    assert hedge.regret_bound()[2] == np.inf


def test_loss_scale_is_a_change_of_units():
    losses, awake = random_rounds(8)
    small, plain = AdaNormalHedge(13, loss_scale=10.0), AdaNormalHedge(13)
    np.testing.assert_allclose(small.update(losses / 10, awake) * 10, plain.update(losses, awake), rtol=1e-12)
    np.testing.assert_allclose(small.regret_ * 10, plain.regret_, atol=1e-10)
    np.testing.assert_allclose(small.regret_bound() * 10, plain.regret_bound(), rtol=1e-12)


# --- ridge


def test_ridge_closed_form():
    X, y = np.ones((3, 1)), np.ones(3)
    f, h = OnlineRidge(fit_intercept=False).predict_online(X, y, return_leverage=True)
    np.testing.assert_allclose(f, [0, 1 / 2, 2 / 3], rtol=1e-14)
    np.testing.assert_allclose(1 + h, [2, 3 / 2, 4 / 3], rtol=1e-14)
    forward = OnlineRidge(fit_intercept=False, forward=True).predict_online(X, y)
    np.testing.assert_allclose(forward, [0, 1 / 3, 1 / 2], rtol=1e-14)
    np.testing.assert_allclose(((y - f) ** 2 / (1 + h)).sum(), 3 / 4, rtol=1e-14)
    np.testing.assert_allclose(np.prod(1 + h), 4, rtol=1e-14)


def regression(seed=0, n=150, d=5, scale=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * scale + 0.5
    return X, X @ rng.normal(size=d) + 2 + 0.3 * rng.normal(size=n)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("decay", [1.0, 0.9])
@pytest.mark.parametrize("weighted", [False, True])
def test_ridge_is_the_repeated_solve(fit_intercept, decay, weighted):
    X, y = regression()
    weight = np.random.default_rng(1).integers(0, 3, len(y)) * 0.7 if weighted else np.ones(len(y))
    oracle = ridge_row_by_row(X, y, 0.7, weight, fit_intercept, decay)
    model = OnlineRidge(alpha=0.7, fit_intercept=fit_intercept, forgetting_factor=decay)
    f, h = model.predict_online(X, y, weight, return_leverage=True)
    np.testing.assert_allclose(f, oracle[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(h, oracle[1], rtol=1e-9, atol=1e-9)
    row_by_row = OnlineRidge(alpha=0.7, fit_intercept=fit_intercept, forgetting_factor=decay)
    single = [row_by_row.predict_online(X[t : t + 1], y[t : t + 1], weight[t : t + 1])[0] for t in range(len(y))]
    np.testing.assert_allclose(single, f, atol=1e-10)
    np.testing.assert_allclose(row_by_row.coef_, model.coef_, atol=1e-10)
    np.testing.assert_allclose(row_by_row.covariance_, model.covariance_, atol=1e-10)


@pytest.mark.parametrize("size", [1, 7, 32, 155])
def test_any_split_gives_the_same_stream(size):
    X, y = regression()
    whole = OnlineRidge()
    f = whole.predict_online(X, y)
    parts = OnlineRidge()
    g = np.concatenate([parts.predict_online(X[i : i + size], y[i : i + size]) for i in range(0, 150, size)])
    np.testing.assert_allclose(g, f, atol=1e-12)
    np.testing.assert_allclose(parts.coef_, whole.coef_, atol=1e-12)


def test_split_at_a_block_is_bit_for_bit():
    X, y = regression(n=192)
    whole, halves = OnlineRidge(), OnlineRidge()
    f = whole.predict_online(X, y)
    g = np.concatenate([halves.predict_online(X[:96], y[:96]), halves.predict_online(X[96:], y[96:])])
    np.testing.assert_array_equal(g, f)
    np.testing.assert_array_equal(halves.covariance_, whole.covariance_)


@pytest.mark.parametrize("position", [5, 31, 32, 77])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_no_target_leaks_into_its_own_prediction(position, fit_intercept):
    X, y = regression()
    changed = y.copy()
    changed[position] += 1e6
    f, g = (OnlineRidge(fit_intercept=fit_intercept).predict_online(X, target) for target in (y, changed))
    np.testing.assert_array_equal(f[: position + 1], g[: position + 1])
    assert (f[position + 1 :] != g[position + 1 :]).all()


@given(alpha=st.floats(1e-3, 1e3), seed=st.integers(0, 100), d=st.sampled_from([1, 5]), n=st.integers(5, 60))
@settings(max_examples=25, deadline=None)
def test_ridge_identities_and_bounds(alpha, seed, d, n):
    X, y = regression(seed, n, d)
    f, h = OnlineRidge(alpha=alpha, fit_intercept=False).predict_online(X, y, return_leverage=True)
    best = best_linear(X, y, alpha)
    np.testing.assert_allclose(((y - f) ** 2 / (1 + h)).sum(), best, rtol=1e-9)
    np.testing.assert_allclose(np.log1p(h).sum(), log_det(X, alpha), rtol=1e-9)
    forward = OnlineRidge(alpha=alpha, fit_intercept=False, forward=True).predict_online(X, y)
    np.testing.assert_allclose(forward, f / (1 + h), rtol=1e-12)
    excess = ((y - forward) ** 2).sum() - best
    np.testing.assert_allclose(
        excess, (y**2 * h / (1 + h)).sum() - (forward**2 * h).sum(), rtol=1e-8, atol=1e-8 * (y**2).sum()
    )
    assert excess <= (y**2).max() * log_det(X, alpha) + 1e-9
    assert log_det(X, alpha) <= d * np.log1p((X**2).sum() / (alpha * d)) + 1e-9
    clipped = np.clip(f, y.min(), y.max())
    assert ((y - clipped) ** 2).sum() <= best + np.ptp(y) ** 2 * log_det(X, alpha) + 1e-9


def test_identity_with_an_unpenalised_intercept():
    X, y = regression()
    f, h = OnlineRidge(alpha=0.3).predict_online(X, y, return_leverage=True)
    np.testing.assert_allclose(((y - f) ** 2 / (1 + h)).sum(), best_linear(X, y, 0.3, True), rtol=1e-10)


def test_rotation_and_scale():
    X, y = regression()
    Q = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    f = OnlineRidge().predict_online(X, y)
    np.testing.assert_allclose(OnlineRidge().predict_online(X @ Q, y), f, atol=1e-10)
    np.testing.assert_allclose(OnlineRidge().predict_online(X, -3 * y), -3 * f, atol=1e-10)


def test_float32_stays_close_and_refuses_small_alpha():
    X, y = regression(n=3000)
    exact = OnlineRidge().predict_online(X, y)
    np.testing.assert_allclose(OnlineRidge(dtype="float32").predict_online(X, y), exact, atol=1e-3)
    with pytest.raises(ValueError, match=r"dtype='float32' needs alpha >= 0.01"):
        OnlineRidge(alpha=1e-4, dtype="float32").fit(X, y)
    with pytest.raises(ValueError, match="alpha"):
        OnlineRidge(alpha=0.0).fit(X, y)


def test_long_stream_through_several_chunks():
    X, y = regression(n=20_000, d=3)
    model = OnlineRidge(alpha=0.5).fit(X, y)
    Z = X - X.mean(axis=0)
    np.testing.assert_allclose(model.coef_, np.linalg.solve(Z.T @ Z + 0.5 * np.eye(3), Z.T @ y), rtol=1e-9)
    assert model.n_samples_seen_ == 20_000


def test_predict_is_the_next_online_prediction():
    X, y = regression()
    for forward in (False, True):
        model = OnlineRidge(forward=forward).fit(X[:100], y[:100])
        ahead, leverage = model.predict(X[100:101], return_leverage=True)
        f, h = model.predict_online(X[100:101], y[100:101], return_leverage=True)
        np.testing.assert_allclose(ahead, f, rtol=1e-12)
        np.testing.assert_allclose(leverage, h, rtol=1e-12)
