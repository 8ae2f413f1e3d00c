"""TCMEmbedding and PairVerifier: what they promise of unseen classes, and how they answer to bad input."""

import warnings

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trustml.losses import tcm_loss
from trustml.metric_learning import ClassDisjointKFold, PairVerifier, TCMEmbedding, train_test_class_split
from trustml.metric_learning._objective import BASE_LOSSES
from trustml.metric_learning._sampler import ClassBalancedBatches
from trustml.metrics import map_at_r, map_at_r_scorer, opis_score, threshold_at_far


def table(n_classes=60, n_rows=8, seed=0):
    """Classes that differ in some directions, and rows that vary more in others."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_classes), n_rows)
    X = np.c_[rng.normal(size=(n_classes, 5))[y], np.zeros((len(y), 3))]
    return X + rng.normal(size=X.shape) * np.repeat([0.3, 3.0], [5, 3]), y


@pytest.fixture(scope="module")
def split():
    X, y = table()
    return train_test_class_split(X, y=y, test_size=0.5, random_state=0)


@pytest.fixture(scope="module")
def fitted(split):
    X, _, y, _ = split
    return TCMEmbedding(max_iter=100, random_state=0).fit(X, y)


def quick(**parameters):
    return TCMEmbedding(**{"max_iter": 20, "random_state": 0} | parameters)


def test_it_serves_unseen_classes_better_than_the_rows_themselves(split, fitted):
    _, X_new, _, y_new = split
    raw = PairVerifier(PCA()).fit(split[0], split[2])
    assert fitted.score(X_new, y_new) > raw.score(X_new, y_new) + 0.2
    Z = fitted.transform(X_new)
    np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1, atol=1e-12)
    assert fitted.score(X_new, y_new) == map_at_r(Z, y_new)


def test_the_threshold_is_that_of_the_held_out_classes(split, fitted):
    X, _, y, _ = split
    assert len(fitted.calibration_classes_) == 6
    assert len(fitted.classes_) == 24
    assert not np.intersect1d(fitted.calibration_classes_, fitted.classes_).size
    rows = np.isin(y, fitted.calibration_classes_)
    i, j = np.triu_indices(rows.sum(), 1)
    A, B, different = X[rows][i], X[rows][j], (y[rows][i] != y[rows][j])
    accepted = fitted.predict_pairs(A, B)
    assert np.mean(accepted[different]) == pytest.approx(fitted.threshold_far_, abs=1e-15)
    assert 0 < fitted.threshold_far_ <= 0.01
    np.testing.assert_array_equal(accepted, fitted.pair_similarity(A, B) >= fitted.threshold_)
    low, high = fitted.threshold_far_interval_
    assert low <= fitted.threshold_far_ <= high


def test_held_out_classes_keep_the_rate_on_new_classes():
    rates = []
    for seed in range(3):
        X, y = table(100, seed=seed)
        X, X_new, y, y_new = train_test_class_split(X, y=y, test_size=0.5, random_state=seed)
        model = quick(random_state=seed).fit(X, y)
        i, j = np.triu_indices(len(y_new), 1)
        different = y_new[i] != y_new[j]
        rates.append(np.mean(model.predict_pairs(X_new[i[different]], X_new[j[different]])))
    assert 0 < np.mean(rates) < 0.025


def test_tcm_lowers_the_inconsistency_of_contrastive():
    ratios = []
    for seed in range(3):
        X, y = table(80, seed=seed)
        X, X_new, y, y_new = train_test_class_split(X, y=y, test_size=0.5, random_state=seed)
        parameters = {"base_loss": "contrastive", "max_iter": 60, "random_state": seed, "calibration_fraction": 0}
        parameters["base_loss_params"] = {"positive_margin": 0.5, "negative_margin": 0.5}
        opis = [
            opis_score(TCMEmbedding(tcm_weight=weight, **parameters).fit(X, y).transform(X_new), y_new)
            for weight in (0.0, 1.0)
        ]
        ratios.append(opis[1] / opis[0])
    assert np.exp(np.mean(np.log(ratios))) < 1


QUICK_LOSSES = ("contrastive", "multi_similarity", "proxy_anchor")


@pytest.mark.parametrize(
    "base_loss", [pytest.param(loss, marks=[] if loss in QUICK_LOSSES else pytest.mark.slow) for loss in BASE_LOSSES]
)
def test_every_base_loss_learns_from_a_random_start(base_loss, split):
    X, X_new, y, y_new = split
    parameters = {"base_loss": base_loss, "init": "random", "learning_rate": 0.01, "n_classes_per_batch": 8}
    model = TCMEmbedding(tcm_weight=float(base_loss == "none"), max_iter=150, random_state=0, **parameters).fit(X, y)
    assert model.score(X_new, y_new) > PairVerifier(StandardScaler()).fit(X, y).score(X_new, y_new) + 0.15
    assert (model.proxies_ is not None) == (base_loss in ("proxy_anchor", "arcface", "cosface"))


def tcm_again(embeddings, labels, weight):
    return 3 * tcm_loss(embeddings, labels, sample_weight=weight)


def test_a_callable_is_a_base_loss(split):
    X, _, y, _ = split
    called = quick(base_loss=tcm_again).fit(X, y)
    weighted = quick(base_loss="none", tcm_weight=4.0).fit(X, y)
    np.testing.assert_allclose(called.components_, weighted.components_, rtol=1e-3, atol=1e-4)


def test_starts(split):
    X, _, y, _ = split
    tiny = {"learning_rate": 1e-12, "max_iter": 1, "calibration_fraction": 0}
    standard = StandardScaler().fit_transform(X)
    standard /= np.linalg.norm(standard, axis=1, keepdims=True)
    Z = quick(init="identity", **tiny).fit(X, y).transform(X)
    np.testing.assert_allclose(Z, standard, atol=1e-6)
    Z = quick(init="pca", **tiny).fit(X, y).transform(X)
    np.testing.assert_allclose(Z @ Z.T, standard @ standard.T, atol=1e-5)  # a rotation
    few = quick(init="pca", n_components=4, **tiny).fit(X, y).transform(X)
    components = PCA(4).fit_transform(StandardScaler().fit_transform(X))
    components /= np.linalg.norm(components, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(few), np.abs(components), atol=1e-5)
    model = quick(init="lda", n_components=4, **tiny).fit(X, y)
    Z = X @ model.components_.T
    means = np.stack([Z[y == label].mean(axis=0) for label in np.unique(y)])
    standard = StandardScaler().fit_transform(X)
    class_means = {label: standard[y == label].mean(axis=0) for label in np.unique(y)}
    within, _ = ledoit_wolf(standard - np.stack([class_means[label] for label in y]), assume_centered=True)
    within += 1e-6 * np.eye(8)
    directions = model.components_.T * X.std(axis=0)[:, None]
    np.testing.assert_allclose(directions.T @ within @ directions, np.eye(4), atol=1e-5)
    between = np.cov(means.T)
    assert (np.diff(np.diag(between)) < 0).all()
    np.testing.assert_allclose(between, np.diag(np.diag(between)), atol=1e-4 * between.max())


def test_linear_attributes_and_names(split):
    X, _, y, _ = split
    model = quick(n_components=4).fit(X, y)
    Z = X @ model.components_.T + model.intercepts_[0]
    np.testing.assert_allclose(model.transform(X), Z / np.linalg.norm(Z, axis=1, keepdims=True), atol=1e-12)
    assert model.get_feature_names_out().tolist() == [f"tcmembedding{i}" for i in range(4)]
    assert model.n_iter_ == len(model.loss_curve_) == 20


def test_hidden_layers(split):
    X, _, y, _ = split
    model = quick(hidden_layer_sizes=(16,), n_components=5).fit(X, y)
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    Z = hidden @ model.coefs_[1] + model.intercepts_[1]
    np.testing.assert_allclose(model.transform(X), Z / np.linalg.norm(Z, axis=1, keepdims=True), atol=1e-10)
    assert not hasattr(model, "components_")


def test_units_of_features_do_not_matter(split):
    X, _, y, _ = split
    scale, shift = 10.0 ** np.arange(-8, 8, 2), np.arange(8.0)
    Z = quick().fit(X, y).transform(X)
    np.testing.assert_allclose(quick().fit(X * scale, y).transform(X * scale), Z, atol=1e-3)
    np.testing.assert_allclose(quick().fit(X + shift, y).transform(X + shift), Z, atol=1e-3)
    constant = np.c_[X, np.full(len(X), 0.1)]
    assert np.isfinite(quick().fit(constant, y).transform(constant)).all()


def test_a_row_of_weight_zero_is_no_row(split):
    X, _, y, _ = split
    weight = np.ones(len(y))
    weight[::7] = 0
    spoiled = X.copy()
    spoiled[::7] = 1e6
    removed = quick().fit(X[weight > 0], y[weight > 0])
    zeroed = quick().fit(spoiled, y, sample_weight=weight)
    np.testing.assert_allclose(zeroed.components_, removed.components_, rtol=1e-6)
    assert zeroed.threshold_ == pytest.approx(removed.threshold_, rel=1e-6)
    heavier = quick().fit(X, y, sample_weight=np.full(len(y), 1e300))
    np.testing.assert_array_equal(heavier.components_, quick().fit(X, y).components_)


def test_identify(fitted, split):
    _, X_new, _, y_new = split
    names = np.array([f"plant {label:02d}" for label in y_new])
    known = y_new < np.median(y_new)
    gallery = known & (np.arange(len(y_new)) % 2 == 0)
    found = fitted.identify(X_new[~gallery], X_new[gallery], names[gallery])
    assert set(found[found != "unknown"]) <= set(names[gallery])
    nearest = fitted.transform(X_new[~gallery]) @ fitted.transform(X_new[gallery]).T
    np.testing.assert_array_equal(found == "unknown", nearest.max(axis=1) < fitted.threshold_)
    taken = found != "unknown"
    np.testing.assert_array_equal(found[taken], names[gallery][nearest.argmax(axis=1)][taken])
    numbers = fitted.identify(X_new[~gallery], X_new[gallery], y_new[gallery])
    np.testing.assert_array_equal(numbers == -1, ~taken)
    with pytest.raises(ValueError, match="unknown=1 is a label of y_gallery"):
        fitted.identify(X_new, X_new[:2], [1, 2], unknown=1)
    with pytest.raises(ValueError, match="y_gallery has 1 labels; expected 2"):
        fitted.identify(X_new, X_new[:2], [1])


def test_calibrate(split):
    X, X_new, y, y_new = split
    model = quick(calibration_fraction=0).fit(X, y)
    assert model.threshold_ is None
    with pytest.raises(ValueError, match=r"no threshold.*Call calibrate"):
        model.predict_pairs(X, X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.calibrate(X_new, y_new, far=0.05) is model
    found = threshold_at_far(model.transform(X_new), y_new, far=0.05, random_state=0)
    assert model.threshold_ == 1 - found.threshold
    assert 0.04 < model.threshold_far_ <= 0.05
    with pytest.warns(UserWarning, match="y has 30 classes that were trained on"):
        model.calibrate(X, y)
    with pytest.raises(ValueError, match="y has 1 class"):
        model.calibrate(X_new[:8], np.full(8, 999))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 9}, "n_components=9 is more than the 8 features"),
        ({"hidden_layer_sizes": (4, 0)}, r"hidden_layer_sizes=\(4, 0\)"),
        ({"base_loss_params": {"gamma": 1}}, "'multi_similarity' has no parameter 'gamma'; it has"),
        ({"base_loss": "none", "base_loss_params": {"alpha": 1}}, "has no meaning for base_loss='none'"),
        ({"margin_plus": 1.1}, "margin_plus"),
        ({"target_far": 0.0}, "target_far"),
    ],
)
def test_bad_parameters_are_named(parameters, message, split):
    with pytest.raises(ValueError, match=message):
        quick(**parameters).fit(split[0], split[2])


def test_bad_tables_are_named(split):
    X, _, y, _ = split
    with pytest.raises(ValueError, match="y has 1 class"):
        quick().fit(X, np.zeros(len(y)))
    with pytest.raises(ValueError, match="240 classes of 1 row each"):
        quick().fit(X, np.arange(len(y)))
    with pytest.raises(ValueError, match="rows of X that are trained on are equal"):
        quick().fit(np.ones_like(X), y)
    with pytest.raises(ValueError, match="NaN"):
        quick().fit(np.where(np.arange(8) == 3, np.nan, X), y)
    with pytest.raises(ValueError, match="at least one non-zero number"):
        quick().fit(X, y, sample_weight=np.zeros(len(y)))
    with pytest.warns(UserWarning, match="margin_minus=0.9 is not below margin_plus=0.5"):
        quick(margin_plus=0.5, margin_minus=0.9).fit(X, y)
    with pytest.warns(UserWarning, match="too few to hold out 2"):
        assert quick().fit(X[:24], y[:24]).threshold_ is None
    with pytest.raises(ValueError, match="embedded at zero, the first of them row 1"):
        PairVerifier().fit(X, y).transform([[1.0] * 8, [0.0] * 8])


def test_classes_without_variance():
    X, y = table(12, 2)
    X = X[y * 2]
    X[:, 7] = X[:, 6]
    Z = quick(calibration_fraction=0).fit(X, y).transform(X)
    assert np.isfinite(Z).all()
    assert map_at_r(Z, y) == 1


def test_singletons_are_pairs_of_two_classes_only():
    X, y = table(20, 6)
    y[::6] = 100 + np.arange(20)  # twenty classes of one row
    model = quick().fit(X, y)
    assert (model.calibration_classes_ < 100).all()
    assert (model.classes_ >= 100).sum() == 20


def test_verifier_of_a_pipeline(split):
    X, X_new, y, y_new = split
    pipeline = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(n_components=4))
    model = PairVerifier(pipeline, random_state=0).fit(X, y)
    assert not hasattr(pipeline[-1], "scalings_")
    again = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(n_components=4))
    rows = np.isin(y, model.classes_)
    Z = again.fit(X[rows], y[rows]).transform(X_new)
    np.testing.assert_allclose(model.transform(X_new), Z / np.linalg.norm(Z, axis=1, keepdims=True), atol=1e-10)
    assert model.threshold_far_ <= 0.01
    assert PairVerifier().fit(X, y).score(X_new, y_new) == map_at_r(X_new, y_new)


def test_selection_over_unseen_classes(split, count_compilations):
    X, _, y, _ = split
    cv = ClassDisjointKFold(n_splits=3)
    search = GridSearchCV(quick(calibration_fraction=0), {"margin_plus": [0.8, 0.9]}, cv=cv).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    with count_compilations() as compilations:
        wider = {"margin_minus": [0.3, 0.4], "learning_rate": [1e-3, 3e-3], "tcm_weight": [0.5, 2.0]}
        GridSearchCV(quick(calibration_fraction=0), wider, cv=cv).fit(X, y)
    assert compilations.count == 0
    scores = cross_val_score(PairVerifier(PCA(3)), X, y, cv=cv, scoring=map_at_r_scorer)
    assert len(scores) == 3


def test_splits_are_of_classes():
    X, y = table(10, 3)
    for train, test in ClassDisjointKFold(n_splits=4, shuffle=True, random_state=0).split(X, y):
        assert not np.intersect1d(y[train], y[test]).size
    with pytest.raises(ValueError, match="y=None; expected class labels"):
        next(ClassDisjointKFold().split(X))
    names = np.array([f"c{label}" for label in y])
    parts = train_test_class_split(X, np.arange(len(y)), y=names, test_size=3, random_state=0)
    assert len(set(parts[-1])) == 3
    np.testing.assert_array_equal(names[parts[3]], parts[-1])


def test_batches():
    labels = np.repeat(np.arange(7), [1, 2, 5, 6, 7, 20, 30])
    rows = 100 + np.arange(len(labels))
    sampler = ClassBalancedBatches(rows, labels, 3, 4)
    batches = sampler(np.random.default_rng(0))
    assert batches.shape == (6, 12)
    np.testing.assert_array_equal(batches, sampler(np.random.default_rng(0)))
    for batch in batches:
        drawn = batch[batch >= 0]
        assert len(np.unique(drawn)) == len(drawn)
        counts = np.bincount(labels[drawn - 100], minlength=7)
        assert (counts > 0).sum() == 3
        assert (counts[counts > 0] == np.minimum(4, np.bincount(labels)[counts > 0])).all()
    visits = [np.bincount(labels[b[b >= 0] - 100], minlength=7) > 0 for b in batches]
    assert np.ptp(np.sum(visits, axis=0)) <= 3


@pytest.mark.data
@pytest.mark.slow
def test_leaves(data_dir):
    with np.load(data_dir / "leaves.npz") as leaves:
        X, X_new, y, y_new = train_test_class_split(leaves["X"], y=leaves["y"], test_size=0.5, random_state=0)
    model = TCMEmbedding(random_state=0).fit(X, y)
    i, j = np.triu_indices(len(y_new), 1)
    Z, same = model.transform(X_new), y_new[i] == y_new[j]
    similarity = (Z @ Z.T)[i, j]
    accepted = similarity >= model.threshold_
    assert model.score(X_new, y_new) > 0.775
    assert accepted[same].mean() > 0.75
    trained = np.isin(y, model.classes_)
    on_training = 1 - threshold_at_far(model.transform(X[trained]), y[trained], n_resamples=0).threshold
    optimistic = np.mean(similarity[~same] >= on_training)
    assert accepted[~same].mean() < 0.025 < optimistic
