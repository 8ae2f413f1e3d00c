"""What theory says about audits: identities, invariances, bounds, and what the options mean."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f as f_distribution
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from trustml.fairness import LInCo
from trustml.fairness._judges import Court, LinearJudges
from trustml.fairness._null import random_signs

OLS = LinearRegression()


def audited(X, y, group, model=OLS, **options):
    return LInCo(model, **{"n_null": 0, "correction": "analytic", "random_state": 0} | options).fit(
        X, y, sensitive_features=group
    )


def test_mean_of_the_null(biased):
    """Unit noise around zero: E of the squared gap is tr S (A_0^-1 + A_1^-1)."""
    X, _, group = biased(200, shift=0.5)
    court = Court(X, np.zeros(200), None, (group == "b").astype(int), 2, np.ones(200), "number")
    judges = LinearJudges(OLS, court)
    coef = judges.conditional_panels(np.zeros(200), np.ones(200), random_signs(4000, 200, np.random.default_rng(0)))
    Z = judges.augment(X)
    S = Z.T @ Z / 200
    gap = coef[:, 1] - coef[:, 0]
    squares = np.sum(gap * (S @ gap), axis=0)
    expected = sum(np.trace(S @ np.linalg.inv(Z[group == g].T @ Z[group == g])) for g in "ab")
    assert abs(squares.mean() - expected) < 3 * squares.std() / np.sqrt(4000)


def test_base_rates_alone():
    y = np.concatenate([np.repeat([0, 1], [80, 20]), np.repeat([0, 1], [50, 50])])
    audit = audited(np.zeros((200, 3)), y, np.repeat(["a", "b"], 100), LogisticRegression())
    assert audit.linco_ == pytest.approx(0.3)
    assert audit.pairwise_signed_[0, 1] == pytest.approx(0.3)


def test_invariances(biased):
    X, y, group = biased(200, 0.4, shift=0.5)
    audit = audited(X, y, group)
    order = np.random.default_rng(1).permutation(200)
    mixed = X @ np.random.default_rng(2).normal(size=(3, 3)) + 1
    for other in (audited(X[order], y[order], group[order]), audited(mixed, y, group), audited(X, y + 5, group)):
        assert other.linco_ == pytest.approx(audit.linco_, rel=1e-9)
        assert other.squared_debiased_ == pytest.approx(audit.squared_debiased_, rel=1e-9)
    renamed = audited(X, y, np.where(group == "a", "z", "b"))
    np.testing.assert_allclose(renamed.pairwise_signed_, -audit.pairwise_signed_)
    for options in ({"disagreement": "relative"}, {"aggregate": "cv"}):
        one, other = (audited(X, t, group, **options).linco_ for t in (y, -3 * y))
        assert other == pytest.approx(one, rel=1e-9)


def test_audit_of_all_cases_is_the_mean_of_audits_of_groups(biased):
    X, y, group = biased(200, 0.4, shift=0.5)
    in_b = group == "b"
    parts = [
        LInCo(OLS, n_null=0, correction="analytic").fit(X, y, sensitive_features=group, X_audit=X[rows]).linco_
        for rows in (in_b, ~in_b)
    ]
    assert audited(X, y, group).linco_ == pytest.approx(np.mean(parts))


def test_bounded_judges(biased):
    X, y, group = biased(200, 3.0)
    audit = audited(X, y, group, KNeighborsRegressor(1), correction="split_half", n_splits=1)
    assert audit.linco_ <= audit.linco_rms_ <= np.ptp(y)
    assert audited(X, y > 0, group, LogisticRegression()).linco_ <= 1


def test_null_agrees_with_the_chow_test(biased):
    """Under Gaussian noise of one variance, the classical test of the same hypothesis has about the same p-values."""
    simulated, classical = [], []
    for seed in range(15):
        X, y, group = biased(200, seed=seed)
        audit = audited(X, y, group, disagreement="squared", n_null=199)
        pooled = np.sum((y - OLS.fit(X, y).predict(X)) ** 2)
        own = sum(np.sum((y[r] - OLS.fit(X[r], y[r]).predict(X[r])) ** 2) for r in (group == "a", group == "b"))
        classical.append(f_distribution.sf((pooled - own) / 4 / (own / 192), 4, 192))
        simulated.append(audit.p_value_)
    assert np.mean(np.abs(np.subtract(simulated, classical))) < 0.05


def test_units(biased):
    X, y, group = biased(200, 0.4)
    for disagreement, power in (("absolute", 1), ("squared", 2)):
        options = {"n_null": 9, "disagreement": disagreement}
        plain = audited(X, y, group, **options)
        for normalize, scale in (("target_std", y.std()), ("noise_floor", plain.noise_floor_ ** (1 / power))):
            found = audited(X, y, group, normalize=normalize, **options)
            assert found.scale_ == pytest.approx(scale)
            assert found.linco_ == pytest.approx(plain.linco_ / scale**power)
            np.testing.assert_allclose(found.null_distribution_, plain.null_distribution_ / scale**power)
            assert found.predict_inconsistency(X).mean() == pytest.approx(found.linco_)
            assert found.p_value_ == plain.p_value_
            kept = scale if normalize == "target_std" else 1
            assert found.squared_debiased_ == pytest.approx(plain.squared_debiased_ / kept**2)
            np.testing.assert_allclose(found.interval_, plain.interval_ / kept)
    quartiles = np.quantile(y, [0.25, 0.75], method="inverted_cdf")
    assert audited(X, y, group, normalize="target_iqr").scale_ == pytest.approx(np.ptp(quartiles))


def test_mean_of_the_null_as_correction(biased):
    X, y, group = biased(200, 0.0)
    squares = audited(X, y, group, disagreement="squared", n_null=199)
    found = audited(X, y, group, correction="null_mean", n_null=199)
    assert found.squared_debiased_ == pytest.approx(squares.linco_ - squares.noise_floor_)
    labels = y > 0
    for response in ("predict", "predict_proba"):
        other = audited(X, labels, group, LogisticRegression(), response=response, correction="null_mean", n_null=19)
        assert abs(other.squared_debiased_) < 0.1


def test_bootstrap_and_delta_method_agree(biased):
    X, y, group = biased(200, 0.6)
    delta, boot = (
        audited(X, y, group, correction="split_half", n_boot=n_boot, n_splits=2).squared_standard_error_
        for n_boot in (0, 100)
    )
    assert boot == pytest.approx(delta, rel=0.5)
    black_box = audited(X, y, group, make_pipeline(Ridge()), correction="split_half", n_boot=20, n_splits=1)
    assert black_box.interval_[0] <= black_box.linco_debiased_ <= black_box.interval_[1]
    assert np.isfinite(black_box.pairwise_interval_).all()


def test_overlap(biased):
    X, y, group = biased(200, shift=4.0)
    X[:20, 0] = np.where(group[:20] == "a", 4, 0)  # some cases are where the other group is
    report, trim, weigh = (audited(X, y, group, overlap=overlap) for overlap in ("report", "trim", "weight"))
    assert 0.05 < report.overlap_share_ < 0.9
    common = report.overlap_ >= 0.1
    assert report.overlap_share_ == pytest.approx(common.mean())
    assert trim.linco_ == pytest.approx(report.predict_inconsistency(X)[common].mean())
    q = report.overlap_ / 2  # of two groups, the smaller probability
    v = q * (1 - q)
    assert weigh.linco_ == pytest.approx(v @ report.predict_inconsistency(X) / v.sum())
    same = audited(*biased(200))
    assert same.overlap_share_ == pytest.approx(1)
    apart = X.copy()
    apart[:, 0] = np.where(group == "a", -100, 100)
    with pytest.warns(UserWarning, match="no case is like"):
        assert audited(apart, y, group).overlap_share_ == 0
    with pytest.raises(ValueError, match="overlap='trim' leaves no case"):
        audited(apart, y, group, overlap="trim")


def test_strata(biased):
    X, y, group = biased(400, 0.5)
    charge = np.array(["theft", "fraud"])[np.arange(400) // 2 % 2]
    charge[:3] = "arson"
    audit = LInCo(OLS, n_null=0, correction="analytic", random_state=0)
    with pytest.warns(UserWarning, match="arson"):
        audit.fit(X, y, sensitive_features=list(group), strata=charge)
    assert set(audit.strata_) == {"theft", "fraud"}
    assert audit.skipped_strata_ == {"arson": "3 rows, 0 groups with a judge"}
    for label, part in audit.strata_.items():
        rows = charge == label
        assert part.linco_ == audited(X[rows], y[rows], group[rows]).linco_
    sizes = [np.sum(charge == label) for label in audit.strata_]
    squares = [part.squared_debiased_ for part in audit.strata_.values()]
    assert audit.linco_debiased_within_strata_ == pytest.approx(np.sqrt(np.average(squares, weights=sizes)))


def test_frames_of_mixed_columns(biased):
    X, y, group = biased(200, 0.5)
    frame = pd.DataFrame(X, columns=list("uvw")).assign(city=np.where(np.arange(200) % 3, "north", "south"))
    model = make_pipeline(OneHot(), Ridge())
    audit = audited(frame, y, group, model, correction="split_half", n_splits=1)
    assert audit.overlap_share_ == pytest.approx(1)
    assert audit.judge(frame).shape == (200, 2)


class OneHot:
    """Columns of a frame as numbers."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return pd.get_dummies(X, dtype=float).to_numpy()

    def get_params(self, deep=True):
        return {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"correction": "null_mean"}, "n_null=0"),
        ({"normalize": "noise_floor"}, "n_null=0"),
        ({"normalize": "target_std", "disagreement": "log"}, "normalize='target_std'"),
        ({"estimator": LogisticRegression(), "response": "predict"}, "correction='analytic' found for labels"),
    ],
)
def test_bad_options(biased, options, message):
    X, y, group = biased(200)
    target = y > 0 if "estimator" in options else y
    with pytest.raises(ValueError, match=message):
        audited(X, target, group, **{"model": options.pop("estimator", OLS)} | options)


@pytest.mark.data
def test_oaxaca_blinder_of_insurance_charges(data_dir):
    """The unexplained part of the gap in log charges between the sexes, from an independent decomposition."""
    frame = pd.read_csv(data_dir / "medical_costs.csv.gz")
    X = np.column_stack([frame["age"], frame["bmi"], frame["children"], frame["smoker"] == "yes"])
    male = frame["sex"].to_numpy() == "male"
    audit = LInCo(OLS, n_null=0, correction="analytic").fit(
        X, np.log(frame["charges"]), sensitive_features=male, X_audit=X[male]
    )
    assert audit.pairwise_signed_[0, 1] == pytest.approx(-0.0688726, abs=1e-7)
