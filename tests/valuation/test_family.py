"""What every member of the valuation family promises, on small games whose exact values are at hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_regression
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from trustml import BetaShapley, DataBanzhaf, DataOOB, DataShapley, ExactShapley, LeaveOneOut
from trustml.valuation import semivalue

GAME_VALUATIONS = [
    DataShapley(RidgeClassifier(), max_permutations=20, random_state=0),
    BetaShapley(RidgeClassifier(), max_permutations=20, random_state=0),
    DataBanzhaf(RidgeClassifier(), max_subsets=64, random_state=0),
    LeaveOneOut(RidgeClassifier()),
]
ALL_VALUATIONS = [*GAME_VALUATIONS, DataOOB(n_estimators=40, random_state=0)]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:select=:UserWarning")


def nan_unless_constant(estimator, X, y):
    return 0.5 if isinstance(estimator, DummyClassifier) else np.nan


def name_of(valuation):
    return type(valuation).__name__


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X, X_val = rng.normal(size=(30, 4)), rng.normal(size=(40, 4))
    coef = np.array([2.0, -1.0, 0.5, 0.0])
    labels = np.array(["no", "yes"])
    y, y_val = labels[(X @ coef > 0).astype(int)], labels[(X_val @ coef > 0).astype(int)]
    flipped = np.isin(np.arange(30), [3, 11, 20])
    y[flipped] = np.where(y[flipped] == "no", "yes", "no")
    return X, y, X_val, y_val, flipped


def small_game(seed=0, n_rows=8, n_features=2):
    """Ridge regression whose exact values come from all subsets, fitted here one by one."""
    rng = np.random.default_rng(seed)
    X, X_val = rng.normal(size=(n_rows, n_features)), rng.normal(size=(15, n_features))
    coef = np.arange(1.0, n_features + 1)
    y, y_val = X @ coef + rng.normal(size=n_rows), X_val @ coef
    empty = -float(np.var(y_val))

    def game(masks):
        scores = np.full(len(masks), empty)
        for i, mask in enumerate(masks):
            if mask.any():
                scores[i] = -np.mean((Ridge().fit(X[mask], y[mask]).predict(X_val) - y_val) ** 2)
        return scores

    return X, y, X_val, y_val, game


MSE = {"scoring": "neg_mean_squared_error"}


def test_exact_shapley_and_leave_one_out_equal_brute_force():
    X, y, X_val, y_val, game = small_game()
    exact = ExactShapley(Ridge(), **MSE).fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_allclose(exact.data_values_, semivalue(game, 8).values, atol=1e-9)
    assert exact.data_values_.sum() == pytest.approx(exact.full_score_ - exact.empty_score_, abs=1e-12)
    loo = LeaveOneOut(Ridge(), **MSE).fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_allclose(loo.data_values_, semivalue(game, 8, kind="leave_one_out").values, atol=1e-9)
    assert not exact.standard_errors_.any()
    assert exact.n_evaluations_ == 2**8


@pytest.mark.parametrize(
    ("valuation", "parameters"),
    [
        (DataShapley(Ridge(), **MSE, max_permutations=3000, truncation_tol=None), {"kind": "shapley"}),
        (DataShapley(Ridge(), **MSE, max_permutations=3000, truncation_tol=None, antithetic=True), {"kind": "shapley"}),
        (BetaShapley(Ridge(), **MSE, max_permutations=3000), {"kind": "beta"}),
        (DataBanzhaf(Ridge(), **MSE, max_subsets=6000), {"kind": "banzhaf"}),
    ],
)
def test_samplers_agree_with_exact_values(valuation, parameters):
    X, y, X_val, y_val, game = small_game()
    valuation.set_params(tol=0.0, random_state=1).fit(X, y, X_val=X_val, y_val=y_val)
    exact = semivalue(game, 8, **parameters).values
    z = (valuation.data_values_ - exact) / valuation.standard_errors_
    assert np.abs(z).max() < 4.5
    assert (valuation.standard_errors_ < 0.2 * np.abs(exact).max()).all()


def test_antithetic_permutations_lower_the_error():
    X, y, X_val, y_val, _ = small_game()
    errors = {}
    for antithetic in (False, True):
        valuation = DataShapley(Ridge(), **MSE, max_permutations=1000, tol=0, antithetic=antithetic, random_state=0)
        errors[antithetic] = valuation.fit(X, y, X_val=X_val, y_val=y_val).standard_errors_.mean()
    assert errors[True] < errors[False]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("estimator", [RidgeClassifier(), DecisionTreeClassifier(random_state=0)])
def test_untruncated_values_sum_to_what_there_is_to_share(table, seed, estimator):
    X, y, X_val, y_val, _ = table
    valuation = DataShapley(estimator, max_permutations=3, truncation_tol=None, random_state=seed)
    valuation.fit(X, y, X_val=X_val, y_val=y_val)
    assert valuation.data_values_.sum() == pytest.approx(valuation.full_score_ - valuation.empty_score_, abs=1e-12)
    share = max(np.mean(y_val == label) for label in ("no", "yes"))
    assert valuation.empty_score_ == pytest.approx(share)


def test_truncation_keeps_the_sum_near_and_saves_evaluations(table):
    X, y, X_val, y_val, _ = table
    whole = DataShapley(RidgeClassifier(), max_permutations=40, truncation_tol=None, random_state=0)
    cut = DataShapley(RidgeClassifier(), max_permutations=40, truncation_tol=0.05, random_state=0)
    whole.fit(X, y, X_val=X_val, y_val=y_val)
    cut.fit(X, y, X_val=X_val, y_val=y_val)
    assert cut.n_evaluations_ < whole.n_evaluations_ == 40 * 30 + 1
    assert abs(cut.data_values_.sum() - whole.data_values_.sum()) <= 0.05 * whole.full_score_
    assert np.corrcoef(cut.data_values_, whole.data_values_)[0, 1] > 0.95


def test_beta_of_one_one_is_data_shapley(table):
    X, y, X_val, y_val, _ = table
    common = {"max_permutations": 20, "truncation_tol": None, "random_state": 3}
    shapley = DataShapley(RidgeClassifier(), **common).fit(X, y, X_val=X_val, y_val=y_val)
    beta = BetaShapley(RidgeClassifier(), alpha=1, beta=1, **common).fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_allclose(beta.data_values_, shapley.data_values_, atol=1e-12)


@pytest.mark.parametrize("valuation", ALL_VALUATIONS, ids=name_of)
def test_flipped_labels_are_worth_less(table, valuation):
    X, y, _, _, flipped = table
    values = valuation.fit(X, y).data_values_
    assert values[flipped].mean() < values[~flipped].mean()
    assert valuation.predict(X).dtype == y.dtype
    np.testing.assert_array_equal(valuation.classes_, ["no", "yes"])
    assert valuation.score(X, y) == np.mean(valuation.predict(X) == y)


def test_cross_validation_values_are_the_mean_over_folds(table):
    X, y, *_ = table
    folds = list(KFold(3).split(X))
    valued = LeaveOneOut(RidgeClassifier(), cv=folds).fit(X, y).data_values_
    by_fold = np.zeros((3, 30))
    for f, (train, test) in enumerate(folds):
        one = LeaveOneOut(RidgeClassifier()).fit(X[train], y[train], X_val=X[test], y_val=y[test])
        by_fold[f, train] = one.data_values_
    np.testing.assert_allclose(valued, by_fold.sum(axis=0) / 2, atol=1e-12)


@pytest.mark.parametrize("valuation", [ExactShapley(Ridge(), **MSE), LeaveOneOut(Ridge(), **MSE)], ids=name_of)
def test_exact_values_follow_rows_and_ignore_validation_order(valuation):
    X, y, X_val, y_val, _ = small_game()
    values = valuation.fit(X, y, X_val=X_val, y_val=y_val).data_values_.copy()
    order = np.random.default_rng(0).permutation(8)
    np.testing.assert_allclose(valuation.fit(X[order], y[order], X_val=X_val, y_val=y_val).data_values_, values[order])
    np.testing.assert_allclose(valuation.fit(X, y, X_val=X_val[::-1], y_val=y_val[::-1]).data_values_, values)


def test_values_are_the_mean_over_validation_rows():
    X, y, X_val, y_val, _ = small_game()
    # The score of no row depends on the validation rows, so that only differences between rows are comparable.
    values = ExactShapley(Ridge(), **MSE).fit(X, y, X_val=X_val, y_val=y_val).data_values_
    single = [
        ExactShapley(Ridge(), **MSE).fit(X, y, X_val=X_val[[i]], y_val=y_val[[i]]).data_values_ for i in range(15)
    ]
    expected = np.mean(single, axis=0)
    np.testing.assert_allclose(values - values.mean(), expected - expected.mean(), atol=1e-9)


def test_duplicates_share_and_absent_rows_get_nothing():
    X, y, X_val, y_val, _ = small_game()
    X[5], y[5] = X[2], y[2]
    weight = np.ones(8)
    weight[4] = 0
    valuation = ExactShapley(Ridge(), **MSE).fit(X, y, X_val=X_val, y_val=y_val, sample_weight=weight)
    assert valuation.data_values_[5] == pytest.approx(valuation.data_values_[2], abs=1e-12)
    assert valuation.data_values_[4] == pytest.approx(0, abs=1e-12)
    sampled = DataShapley(Ridge(), **MSE, max_permutations=20, random_state=0)
    sampled.fit(X, y, X_val=X_val, y_val=y_val, sample_weight=weight)
    assert sampled.data_values_[4] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("valuation", [*GAME_VALUATIONS[:3], ExactShapley(RidgeClassifier())], ids=name_of)
def test_units_share_their_value(table, valuation):
    X, y, X_val, y_val, _ = table
    units = np.array(["a", "b", "c", "a", "c", "d"] * 5)
    valuation.fit(X, y, X_val=X_val, y_val=y_val, units=units)
    np.testing.assert_array_equal(valuation.units_, ["a", "b", "c", "d"])
    sums = [valuation.data_values_[units == unit].sum() for unit in "abcd"]
    np.testing.assert_allclose(sums, valuation.unit_values_, atol=1e-12)
    assert np.ptp(valuation.data_values_[units == "a"]) == 0
    if isinstance(valuation, DataShapley | ExactShapley):
        difference = valuation.full_score_ - valuation.empty_score_
        assert valuation.unit_values_.sum() == pytest.approx(difference, abs=0.01 + 1e-12)


def test_units_of_one_row_are_rows_and_a_unit_of_all_rows_gets_everything(table):
    X, y, X_val, y_val, _ = table
    valuation = DataShapley(RidgeClassifier(), max_permutations=20, random_state=0)
    rows = valuation.fit(X, y, X_val=X_val, y_val=y_val).data_values_.copy()
    singles = valuation.fit(X, y, X_val=X_val, y_val=y_val, units=np.arange(30) * 7).data_values_
    np.testing.assert_allclose(singles, rows, atol=1e-12)
    whole = valuation.fit(X, y, X_val=X_val, y_val=y_val, units=np.zeros(30))
    np.testing.assert_allclose(whole.unit_values_, whole.full_score_ - whole.empty_score_)


def test_units_are_never_split_by_folds(table):
    X, y, *_ = table
    units = np.repeat(np.arange(10), 3)
    valuation = LeaveOneOut(RidgeClassifier(), cv=3).fit(X, y, units=units)
    assert len(valuation.unit_values_) == 10
    with pytest.raises(ValueError, match=r"rows of the same unit on both sides.*GroupKFold"):
        LeaveOneOut(RidgeClassifier(), cv=KFold(3, shuffle=True, random_state=0)).fit(X, y, units=units)
    grouped = LeaveOneOut(RidgeClassifier(), cv=GroupKFold(3)).fit(X, y, units=units)
    assert np.isfinite(grouped.unit_values_).all()


def test_the_default_model_follows_the_target():
    X, y, *_ = small_game(n_rows=20)
    assert type(DataShapley(max_permutations=5).fit(X, y).estimator_) is Ridge
    # Floats that happen to be whole numbers are numbers still.
    assert type(DataShapley(max_permutations=5).fit(X, y.round()).estimator_) is Ridge
    classified = DataShapley(max_permutations=2).fit(X, (y > 0).astype(int))
    assert type(classified.estimator_) is LogisticRegression
    assert hasattr(classified, "predict_proba")
    assert not hasattr(DataShapley(Ridge()), "predict_proba")


def test_a_model_of_frames_gets_frames():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"colour": rng.choice(["red", "blue"], 30), "shape": rng.choice(["disc", "square"], 30)})
    y = (frame["colour"] == "red").astype(int).to_numpy()
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    valuation = DataShapley(model, cv=2, max_permutations=2, select="all", random_state=0).fit(frame, y)
    assert valuation.engine_ == "joblib"
    assert valuation.score(frame, y) == 1.0
    np.testing.assert_array_equal(valuation.feature_names_in_, ["colour", "shape"])


def test_select_chooses_the_rows_of_the_refitted_model(table):
    X, y, X_val, y_val, _ = table
    data = {"X_val": X_val, "y_val": y_val}
    common = {"max_permutations": 20, "random_state": 0}
    positive = DataShapley(RidgeClassifier(), **common).fit(X, y, **data)
    np.testing.assert_array_equal(positive.get_support(), positive.data_values_ > 0)
    by_hand = RidgeClassifier().fit(X[positive.support_], y[positive.support_])
    np.testing.assert_allclose(positive.estimator_.coef_, by_hand.coef_)
    half = DataShapley(RidgeClassifier(), select=0.5, **common).fit(X, y, **data)
    assert half.get_support(indices=True).size == 15
    assert half.data_values_[half.support_].min() >= half.data_values_[~half.support_].max()
    weight = np.arange(30) % 5 > 0
    weighted = DataShapley(RidgeClassifier(), select="all", **common).fit(X, y, sample_weight=weight, **data)
    np.testing.assert_array_equal(weighted.support_, weight)


@pytest.mark.filterwarnings("default")
def test_a_class_never_vanishes_from_the_refitted_model():
    X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
    y = np.array([0, 0, 0, 0, 0, 1])
    valuation = ExactShapley(RidgeClassifier())
    with pytest.warns(UserWarning, match=r"select='positive' keeps no row of class .*1"):
        valuation.fit(X, y, X_val=X[:5], y_val=y[:5])
    assert valuation.support_[5]
    np.testing.assert_array_equal(valuation.estimator_.classes_, [0, 1])


def test_intervals_and_frame(table):
    X, y, X_val, y_val, _ = table
    valuation = DataShapley(RidgeClassifier(), max_permutations=40, random_state=0)
    valuation.fit(X, y, X_val=X_val, y_val=y_val)
    narrow, wide = valuation.confidence_interval(0.5), valuation.confidence_interval(0.95)
    assert (narrow[:, 0] >= wide[:, 0]).all()
    np.testing.assert_allclose(wide.mean(axis=1), valuation.data_values_)
    half = 2.022690911734728 * valuation.standard_errors_  # 97.5 % point of Student's t with 39 degrees
    np.testing.assert_allclose(wide[:, 1] - valuation.data_values_, half, rtol=1e-6)
    frame = valuation.to_frame()
    assert list(frame.columns) == ["unit", "value", "standard_error", "lower", "upper", "kept"]
    assert frame["value"].is_monotonic_increasing
    np.testing.assert_array_equal(frame.index[:1], [valuation.data_values_.argmin()])
    with pytest.raises(ValueError, match=r"level=1 is not a coverage"):
        valuation.confidence_interval(1)


def test_one_permutation_has_no_error_estimate(table):
    X, y, X_val, y_val, _ = table
    valuation = DataShapley(RidgeClassifier(), max_permutations=1).fit(X, y, X_val=X_val, y_val=y_val)
    assert np.isinf(valuation.standard_errors_).all()
    assert np.isinf(valuation.confidence_interval()).all()


@pytest.mark.parametrize("n_rows", [1, 2])
def test_one_and_two_rows(n_rows):
    X, y, X_val, y_val, game = small_game(n_rows=n_rows)
    for valuation in (ExactShapley(Ridge(), **MSE), DataShapley(Ridge(), **MSE, max_permutations=10)):
        values = valuation.fit(X, y, X_val=X_val, y_val=y_val).data_values_
        assert values.sum() == pytest.approx(game(np.ones((1, n_rows), bool))[0] + np.var(y_val))


def test_data_oob_by_hand():
    """Merits are the out-of-bag models' own, and do not depend on the number of jobs."""
    X, y, *_ = small_game(n_rows=12)
    one = DataOOB(LinearRegression(), n_estimators=30, random_state=0).fit(X, y)
    two = DataOOB(LinearRegression(), n_estimators=30, n_jobs=2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(one.data_values_, two.data_values_)
    merits = [[] for _ in range(12)]
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    for bag in range(30):
        drawn = np.random.default_rng([seed, bag]).integers(12, size=12)
        model = LinearRegression().fit(X[np.sort(drawn)], y[np.sort(drawn)])
        for row in set(range(12)) - set(drawn):
            merits[row].append(-((model.predict(X[[row]])[0] - y[row]) ** 2))
    np.testing.assert_allclose(one.data_values_, [np.mean(m) for m in merits], rtol=1e-9)
    np.testing.assert_allclose(one.standard_errors_, [np.std(m, ddof=1) / np.sqrt(len(m)) for m in merits], rtol=1e-6)


BAD_INPUT = [
    ({"y": np.zeros(30)}, r"y holds \[0.0\] among the rows of positive weight: no or only one class"),
    ({"y": None}, r"requires y to be passed"),
    ({"X": np.full((30, 4), np.nan)}, r"X contains NaN"),
    ({"X_val": np.ones((40, 3))}, r"X has 3 features, but .* is expecting 4"),
    ({"X_val": None}, r"X_val is None; expected X_val and y_val together"),
    ({"y_val": None}, r"y_val is None; expected X_val and y_val together"),
    ({"y_val": np.repeat("maybe", 40)}, r"y_val holds labels that y does not: \['maybe'\]"),
    ({"y_val": np.repeat("yes", 39)}, r"inconsistent numbers of samples"),
    ({"units": np.arange(29)}, r"units has 29 entries for 30 rows"),
    ({"sample_weight": np.zeros(30)}, r"Sample weights must contain at least one non-zero number"),
    ({"sample_weight": -np.ones(30)}, r"[Nn]egative values in .*sample_weight"),
]


@pytest.mark.parametrize("valuation", GAME_VALUATIONS, ids=name_of)
@pytest.mark.parametrize(("change", "message"), BAD_INPUT)
def test_bad_data_is_refused_by_name(table, valuation, change, message):
    X, y, X_val, y_val, _ = table
    arguments = {"X": X, "y": y, "X_val": X_val, "y_val": y_val} | change
    with pytest.raises(ValueError, match=message):
        valuation.fit(arguments.pop("X"), arguments.pop("y"), **arguments)


@pytest.mark.parametrize(
    ("valuation", "message"),
    [
        (DataShapley(max_permutations=0), r"'max_permutations' parameter of DataShapley must be an int in the range"),
        (DataShapley(tol=-1), r"'tol' parameter"),
        (DataShapley(select=1.5), r"'select' parameter"),
        (DataShapley(estimator="ridge"), r"'estimator' parameter"),
        (DataBanzhaf(max_subsets=0), r"'max_subsets' parameter"),
        (BetaShapley(alpha=0), r"'alpha' parameter"),
        (DataOOB(n_estimators=1), r"n_estimators=1 leaves \d+ rows without an out-of-bag prediction"),
        (ExactShapley(), r"X holds 24 units to value; .* at most 16"),
        (LeaveOneOut(cv=ShuffleSplit(1, random_state=0)), r"leaves \d+ rows out of every training fold"),
        (LeaveOneOut(scoring=lambda *_: np.nan), r"scoring=.* of a constant prediction is nan on \d+ validation rows"),
        (LeaveOneOut(scoring=nan_unless_constant), r"scoring=.* returned nan for a coalition"),
    ],
)
def test_bad_parameters_are_refused_by_name(table, valuation, message):
    X, y, *_ = table
    with pytest.raises(ValueError, match=message):
        valuation.fit(X, y)


def test_data_oob_refuses_validation_rows(table):
    X, y, X_val, y_val, _ = table
    with pytest.raises(ValueError, match=r"DataOOB needs no validation rows"):
        DataOOB().fit(X, y, X_val=X_val, y_val=y_val)


def test_a_negative_score_truncates_as_a_positive_one_does():
    """The distance to the full score counts relative to its size, whatever its sign."""
    X, y, X_val, y_val, _ = small_game(n_rows=40)
    valuation = DataShapley(Ridge(), **MSE, max_permutations=20, truncation_tol=0.5, random_state=0)
    valuation.fit(X, y, X_val=X_val, y_val=y_val)
    assert valuation.full_score_ < 0
    assert valuation.n_evaluations_ < 20 * 40


def test_scaled_pipeline_runs_through_joblib_with_any_number_of_jobs(table):
    X, y, *_ = table
    model = make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0))
    values = [
        DataShapley(model, cv=2, max_permutations=4, n_jobs=n_jobs, random_state=0).fit(X, y).data_values_
        for n_jobs in (None, 2)
    ]
    np.testing.assert_array_equal(*values)


def test_a_score_that_one_validation_row_does_not_define_is_refused():
    X, y = make_regression(2, n_features=3, random_state=0)
    with pytest.raises(ValueError, match=r"scoring=None of a constant prediction is nan on 1 validation rows"):
        DataShapley(Ridge(), cv=2, max_permutations=4).fit(X, y)


@pytest.mark.parametrize("argument", ["X", "y", "sample_weight"])
def test_numbers_whose_squares_overflow_are_refused(argument):
    X, y = make_regression(12, n_features=3, random_state=0)
    arguments = {"X": X, "y": y, "sample_weight": np.ones(12)}
    arguments[argument] = arguments[argument] * 1e200
    with pytest.raises(ValueError, match=rf"{argument} holds a number beyond ±2e\+123"):
        DataShapley(Ridge(), cv=2, max_permutations=4).fit(**arguments)
