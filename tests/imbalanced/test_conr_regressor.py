"""ConRRegressor: what it minimises, what it reports, and what it refuses."""

import warnings

import jax
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.model_selection import GridSearchCV

from trustml._networks import MLP
from trustml.imbalanced import ConRRegressor, DenseWeight
from trustml.imbalanced._objective import AUGMENTATIONS, BalancedScore, ConRObjective, base_losses
from trustml.imbalanced._standardise import balance_of_bins, draw_held_out, mean_and_scale
from trustml.losses import conr_loss, focal_r
from trustml.metrics import balanced_mean_absolute_error

RNG = np.random.default_rng(0)
Y = RNG.exponential(size=120)
X = Y[:, None] + RNG.normal(size=(120, 4))
SMALL = {"hidden_layer_sizes": 8, "max_iter": 4, "random_state": 0}


@pytest.fixture(scope="module")
def fitted():
    return ConRRegressor(**SMALL).fit(X, Y)


@pytest.mark.parametrize(
    "augmentation", [AUGMENTATIONS["gaussian"], pytest.param(None, marks=pytest.mark.slow)], ids=["views", "none"]
)
def test_the_objective_is_loss_and_penalty(augmentation):
    network = MLP(1, (6,))
    params = network.init(jax.random.key(0), X[:, :3])
    rows, targets, weight = X[:10, :3].astype(np.float32), Y[:10, None].astype(np.float32), np.r_[np.ones(8), 0, 0]
    rarity, importance = RNG.uniform(1, 2, (2, 10)).astype(np.float32)
    hyper = {
        "loss": {},
        "units": np.ones(1),
        "window": 0.3,
        "push": 0.2,
        "temperature": 0.5,
        "conr_weight": 0.7,
        "augmentation_scale": 0.2,
    }
    batch = (rows, targets, importance, rarity, None)
    objective = ConRObjective(network, "squared_error", augmentation, True, "exp", "paper")
    key = jax.random.key(1)
    views = [rows[:8]]
    if augmentation:
        views = [augmentation(k, rows, 0.2)[:8] for k in jax.random.split(key)]
    z = np.concatenate([network.features(params, view) for view in views])
    p = np.concatenate([network.apply(params, view) for view in views])
    y, w = np.tile(targets[:8], (len(views), 1)), np.tile(rarity[:8], len(views))
    penalty = conr_loss(z, y, p, window=0.3, push=0.2, temperature=0.5, weights=w)
    base = importance[:8] * np.asarray((network.apply(params, rows[:8]) - targets[:8])[:, 0]) ** 2
    expected = base.mean() + 0.7 * float(penalty.mean())
    assert penalty.mean() > 0.1
    assert float(objective(params, batch, weight, key, hyper)) == pytest.approx(expected, rel=1e-5)


def test_base_losses():
    p, y = RNG.normal(size=(2, 7, 2)).astype(np.float32)
    r = np.abs(p - y)
    exists = np.ones(7, bool)
    expected = {
        "squared_error": r**2,
        "absolute_error": r,
        "huber": np.where(r <= 0.5, r**2 / 2, 0.5 * r - 0.125),
        "focal_r": np.asarray(focal_r(p, y, beta=1.0)),
    }
    numbers = {"delta": 0.5, "beta": 1.0, "gamma": 1.0}
    for name, losses in expected.items():
        np.testing.assert_allclose(
            base_losses(name, p, y, numbers, exists), losses.mean(axis=1), rtol=1e-5, err_msg=name
        )


def test_the_score_is_the_balanced_error():
    y, held_out = RNG.integers(0, 6, 50).astype(float), np.arange(50) % 2 == 0
    balance = balance_of_bins(y[:, None], [np.arange(7) - 0.5], held_out.astype(float))
    network = MLP(1)
    rows = RNG.normal(size=(50, 2)).astype(np.float32)
    params = network.init(jax.random.key(0), rows)
    score = BalancedScore(network)(params, (rows, y[:, None], None, None, balance), held_out, None, {})
    p = np.asarray(network.apply(params, rows))[:, 0]
    expected = balanced_mean_absolute_error(y[held_out], p[held_out], bins=np.arange(7) - 0.5)
    assert -float(score) == pytest.approx(expected, rel=1e-5)


