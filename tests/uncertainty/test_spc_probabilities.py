"""The arithmetic of split points of probabilities, against exact expectations and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from trustml.uncertainty import _probabilities as kernels


def expectations(pi, p):
    """M, A and B of labels of probability pi, predicted with p."""
    return pi * (1 - p) + (1 - pi) * p, pi * (1 - p), (1 - pi) * p


@pytest.mark.parametrize("reduce", ["mean", "min"])
@given(st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_the_correction_is_the_error_of_the_probability(reduce, pi, p):
    assert kernels.correction(*expectations(pi, p), reduce) == pytest.approx(pi - p, abs=1e-12)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=6))
@settings(max_examples=50, deadline=None)
def test_sds_of_exact_mars(pairs):
    pi, p = np.array(pairs).T[:, None]
    expected = np.sum(np.abs(pi - p) * np.abs(1 - 2 * p))
    assert kernels.sds(p, expectations(pi, p)[0])[0] == pytest.approx(expected, abs=1e-12)


def test_sds_by_hand():
    assert kernels.sds(np.array([[0.9]]), expectations(0.7, np.array([[0.9]]))[0])[0] == pytest.approx(0.16)
    assert kernels.sds(np.array([[0.5]]), expectations(0.3, np.array([[0.5]]))[0])[0] == 0  # blind at one half


def test_targets_of_heads_are_their_definitions():
    rng = np.random.default_rng(0)
    p, y = rng.dirichlet(np.ones(3), 20), rng.integers(0, 3, 20)
    Y = np.eye(3)[y]
    M, A, B = np.split(kernels.head_targets(p, Y), 3, axis=1)
    np.testing.assert_allclose(M, np.abs(Y - p))
    np.testing.assert_allclose(A, (Y - p) * (Y == 1))
    np.testing.assert_allclose(B, p * (Y == 0))
    np.testing.assert_allclose(A + B, M)


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=5))
@settings(max_examples=60, deadline=None)
def test_projection_is_the_nearest_point_of_the_simplex(point):
    point = np.array(point)
    ours = kernels.project(point[None])[0]
    assert ours.min() >= 0
    assert ours.sum() == pytest.approx(1)
    # Optimality: the point lies on no other side of the simplex's tangent plane at the projection.
    assert ((np.eye(len(point)) - ours) @ (point - ours)).max() <= 1e-9


def test_projection_against_an_optimiser():
    point = np.array([0.9, 0.8, -0.2])
    found = minimize(
        lambda q: np.sum((q - point) ** 2),
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda q: q.sum() - 1},
    )
    np.testing.assert_allclose(kernels.project(point[None])[0], found.x, atol=1e-6)


def test_temperature_is_found_again():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(20_000, 3))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    codes = (rng.random((20_000, 1)) > np.cumsum(true, axis=1)).sum(axis=1)
    sure = kernels.tempered(true, 1 / 3)
    assert kernels.best_temperature(sure, codes, np.ones(20_000)) == pytest.approx(3, rel=0.05)
    np.testing.assert_allclose(kernels.tempered(sure, 3.0), true, rtol=1e-9)


def test_strength_is_one_for_an_exact_correction_and_zero_for_a_harmful_one():
    rng = np.random.default_rng(2)
    true = rng.dirichlet(np.ones(3), 5000)
    codes = (rng.random((5000, 1)) > np.cumsum(true, axis=1)).sum(axis=1)
    wrong = kernels.project(true + rng.normal(size=true.shape) / 5)
    assert kernels.best_strength(wrong, true - wrong, codes, np.ones(5000)) >= 0.9
    assert kernels.best_strength(true, wrong - true, codes, np.ones(5000)) <= 0.1


def test_certain_probabilities_stay_finite():
    certain = np.array([[1.0, 0.0]])
    np.testing.assert_allclose(kernels.tempered(certain, 2.0), certain, atol=1e-9)
    assert np.isfinite(kernels.log_loss(certain, np.array([1]), np.ones(1)))
