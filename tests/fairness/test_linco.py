"""LInCo against scikit-learn's own fits, closed forms and simulated audits."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from trustml.fairness import LInCo
from trustml.fairness._null import random_signs

OLS = LinearRegression()


def test_two_lines():
    """y = x and y = 2 x + 1 at 0, 1, 2: gaps 1, 2, 3."""
    X = np.array([[0.0], [1], [2], [0], [1], [2]])
    y = np.array([0.0, 1, 2, 1, 3, 5])
    audit = LInCo(OLS, min_group_size=2, n_null=0, correction="analytic").fit(
        X, y, sensitive_features=[0, 0, 0, 1, 1, 1]
    )
    assert audit.linco_ == pytest.approx(2)
    assert audit.linco_rms_ == pytest.approx(np.sqrt(14 / 3))
    np.testing.assert_allclose(audit.predict_inconsistency(X[:3]), [1, 2, 3])
    np.testing.assert_allclose(audit.pairwise_signed_, [[0, 2], [-2, 0]], atol=1e-12)


@pytest.mark.parametrize("model", [OLS, Ridge(2.0), Ridge(fit_intercept=False), LogisticRegression(C=0.5)])
def test_compiled_judges_are_those_of_scikit_learn(biased, model):
    X, y, group = biased()
    weight = np.random.default_rng(1).random(len(y))
    target = y > 1 if isinstance(model, LogisticRegression) else y
    audit = LInCo(model, n_null=0, correction="analytic").fit(X, target, sensitive_features=group, sample_weight=weight)
    assert audit.engine_.startswith("jax")
    for label, judge in zip("ab", audit.estimators_, strict=True):
        rows = group == label
        exact = type(model)(**model.get_params())
        if isinstance(model, LogisticRegression):
            exact.set_params(solver="newton-cholesky", tol=1e-12)
        exact.fit(X[rows], target[rows], sample_weight=weight[rows])
        np.testing.assert_allclose(judge.coef_, exact.coef_, atol=1e-7)
        np.testing.assert_allclose(judge.intercept_, exact.intercept_, atol=1e-7)


@pytest.mark.parametrize("null", ["conditional", "permutation"])
@pytest.mark.parametrize("model", [Ridge(), LogisticRegression()])
def test_compiled_and_black_box_audits_agree(biased, model, null):
    """A pipeline of one step is not compiled; its pooled model predicts out of fold, so nulls agree in distribution."""
    X, y, group = biased(200)
    target = y > 0 if isinstance(model, LogisticRegression) else y
    exact = model.set_params(tol=1e-10)
    keywords = {"n_null": 20, "n_splits": 10, "null": null, "random_state": 0}
    compiled = LInCo(exact, **keywords).fit(X, target, sensitive_features=group)
    black_box = LInCo(make_pipeline(exact), **keywords).fit(X, target, sensitive_features=group)
    assert (compiled.engine_[:3], black_box.engine_) == ("jax", "joblib")
    for name in ("linco_", "squared_debiased_", "pairwise_", "pairwise_signed_"):
        np.testing.assert_allclose(getattr(compiled, name), getattr(black_box, name), atol=2e-5, err_msg=name)
    if null == "permutation":
        np.testing.assert_allclose(compiled.null_distribution_, black_box.null_distribution_, atol=2e-5)
    else:
        assert compiled.noise_floor_ == pytest.approx(black_box.noise_floor_, rel=0.35)


def test_conditional_null_of_one_draw_is_a_refit(biased):
    """Targets rebuilt from the null's own draws, refitted by scikit-learn, give the same statistic."""
    X, y, group = biased()
    audit = LInCo(OLS, n_null=3, correction="analytic", random_state=0).fit(X, y, sensitive_features=group)
    pooled = OLS.fit(X, y).predict(X)
    residual = (y - pooled) * np.sqrt(200 / (200 - 4))
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    signs = random_signs(3, 200, np.random.default_rng([seed, 1]))
    for draw in range(3):
        drawn = pooled + residual * signs[:, draw]
        a, b = (LinearRegression().fit(X[group == g], drawn[group == g]).predict(X) for g in "ab")
        assert audit.null_distribution_[draw] == pytest.approx(np.mean(abs(a - b)), rel=1e-9)


def test_oaxaca_blinder(biased):
    """For least squares, the mean gap over the cases of b is the unexplained part of the decomposition."""
    X, y, group = biased(bias=0.4, shift=0.7)
    in_b = group == "b"
    audit = LInCo(OLS, n_null=0, correction="analytic").fit(X, y, sensitive_features=group, X_audit=X[in_b])
    explained = OLS.fit(X[~in_b], y[~in_b]).predict(X[in_b]).mean() - y[~in_b].mean()
    unexplained = y[in_b].mean() - y[~in_b].mean() - explained
    assert audit.pairwise_signed_[0, 1] == pytest.approx(unexplained, abs=1e-9)


def test_identical_groups(biased):
    X, y, _ = biased()
    twice = LInCo(Ridge(), n_null=19, correction="analytic", random_state=0)
    twice.fit(np.vstack([X, X]), np.append(y, y), sensitive_features=[0] * 200 + [1] * 200)
    assert twice.linco_ == pytest.approx(0, abs=1e-12)
    assert twice.p_value_ == 1