def test_held_out_rows_span_the_targets():
    weight = np.r_[np.zeros(20), np.ones(100)]
    drawn = draw_held_out(Y[:, None], weight, 0.2, np.random.default_rng(0))
    assert drawn.sum() == 20
    assert not drawn[:20].any()
    slices = np.array_split(np.sort(Y[20:]), 20)
    assert all(np.isin(part, Y[drawn]).sum() == 1 for part in slices)


def test_scaling():
    columns = np.c_[RNG.normal(5, 3, 9), np.full(9, 0.1), np.full(9, 1e9)]
    weight = RNG.uniform(size=9)
    mean, scale = mean_and_scale(columns, weight)
    scaled = (columns - mean) / scale
    np.testing.assert_allclose(np.average(scaled, axis=0, weights=weight), 0, atol=1e-6)
    np.testing.assert_allclose(np.average(scaled**2, axis=0, weights=weight), [1, 0, 0], atol=1e-6)


def test_defaults_are_a_bin_and_the_range(fitted):
    assert fitted.window_ == pytest.approx(np.ptp(Y) / 20)
    assert fitted.push_ == pytest.approx(1 / np.ptp(Y))
    assert len(fitted.bin_edges_) == 21
    assert 0.05 < fitted.active_anchor_fraction_ <= 1
    integers = ConRRegressor(**SMALL).fit(X, np.round(3 * Y))
    assert integers.window_ == 1


def test_the_unit_of_the_target_does_not_matter(fitted):
    scaled = ConRRegressor(**SMALL).fit(X, 1000 * Y - 7)
    np.testing.assert_allclose(scaled.predict(X), 1000 * fitted.predict(X) - 7, rtol=1e-3, atol=1)
    features = ConRRegressor(**SMALL).fit(50 * X + 3, Y)
    np.testing.assert_allclose(features.predict(50 * X + 3), fitted.predict(X), rtol=1e-3, atol=1e-3)


def test_rows_of_weight_zero_are_no_rows():
    weight = np.r_[np.zeros(20), np.ones(100)]
    spoilt = np.where(weight[:, None] > 0, X, 99.0)
    # Shuffles depend on the rows that exist, so that equality is exact only if all are in one batch, without views.
    model = ConRRegressor(**SMALL, batch_size=200, augmentation=None, window=1.0, early_stopping=True)
    with_zeros = clone(model).fit(spoilt, np.where(weight > 0, Y, Y.max() - 1), weight)
    without = clone(model).fit(X[20:], Y[20:])
    np.testing.assert_allclose(with_zeros.predict(X), without.predict(X), rtol=1e-4, atol=1e-4)


def test_transform_gives_the_features_of_the_last_layer(fitted):
    features = fitted.transform(X)
    assert features.shape == (120, 8)
    outputs = features @ fitted.coefs_[-1] + fitted.intercepts_[-1]
    np.testing.assert_allclose(outputs[:, 0] * fitted.target_scale_ + fitted.target_mean_, fitted.predict(X), rtol=1e-5)
    assert fitted.get_feature_names_out()[0] == "conrregressor0"


@pytest.mark.slow
def test_several_outputs():
    both = ConRRegressor(**SMALL).fit(X, np.c_[Y, 100 * Y])
    assert both.predict(X).shape == (120, 2)
    assert len(both.bin_edges_) == 2
    column = ConRRegressor(**SMALL).fit(X, Y[:, None])
    assert column.predict(X).shape == (120, 1)
    with pytest.raises(ValueError, match="reweight='lds' is for one output; y has 2"):
        ConRRegressor(**SMALL, reweight="lds").fit(X, np.c_[Y, Y])


def test_early_stopping_keeps_the_best_epoch():
    model = ConRRegressor(
        hidden_layer_sizes=8,
        max_iter=60,
        early_stopping=True,
        n_iter_no_change=3,
        learning_rate_init=0.02,
        random_state=0,
    ).fit(X, Y)
    scores = model.validation_scores_
    assert model.n_iter_ == len(scores) < 60
    assert max(scores) > scores[-1]
    assert ConRRegressor(**SMALL).fit(X, Y).validation_scores_ is None


