"""The ConR loss against a brute-force version, closed forms, identities and limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trustml import losses
from trustml.losses import conr_pairs

# Compiled once per shape, where every operation of the bare function would be.
conr_loss = jax.jit(losses.conr_loss, static_argnames=["push_form", "outer_weight", "denominator", "block_size"])


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def brute_force(z, y, p, w, *, window, push, temperature, push_form="exp", outer_weight=True, reference=False):
    """The definition, pair by pair."""
    n = len(y)
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    losses = np.zeros(n)
    for j in range(n):
        positives = [k for k in range(n) if k != j and abs(y[j] - y[k]) <= window]
        negatives = [k for k in range(n) if abs(y[j] - y[k]) > window and abs(p[j] - p[k]) <= window]
        if not positives or not negatives:
            continue
        s = z @ z[j] / temperature
        gaps = np.abs(y - y[j])
        pushes = w[j] * np.exp(push * gaps) if push_form == "exp" else push * w[j] * gaps
        total = sum(np.exp(s[k]) for k in positives) + sum(pushes[k] * np.exp(s[k]) for k in negatives)
        total += (n - len(positives)) * reference
        losses[j] = np.mean([np.log(total) - s[k] for k in positives]) * (w[j] if outer_weight else 1)
    return losses


def batch(seed, n=24, d=5):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 9, n).astype(float)
    return rng.normal(size=(n, d)), y, y + rng.normal(0, 3, n), rng.uniform(0.2, 3, n)


SETTINGS = {"window": 1.0, "push": 0.1, "temperature": 0.3}


@pytest.mark.parametrize("push_form", ["exp", "product"])
@pytest.mark.parametrize("outer_weight", [True, False])
@pytest.mark.parametrize("denominator", ["paper", "reference"])
def test_brute_force(push_form, outer_weight, denominator):
    for seed in range(5):
        z, y, p, w = batch(seed)
        expected = brute_force(
            z, y, p, w, **SETTINGS, push_form=push_form, outer_weight=outer_weight, reference=denominator == "reference"
        )
        options = {"push_form": push_form, "outer_weight": outer_weight, "denominator": denominator}
        found = conr_loss(z, y, p, weights=w, **SETTINGS, **options)
        assert np.count_nonzero(expected) > 10
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        np.testing.assert_allclose(
            conr_loss(z, y, p, weights=w, **SETTINGS, **options, block_size=7), found, rtol=1e-12
        )


Y4, P4 = np.array([0.0, 0, 5, 5]), np.full(4, 2.0)


@pytest.mark.parametrize("temperature", [0.005, 0.07, 1.0, 20.0])
def test_collapsed_features_cost_the_same_at_any_temperature(temperature):
    loss = conr_loss(np.ones((4, 3)), Y4, P4, window=1.0, push=0.01, temperature=temperature)
    np.testing.assert_allclose(loss, np.log1p(2 * np.exp(0.05)), rtol=1e-12)
    assert loss[0] == pytest.approx(1.132221837602, abs=1e-12)


def test_published_code_adds_a_term_for_every_row_that_is_no_positive():
    options = {"window": 1.0, "push": 0.01, "denominator": "reference"}
    loss = conr_loss(np.ones((4, 3)), Y4, P4, temperature=0.07, **options)
    np.testing.assert_allclose(loss, 1.132222441824, atol=1e-12)
    opposite = np.array([[1.0, 0], [1, 0], [-1, 0], [-1, 0]])
    np.testing.assert_allclose(conr_loss(opposite, Y4, P4, temperature=1.0, **options), 0.870534277359, atol=1e-12)


@pytest.mark.parametrize(
    ("second", "temperature", "expected"),
    [((-1.0, 0.0), 0.2, 9.5450712e-5), ((-1.0, 0.0), 1.0, 0.250407016953), ((0.0, 1.0), 1.0, 0.572944872208)],
)
def test_opposite_and_orthogonal_features(second, temperature, expected):
    z = np.array([(1.0, 0.0)] * 2 + [second] * 2)
    loss = conr_loss(z, Y4, P4, window=1.0, push=0.01, temperature=temperature)
    np.testing.assert_allclose(loss, expected, rtol=1e-8)


def total_loss(z, y, p, w=None, **changes):
    return jnp.mean(conr_loss(z, y, p, weights=w, **SETTINGS | changes))


value_and_gradient = jax.jit(
    jax.value_and_grad(total_loss), static_argnames=["push_form", "outer_weight", "denominator", "block_size"]
)


def test_no_negatives_or_no_positives_cost_exactly_nothing():
    z, y, _, _ = batch(0)
    unique = np.arange(len(y)) * 5.0
    for targets, predictions, window in ((y, y, 1.0), (y, 0 * y, 100.0), (unique, 0 * y, 1.0), (y[:1], y[:1], 1.0)):
        value, gradient = value_and_gradient(z[: len(targets)], targets, predictions, window=window)
        assert value == 0
        np.testing.assert_array_equal(gradient, 0)


def test_it_is_supervised_contrastive_learning_if_all_is_alike():
    rng = np.random.default_rng(3)
    z, y, temperature = rng.normal(size=(12, 4)), np.arange(12) % 3.0, 0.4
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    s = unit @ unit.T / temperature
    expected = np.zeros(12)
    for j in range(12):
        others = np.arange(12) != j
        same = others & (y == y[j])
        expected[j] = np.mean(np.log(np.exp(s[j, others]).sum()) - s[j, same])
    loss = conr_loss(z, y, np.zeros(12), window=0.5, push=0.0, temperature=temperature)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_invariances():
    z, y, p, w = batch(1)
    base = conr_loss(z, y, p, weights=w, **SETTINGS)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(y))
    rotation = np.linalg.qr(rng.normal(size=(z.shape[1], z.shape[1])))[0]
    c = 1000.0
    same = {
        "order of rows": (conr_loss(z[order], y[order], p[order], weights=w[order], **SETTINGS), base[order]),
        "lengths": (conr_loss(z * rng.uniform(0.1, 9, (len(y), 1)), y, p, weights=w, **SETTINGS), base),
        "rotation": (conr_loss(z @ rotation, y, p, weights=w, **SETTINGS), base),
        "shift of targets": (conr_loss(z, y + 7, p, weights=w, **SETTINGS), base),
        "shift of predictions": (conr_loss(z, y, p - 3, weights=w, **SETTINGS), base),
        "signs": (conr_loss(z, -y, -p, weights=w, **SETTINGS), base),
        "unit": (conr_loss(z, c * y, c * p, weights=w, window=c, push=0.1 / c, temperature=0.3), base),
        "two equal outputs": (
            conr_loss(
                z,
                np.stack([y, y], 1),
                np.stack([p, p], 1),
                weights=w,
                window=2**0.5,
                push=0.1 / 2**0.5,
                temperature=0.3,
            ),
            base,
        ),
    }
    for name, (found, expected) in same.items():
        np.testing.assert_allclose(found, expected, rtol=1e-10, err_msg=name)


def test_gradient_is_orthogonal_to_features_and_absent_from_predictions():
    z, y, p, w = batch(2)
    to_features, to_predictions = jax.jit(jax.grad(total_loss, (0, 2)))(z, y, p, w)
    np.testing.assert_allclose(np.sum(z * to_features, axis=1), 0, atol=1e-14)
    np.testing.assert_array_equal(to_predictions, 0)
    assert np.abs(to_features).max() > 1e-3
    step, direction = 1e-6, np.random.default_rng(0).normal(size=z.shape)
    slope = (total_loss(z + step * direction, y, p, w) - total_loss(z - step * direction, y, p, w)) / (2 * step)
    assert np.sum(to_features * direction) == pytest.approx(float(slope), rel=1e-6)
    _, blocked = value_and_gradient(z, y, p, w, block_size=10)
    np.testing.assert_allclose(blocked, to_features, rtol=1e-10, atol=1e-15)


def test_bounds_and_the_limit_of_high_temperature():
    z, y, p, w = batch(4)
    positives, negatives = conr_pairs(y, p, window=1.0)
    n_positives = positives.sum(axis=1)
    pushes = np.sum(negatives * w[:, None] * np.exp(0.1 * np.abs(y[:, None] - y)), axis=1)
    active = np.asarray((n_positives > 0) & negatives.any(axis=1))
    loss = np.asarray(conr_loss(z, y, p, weights=w, **SETTINGS, outer_weight=False))[active]
    least, most = np.log(n_positives), 2 / 0.3 + np.log(n_positives + pushes)
    assert active.sum() > 10
    assert (loss >= least[active]).all()
    assert (loss <= most[active]).all()
    hot = conr_loss(z, y, p, weights=w, window=1.0, push=0.1, temperature=1e9, outer_weight=False)
    np.testing.assert_allclose(hot[active], np.log(n_positives + pushes)[active], rtol=1e-7)


def test_a_greater_push_or_gap_never_costs_less():
    z, y, p, w = batch(7)
    values = [float(total_loss(z, y, p, w, push=push)) for push in (0.0, 0.01, 0.1, 0.5)]
    assert values == sorted(values)
    assert values[0] < values[-1]
    near = conr_loss(np.ones((4, 2)), Y4, P4, window=1.0, push=0.1)
    far = conr_loss(np.ones((4, 2)), 2 * Y4, P4, window=1.0, push=0.1)
    assert (far > near).all()


def test_the_window_includes_its_end():
    loss = conr_loss(np.eye(4), [0.0, 1, 5, 6], np.zeros(4), window=1.0, push=0.01, temperature=1.0)
    assert loss.mean() == pytest.approx(1.132233038972, abs=1e-12)
    # 0.3 - 0.2 exceeds 0.1 by rounding only.
    positives, _ = conr_pairs(np.array([0.2, 0.3]), np.zeros(2), window=0.1)
    assert positives.tolist() == [[False, True], [True, False]]


def test_rows_that_do_not_exist_change_nothing():
    z, y, p, w = batch(5)
    exists = np.arange(len(y)) % 4 != 0
    spoilt = np.where(exists[:, None], z, 1e6)
    loss, gradient = jax.value_and_grad(lambda z: jnp.sum(conr_loss(z, y, p, weights=w, where=exists, **SETTINGS)))(
        spoilt
    )
    alone, gradient_alone = jax.value_and_grad(
        lambda z: jnp.sum(conr_loss(z, y[exists], p[exists], weights=w[exists], **SETTINGS))
    )(z[exists])
    assert loss == pytest.approx(float(alone), rel=1e-12)
    np.testing.assert_allclose(gradient[exists], gradient_alone, rtol=1e-10, atol=1e-14)
    np.testing.assert_array_equal(gradient[~exists], 0)


def test_float32_stays_finite():
    z, y, p, w = (a.astype(np.float32) for a in batch(6))
    z[3], w[:4] = 0, 0
    for temperature, push in ((0.005, 0.01), (0.2, 50.0), (0.2, 0.0)):
        for denominator in ("paper", "reference"):
            for form in ("exp", "product"):
                value, gradient = value_and_gradient(
                    z, y, p, w, temperature=temperature, push=push, denominator=denominator, push_form=form
                )
                assert gradient.dtype == np.float32
                assert np.isfinite(value)
                assert np.isfinite(gradient).all()


def test_wrong_options():
    z, y, p, _ = batch(0)
    with pytest.raises(ValueError, match="push_form='square'; expected 'exp' or 'product'"):
        losses.conr_loss(z, y, p, **SETTINGS, push_form="square")
    with pytest.raises(ValueError, match="denominator='both'; expected 'paper' or 'reference'"):
        losses.conr_loss(z, y, p, **SETTINGS, denominator="both")
