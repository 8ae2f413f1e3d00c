"""LDRClassifier: what it promises on wrong labels, and that rare input is answered or refused by name."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV

from trustml.classification import LDRClassifier
from trustml.datasets import make_label_noise
from trustml.losses import LOSSES, aldr_kl, aldr_temperature, cross_entropy
from trustml.metrics import detection_auroc

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:1000] / 16, y[:1000], X[1000:] / 16, y[1000:]


@pytest.fixture(scope="module")
def noisy(digits):
    """Rows of which most labels are redrawn, those that differ, and the clean rest."""
    X, y, X_test, y_test = digits
    y_noisy, is_wrong = make_label_noise(y, "uniform", 0.6, random_state=0)
    return X, y_noisy, is_wrong, X_test, y_test


@pytest.fixture(scope="module")
def robust(noisy):
    X, y_noisy, *_ = noisy
    return LDRClassifier(lam=10, max_iter=30, random_state=0).fit(X, y_noisy)


def test_it_survives_labels_of_which_most_are_redrawn(noisy, robust):
    X, y_noisy, _, X_test, y_test = noisy
    plain = LogisticRegression(max_iter=500).fit(X, y_noisy)
    assert robust.score(X_test, y_test) > plain.score(X_test, y_test) + 0.05
    assert robust.top_k_score(X_test, y_test, k=1) == robust.score(X_test, y_test)
    assert robust.score(X_test, y_test) <= robust.top_k_score(X_test, y_test, k=3)
    assert robust.top_k_score(X_test, y_test, k=10) == 1


def test_losses_of_rows_point_at_wrong_labels(noisy, robust):
    X, y_noisy, is_wrong, *_ = noisy
    assert detection_auroc(-robust.sample_loss_, is_wrong) > 0.9
    for method in ("self_confidence", "normalized_margin"):
        quality = robust.label_quality(X, y_noisy, method=method)
        assert detection_auroc(quality, is_wrong) > 0.9
        assert quality.min() >= 0
        assert quality.max() <= 1


def test_losses_and_temperatures_of_rows_are_those_of_the_loss(noisy, robust):
    X, y_noisy, *_ = noisy
    logits = X @ robust.coefs_[0] + robust.intercepts_[0]
    options = {"lam": 10.0, "alpha": 2.0, "margin": 0.1}
    np.testing.assert_allclose(robust.sample_loss_, aldr_kl(logits, y_noisy, **options), atol=1e-4)
    np.testing.assert_allclose(robust.temperatures_, aldr_temperature(logits, y_noisy, **options), rtol=1e-4)
    assert robust.temperatures_.min() >= 5
    assert robust.temperatures_.max() <= 10


def test_probabilities_are_the_softmax_of_the_decision_and_as_likely_as_a_temperature_makes_them(noisy, robust):
    X, y_noisy, *_ = noisy
    scores, p = robust.decision_function(X), robust.predict_proba(X)
    np.testing.assert_allclose(p, np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(np.log(p), robust.predict_log_proba(X), rtol=1e-6)

    def risk(temperature):
        scaled = scores * robust.temperature_ / temperature
        scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return log_loss(y_noisy, scaled / scaled.sum(axis=1, keepdims=True))

    best = risk(robust.temperature_)
    assert best <= min(risk(0.97 * robust.temperature_), risk(1.03 * robust.temperature_))
    # Without scaling the temperature is the loss's, far too flat for ten classes.
    unscaled = LDRClassifier(lam=10, max_iter=1, temperature_scaling=False, random_state=0).fit(X, y_noisy)
    assert unscaled.temperature_ == 10


@pytest.mark.slow
def test_the_convex_problem_is_solved_as_logistic_regression_solves_it(digits):
    X, y, X_test, _ = digits
    n = len(X)
    ours = LDRClassifier(
        loss="cross_entropy", solver="lbfgs", l2=1 / n, max_iter=2000, tol=1e-8, temperature_scaling=False
    ).fit(X, y)
    theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=2000).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X_test), theirs.predict_proba(X_test), atol=1e-4)


@pytest.mark.parametrize("loss", ["cross_entropy", "ldr_topk_kl", "tgce", "nce_rce"])
def test_other_losses_train(digits, loss):
    X, y, X_test, y_test = digits
    model = LDRClassifier(loss=loss, max_iter=20, random_state=0).fit(X, y)
    assert model.score(X_test, y_test) > 0.8
    assert not hasattr(model, "temperatures_")


@pytest.mark.slow
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_no_nan_in_300_epochs_at_a_high_rate(digits, loss):
    X, y, *_ = digits
    model = LDRClassifier(
        loss=loss,
        lam=10,
        hidden_layer_sizes=(16,),
        learning_rate_init=3e-2,
        max_iter=300,
        n_iter_no_change=None,
        random_state=0,
    ).fit(X[:300], y[:300])
    assert model.n_iter_ == 300
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.predict_proba(X)).all()


FLIPS = np.eye(10) * 0.6 + 0.04


def test_corrections_take_a_transition_matrix(noisy):
    X, y_noisy, _, X_test, y_test = noisy
    for loss in ("forward_correction", "backward_correction"):
        model = LDRClassifier(loss=loss, loss_params={"transition": FLIPS}, max_iter=10, random_state=0)
        assert model.fit(X, y_noisy).score(X_test, y_test) > 0.6
    with pytest.raises(ValueError, match="not stochastic"):
        LDRClassifier(loss="forward_correction", loss_params={"transition": 2 * FLIPS}).fit(X, y_noisy)
    with pytest.raises(ValueError, match=r"loss_params=\{'transition': matrix\}"):
        LDRClassifier(loss="forward_correction").fit(X, y_noisy)


def squared_hinge(logits, labels):
    own = jnp.take_along_axis(logits, labels[:, None], axis=1)
    return jnp.sum(jnp.maximum(0, 1 + logits - own) ** 2, axis=1) - 1


def test_a_loss_and_a_network_of_ones_own(digits):
    X, y, X_test, y_test = digits
    model = LDRClassifier(loss=squared_hinge, max_iter=20, random_state=0).fit(X, y)
    assert model.score(X_test, y_test) > 0.8
    with pytest.raises(ValueError, match="loss_params"):
        model.set_params(loss_params={"margin": 1.0}).fit(X, y)

    own = LDRClassifier(network=Linear(), max_iter=20, random_state=0).fit(X, y)
    assert own.score(X_test, y_test) > 0.8
    assert not hasattr(own, "coefs_")
    with pytest.raises(ValueError, match="X is sparse"):
        own.fit(sparse.csr_matrix(X), y)


class Linear:
    """A linear network, equal to every other one."""

    def init(self, key, X):
        return {"weights": jnp.zeros((X.shape[1], 10))}

    def apply(self, params, X):
        return X @ params["weights"]

    def __eq__(self, other):
        return isinstance(other, Linear)

    def __hash__(self):
        return 0


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_sparse_rows_are_as_good_as_dense_ones(digits, hidden):
    X, y, X_test, _ = digits
    model = LDRClassifier(hidden_layer_sizes=hidden, max_iter=3, random_state=0)
    dense = model.fit(X, y).predict_proba(X_test)
    np.testing.assert_allclose(
        model.fit(sparse.csr_matrix(X), y).predict_proba(sparse.coo_matrix(X_test)), dense, atol=1e-4
    )


def test_streams_of_batches_without_some_classes(digits):
    X, y, X_test, y_test = digits
    model = LDRClassifier(random_state=0)
    with pytest.raises(ValueError, match="classes must be passed"):
        model.partial_fit(X[:10], y[:10])
    for epoch in range(10):
        for half in ((np.arange(len(y)) % 2 == 0) & (y > 0), (np.arange(len(y)) % 2 == 1) & (y != 3)):
            model.partial_fit(X[half], y[half], classes=np.arange(10) if epoch == 0 else None)
    assert model.score(X_test, y_test) > 0.7
    np.testing.assert_array_equal(model.classes_, np.arange(10))
    with pytest.raises(ValueError, match=r"labels \[11\] that are not among the classes"):
        model.partial_fit(X[:2], [1, 11])
    with pytest.raises(ValueError, match="differ from those of the first call"):
        model.partial_fit(X[:2], [1, 2], classes=[1, 2])
    with pytest.raises(AttributeError, match="partial_fit"):
        LDRClassifier(solver="lbfgs").partial_fit  # noqa: B018


def test_a_weight_is_a_number_of_rows_and_classes_have_weights(digits):
    X, y, *_ = digits
    X, y = X[:60], y[:60]
    weight = np.random.default_rng(0).integers(0, 3, 60)
    assert np.array_equal(np.unique(y[weight > 0]), np.unique(y))
    # Adam would divide rounding by rounding where a gradient is zero.
    model = LDRClassifier(solver="sgd", max_iter=5, batch_size=200, random_state=0)
    weighted = model.fit(X, y, sample_weight=weight).predict_proba(X)
    repeated = model.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight)).predict_proba(X)
    np.testing.assert_allclose(weighted, repeated, atol=1e-5)
    by_hand = np.where(y == 3, 2.0, 1.0)
    from_classes = model.set_params(class_weight={3: 2.0}).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(
        from_classes, model.set_params(class_weight=None).fit(X, y, by_hand).predict_proba(X), atol=1e-6
    )
    with pytest.raises(ValueError, match=r"[Ss]ample.weight"):
        model.fit(X, y, sample_weight=np.zeros(60))


def test_early_stopping_keeps_the_best_epoch_on_noisy_rows_held_out(noisy):
    X, y_noisy, *_ = noisy
    model = LDRClassifier(early_stopping=True, n_iter_no_change=5, max_iter=60, random_state=0).fit(X, y_noisy)
    assert len(model.validation_scores_) == model.n_iter_
    assert 0.1 < max(model.validation_scores_) < 0.7


def test_warm_start_goes_on(digits):
    X, y, *_ = digits
    model = LDRClassifier(max_iter=4, n_iter_no_change=None, warm_start=True, random_state=0)
    model.fit(X, y).fit(X, y)
    once = LDRClassifier(max_iter=8, n_iter_no_change=None, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0], once.coefs_[0], atol=1e-5)
    with pytest.raises(ValueError, match="warm_start"):
        model.fit(X, y + 1)


def test_numbers_of_the_loss_compile_nothing(digits, count_compilations):
    X, y, *_ = digits
    X, y = X[:100], y[:100]
    GridSearchCV(LDRClassifier(max_iter=2, random_state=0), {"lam": [1.0]}, cv=3).fit(X, y)
    with count_compilations() as compilations:
        grid = {"lam": [0.5, 3.0, np.inf], "alpha": [1.5, 4.0], "margin": [0.0, 1.0], "l2": [0.0, 1e-2]}
        GridSearchCV(LDRClassifier(max_iter=2, random_state=0), grid, cv=3).fit(X, y)
    assert compilations.count == 0


def test_one_class_and_one_row():
    model = LDRClassifier(max_iter=2).fit(np.ones((3, 2)), ["only"] * 3)
    np.testing.assert_array_equal(model.predict(np.zeros((2, 2))), ["only"] * 2)
    np.testing.assert_array_equal(model.predict_proba(np.zeros((2, 2))), np.ones((2, 1)))
    assert LDRClassifier(max_iter=2).fit([[1.0, 2.0]], [7]).predict([[0.0, 0.0]]) == [7]


def test_a_class_with_one_row_and_constant_columns(digits):
    X, y, *_ = digits
    y = np.where(np.arange(len(y)) == 17, 99, y)
    model = LDRClassifier(max_iter=2).fit(np.column_stack([X, np.full(len(X), 5.0)]), y)
    assert 99 in model.classes_
    with pytest.raises(ValueError, match="least populated class"):
        LDRClassifier(early_stopping=True, max_iter=2).fit(X, y)


@pytest.mark.parametrize("lam", [0.0, np.inf])
def test_both_ends_of_the_temperature_train(digits, lam):
    X, y, X_test, y_test = digits
    model = LDRClassifier(lam=lam, max_iter=20, random_state=0).fit(X, y)
    assert model.score(X_test, y_test) > 0.6


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "adlr_kl"}, "Did you mean 'aldr_kl'"),
        ({"loss": "gce", "loss_params": {"p": 1.0}}, "no parameter 'p'"),
        ({"lam": -1.0}, "'lam' parameter"),
        ({"alpha": 0.5}, "'alpha' parameter"),
        ({"normalize": "l3"}, "'normalize' parameter"),
        ({"hidden_layer_sizes": (0,)}, r"hidden_layer_sizes=\(0,\)"),
        ({"margin": [0.1, 0.2, 0.3]}, "margin has shape"),
        ({"margin": np.nan}, "margin"),
    ],
)
def test_bad_parameters_are_named(digits, parameters, message):
    X, y, *_ = digits
    with pytest.raises(ValueError, match=message):
        LDRClassifier(**parameters).fit(X[:50], y[:50])


def test_bad_rows_and_labels_are_named(digits):
    X, y, *_ = digits
    X, y = X[:50], y[:50]
    with pytest.raises(ValueError, match="NaN"):
        LDRClassifier().fit(np.where(X > 0.9, np.nan, X), y)
    with pytest.raises(ValueError, match="X holds a number beyond"):
        LDRClassifier().fit(1e30 * X, y)
    with pytest.raises(ValueError, match="Unknown label type"):
        LDRClassifier().fit(X, X[:, 2] + np.linspace(0, 1, 50))
    model = LDRClassifier(max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match=r"labels \[77\] that are not among"):
        model.label_quality(X[:1], [77])
    with pytest.raises(ValueError, match="method='margin'"):
        model.label_quality(X[:1], y[:1], method="margin")
    with pytest.raises(ValueError, match="k=0"):
        model.top_k_score(X, y, k=0)


def test_two_classes_have_one_decision():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    y = np.where(X[:, 0] > 0, "yes", "no")
    model = LDRClassifier(solver="lbfgs").fit(X, y)
    decision, p = model.decision_function(X), model.predict_proba(X)
    assert decision.shape == (80,)
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-decision)), rtol=1e-6)
    np.testing.assert_array_equal(model.predict(X) == "yes", decision > 0)
    assert model.score(X, y) > 0.9


def test_a_warning_says_when_training_was_cut_short(digits):
    X, y, *_ = digits
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        LDRClassifier(max_iter=2).fit(X[:100], y[:100])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LDRClassifier(max_iter=2, n_iter_no_change=None).fit(X[:100], y[:100])


def test_cross_entropy_of_rows_is_what_a_plain_loss_reports(digits):
    X, y, *_ = digits
    model = LDRClassifier(loss="cross_entropy", max_iter=5, random_state=0).fit(X, y)
    logits = X @ model.coefs_[0] + model.intercepts_[0]
    np.testing.assert_allclose(model.sample_loss_, cross_entropy(logits, y), atol=1e-4)
