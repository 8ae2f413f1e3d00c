"""The LDR losses against closed forms, a grid of temperatures, their dual, limits and invariances."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads
from loss_oracles import aldr_kl_on_grid, assert_slope, divergence, margins, normalized
from loss_oracles import ldr_kl as slow_ldr_kl
from scipy.optimize import minimize
from scipy.special import softmax

from trustml.losses import (
    aldr_kl,
    aldr_temperature,
    crammer_singer,
    cross_entropy,
    ldr_kl,
    ldr_topk_kl,
    normalize_scores,
)

F = np.array([2.0, 1.0, 0.0, -1.0])
RAW = {"normalize": None}


@pytest.fixture(autouse=True)
def in_float64(request):
    with jax.enable_x64("single_precision" not in request.node.name):
        yield


VALUES = {
    0.01: 1.086137056389,
    0.1: 0.961372234250,
    0.5: 0.468668016871,
    1: 0.131094993274,
    2: -0.125015998516,
    10: -0.363610246478,
    100: -0.418864427001,
    1e4: -0.424938656121,
}


@pytest.mark.parametrize(("lam", "value"), VALUES.items())
def test_ldr_kl_at_known_values(lam, value):
    assert ldr_kl(F, 1, lam=lam, **RAW) == pytest.approx(value, abs=1e-9)


def test_temperature_zero_and_infinity_are_the_hinge_and_the_mean():
    assert ldr_kl(F, 1, lam=0.0, **RAW) == crammer_singer(F, 1, margin=0.1)
    assert ldr_kl(F, 1, lam=np.inf, **RAW) == pytest.approx(margins(F, 1, 0.1).mean(), abs=1e-14)
    assert aldr_kl(F, 1, lam=0.0, **RAW) == crammer_singer(F, 1, margin=0.1)
    assert aldr_kl(F, 1, lam=np.inf, **RAW) == pytest.approx(margins(F, 1, 0.1).mean(), abs=1e-14)
    assert ldr_topk_kl(F, 1, k=2, lam=0.0, **RAW) == pytest.approx((1.1 + 0.0) / 2, abs=1e-14)
    np.testing.assert_allclose(jax.grad(ldr_kl)(jnp.array(F), 1, lam=0.0, **RAW), [1, -1, 0, 0])
    np.testing.assert_allclose(jax.grad(ldr_kl)(jnp.array(F), 1, lam=np.inf, **RAW), [0.25, -0.75, 0.25, 0.25])


def test_temperature_one_without_margin_is_the_cross_entropy_less_a_constant():
    assert ldr_kl(F, 1, lam=1.0, margin=0.0, **RAW) == pytest.approx(0.053895337441, abs=1e-12)
    assert ldr_kl(F, 1, lam=1.0, margin=0.0, **RAW) == pytest.approx(float(cross_entropy(F, 1)) - np.log(4), abs=1e-14)
    for t, value in ((-2.0, -0.566219169517), (0.0, 0.0), (2.0, 1.433780830304)):
        assert ldr_kl(np.array([t, 0.0]), 1, lam=1.0, margin=0.0, **RAW) == pytest.approx(value, abs=1e-9)


def test_the_gradient_is_the_worst_distribution_less_the_label():
    worst = np.array([0.658764, 0.219284, 0.089154, 0.032798])
    gradient, slope = jax.grad(lambda f, lam: ldr_kl(f, 1, lam=lam, **RAW), (0, 1))(jnp.array(F), 1.0)
    np.testing.assert_allclose(gradient + np.eye(4)[1], worst, atol=1e-6)
    assert slope == pytest.approx(-0.450991065, abs=1e-9)
    assert slope == pytest.approx(-divergence(np.asarray(gradient) + np.eye(4)[1]), abs=1e-12)


def test_the_value_is_the_dual_maximum():
    def objective(logits):
        p = softmax(logits)
        return -(p @ margins(F, 1, 0.1) - 0.5 * divergence(p))

    best = minimize(objective, np.zeros(4), method="BFGS", options={"gtol": 1e-10})
    assert ldr_kl(F, 1, lam=0.5, **RAW) == pytest.approx(-best.fun, abs=1e-12)


def test_the_value_falls_with_temperature_within_its_bounds():
    z = margins(F, 1, 0.1)
    lams = np.geomspace(1e-3, 1e6, 60)
    values = np.array([ldr_kl(F, 1, lam=lam, **RAW) for lam in lams])
    assert (np.diff(values) <= 1e-12).all()
    assert (values <= z.max() + 1e-12).all()
    assert (values >= np.maximum(z.max() - lams * np.log(4), z.mean()) - 1e-12).all()


def test_the_mean_margin_is_symmetric_and_reached_at_second_order():
    for margin in (0.0, 0.1, 1.0):
        for kind in (None, "softplus", "l1", "l2"):
            total = sum(ldr_kl(F, y, lam=np.inf, margin=margin, normalize=kind) for y in range(4))
            assert total == pytest.approx(3 * margin, abs=1e-12)
    gap = ldr_kl(F, 1, lam=1e5, **RAW) - ldr_kl(F, 1, lam=np.inf, **RAW)
    assert 2e5 * gap == pytest.approx(1.226875, abs=1e-4)


def test_high_temperatures_lose_no_digits_in_single_precision():
    for lam in (1.0, 10.0, 31.0, 33.0, 1e3, 1e6, 1e12):
        with jax.enable_x64(True):
            exact = float(ldr_kl(F, 1, lam=lam, **RAW))
        assert ldr_kl(jnp.array(F, jnp.float32), 1, lam=lam, **RAW) == pytest.approx(exact, abs=5e-6)


def test_the_minimiser_of_the_conditional_risk_knows_all_probabilities():
    q = np.array([0.5, 0.25, 0.15, 0.1])
    for lam, risk in ((1.0, -0.178320673527659), (3.0, -0.534962020583)):
        f = lam * np.log(q)
        assert ldr_kl(f, q, lam=lam, margin=0.0, **RAW) == pytest.approx(risk, abs=1e-12)
        np.testing.assert_allclose(jax.grad(ldr_kl)(jnp.array(f), q, lam=lam, margin=0.0, **RAW), 0, atol=1e-15)


@pytest.mark.parametrize(
    ("margin", "lam", "expected"),
    [(1.0, 1.0, [0.58862, 0.21366, 0.11998, 0.07774]), (0.1, 10.0, [0.50078, 0.24976, 0.14971, 0.09976])],
)
def test_a_margin_keeps_the_order_of_the_probabilities(margin, lam, expected):
    q = np.array([0.5, 0.25, 0.15, 0.1])
    risk = jax.value_and_grad(lambda f: ldr_kl(f, q, lam=lam, margin=margin, **RAW))
    best = minimize(lambda f: [np.asarray(a) for a in risk(jnp.array(f))], np.zeros(4), jac=True, tol=1e-12)
    np.testing.assert_allclose(softmax(best.x / lam), expected, atol=2e-5)


ADAPTIVE = [
    (1.0, 2.0, 0.181371813536, 0.770416658939),
    (10.0, 2.0, -0.363542060916, 9.977772834756),
    (0.5, 2.0, 0.583797867380, 0.265306759288),
    (1.0, 1.1, 0.343839946573, 0.090957137207),
    (1.0, 20.0, 0.134851753972, 0.983337887136),
]


@pytest.mark.parametrize(("lam", "alpha", "value", "temperature"), ADAPTIVE)
def test_aldr_kl_at_known_values(lam, alpha, value, temperature):
    assert aldr_kl(F, 1, lam=lam, alpha=alpha, **RAW) == pytest.approx(value, abs=1e-11)
    assert aldr_temperature(F, 1, lam=lam, alpha=alpha, **RAW) == pytest.approx(temperature, abs=1e-9)


def test_aldr_kl_as_the_authors_code_has_it():
    temperature = aldr_temperature(F, 1, normalize="l1", margin_in_temperature=False)
    # Their recurrence without its smoothing of p, iterated; one step of it from 10, with the smoothing, gives 9.977555.
    assert temperature == pytest.approx(9.977452152022714, abs=1e-8)
    assert aldr_kl(F, 1, normalize="l1", margin_in_temperature=False) == pytest.approx(-0.363542075108600, abs=1e-12)
    assert aldr_kl(F, 1, normalize="l1") == pytest.approx(-0.363542061, abs=1e-9)
    assert aldr_temperature(F, 1, normalize="l1") == pytest.approx(9.977772835, abs=1e-8)
    for label in range(4):
        assert aldr_temperature(F, label, normalize="l1", margin_in_temperature=False) == temperature


def test_aldr_kl_tends_to_ldr_kl():
    assert aldr_kl(F, 1, lam=1.0, alpha=1e6, **RAW) == pytest.approx(0.131095066633, abs=1e-11)
    values = [float(aldr_kl(F, 1, lam=1.0, alpha=alpha, **RAW)) for alpha in (1.5, 2, 5, 20, 1e6)]
    assert (np.diff(values) < 0).all()
    assert values[-1] >= ldr_kl(F, 1, lam=1.0, **RAW)


def test_the_envelope_gradient():
    gradient = jax.grad(lambda f: aldr_kl(f, 1, lam=1.0, **RAW))(jnp.array(F))
    np.testing.assert_allclose(gradient, [0.74919191, -0.82031661, 0.05586831, 0.01525639], atol=2e-8)


def test_equal_scores_keep_their_temperature():
    assert aldr_temperature(np.zeros(5), 2, margin=0.0, **RAW) == 10.0
    assert aldr_kl(np.zeros(5), 2, margin=0.0, **RAW) == 0.0


@pytest.mark.parametrize(
    ("n_classes", "alpha"),
    [
        (2, 2.0),
        (26, 2.1),
        *(pytest.param(*sizes, marks=pytest.mark.slow) for sizes in ((3, 2.0), (10, 2.0), (100, 2.4))),
    ],
)
def test_aldr_kl_is_the_maximum_over_a_grid_of_20001_temperatures(n_classes, alpha):
    rng = np.random.default_rng(n_classes)
    logits = rng.normal(scale=rng.choice([0.3, 3.0, 30.0], size=(6, 1)), size=(6, n_classes))
    labels = rng.integers(n_classes, size=6)
    for lam in (0.3, 1.0, 10.0):
        values = aldr_kl(logits, labels, lam=lam, alpha=alpha, **RAW)
        temperatures = aldr_temperature(logits, labels, lam=lam, alpha=alpha, **RAW)
        for row, label, value, temperature in zip(logits, labels, values, temperatures, strict=True):
            best, at = aldr_kl_on_grid(row, label, lam, alpha, 0.1)
            # A grid point is at most half a step from the maximum, where the value has no slope.
            assert best - 1e-10 <= value <= best + 1e-6 * lam
            assert temperature == pytest.approx(at, abs=lam / alpha / 10_000)


def test_aldr_kl_in_single_precision_is_as_exact_as_that():
    rng = np.random.default_rng(0)
    logits, labels = 3 * rng.normal(size=(500, 10)).astype(np.float32), rng.integers(10, size=500)
    for lam in (0.0, 0.3, 1.0, 10.0, 1e3, np.inf):
        value, gradient = (g(jnp.array(logits), labels, lam=lam) for g in (aldr_kl, jax.grad(_sum_of_aldr)))
        with jax.enable_x64(True):
            exact = [g(jnp.array(logits, float), labels, lam=lam) for g in (aldr_kl, jax.grad(_sum_of_aldr))]
        np.testing.assert_allclose(value, exact[0], atol=2e-5)
        np.testing.assert_allclose(gradient, exact[1], atol=2e-5)


def _sum_of_aldr(logits, labels, lam):
    return aldr_kl(logits, labels, lam=lam).sum()


TOP_TWO = {2.0: -0.125015998516, 0.5: 0.246424688313, 0.1: 0.480691452334, 0.01: 0.543068528194}


@pytest.mark.parametrize(("lam", "value"), TOP_TWO.items())
def test_ldr_topk_kl_at_known_values(lam, value):
    assert ldr_topk_kl(F, 1, k=2, lam=lam, **RAW) == pytest.approx(value, abs=1e-9)


def test_ldr_topk_kl_caps_its_distribution():
    gradient = jax.grad(lambda f: ldr_topk_kl(f, 1, k=2, lam=0.5, **RAW))(jnp.array(F))
    np.testing.assert_allclose(gradient + np.eye(4)[1], [0.5, 0.420992484, 0.069589589, 0.009417927], atol=1e-9)


def test_ldr_topk_kl_between_ldr_kl_and_the_mean_margin():
    for lam in (0.0, 0.1, 1.0, 10.0, np.inf):
        assert ldr_topk_kl(F, 1, k=1, lam=lam, **RAW) == pytest.approx(float(ldr_kl(F, 1, lam=lam, **RAW)), abs=1e-13)
        assert ldr_topk_kl(F, 1, k=4, lam=lam, **RAW) == pytest.approx(-0.425, abs=1e-13)


def test_ldr_topk_kl_against_a_solver():
    rng = np.random.default_rng(3)
    for _ in range(6):
        f, k, lam = rng.normal(scale=2, size=6), rng.integers(2, 6), rng.choice([0.2, 1.0])
        z = margins(f, 0, 0.1)
        best = minimize(
            lambda p, z=z, lam=lam: -(p @ z - lam * np.sum(p * np.log(6 * np.maximum(p, 1e-300)))),
            np.full(6, 1 / 6),
            bounds=[(0, 1 / k)] * 6,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-13},
        )
        assert ldr_topk_kl(f, 0, k=k, lam=lam, **RAW) == pytest.approx(-best.fun, abs=1e-6)


def test_normalised_scores_at_known_values():
    np.testing.assert_allclose(normalize_scores(F), [1.91330787, 1.18136294, 0.62353025, 0.28179894], atol=1e-8)
    assert ldr_kl(F, 1) == pytest.approx(-0.087484762, abs=1e-9)
    assert ldr_kl(F, 1, lam=1.0, margin=2.0) == pytest.approx(1.774870437, abs=1e-9)


@pytest.mark.parametrize("kind", ["softplus", "l1", "l2"])
def test_normalisation_and_its_derivative(kind):
    rng = np.random.default_rng(0)
    f = rng.normal(scale=3, size=(20, 7))
    np.testing.assert_allclose(normalize_scores(f, kind), [normalized(row, kind) for row in f], rtol=1e-12)
    labels = rng.integers(7, size=20)
    assert_slope(lambda f: ldr_kl(f, labels, lam=0.7, normalize=kind).sum(), f)


@pytest.mark.parametrize("kind", ["softplus", "l1", "l2"])
def test_forward_and_reverse_derivatives_of_scores_agree_with_differences(kind):
    f = np.random.default_rng(1).normal(scale=3, size=(4, 5))
    check_grads(jax.jit(lambda f: normalize_scores(f, kind)), (jnp.array(f),), order=1, rtol=1e-6)


@pytest.mark.parametrize("kind", ["softplus", "l1", "l2"])
def test_normalisation_in_single_precision_where_the_direct_formula_fails(kind):
    low = jnp.array([-200.0, -201.0, -203.0])
    np.testing.assert_allclose(normalize_scores(low, "softplus"), 3 * softmax([0.0, -1.0, -3.0]), rtol=1e-6)
    for row in (low, 0 * low, 1e38 * jnp.array([3.0, -3, 1]), jnp.array([1e-39, 0, 0]), -1e38 * jnp.ones(3)):
        scores, gradient = jax.value_and_grad(lambda f: normalize_scores(f, kind)[1])(row)
        assert np.isfinite(scores)
        assert np.isfinite(gradient).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.2, 1.0, 5.0, 40.0]), st.sampled_from([ldr_kl, aldr_kl, ldr_topk_kl]))
def test_invariances(seed, lam, loss):
    rng = np.random.default_rng(seed)
    f, y = rng.normal(scale=2, size=5), int(rng.integers(5))
    order = rng.permutation(5)
    with jax.enable_x64(True):
        (plain, gradient), (permuted, gradient_of_permuted) = (
            value_and_slope(loss, jnp.array(row), label, lam, 0.1)
            for row, label in ((f, y), (f[order], int(np.argsort(order)[y])))
        )
        assert permuted == pytest.approx(float(plain), abs=1e-9)
        np.testing.assert_allclose(gradient_of_permuted, gradient[order], atol=1e-9)
        assert gradient.sum() == pytest.approx(0, abs=1e-9)
        shifted, scaled = (
            value_and_slope(loss, jnp.array(row), y, lam, margin)[0]
            for row, lam, margin in ((f + 7.5, lam, 0.1), (3 * f, 3 * lam, 0.3))
        )
        assert shifted == pytest.approx(float(plain), abs=1e-8)
        assert scaled == pytest.approx(3 * float(plain), abs=1e-7)
        if loss is ldr_kl:
            assert plain == pytest.approx(slow_ldr_kl(f, y, lam, 0.1), abs=1e-11)


@partial(jax.jit, static_argnums=0)
def value_and_slope(loss, f, y, lam, margin):
    return jax.value_and_grad(lambda f: loss(f, y, lam=lam, margin=margin, normalize=None))(f)


def test_scores_of_norm_one_do_not_know_the_size_of_the_logits():
    for kind in ("l1", "l2"):
        np.testing.assert_allclose(normalize_scores(1000 * F, kind), normalize_scores(F, kind), rtol=1e-12)


def test_margins_for_each_label_and_each_pair():
    pairs = np.arange(16.0).reshape(4, 4) / 10
    z = F - F[1] + pairs[:, 1]
    z[1] = 0
    assert ldr_kl(F, 1, lam=0.0, margin=pairs, **RAW) == pytest.approx(z.max(), abs=1e-14)
    by_label = np.array([0.0, 0.4, 0.8, 0.9])
    assert ldr_kl(F, 1, margin=by_label, **RAW) == ldr_kl(F, 1, margin=0.4, **RAW)


@pytest.mark.parametrize("bad", [{"lam": -1.0}, {"lam": np.nan}, {"normalize": "l3"}])
def test_bad_parameters_are_named(bad):
    (name,) = bad
    for loss in (ldr_kl, aldr_kl, ldr_topk_kl):
        with pytest.raises(ValueError, match=name):
            loss(F, 1, **bad)


def test_alpha_and_k_have_their_bounds():
    with pytest.raises(ValueError, match=r"alpha=0\.5"):
        aldr_kl(F, 1, alpha=0.5)
    with pytest.raises(ValueError, match=r"k=5; expected a number from 1 to the number of classes, 4"):
        ldr_topk_kl(F, 1, k=5)
    with pytest.raises(ValueError, match="soft"):
        aldr_temperature(F, np.full(4, 0.25))
