"""Heads against what they should predict: constants, quantiles of a known noise, averages of networks, NumPy losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from trustml._networks import MLP
from trustml.uncertainty import _heads
from trustml.uncertainty._kernels import SplitPointObjective, coverage_penalty, positive_outputs
from trustml.uncertainty._sides import side_factors

LEVELS = np.array([0.5, 0.9])


def settings(**changes):
    default = {
        "hidden_layer_sizes": (8,),
        "quantile_loss": "pinball",
        "batch_size": 64,
        "learning_rate": 1e-2,
        "alpha": 0.0,
        "max_iter": 60,
        "tol": 1e-4,
        "n_iter_no_change": 10,
        "seed": 0,
        "head": "mlp",
    }
    return {**default, **changes}


@pytest.mark.parametrize(("level", "expected"), [(0.2, 1), (0.4, 2), (0.41, 3), (0.8, 3), (1.0, 4), (0.6, 3)])
def test_weighted_quantile_counts_repetitions(level, expected):
    values, weight = np.array([4.0, 1, 3, 2]), np.array([1, 1, 2, 1])
    assert _heads.weighted_quantile(values, [level], weight)[0] == expected
    assert _heads.weighted_quantile(np.repeat(values, weight), [level], np.ones(5))[0] == expected


def test_too_few_values_for_a_level_give_infinity():
    assert np.isinf(_heads.weighted_quantile(np.arange(18.0), [0.95], np.ones(18), extra=1.0)[0])
    assert _heads.weighted_quantile(np.arange(19.0), [0.95], np.ones(19), extra=1.0)[0] == 18


@pytest.mark.parametrize("loss", ["pinball", "coverage"])
def test_objective_against_loops(loss):
    rng = np.random.default_rng(0)
    network = MLP(7, (4,))
    X, e = rng.normal(size=(30, 3)).astype(np.float32), rng.normal(size=30).astype(np.float32)
    weight = rng.integers(0, 3, 30).astype(np.float32)
    share = np.array([0.3, 0.7])
    params = network.init(jax.random.key(1), X)
    hyper = {"levels": jnp.array(LEVELS), "side_share": jnp.array(share)}
    ours = SplitPointObjective(network, loss)(params, (X, e), weight, None, hyper)

    out, total = np.asarray(positive_outputs(network.apply(params, X)), float), weight.sum()
    expected = sum(w * (o[0] - abs(r)) ** 2 for w, o, r in zip(weight, out, e, strict=True)) / total
    for side, sign in enumerate((1, -1)):
        rows = [i for i in range(30) if (e[i] > 0) == (sign == 1)]
        for i in rows:
            expected += weight[i] * (out[i, 1 + side] - sign * e[i]) ** 2 / total / share[side]
        for k, level in enumerate(LEVELS):
            gaps = np.array([sign * e[i] - out[i, 3 + 2 * side + k] for i in rows])
            w = weight[rows]
            if loss == "pinball":
                losses = [max(level * gap, (level - 1) * gap) for gap in gaps]
                expected += np.dot(w, losses) / total / share[side]
            else:
                covered = w[gaps <= 0].sum() / w.sum()
                wrong = gaps > 0 if covered < level else gaps <= 0
                expected += abs(level - covered) * np.average(np.abs(gaps[wrong]), weights=w[wrong])
    assert ours == pytest.approx(expected, rel=1e-5)


def test_a_batch_without_an_upper_side_has_a_finite_gradient():
    network = MLP(7, (4,))
    X = np.ones((3, 2), np.float32)
    params = network.init(jax.random.key(0), X)
    for loss in ("pinball", "coverage"):
        hyper = {"levels": jnp.array(LEVELS), "side_share": jnp.array([0.5, 0.5])}
        objective = SplitPointObjective(network, loss)
        value, gradient = jax.value_and_grad(objective)(params, (X, -jnp.ones(3)), jnp.ones(3), None, hyper)
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_the_coverage_penalty_of_exact_coverage_is_zero():
    targets = jnp.arange(1.0, 11)
    assert coverage_penalty(jnp.full((10, 1), 9.0), targets, jnp.ones(10), jnp.array([0.9])) == pytest.approx(
        0, abs=1e-6
    )


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
def test_the_average_of_networks(hidden):
    network = MLP(3, hidden)
    X = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    members = jax.vmap(network.init, (0, None))(jax.random.split(jax.random.key(0), 4), X)
    members = jax.tree.map(np.asarray, members)
    averaged = _heads.average(members)
    expected = jax.vmap(network.apply, (0, None))(members, X).mean(axis=0)
    wide = MLP(3, tuple(4 * h for h in hidden))
    np.testing.assert_allclose(wide.apply(averaged, X), expected, rtol=1e-5, atol=1e-6)


def test_heads_begin_at_the_best_constants():
    e = np.random.default_rng(0).exponential(size=500) - 1
    network = MLP(7, (4,), zero_output=True)
    keys, X = jax.random.split(jax.random.key(0), 1), np.ones((500, 1), np.float32)
    params = _heads._start(network, keys, X, e[None], np.ones((1, 500)), LEVELS)
    outputs = positive_outputs(network.apply(jax.tree.map(lambda a: a[0], params), X[:1]))[0]
    up, down = e[e > 0], -e[e <= 0]
    expected = [np.abs(e).mean(), up.mean(), down.mean()]
    quantiles = [np.quantile(side, LEVELS, method="inverted_cdf") for side in (up, down)]
    np.testing.assert_allclose(outputs, np.concatenate([expected, *quantiles]), rtol=1e-4)


@pytest.mark.parametrize("head", ["mlp", "ridge"])
def test_heads_learn_the_scale_of_the_noise(head):
    """e ~ N(0, (0.2 + x)^2): M, Mu and Md are 0.798 of the scale, quantiles of the sides those of |N|."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=3000)
    e = rng.normal(size=3000) * (0.2 + x)
    fit, outputs = (
        (_heads.fit_mlp_heads, _heads.mlp_outputs)
        if head == "mlp"
        else (_heads.fit_sklearn_heads, _heads.sklearn_outputs)
    )
    X = (x[:, None] - 0.5) * np.sqrt(12)
    args = (X, e[:, None], np.ones(3000), np.arange(3000) % 3, LEVELS, settings(head=head))
    held_out, heads, _ = fit(*args)
    grid = np.array([0.2, 0.5, 0.8])
    scale = (0.2 + grid)[:, None]
    found = outputs(heads, (grid[:, None] - 0.5) * np.sqrt(12))[:, 0] / scale
    np.testing.assert_allclose(found[:, :3], 0.798, rtol=0.12)
    np.testing.assert_allclose(
        found[:, 3:].reshape(3, 2, 2), stats.halfnorm.ppf(LEVELS) + np.zeros((3, 2, 2)), rtol=0.15
    )
    assert held_out.shape == (3000, 1, 7)
    covered = np.where(e > 0, e, -e)[:, None] <= np.where((e > 0)[:, None], held_out[:, 0, 3:5], held_out[:, 0, 5:])
    np.testing.assert_allclose(covered.mean(axis=0), LEVELS, atol=0.03)


