"""Companions of ConR against closed forms and limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import correlate1d

from trustml import losses
from trustml.losses import (
    Buckets,
    FeatureStatistics,
    Mixture,
    balanced_mse,
    calibrate_features,
    feature_statistics,
    focal_r,
    smooth_statistics,
)

ranksim = jax.jit(losses.ranksim)


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


RNG = np.random.default_rng(0)
P, Y = RNG.normal(size=(2, 16))


def test_balanced_mse_of_a_batch():
    y = np.array([0.0, 1.0])
    np.testing.assert_allclose(balanced_mse(y, y, noise_variance=0.5), np.log1p(np.exp(-1)), rtol=1e-12)
    np.testing.assert_array_equal(balanced_mse(P[:1], Y[:1], noise_variance=0.1), 0)


def test_balanced_mse_at_the_ends_of_the_noise():
    squares = (P[:, None] - Y) ** 2
    least = (P - Y) ** 2 - squares.min(axis=1)
    np.testing.assert_allclose(balanced_mse(P, Y, noise_variance=1e-9), least, atol=1e-6)
    v = 1e7
    mean = (P - Y) ** 2 - squares.mean(axis=1)
    np.testing.assert_allclose(balanced_mse(P, Y, noise_variance=v) - 2 * v * np.log(16), mean, atol=1e-5)


def test_balanced_mse_of_buckets_and_batch_agree_on_the_same_masses():
    by_buckets = balanced_mse(P, Y, noise_variance=0.3, prior=Buckets(Y, np.ones(16)))
    np.testing.assert_allclose(by_buckets, balanced_mse(P, Y, noise_variance=0.3), rtol=1e-10)
    # A narrow mixture is a set of points, up to the constant that is dropped.
    narrow = balanced_mse(P, Y, noise_variance=0.3, prior=Mixture(Y, np.full(16, 1e-9), np.full(16, 1 / 16)))
    np.testing.assert_allclose(narrow, by_buckets - 0.6 * np.log(16), atol=1e-6)


def test_balanced_mse_of_several_outputs_and_absent_rows():
    two = balanced_mse(np.stack([P, P], 1), np.stack([Y, Y], 1), noise_variance=0.6)
    np.testing.assert_allclose(two, 2 * balanced_mse(P, Y, noise_variance=0.3), rtol=1e-10)
    exists = np.arange(16) < 11
    spoilt = np.where(exists, P, 1e9)
    loss = balanced_mse(spoilt, Y, noise_variance=0.3, where=exists)
    np.testing.assert_allclose(loss[:11], balanced_mse(P[:11], Y[:11], noise_variance=0.3), rtol=1e-12)
    np.testing.assert_array_equal(loss[11:], 0)
    with pytest.raises(TypeError, match="expected None, Buckets or Mixture"):
        balanced_mse(P, Y, noise_variance=0.3, prior=(Y, Y))


def test_balanced_mse_recovers_the_line_that_squared_error_flattens():
    """Ren et al.: y ~ N(5, 1/4) and x = y - noise of variance 1; least squares has slope 1/5, the line slope 1."""
    rng = np.random.default_rng(0)
    y = rng.normal(5, 0.5, 20000)
    x = y - rng.normal(size=len(y))
    prior = Mixture(np.array([5.0]), np.array([0.25]), np.array([1.0]))

    def loss(line):
        return jnp.mean(balanced_mse(line[0] * x + line[1], y, noise_variance=1.0, prior=prior))

    line = jnp.array(np.polyfit(x, y, 1))
    assert line[0] == pytest.approx(0.2, abs=0.01)
    gradient, curvature = jax.jit(jax.grad(loss)), jax.jit(jax.hessian(loss))
    for _ in range(20):
        line = line - jnp.linalg.solve(curvature(line), gradient(line))
    # The intercept is the slope's error times the mean target of 5.
    np.testing.assert_allclose([line[0], line[0] * 5 + line[1]], [1, 5], atol=0.04)


def test_focal_r():
    assert focal_r(1.0, 0.0).item() == pytest.approx(0.0996679946, abs=1e-10)
    np.testing.assert_allclose(focal_r(P, Y, gamma=0.0), (P - Y) ** 2, rtol=1e-12)
    np.testing.assert_allclose(focal_r(P, Y, squared=False, beta=1e4), np.abs(P - Y), rtol=1e-3)
    np.testing.assert_allclose(focal_r(P, Y, beta=0.4), focal_r(P, Y, beta=0.2, form="tanh"), rtol=1e-12)
    r = np.abs(P - Y)
    np.testing.assert_allclose(focal_r(P, Y, gamma=2.0), r**2 * (2 / (1 + np.exp(-0.2 * r)) - 1) ** 2, rtol=1e-10)
    assert jax.grad(focal_r)(1.0, 1.0, gamma=0.5) == 0
    with pytest.raises(ValueError, match="form='relu'"):
        focal_r(P, Y, form="relu")


def rank(values):
    return np.array([1 + sum(other > value for other in values) for value in values])


def test_ranksim_against_sorted_ranks():
    z, y = RNG.normal(size=(7, 3)), RNG.normal(size=7)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    expected = [np.mean((rank(unit @ unit[i]) - rank(-np.abs(y - y[i]))) ** 2) / 49 for i in range(7)]
    np.testing.assert_allclose(ranksim(z, y), expected, rtol=1e-12)
    assert (rank([0.1, 0.4, 0.3, 0.2]) / 4).tolist() == [1, 0.25, 0.5, 0.75]


def test_ranksim_counts_equal_targets_once_and_leaves_absent_rows_out():
    z, y = RNG.normal(size=(9, 3)), np.array([0.0, 1, 2, 3, 3, 1, 5, 6, 7])
    kept = [0, 1, 2, 3, 6, 7, 8]
    loss = ranksim(z, y)
    np.testing.assert_allclose(loss[np.array(kept)], ranksim(z[kept], y[kept]), rtol=1e-12)
    np.testing.assert_array_equal(loss[np.array([4, 5])], 0)
    exists = np.arange(9) < 6
    np.testing.assert_allclose(ranksim(z, y, where=exists)[:4], ranksim(z[:4], y[:4]), rtol=1e-12)


def test_a_step_along_ranksim_gradient_orders_features():
    z, y = jnp.asarray(RNG.normal(size=(8, 4))), jnp.asarray(RNG.normal(size=8))
    value_and_gradient = jax.jit(jax.value_and_grad(lambda z: jnp.sum(ranksim(z, y))))
    values = []
    for _ in range(200):
        value, gradient = value_and_gradient(z)
        values.append(float(value))
        z = z - 0.1 * gradient
    assert values[-1] < 0.5 * values[0]


ONE = np.ones(1, bool)


def test_calibration():
    own = FeatureStatistics(np.array([[2.0, 3.0]]), np.array([[1.0, 4.0]]), ONE)
    borrowed = FeatureStatistics(np.array([[2.5, 3.0]]), np.array([[4.0, 400.0]]), ONE)
    moved = calibrate_features(np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros(2, int), own, borrowed)
    np.testing.assert_allclose(moved, [[0.5, -0.1622777], [4.5, 6.1622777]], atol=1e-7)
    constant = own._replace(variance=np.array([[0.0, 4.0]]))
    moved = calibrate_features(np.array([[1.0, 2.0]]), np.zeros(1, int), constant, borrowed)
    assert moved[0, 0] == 1


def test_statistics_of_buckets():
    z, buckets = RNG.normal(size=(40, 3)), RNG.integers(0, 4, 40)
    buckets[buckets == 2] = 3
    found = feature_statistics(z, buckets, n_buckets=5)
    for bucket in (0, 1, 3):
        rows = z[buckets == bucket]
        np.testing.assert_allclose(found.mean[bucket], rows.mean(axis=0), rtol=1e-10)
        np.testing.assert_allclose(found.variance[bucket], rows.var(axis=0, ddof=1), rtol=1e-10)
    assert found.seen.tolist() == [True, True, False, True, False]
    later = feature_statistics(z + 1, np.where(buckets == 3, 4, buckets), n_buckets=5, before=found)
    np.testing.assert_allclose(later.mean[0], found.mean[0] + 0.1, rtol=1e-10)
    np.testing.assert_allclose(later.mean[4], found.mean[3] + 1, rtol=1e-10)
    np.testing.assert_allclose(later.mean[3], found.mean[3], rtol=1e-12)


def test_smoothing_reflects_and_borrows_from_buckets_with_rows_only():
    mean, kernel = RNG.normal(size=(6, 2)), np.array([0.2, 1.0, 0.2])
    whole = smooth_statistics(FeatureStatistics(mean, mean**2, np.ones(6, bool)), kernel)
    np.testing.assert_allclose(whole.mean, correlate1d(mean, kernel / 1.4, axis=0, mode="mirror"), rtol=1e-10)
    seen = np.array([True, True, False, True, True, True])
    part = smooth_statistics(FeatureStatistics(mean, mean**2, seen), kernel)
    np.testing.assert_allclose(part.mean[1], (0.2 * mean[0] + mean[1]) / 1.2, rtol=1e-10)
    np.testing.assert_allclose(part.mean[2], (mean[1] + mean[3]) / 2, rtol=1e-10)
    for wrong in (np.ones(2), np.ones(13)):
        with pytest.raises(ValueError, match="kernel has"):
            smooth_statistics(FeatureStatistics(mean, mean, seen), wrong)
