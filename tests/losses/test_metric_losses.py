"""Losses of metric learning against hand-computed values, slow loops in NumPy, identities and bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustml import losses

NAMES = ("tcm", "contrastive", "multi_similarity", "triplet", "smooth_ap", "recall_at_k")
PAIR_LOSSES = [
    jax.jit(getattr(losses, f"{name}_loss"), static_argnames="mining" if "multi" in name else ()) for name in NAMES
]
PROXY_LOSSES = [jax.jit(getattr(losses, f"{name}_loss")) for name in ("proxy_anchor", "arcface", "cosface")]
tcm_loss, contrastive_loss, multi_similarity_loss, triplet_loss, smooth_ap_loss, recall_at_k_loss = PAIR_LOSSES
proxy_anchor_loss, arcface_loss, cosface_loss = PROXY_LOSSES

SEVEN = np.array([[1, 0, 0], [0.8, 0.6, 0], [0.6, 0, 0.8], [0, 1, 0], [0, 0.8, 0.6], [0, 0, 1], [0.6, 0.8, 0]])
SEVEN_LABELS = np.array([0, 0, 0, 1, 1, 2, 2])


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def circle(*degrees):
    angles = np.deg2rad(np.array(degrees, float))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def batch(n_rows=24, n_classes=6, n_components=5, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n_rows) % n_classes
    return rng.normal(size=(n_rows, n_components)) + rng.normal(size=(n_classes, n_components))[labels], labels


def unit(Z):
    return Z / np.linalg.norm(Z, axis=1, keepdims=True)


def tcm_in_numpy(Z, y, m_plus=0.9, m_minus=0.5, l_plus=1.0, l_minus=1.0, w=None, strict=False):
    Z, n = unit(Z), len(Z)
    w = np.ones(n) if w is None else w
    parts = {True: [0.0, 0.0], False: [0.0, 0.0]}
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            s, same = Z[i] @ Z[j], y[i] == y[j]
            excess = m_plus - s if same else s - m_minus
            if excess > 0 or (excess == 0 and not strict):
                parts[same][0] += w[i] * w[j] * excess
                parts[same][1] += w[i] * w[j]
    means = {same: total / weight if weight else 0.0 for same, (total, weight) in parts.items()}
    return l_plus * means[True] + l_minus * means[False]


def test_worked_examples():
    example = np.array([[0, 1], [0.43, 0.90], [1, 0], [0.5, 0.5]])
    assert float(tcm_loss(example, np.array([0, 0, 1, 1]))) == pytest.approx(0.5178763012667884, abs=1e-14)
    y = SEVEN_LABELS
    assert float(tcm_loss(SEVEN, y)) == pytest.approx(0.364 + 1.5 / 7, abs=1e-14)
    assert float(tcm_loss(SEVEN, y, lambda_plus=2, lambda_minus=0.5)) == pytest.approx(0.8351428571428572, abs=1e-14)
    assert float(tcm_loss(SEVEN, y, margin_plus=1, margin_minus=-1)) == pytest.approx(1.859, abs=1e-14)
    # Orthogonal pairs are at the margin 0: the one counts them, the other does not.
    assert float(tcm_loss(SEVEN, y, margin_plus=1, margin_minus=0)) == pytest.approx(0.859, abs=1e-14)
    strict = tcm_in_numpy(SEVEN, y, 1, 0, strict=True)
    assert float(contrastive_loss(SEVEN, y, positive_margin=1, negative_margin=0)) == pytest.approx(strict, abs=1e-14)
    assert float(multi_similarity_loss(SEVEN, y, mining=False)) == pytest.approx(0.749353119061326, abs=1e-14)
    assert float(multi_similarity_loss(SEVEN, y)) == pytest.approx(0.6789005337408437, abs=1e-14)
    assert float(smooth_ap_loss(SEVEN, y)) == pytest.approx(0.43378694477056645, abs=1e-14)


def test_points_on_a_circle():
    y = np.array([0, 0, 1, 1, 2, 2])
    assert float(tcm_loss(circle(0, 10, 90, 110, 200, 240), y)) == pytest.approx(
        0.9 - np.cos(np.deg2rad(40)), abs=1e-14
    )
    four = circle(0, 30, 40, 200)
    assert float(tcm_loss(four, y[:4])) == pytest.approx(1.3122597065663277, abs=1e-14)
    # The positive part rises when its only easy pair leaves the count.
    assert float(tcm_loss(four, y[:4], margin_plus=0.8, margin_minus=0.2)) == pytest.approx(
        2.415118718851501, abs=1e-14
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(-0.5, 1), st.floats(-1, 0.9))
def test_tcm_against_loops(seed, m_plus, m_minus):
    Z, y = batch(12, 4, 3, seed)
    w = np.random.default_rng(seed).integers(0, 3, len(Z)).astype(float)
    ours = tcm_loss(Z, y, margin_plus=m_plus, margin_minus=m_minus, lambda_plus=2.0, lambda_minus=0.5, sample_weight=w)
    assert float(ours) == pytest.approx(tcm_in_numpy(Z, y, m_plus, m_minus, 2.0, 0.5, w), abs=1e-12)


def test_contrastive_is_tcm_off_the_margins():
    Z, y = batch(64, 8, 6)
    for m_plus, m_minus in ((0.9, 0.5), (0.8, 0.2), (1.0, 0.0), (0.5, 0.5)):
        tcm = tcm_loss(Z, y, margin_plus=m_plus, margin_minus=m_minus)
        contrastive = contrastive_loss(Z, y, positive_margin=m_plus, negative_margin=m_minus)
        assert float(tcm) == pytest.approx(float(contrastive), abs=1e-14)


def test_a_pair_at_its_margin_counts_for_tcm_only():
    Z = np.array([[1.0, 0], [0.5, np.sqrt(0.75)], [1.0, 0]])
    y, w = np.zeros(3, int), np.array([1.0, 1.0, 0.0])
    s = float(Z[0] @ unit(Z)[1])
    assert float(tcm_loss(Z[:2], y[:2], margin_plus=s + 0.2)) == pytest.approx(0.2, abs=1e-12)
    three = circle(0, 60, 60 + np.rad2deg(np.arccos(0.9)))
    below = float(tcm_loss(three, np.array([0, 0, 0]), margin_plus=0.9 - 1e-9))
    above = float(tcm_loss(three, np.array([0, 0, 0]), margin_plus=0.9 + 1e-9))
    assert above < below  # one more pair in the mean, at no distance: the jump of the paper's normaliser
    assert float(tcm_loss(Z, y, sample_weight=w)) == pytest.approx(0.4, abs=1e-12)


def test_collapse_is_a_stationary_point():
    Z, y = np.tile([[3.0, 4.0]], (6, 1)), np.arange(6) % 2
    value, gradient = jax.value_and_grad(tcm_loss)(jnp.asarray(Z), y)
    assert float(value) == pytest.approx(0.5, abs=1e-12)
    np.testing.assert_allclose(gradient, 0, atol=1e-12)


def test_range_and_its_maximum():
    e = np.array([1.0, 0.0])
    worst = float(tcm_loss(np.array([e, -e, e, -e]), np.array([0, 0, 1, 1])))
    assert worst == pytest.approx(2.4, abs=1e-14)
    for seed in range(20):
        assert 0 <= float(tcm_loss(*batch(seed=seed))) <= 2.4


def test_zero_loss_means_that_one_threshold_separates_every_class():
    Z, y = circle(0, 5, 90, 95, 180, 185), np.array([0, 0, 1, 1, 2, 2])
    assert float(tcm_loss(Z, y)) == 0
    S = Z @ Z.T
    for threshold in (0.51, 0.7, 0.89):
        assert ((threshold <= S) == (y[:, None] == y)).all()


@pytest.mark.parametrize("seed", range(5))
def test_hinges_bound_error_rates(seed):
    Z, y = batch(30, 5, 4, seed)
    S, same = unit(Z) @ unit(Z).T, y[:, None] == y
    positive, negative = S[same & ~np.eye(len(y), dtype=bool)], S[~same]
    for threshold in (0.55, 0.7, 0.85):
        frr, far = np.mean(positive < threshold), np.mean(negative >= threshold)
        share_plus, share_minus = np.mean(positive <= 0.9), np.mean(negative >= 0.5)
        plus, minus = float(tcm_loss(Z, y, lambda_minus=0.0)), float(tcm_loss(Z, y, lambda_plus=0.0))
        assert frr <= plus * share_plus / (0.9 - threshold) + 1e-12
        assert far <= minus * share_minus / (threshold - 0.5) + 1e-12


def test_weights_repeat_rows_and_zeros_remove_them():
    Z, y = batch(12, 4, 3)
    w = np.random.default_rng(0).integers(0, 4, 12)
    repeated = np.repeat(np.arange(12), w)
    ours = float(tcm_loss(Z, y, sample_weight=w))
    assert ours == pytest.approx(float(tcm_loss(Z[repeated], y[repeated])), abs=1e-13)


def test_easy_pairs_change_nothing():
    Z, y = batch(12, 4, 3)
    far = np.concatenate([np.pad(Z, ((0, 0), (0, 2))), [[0, 0, 0, 1, 0], [0, 0, 0, 1, 0.01], [0, 0, 0, 0, -1]]])
    assert float(tcm_loss(far, np.append(y, [7, 7, 8]))) == pytest.approx(float(tcm_loss(Z, y)), abs=1e-13)


def test_reference_set():
    Z, y = batch(12, 4, 3)
    ours = tcm_loss(Z[:5], y[:5], reference=Z[5:], reference_labels=y[5:])
    S, same = unit(Z[:5]) @ unit(Z[5:]).T, y[:5, None] == y[5:]
    plus, minus = S[same & (S <= 0.9)], S[~same & (S >= 0.5)]
    expected = (np.mean(0.9 - plus) if len(plus) else 0) + (np.mean(minus - 0.5) if len(minus) else 0)
    assert float(ours) == pytest.approx(expected, abs=1e-13)
    with pytest.raises(ValueError, match="reference and reference_labels"):
        tcm_loss(Z, y, reference=Z)


def of_batch(function, n_components=3, n_classes=4):
    """Value and gradient of a loss as one compiled function of embeddings, labels and weights."""
    proxies = np.random.default_rng(1).normal(size=(n_classes, n_components))
    more = (proxies,) if function in PROXY_LOSSES else ()
    return jax.jit(jax.value_and_grad(lambda Z, y, w: function(Z, y, *more, sample_weight=w)))


EVERY_LOSS = {function.__name__: of_batch(function) for function in PAIR_LOSSES + PROXY_LOSSES}


@pytest.mark.parametrize("name", EVERY_LOSS)
def test_invariances_gradients_and_masks(name):
    loss = EVERY_LOSS[name]
    Z, y = batch(12, 4, 3)
    rng = np.random.default_rng(3)
    w = np.append(rng.uniform(0.5, 2, 9), [0, 0, 0])
    value, gradient = loss(Z, y, w)
    assert float(loss(Z * rng.uniform(0.1, 10, (12, 1)), y, w)[0]) == pytest.approx(float(value), rel=1e-11)
    np.testing.assert_allclose(np.sum(gradient * Z, axis=1), 0, atol=1e-11)
    direction = rng.normal(size=Z.shape)
    slope = (float(loss(Z + 1e-6 * direction, y, w)[0]) - float(loss(Z - 1e-6 * direction, y, w)[0])) / 2e-6
    assert np.sum(gradient * direction) == pytest.approx(slope, rel=2e-5, abs=1e-8)
    # What has no weight, or no direction, takes no part: whatever it holds, and the gradient stays finite.
    other, labels = Z.copy(), y.copy()
    other[9:], labels[9:] = rng.normal(size=(3, 3)), [0, 0, 0]
    assert float(loss(other, labels, w)[0]) == pytest.approx(float(value), rel=1e-12)
    other[9:] = 0
    zeros, slopes = loss(other, labels, np.where(w > 0, w, 1.0))
    assert float(zeros) == pytest.approx(float(value), rel=1e-12)
    assert np.isfinite(slopes).all()
    np.testing.assert_array_equal(slopes[9:], 0)
    np.testing.assert_allclose(slopes, gradient, atol=1e-12)


def test_rotation_order_and_names_do_not_matter():
    Z, y = batch(12, 4, 3)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    order = np.random.default_rng(1).permutation(12)
    for loss in PAIR_LOSSES:
        expected = float(loss(Z, y))
        assert float(loss(Z @ rotation, y)) == pytest.approx(expected, rel=1e-11)
        assert float(loss(Z[order], 100 - 7 * y[order])) == pytest.approx(expected, rel=1e-11)


def test_triplets_against_loops():
    Z, y = batch(10, 3, 3)
    S = unit(Z) @ unit(Z).T
    excess = [
        S[a, n] - S[a, p] + 0.1
        for a in range(10)
        for p in range(10)
        for n in range(10)
        if a != p and y[a] == y[p] and y[a] != y[n]
    ]
    assert float(triplet_loss(Z, y)) == pytest.approx(np.mean([e for e in excess if e > 0]), abs=1e-13)


def test_smooth_average_precision_tends_to_the_true_one():
    Z, y = batch(20, 5, 6)
    S = unit(Z) @ unit(Z).T
    precisions = []
    for q in range(20):
        others = np.delete(np.arange(20), q)
        hits = (y[others] == y[q])[np.argsort(-S[q, others])]
        precisions.append(np.mean(np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)))
    errors = [abs(float(smooth_ap_loss(Z, y, temperature=t)) - (1 - np.mean(precisions))) for t in (0.1, 1e-2, 1e-5)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-6


def test_recall_surrogate_of_perfectly_separated_classes():
    angles = np.repeat(np.arange(6) * 60.0, 4) + np.tile([0, 0.1, 0.3, 0.7], 6)
    loss = recall_at_k_loss(circle(*angles), np.repeat(np.arange(6), 4), k=(1, 2, 4), temperature=1e-9)
    ranks = np.arange(1, 4)
    recall = [min(k, np.sum(1 / (1 + np.exp(ranks - k)))) / min(k, 3) for k in (1, 2, 4)]
    assert float(loss) == pytest.approx(1 - np.mean(recall), abs=1e-9)


def test_proxy_losses_against_loops():
    Z, y = batch(12, 4, 3)
    y = np.where(y == 3, 0, y)  # one class is absent from the batch
    proxies = np.random.default_rng(1).normal(size=(4, 3))
    S = unit(Z) @ unit(proxies).T
    pull = [np.log1p(np.exp(-32 * (S[y == c, c] - 0.1)).sum()) for c in range(3)]
    push = [np.log1p(np.exp(32 * (S[y != c, c] + 0.1)).sum()) for c in range(4)]
    assert float(proxy_anchor_loss(Z, y, proxies)) == pytest.approx(np.mean(pull) + np.mean(push), rel=1e-12)
    for loss, shifted in ((arcface_loss, np.cos(np.arccos(S) + 0.5)), (cosface_loss, S - 0.35)):
        own = np.arange(4) == y[:, None]
        reachable = np.arccos(S) + 0.5 <= np.pi
        shifted = np.where(reachable | (loss is cosface_loss), shifted, S - 0.5 * np.sin(0.5))
        logits = 64 * np.where(own, shifted, S)
        losses = np.log(np.exp(logits).sum(axis=1)) - logits[own]
        assert float(loss(Z, y, proxies)) == pytest.approx(losses.mean(), rel=1e-10)


def test_batches_without_pairs_are_zero():
    Z = batch(4, 4, 3)[0]
    for loss in (smooth_ap_loss, recall_at_k_loss, triplet_loss):
        assert float(loss(Z, np.arange(4))) == 0
    assert float(tcm_loss(Z[:1], np.arange(1))) == 0


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"labels has shape \(2,\); expected \(3,\)"):
        tcm_loss(np.ones((3, 2)), np.zeros(2, int))
    with pytest.raises(ValueError, match=r"embeddings has shape \(3,\)"):
        tcm_loss(np.ones(3), np.zeros(3, int))
    with pytest.raises(ValueError, match=r"proxies has shape \(2, 3\); expected \(n_classes, 2\)"):
        arcface_loss(np.ones((3, 2)), np.zeros(3, int), np.ones((2, 3)))