def test_out_of_fold_outputs_do_not_depend_on_the_row_itself():
    rng = np.random.default_rng(0)
    X, e = rng.normal(size=(60, 2)), rng.normal(size=(60, 1))
    folds, rest = np.arange(60) % 3, settings(head="ridge")
    before, _, _ = _heads.fit_sklearn_heads(X, e, np.ones(60), folds, LEVELS, rest)
    e[folds == 1] *= 100
    after, _, _ = _heads.fit_sklearn_heads(X, e, np.ones(60), folds, LEVELS, rest)
    np.testing.assert_array_equal(before[folds == 1], after[folds == 1])
    assert not np.allclose(before[folds == 0], after[folds == 0])


def test_side_factors_are_order_statistics():
    e = np.array([1.0, 2, 3, 4, 0, -2, -4])
    unit = np.ones((7, 1))
    factors, counts = side_factors(e, unit, unit, np.ones(7), np.array([0.6]), guarantee=True)
    # Up: the third of four, as ceil(5 * 0.6) = 3. Down: ceil(4 * 0.6) = 3, the third of 0, 2, 4.
    assert factors.ravel().tolist() == [3, 4]
    assert counts.tolist() == [4, 3]
    factors, _ = side_factors(e, unit, unit, np.ones(7), np.array([0.9]), guarantee=True)
    assert np.isinf(factors).all()
    factors, _ = side_factors(e, unit, unit, np.ones(7), np.array([0.9]), guarantee=False)
    assert factors.ravel().tolist() == [4, 4]
    factors, counts = side_factors(np.abs(e) + 1, unit, unit, np.ones(7), np.array([0.5]), guarantee=False)
    assert counts.tolist() == [7, 0]
    assert factors[1] == 1
