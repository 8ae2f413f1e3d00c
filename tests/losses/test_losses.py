"""Every loss against its formula; what all share: labels, masks, derivatives, finite numbers, no one-hot."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads
from loss_oracles import assert_slope, by_name

from trustml import losses
from trustml.losses import LOSSES, PAPER_GRIDS, backward_correction, cross_entropy, forward_correction, get_loss
from trustml.losses._registry import loss_parameters

F = np.array([2.0, 1.0, 0.0, -1.0])
BASELINES = sorted(name for name in LOSSES if "ldr" not in name)
# One loss of each kernel; the others differ from them in a formula of the label's probability.
KERNELS = ["aldr_kl", "crammer_singer", "cross_entropy", "ldr_kl", "ldr_topk_kl", "mse", "nce", "rll", "weston_watkins"]


def every_loss_but_slow_beyond(quick):
    names = [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in sorted(LOSSES)]
    return pytest.mark.parametrize("name", names)


every_kernel = every_loss_but_slow_beyond(KERNELS)
few_losses = every_loss_but_slow_beyond(["cross_entropy", "ldr_kl"])


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


KNOWN = {
    "cross_entropy": [1.440189699],
    "gce": [1.389558603, 0.907286159, 0.784663367],
    "sce": [1.520803650, 2.246329213, 2.971854776],
    "mae": [1.526234364],
    "mse": [1.005595294],
    "crammer_singer": [1.1, 2, 11],
    "weston_watkins": [0.275, 0.5, 7],
    "js": [1.359551832, 1.128452773, 0.933392455],
    "rll": [2.153844008, 0.684616143, 0.096658318],
    "nce_rce": [69.601390, 36.070711, 2.540033],
    "nce_agce": [14.382892, 8.182581, 1.982270],
    "nce_aul": [17.540788, 9.777478, 2.014168],
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_values_over_the_papers_grids(float64, name):
    values = [float(get_loss(name, **params)(F, 1)) for params in PAPER_GRIDS[name]]
    np.testing.assert_allclose(values, KNOWN[name], atol=6e-7)


def test_known_values_of_the_others(float64):
    assert losses.nce(F, 1) == pytest.approx(0.185573310, abs=1e-9)
    assert losses.rce(F, 1) == pytest.approx(7.028568989, abs=1e-9)
    assert losses.agce(F, 1) == pytest.approx(1.450942911, abs=1e-9)
    assert losses.aul(F, 1) == pytest.approx(1.769922324, abs=1e-9)
    assert losses.focal(F, 1, gamma=0.5) == pytest.approx(1.258100446, abs=1e-9)
    assert losses.focal(F, 1, gamma=2.0) == pytest.approx(0.838691351, abs=1e-9)
    assert losses.sce(F, 1, alpha=0.1, beta=1.0, log_zero=np.log(1e-4)) == pytest.approx(7.172587959, abs=1e-9)
    for margin, value in ((0.1, 1.1), (1.0, 2.0), (10.0, 28.0)):
        assert losses.weston_watkins(F, 1, margin=margin, average=False) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("name", BASELINES)
def test_values_equal_the_formulas(float64, name):
    rng = np.random.default_rng(0)
    for n_classes in (2, 7):
        logits, labels = 3 * rng.normal(size=(20, n_classes)), rng.integers(n_classes, size=20)
        for params in ({}, *PAPER_GRIDS.get(name, ())):
            slow = [by_name(name, f, y, **params) for f, y in zip(logits, labels, strict=True)]
            np.testing.assert_allclose(get_loss(name, **params)(logits, labels), slow, rtol=1e-9, atol=1e-12)


def loss_numbers(name):
    return {k: v for k, v in loss_parameters(name).items() if isinstance(v, float)}


@every_kernel
def test_the_gradient_in_logits_and_parameters_is_that_of_differences(float64, name):
    rng = np.random.default_rng(1)
    logits, labels = 2 * rng.normal(size=(8, 5)), rng.integers(5, size=8)
    numbers = {key: value for key, value in loss_numbers(name).items() if key != "threshold"}
    assert_slope(lambda f, n: LOSSES[name](f, labels, **n).sum(), logits, numbers)


@few_losses
def test_the_gradient_for_soft_labels_is_that_of_differences(float64, name):
    rng = np.random.default_rng(2)
    logits, soft = 2 * rng.normal(size=(8, 5)), rng.dirichlet(np.ones(5), size=8)
    assert_slope(lambda f: get_loss(name)(f, soft).sum(), logits)


# Hinges have no second derivative where they are kinked, nor has the first-order look of ALDR at its temperature.
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"aldr_kl", "ldr_topk_kl"}))
def test_the_second_derivative_is_that_of_differences(float64, name):
    logits, labels = 2 * np.random.default_rng(3).normal(size=(8, 5)), np.arange(8) % 5
    weights = np.random.default_rng(4).normal(size=(8, 5))
    gradient = jax.grad(lambda f: get_loss(name)(f, labels).sum())
    assert_slope(lambda f: jnp.sum(weights * gradient(f)), logits)


@few_losses
def test_a_soft_label_is_the_mean_over_its_classes(float64, name):
    rng = np.random.default_rng(2)
    logits, q = rng.normal(size=(6, 4)), rng.dirichlet(np.ones(4), size=6)
    loss = get_loss(name)
    expected = sum(q[:, k] * loss(logits, np.full(6, k)) for k in range(4))
    np.testing.assert_allclose(loss(logits, q), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        loss(logits, np.eye(4)[[0, 1, 2, 3, 0, 1]]), loss(logits, [0, 1, 2, 3, 0, 1]), rtol=1e-10
    )


@few_losses
def test_a_mask_takes_classes_away(float64, name):
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(7, 5)), np.array([0, 2, 3, 0, 2, 3, 0])
    where = np.array([True, False, True, True, False])
    loss = get_loss(name)

    @jax.jit
    def masked(where, labels):
        return jax.value_and_grad(lambda f: (loss(f, labels, where=where)).sum())(jnp.array(logits))

    kept_labels = np.searchsorted([0, 2, 3], labels)
    kept = jax.value_and_grad(lambda f: loss(f, kept_labels).sum())(jnp.array(logits[:, where]))
    value, gradient = masked(np.tile(where, (7, 1)), labels)
    assert value == pytest.approx(float(kept[0]), rel=1e-9)
    np.testing.assert_allclose(gradient[:, where], kept[1], rtol=1e-9, atol=1e-12)
    assert (gradient[:, ~where] == 0).all()
    # A row without a class is no row; a label that takes no part is an error.
    rows = np.broadcast_to(np.arange(7)[:, None] != 2, (7, 5))
    value, gradient = masked(rows, labels)
    assert value == pytest.approx(float(np.delete(loss(logits, labels), 2).sum()), rel=1e-9)
    assert (gradient[2] == 0).all()
    assert np.isnan(masked(np.tile(where, (7, 1)), np.full(7, 1))[0])
    for label in (-1, 5):
        assert np.isnan(loss(logits, np.full(7, label))).all()


@few_losses
def test_any_leading_shape(name):
    logits = np.random.default_rng(4).normal(size=(2, 3, 4)).astype(np.float32)
    labels = np.arange(6).reshape(2, 3) % 4
    loss = get_loss(name)
    together = loss(logits, labels)
    assert together.shape == (2, 3)
    one_by_one = [[loss(logits[i, j], labels[i, j]) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(together, one_by_one, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.jit(loss))(logits, labels), together, rtol=2e-5, atol=1e-6)
    for dtype in (jnp.float16, jnp.bfloat16):
        assert loss(jnp.asarray(logits, dtype), labels).dtype == jnp.float32


HUGE = np.float32(3.4e38)
EXTREMES = np.array(
    [
        [0, 0, 0, 0],
        [1e4, 0, 0, 0],
        [0, 1e4, -1e4, 0],
        [-1e4, -1e4, -1e4, -1e4],
        [-100, -101, -102, -103],
        [200, 0, 0, 0],
        [0, 200, 0, 0],
        [HUGE, -HUGE, 0, 0],
        [-HUGE, HUGE, -HUGE, HUGE],
        [HUGE, HUGE, HUGE, HUGE],
        [-HUGE, -HUGE, -HUGE, -HUGE],
        [1e-45, -1e-45, 1e-38, 0],
        [1e-30, 1e-35, 0, -1e-30],
        [88.8, -88.8, 44.4, 0],
    ],
    np.float32,
)


@every_kernel
def test_finite_for_every_single_precision_number(name):
    bits = np.random.default_rng(5).integers(0, 2**32, size=(1000, 4), dtype=np.uint32).view(np.float32)
    logits = np.concatenate([np.repeat(EXTREMES, 4, axis=0), np.where(np.isfinite(bits), bits, 0)])
    labels = np.arange(len(logits)) % 4
    grids = [*PAPER_GRIDS.get(name, ({},)), *({"lam": lam} for lam in (0.0, 1e-6, 1e6, np.inf) if "ldr" in name)]
    grids = [loss_numbers(name) | params for params in grids]
    kinds = ({"normalize": kind} for kind in ("softplus", "l1", "l2", None)) if "ldr" in name else ({},)
    for kind in kinds:
        compiled = jax.jit(
            jax.vmap(
                jax.value_and_grad(lambda f, y, numbers, kind=kind: LOSSES[name](f, y, **numbers, **kind)),
                in_axes=(0, 0, None),
            )
        )
        for numbers in grids:
            value, gradient = compiled(logits, labels, numbers)
            assert np.isfinite(value).all(), (kind, numbers)
            assert np.isfinite(gradient).all(), (kind, numbers)


@few_losses
def test_a_single_class(name):
    params = {"k": 1} if name == "ldr_topk_kl" else {}
    value, gradient = jax.value_and_grad(get_loss(name, **params))(jnp.array([3.0]), 0)
    assert np.isfinite(value)
    assert gradient == 0


def test_symmetric_losses_sum_to_a_constant_over_labels(float64):
    rng = np.random.default_rng(6)
    constants = {"nce": 1.0, "mae": 6.0, "rce": 27.6310211, "rll": 2.772588722}
    for f in (F, *rng.normal(scale=4, size=(5, 4))):
        for name, constant in constants.items():
            assert sum(get_loss(name)(f, y) for y in range(4)) == pytest.approx(constant, abs=1e-7)
    for name in ("cross_entropy", "gce", "js", "mse", "agce"):
        sums = [float(sum(get_loss(name)(f, y) for y in range(4))) for f in (F, 2 * F)]
        assert abs(sums[0] - sums[1]) > 1e-3, name


def test_limits_of_the_families(float64):
    ce, other = float(cross_entropy(F, 1)), 0.763117182
    assert losses.gce(F, 1, q=0.0) == pytest.approx(ce, abs=1e-12)
    assert losses.gce(F, 1, q=1e-9) == pytest.approx(ce, abs=1e-8)
    assert losses.gce(F, 1, q=1.0) == pytest.approx(float(losses.mae(F, 1)) / 2, abs=1e-12)
    assert losses.js(F, 1, pi=1e-6) == pytest.approx(1.44018881, abs=1e-8)
    assert losses.js(F, 1, pi=0.999) == pytest.approx(0.8242, abs=5e-5)
    assert losses.js(F, 1, pi=0.999999) == pytest.approx(0.7937, abs=5e-5)
    assert losses.js(F, 1, pi=0.999999) > other
    assert losses.sce(F, 1, alpha=1.0, beta=0.0) == pytest.approx(ce, abs=1e-12)
    assert losses.focal(F, 1, gamma=0.0) == pytest.approx(ce, abs=1e-12)
    two = F[:2]
    assert losses.weston_watkins(two, 1, average=False) == losses.crammer_singer(two, 1)


def test_the_cross_entropy_is_that_of_optax():
    rng = np.random.default_rng(7)
    logits, labels = rng.normal(size=(50, 9)).astype(np.float32), rng.integers(9, size=50)
    np.testing.assert_allclose(
        cross_entropy(logits, labels), optax.softmax_cross_entropy_with_integer_labels(logits, labels), rtol=1e-6
    )


def test_ties_share_the_subgradient():
    gradient = jax.grad(losses.crammer_singer)(jnp.array([1.0, 1.0, 0.0, 0.0]), 2)
    np.testing.assert_allclose(gradient, [0.5, 0.5, -1, 0])


@pytest.mark.parametrize("name", ["cross_entropy", "gce", "js", "nce", "nce_agce", "crammer_singer", "ldr_kl"])
def test_no_table_of_labels_is_kept_in_memory(name):
    """One table of the size of the logits, the gradient, is all that a derivative by logits needs beside its result."""
    params = {"normalize": None} if name == "ldr_kl" else {}
    loss = get_loss(name, **params)
    logits, labels = jnp.zeros((4096, 100)), jnp.zeros(4096, jnp.int32)
    compiled = jax.jit(jax.grad(lambda f, y: loss(f, y).mean())).lower(logits, labels).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 1.3 * logits.nbytes


FLIPS = np.array([[0.7, 0.1, 0.1, 0.1], [0.0, 0.8, 0.2, 0.0], [0.2, 0.0, 0.8, 0.0], [0.0, 0.0, 0.1, 0.9]])


def test_forward_correction_is_the_cross_entropy_of_noisy_labels(float64):
    p = np.exp(F) / np.exp(F).sum()
    for y in range(4):
        assert forward_correction(F, y, FLIPS) == pytest.approx(-np.log(p @ FLIPS[:, y]), abs=1e-12)
        assert forward_correction(1e3 * F, y, np.eye(4)) == pytest.approx(float(cross_entropy(1e3 * F, y)), abs=1e-9)
    check_grads(lambda f: forward_correction(f, 2, FLIPS), (jnp.array(F),), order=2)
    # At the logits of the clean probabilities the risk under noisy labels is stationary.
    gradient = jax.grad(forward_correction)(jnp.array(F), p @ FLIPS, FLIPS)
    np.testing.assert_allclose(gradient, 0, atol=1e-12)


@pytest.mark.parametrize("name", ["cross_entropy", "gce", "ldr_kl"])
def test_backward_correction_is_unbiased(float64, name):
    loss = get_loss(name)
    for clean in range(4):
        corrected = [float(backward_correction(F, noisy, FLIPS, loss=loss)) for noisy in range(4)]
        assert FLIPS[clean] @ corrected == pytest.approx(float(loss(F, clean)), abs=1e-10)


def test_transitions_that_are_none():
    with pytest.raises(ValueError, match="not stochastic"):
        forward_correction(F, 1, 2 * FLIPS)
    with pytest.raises(ValueError, match=r"shape \(3, 3\); expected \(4, 4\)"):
        forward_correction(F, 1, np.eye(3))
    with pytest.raises(ValueError, match="no inverse"):
        backward_correction(F, 1, np.full((4, 4), 0.25))


def test_misspelt_names_and_parameters():
    with pytest.raises(ValueError, match="Did you mean 'aldr_kl'"):
        get_loss("adlr_kl")
    with pytest.raises(ValueError, match="no parameter 'p'"):
        get_loss("gce", p=0.7)
    with pytest.raises(ValueError, match=r"q=2\.0; expected a number in \[0, 1\]"):
        losses.gce(F, 1, q=2.0)
    with pytest.raises(ValueError, match="passive='ce'"):
        losses.nce_plus(F, 1, passive="ce")


def test_labels_of_another_shape():
    with pytest.raises(ValueError, match=r"labels has type int\d+ and shape \(2,\)"):
        cross_entropy(F, [1, 2])
    with pytest.raises(ValueError, match="logits has shape"):
        cross_entropy(np.zeros((3, 0)), np.zeros(3, int))


def test_the_paper_compares_fifteen_losses():
    assert len(PAPER_GRIDS) == 15
    for name, grid in PAPER_GRIDS.items():
        for params in grid:
            assert np.isfinite(get_loss(name, **params)(F, 1))