def test_scale_and_shift_of_the_target(biased):
    X, y, group = biased(bias=0.5)
    one, other = (LInCo(OLS, n_null=0, random_state=0).fit(X, t, sensitive_features=group) for t in (y, 3 * y + 7))
    assert other.linco_ == pytest.approx(3 * one.linco_)
    assert other.squared_debiased_ == pytest.approx(9 * one.squared_debiased_)
    np.testing.assert_allclose(other.interval_, 3 * one.interval_)


def test_both_corrections_are_unbiased(biased):
    """Mean over data sets against the truth, b^2, within three standard errors."""
    for bias in (0.0, 0.4):
        for correction in ("split_half", "analytic"):
            found = []
            for seed in range(40):
                X, y, group = biased(200, bias, seed=seed)
                audit = LInCo(OLS, n_null=0, correction=correction, random_state=0)
                found.append(audit.fit(X, y, sensitive_features=group).squared_debiased_)
            error = np.std(found) / np.sqrt(len(found))
            assert abs(np.mean(found) - bias**2) < 3 * error, (bias, correction)


@pytest.mark.slow
def test_coverage_of_intervals(biased):
    for bias in (0.0, 0.1, 0.3):
        covered = 0
        for seed in range(200):
            X, y, group = biased(2000, bias, seed=seed, p=9)
            audit = LInCo(OLS, n_null=0, confidence=0.9, random_state=0).fit(X, y, sensitive_features=group)
            covered += audit.interval_[0] <= bias <= audit.interval_[1]
        # Close to zero the interval is conservative: that is the price of containing zero when it should.
        least, most = {0.0: (190, 200), 0.1: (172, 200), 0.3: (172, 194)}[bias]
        assert least <= covered <= most, bias


@pytest.mark.slow
def test_size_under_covariate_shift(biased):
    """No bias, mean shift 1.5, n = 400: the conditional test rejects 3 to 8 % at nominal 5 %."""
    rejections = 0
    for seed in range(300):
        X, y, group = biased(400, shift=1.5, seed=seed, p=5)
        audit = LInCo(OLS, n_null=99, n_splits=1, random_state=seed).fit(X, y, sensitive_features=group)
        rejections += audit.p_value_ <= 0.05
    assert 9 <= rejections <= 24


def test_intersections_and_skipped_groups(biased):
    X, y, _ = biased(200)
    race = ["x"] * 100 + ["y"] * 90 + ["z"] * 10
    frame = pd.DataFrame({"sex": ["f", "m"] * 100, "race": pd.Categorical(race, list("xyzw"))})
    with pytest.warns(UserWarning, match="10 rows"):
        audit = LInCo(n_null=0, correction="analytic").fit(X, y, sensitive_features=frame)
    assert audit.groups_.tolist() == ["f & x", "f & y", "m & x", "m & y"]
    assert audit.skipped_groups_["w"] == "no rows"
    assert audit.skipped_groups_["f & z"].startswith("5 rows")
    assert audit.judge(X).shape == (200, 4)


def test_a_class_missing_in_one_group(biased):
    X, y, group = biased(200)
    target = np.where((y > 0) & (group == "b"), "yes", "no")
    for model in (LogisticRegression(), DecisionTreeClassifier(random_state=0)):
        audit = LInCo(model, n_null=20, n_splits=10, random_state=0).fit(X, target, sensitive_features=group)
        np.testing.assert_allclose(audit.judge(X)[:, 0], np.tile([1.0, 0.0], (200, 1)), rtol=0, atol=1e-15)
        assert 0 < audit.p_value_ <= 1
        assert audit.pairwise_signed_[0, 1] > 0


def test_an_audited_predictor(biased):
    X, y, group = biased(bias=1.0)
    audit = LInCo(random_state=0, n_null=19).fit(X, y, sensitive_features=group)
    blind = audit.audit_predictor(Ridge().fit(X, y), X, group)
    assert audit.linco_debiased_ > 0.8
    assert blind.linco_debiased_ < 0.05


@pytest.mark.parametrize(
    ("sensitive", "options", "message"),
    [
        (None, {}, "sensitive_features=None"),
        (["a"] * 10, {}, "sensitive_features has 10 rows"),
        ([None, "a"] * 50, {}, "50 missing labels, the first at row 0"),
        (["a"] * 100, {}, "leaves 1 of the groups"),
        (["a", "b"] * 50, {"min_group_size": 80}, "leaves 0 of the groups"),
        (["a", "b"] * 50, {"response": "predict_proba"}, "response='predict_proba'"),
        (["a", "b"] * 50, {"disagreement": "tv"}, "disagreement='tv'"),
        (["a"] + ["b"] * 99, {"min_group_size": 1}, "one row"),
        (["a", "b"] * 50, {"estimator": make_pipeline(Ridge()), "correction": "analytic"}, "correction='analytic'"),
    ],
)
def test_bad_input(biased, sensitive, options, message):
    X, y, _ = biased(100)
    with pytest.raises(ValueError, match=message):
        LInCo(n_null=0).set_params(**options).fit(X, y, sensitive_features=sensitive)
