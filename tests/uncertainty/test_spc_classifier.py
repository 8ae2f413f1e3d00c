"""SPCClassifier: valid probabilities, calibration that helps, scores, models of all kinds, and bad input."""

import numpy as np
import pytest
import skops.io
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trustml import metrics
from trustml.uncertainty import SPCClassifier


def table(n=600, seed=0):
    """Copies of features, which make naive Bayes far too sure."""
    X, y = make_classification(
        n, 6, n_informative=3, n_redundant=3, n_classes=3, n_clusters_per_class=1, random_state=0
    )
    rows = np.random.default_rng(seed).permutation(n)
    return np.hstack([X, X])[rows], np.array(["a", "b", "c"])[y[rows]]


@pytest.fixture(scope="module")
def fitted():
    X, y = table()
    return SPCClassifier(GaussianNB(), calibration="spa", max_iter=60, random_state=0).fit(X[:400], y[:400])


def error_of(model, X, y):
    return metrics.calibration_error(y, model.predict_proba(X), labels=model.classes_)


@pytest.mark.parametrize("delta", ["mean", "min"])
@pytest.mark.parametrize("calibration", ["spa", "temperature"])
def test_calibration_yields_valid_and_better_probabilities(calibration, delta):
    X, y = table()
    model = SPCClassifier(GaussianNB(), calibration=calibration, delta=delta, head="ridge", random_state=0)
    model.fit(X[:400], y[:400])
    probabilities = model.predict_proba(X)
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    assert error_of(model, X[400:], y[400:]) < error_of(model.estimator_, X[400:], y[400:])


def test_without_calibration_the_model_is_untouched():
    X, y = table()
    model = SPCClassifier(GaussianNB(), head="ridge", random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), model.estimator_.predict_proba(X))
    np.testing.assert_array_equal(model.predict(X), model.estimator_.predict(X))


def test_network_heads_know_the_mar_and_point_at_errors(fitted):
    X, y = table()
    X, y = X[400:], y[400:]
    u = fitted.predict_uncertainty(X)
    residuals = np.abs((y[:, None] == fitted.classes_) - fitted.estimator_.predict_proba(X))
    assert u.mar.shape == (200, 3)
    np.testing.assert_allclose(u.mar.mean(), residuals.mean(), rtol=0.2)
    assert np.corrcoef(u.mar.sum(axis=1), residuals.sum(axis=1))[0, 1] > 0.3
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(u.entropy, entropy(probabilities, axis=1), atol=1e-12)
    np.testing.assert_array_equal(u.confidence, probabilities.max(axis=1))
    np.testing.assert_array_equal(fitted.score_samples(X), -u.sds)
    assert error_of(fitted, X, y) < error_of(fitted.estimator_, X, y)


def test_calibrate_takes_held_out_rows(fitted):
    X, y = table()
    model = SPCClassifier(GaussianNB(), calibration="temperature", head="ridge", random_state=0).fit(X[:300], y[:300])
    before = model.temperature_
    assert model.calibrate(X[300:], y[300:]).temperature_ not in (1.0, before)
    with pytest.raises(ValueError, match="has nothing to calibrate"):
        SPCClassifier(GaussianNB(), head="ridge", random_state=0).fit(X, y).calibrate(X, y)


def test_a_class_that_calibration_rows_lack_is_not_corrected():
    X, y = table()
    frozen = GaussianNB().fit(X[:300], y[:300])
    rows = np.flatnonzero(y != "b")
    model = SPCClassifier(frozen, residuals="prefit", head="ridge", calibration="spa", random_state=0)
    model.fit(X[rows], y[rows])
    assert model.classes_.tolist() == ["a", "b", "c"]
    outputs = np.ones((3, 5, 3))
    np.testing.assert_array_equal(model._correction(outputs * [[[1]], [[2]], [[0]]])[:, 1], 0)
    with pytest.raises(ValueError, match="y holds the label 'z', unknown to the model"):
        model.fit(X, np.where(y == "b", "z", y))


def test_a_rare_class_may_be_absent_from_a_fold():
    X, y = table(60)
    y = y.copy()
    y[0] = "rare"
    with pytest.warns(UserWarning, match="least populated class"):
        model = SPCClassifier(LogisticRegression(), cv=3, head="ridge", calibration="spa", random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("head", ["mlp", "ridge"])
def test_rows_of_weight_zero_are_as_if_absent(head):
    X, y = table(200)
    weight = np.ones(200)
    weight[::4] = 0
    kept = weight > 0
    model = SPCClassifier(GaussianNB(), head=head, max_iter=5, cv=2, calibration="spa", random_state=0)
    given, absent = clone(model).fit(X, y, sample_weight=weight), clone(model).fit(X[kept], y[kept])
    np.testing.assert_allclose(given.predict_proba(X), absent.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"estimator": RidgeClassifier()}, "expected a classifier with predict_proba"),
        ({"calibration": "isotonic"}, "calibration"),
        ({"head": "gradient_boosting"}, "head"),
    ],
)
def test_bad_parameters(parameters, message):
    X, y = table(60)
    with pytest.raises(ValueError, match=message):
        SPCClassifier(**{"estimator": GaussianNB(), **parameters}).fit(X, y)


def test_bad_labels():
    X, _y = table(60)
    with pytest.raises(ValueError, match="y holds one class"):
        SPCClassifier(GaussianNB()).fit(X, np.full(60, "a"))
    with pytest.raises(ValueError, match="continuous"):
        SPCClassifier(GaussianNB()).fit(X, np.linspace(0, 1, 60))


def test_default_model_and_pipeline():
    X, y = table(150)
    model = make_pipeline(StandardScaler(), SPCClassifier(cv=2, head="ridge", random_state=0)).fit(X, y)
    assert model.score(X, y) > 0.8


def test_networks_are_stored_and_repeated(fitted):
    X, y = table()
    again = clone(fitted).fit(X[:400], y[:400])
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    stored = skops.io.dumps(fitted)
    untrusted = skops.io.get_untrusted_types(data=stored)
    assert untrusted == ["trustml.uncertainty._classifier.SPCClassifier"]
    np.testing.assert_array_equal(skops.io.loads(stored, trusted=untrusted).predict_proba(X), fitted.predict_proba(X))