@pytest.mark.slow
def test_every_option_trains():
    """A few epochs of each: finite, and lower at the end."""
    for options in (
        {"loss": "absolute_error", "augmentation": "corrupt", "denominator": "reference"},
        {"loss": "huber", "loss_params": {"delta": 0.5}, "augmentation": None, "push_form": "product"},
        {"loss": "focal_r", "reweight": "sqrt_inverse", "anchor_weight": "inverse"},
        {"loss": "balanced_mse", "conr_weight": 0},
        {"reweight": DenseWeight(alpha=0.5), "anchor_weight": "lds", "learning_rate": "constant"},
    ):
        model = ConRRegressor(hidden_layer_sizes=8, max_iter=12, learning_rate_init=0.01, random_state=0, **options)
        model.fit(X, Y)
        assert np.isfinite(model.predict(X)).all()
        assert model.loss_curve_[-1] < model.loss_curve_[0], options
        assert np.isnan(model.active_anchor_fraction_) == (model.conr_weight == 0)


@pytest.mark.slow
def test_reweighting_lowers_errors_on_rare_targets():
    rng = np.random.default_rng(0)
    y = rng.exponential(size=1000)
    X = rng.normal(size=(1000, 4))
    X[:, 0] += y  # of slope 1/2, while the line that ignores frequencies has slope 1
    plain, even = (
        ConRRegressor(hidden_layer_sizes=8, max_iter=30, reweight=r, random_state=0).fit(X, y).predict(X)
        for r in (None, "lds")
    )
    rare = y > 3
    assert np.abs(even - y)[rare].mean() < 0.9 * np.abs(plain - y)[rare].mean()
    assert np.abs(even - y)[~rare].mean() > np.abs(plain - y)[~rare].mean()


def test_a_grid_of_numbers_compiles_once(count_compilations):
    grid = {"conr_weight": [0.01, 0.1], "window": [0.1, 0.5], "temperature": [0.1, 1.0], "push": [0.0, 0.5]}
    GridSearchCV(ConRRegressor(**SMALL), grid, cv=3).fit(X, Y)
    with count_compilations() as compilations:
        wider = {"conr_weight": [0.02, 0.2], "learning_rate_init": [1e-3, 1e-2], "augmentation_scale": [0.2, 0.3]}
        GridSearchCV(ConRRegressor(**SMALL), wider, cv=3).fit(X, Y)
    assert compilations.count == 0


def test_progress_shows_epochs(capsys):
    ConRRegressor(**SMALL).set_callbacks(ProgressBar()).fit(X, Y)
    assert "ConRRegressor" in capsys.readouterr().out


@pytest.mark.slow
def test_hopeless_windows_are_told():
    options = {**SMALL, "batch_size": 32}
    with pytest.warns(UserWarning, match="no row has a positive and the penalty is zero"):
        ConRRegressor(**options, window=1e-9, augmentation=None).fit(X, Y)
    with pytest.warns(UserWarning, match="window=0.5 is narrower than the least distance of two targets, 1"):
        ConRRegressor(**options, window=0.5).fit(X, np.round(3 * Y))
    with pytest.warns(UserWarning, match="0.0% of the rows have a row with a like prediction"):
        ConRRegressor(**options, window=100.0).fit(X, Y)


def test_constant_targets_and_columns():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="After training")
        model = ConRRegressor(**SMALL).fit(np.ones((20, 4)), np.full(20, 3.0))
    np.testing.assert_allclose(model.predict(np.ones((2, 4))), 3)


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({"batch_size": 1}, Y, "'batch_size' parameter"),
        ({"hidden_layer_sizes": ()}, Y, r"hidden_layer_sizes=\(\); expected one or more"),
        ({"loss_params": {"delta": 1.0}}, Y, "loss_params: 'squared_error' has no number 'delta'; it has none"),
        ({"loss": "huber", "loss_params": {"delta": -1.0}}, Y, "loss_params: delta=-1.0; expected a positive number"),
        ({"window": -1.0}, Y, "'window' parameter"),
        ({}, np.where(Y > 1, np.nan, Y), "y contains NaN"),
        ({"bins": [0.0]}, Y, "expected two or more finite edges"),
    ],
)
def test_wrong_input(options, y, message):
    with pytest.raises(ValueError, match=message):
        ConRRegressor(**{**SMALL, **options}).fit(X, y)
    with pytest.raises(ValueError, match="early_stopping=True needs two rows"):
        ConRRegressor(**SMALL, early_stopping=True).fit(X[:1], Y[:1])
