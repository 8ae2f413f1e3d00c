"""GroupwiseRegressor against a loop over rows written out in NumPy, and the promises of its documentation."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from online_oracles import adanormalhedge_loop, best_linear, log_det, ridge_row_by_row
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.linear_model import SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from trustml.datasets._groupwise import make_groupwise_regression
from trustml.online import (
    AdaNormalHedge,
    GroupwiseRegressor,
    OnlineRidge,
    group_hindsight,
    make_intersections,
    shuffled_orders,
    sorted_order,
)

PAPER = {"fit_intercept": False, "clip": False}


def stream(n=300, seed=0, combine="min"):
    return make_groupwise_regression(n, 4, combine=combine, random_state=seed)


@parametrize_with_checks([GroupwiseRegressor()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        GroupwiseRegressor("forward", aggregator="specialists", prediction="sample", random_state=0),
        GroupwiseRegressor(groups={"positive": (0, ">", 0.0)}, include_always=False),
    ]
)
def test_scikit_learn_checks_of_variants(estimator, check):
    check(estimator)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_interleaved_loop(fit_intercept, weighted):
    X, y, membership = stream()
    weight = np.random.default_rng(0).integers(0, 3, len(y)) / 2 if weighted else np.ones(len(y))
    model = GroupwiseRegressor(fit_intercept=fit_intercept, clip=False)
    online = model.predict_online(X, y, membership, weight)
    awake = np.column_stack([membership, np.ones(len(y), bool)])
    f = np.zeros(awake.shape)
    for g, mine in enumerate(awake.T):
        f[mine, g] = ridge_row_by_row(X[mine], y[mine], 1.0, weight[mine], fit_intercept)[0]
    losses = (f - y[:, None]) ** 2
    p, expected, R, C = adanormalhedge_loop(losses, awake, weight=weight)
    np.testing.assert_allclose(online, (p * f).sum(axis=1), atol=1e-10)
    np.testing.assert_allclose(model.expected_losses_, expected, atol=1e-10)
    np.testing.assert_allclose(model.mixture_losses_, ((p * f).sum(axis=1) - y) ** 2, atol=1e-10)
    np.testing.assert_allclose(model.expert_losses_, np.where(awake, losses, np.nan), atol=1e-10)
    np.testing.assert_allclose(model.regret_, R[-1], atol=1e-9)
    np.testing.assert_allclose(model.abs_regret_, C[-1], rtol=1e-9)
    report = model.regret_report()
    weighted_rows = weight[:, None] * awake
    np.testing.assert_allclose(report.expected_loss, weighted_rows.T @ expected, rtol=1e-9)
    np.testing.assert_allclose(report.always_loss, weighted_rows.T @ losses[:, -1], rtol=1e-9)
    np.testing.assert_allclose(report.expert_loss, (weighted_rows * losses).sum(axis=0), rtol=1e-9)
    np.testing.assert_array_equal(report.n_rows, awake[weight > 0].sum(axis=0))
    if not weighted:
        own = [best_linear(X[mine], y[mine], fit_intercept=fit_intercept) for mine in awake.T]
        np.testing.assert_allclose(report.hindsight_loss, own, rtol=1e-8)
        own = [best_linear(X[mine], y[mine], 1.0, fit_intercept) for mine in awake.T]
        np.testing.assert_allclose(report.penalised_hindsight_loss, own, rtol=1e-8)


@pytest.mark.parametrize("expert", ["ridge", "forward", SGDRegressor(random_state=0)])
@pytest.mark.parametrize("aggregator", ["adanormalhedge", "specialists"])
@pytest.mark.parametrize("prediction", ["mean", "sample"])
def test_a_batch_is_the_loop_over_its_rows(expert, aggregator, prediction):
    X, y, membership = stream(64)
    parameters = {"aggregator": aggregator, "prediction": prediction, "random_state": 3}
    models = [GroupwiseRegressor(expert, **parameters) for _ in range(3)]
    online = models[0].predict_online(X, y, membership)
    for model, size in zip(models[1:], (1, 17), strict=True):
        parts = []
        for start in range(0, len(y), size):
            rows = slice(start, start + size)
            parts.append(model.predict_online(X[rows], y[rows], membership[rows]))
        np.testing.assert_allclose(np.concatenate(parts), online, atol=1e-11)
        np.testing.assert_allclose(model.regret_, models[0].regret_, atol=1e-11)
        np.testing.assert_allclose(model.predict(X, membership), models[0].predict(X, membership), atol=1e-10)
        np.testing.assert_allclose(model.expert_losses_, models[0].expert_losses_, atol=1e-11)
        for group in model.group_names_:
            for mine, theirs in zip(model.regret_curve(group), models[0].regret_curve(group), strict=True):
                np.testing.assert_allclose(mine, theirs, atol=1e-9)


def test_long_streams_are_chunked_without_a_trace():
    X, y, membership = stream(20_000)
    whole = GroupwiseRegressor(record=None).fit(X, y, membership)
    parts = GroupwiseRegressor(record=None)
    for rows in np.array_split(np.arange(len(y)), 5):
        parts.partial_fit(X[rows], y[rows], membership[rows])
    np.testing.assert_allclose(parts.regret_, whole.regret_, atol=1e-9)
    np.testing.assert_allclose(parts.coef_, whole.coef_, atol=1e-10)
    np.testing.assert_allclose(parts.regret_report().hindsight_loss, whole.regret_report().hindsight_loss, rtol=1e-9)


def test_memory_does_not_grow_without_a_record():
    X, y, membership = stream(12_288)
    sizes = []
    model = GroupwiseRegressor(record=None)
    for _ in range(3):
        sizes.append(len(pickle.dumps(model.partial_fit(X, y, membership))))
    assert max(sizes) - min(sizes) < 100
    with pytest.raises(AttributeError, match="record=None"):
        model.online_predictions_  # noqa: B018
    recorded = GroupwiseRegressor().fit(X, y, membership)
    assert len(recorded._checkpoint_rows) <= 40


def test_predict_is_the_next_online_prediction():
    X, y, membership = stream()
    for parameters in (
        {},
        {"expert": "forward"},
        {"prediction": "sample", "random_state": 0},
        {"aggregator": "specialists"},
        {"target_range": (0, 1)},
        {"expert": SGDRegressor(random_state=0)},
    ):
        model = GroupwiseRegressor(**parameters).fit(X[:200], y[:200], membership[:200])
        ahead = model.predict(X[200:201], membership[200:201])
        np.testing.assert_allclose(ahead, model.predict_online(X[200:201], y[200:201], membership[200:201]), atol=1e-12)


def test_no_target_leaks_into_its_own_prediction():
    X, y, membership = stream()
    changed = y.copy()
    changed[123] += 1000
    first = GroupwiseRegressor().predict_online(X, y, membership)
    second = GroupwiseRegressor().predict_online(X, changed, membership)
    np.testing.assert_array_equal(first[:124], second[:124])
    assert (first[124:] != second[124:]).all()


def test_one_group_is_online_ridge():
    X, y, _ = stream()
    model = GroupwiseRegressor().fit(X, y)
    ridge = OnlineRidge()
    np.testing.assert_allclose(model.online_predictions_, ridge.predict_online(X, y), atol=1e-13)
    np.testing.assert_allclose(model.coef_[0], ridge.coef_, atol=1e-12)
    np.testing.assert_allclose(model.intercept_[0], ridge.intercept_, atol=1e-12)
    np.testing.assert_array_equal(model.regret_, [0.0])


def test_mixture_is_never_worse_than_expected():
    X, y, membership = stream()
    model = GroupwiseRegressor().fit(X, y, membership)
    assert (model.mixture_losses_ <= model.expected_losses_ + 1e-15).all()


@pytest.mark.parametrize("aggregator", ["adanormalhedge", "specialists"])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("loss_scale", [1.0, 0.3])
def test_every_group_keeps_its_bound(aggregator, fit_intercept, loss_scale):
    for seed in range(3):
        X, y, membership = stream(600, seed)
        rng = np.random.default_rng(seed)
        for target in (y, (rng.random(600) < 0.5) * 1.0, np.arange(600) % 2.0, np.arange(600) / 599):
            model = GroupwiseRegressor(
                aggregator=aggregator,
                fit_intercept=fit_intercept,
                target_range=(0, 1),
                loss_scale=loss_scale,
            ).fit(X, target, membership)
            report = model.regret_report()
            assert (model.regret_ <= model.regret_bound() + 1e-12).all()
            np.testing.assert_allclose(
                model.regret_, loss_scale * (report.expected_loss - report.expert_loss), atol=1e-9
            )
            excess = loss_scale * (report.expected_loss - report.penalised_hindsight_loss)
            bound = model.regret_bound(against="hindsight")
            assert (excess <= bound).all()
            if not fit_intercept:
                own = [log_det(X[mine], 1.0) for mine in membership.T]
                np.testing.assert_allclose((bound - model.regret_bound())[:-1], loss_scale * np.array(own), rtol=1e-9)


def test_target_range_makes_units_irrelevant():
    X, y, membership = stream()
    unit = GroupwiseRegressor(target_range=(0, 1)).fit(X, y, membership)
    dollars = GroupwiseRegressor(target_range=(1000, 61_000)).fit(X, 1000 + 60_000 * y, membership)
    np.testing.assert_allclose(dollars.regret_, unit.regret_, atol=1e-9)
    np.testing.assert_allclose(dollars.online_predictions_[1:], 1000 + 60_000 * unit.online_predictions_[1:])
    np.testing.assert_allclose(dollars.regret_bound(), unit.regret_bound(), rtol=1e-6)


def test_regret_curves_end_in_the_report():
    X, y, membership = stream(700)
    model = GroupwiseRegressor(**PAPER).fit(X, y, membership)
    report = model.regret_report()
    for g, name in enumerate(model.group_names_):
        positions, values = model.regret_curve(name)
        assert positions[-1] == report.n_rows[g]
        np.testing.assert_allclose(values[-1], report.regret[g], atol=1e-9)
        mine = np.column_stack([membership, np.ones(700, bool)])[:, g]
        middle = len(positions) // 2
        n = positions[middle]
        losses = model.expected_losses_[mine][:n].sum()
        np.testing.assert_allclose(values[middle], losses - best_linear(X[mine][:n], y[mine][:n]), atol=1e-8)
        np.testing.assert_allclose(model.regret_curve(name, of="always")[1][-1], report.always_regret[g], atol=1e-9)
        np.testing.assert_allclose(model.regret_curve(g, "expert")[1][-1], model.regret_[g], atol=1e-9)
        np.testing.assert_allclose(
            model.regret_curve(g, "always")[1][-1], report.expected_loss[g] - report.always_loss[g], atol=1e-9
        )


def test_group_hindsight_ignores_collinear_columns():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(200, 3)), np.eye(4)[rng.integers(0, 4, 200)]]) * [1, 1e6, 1, 1, 1, 1, 1e-5]
    y = rng.normal(size=200) + 100
    membership = rng.random((200, 3)) < 0.5
    membership[:, 2] = False
    ours = group_hindsight(X, y, membership)
    for g in range(2):
        mine = membership[:, g]
        full = np.column_stack([X[mine][:, :6], np.ones(mine.sum())])
        np.testing.assert_allclose(ours[g], np.linalg.lstsq(full, y[mine])[1][0], rtol=1e-8)
    assert ours[2] == 0


# --- who is awake


@pytest.mark.filterwarnings("error")
def test_rows_that_nobody_is_awake_in():
    X, y, membership = stream()
    membership[::7] = False
    always = GroupwiseRegressor(include_always=False).fit(X, y, membership)
    baseline = OnlineRidge().predict_online(X, y)
    np.testing.assert_allclose(always.online_predictions_[::7], baseline[::7], atol=1e-12)
    np.testing.assert_allclose(always.expected_losses_[::7], (baseline[::7] - y[::7]) ** 2, atol=1e-12)
    assert always.n_fallback_rows_ == len(y[::7])
    assert np.isnan(always.regret_bound()[-1])
    assert always.weights_[-1] == always.regret_[-1] == 0
    missing = GroupwiseRegressor(include_always=False, fallback="nan").fit(X, y, membership)
    assert np.isnan(missing.expected_losses_[::7]).all()
    assert np.isnan(missing.online_predictions_).sum() == missing.n_fallback_rows_ == len(y[::7])
    np.testing.assert_array_equal(missing.group_names_, [f"group{i}" for i in range(5)])
    assert np.isnan(missing.predict(X[:1], membership[:1]))[0]
    np.testing.assert_allclose(missing.regret_, always.regret_[:-1], atol=1e-12)
    with pytest.raises(ValueError, match="43 rows belong to no group, the first at position 0"):
        GroupwiseRegressor(include_always=False, fallback="raise").fit(X, y, membership)
    strict = GroupwiseRegressor(include_always=False, fallback="raise").fit(X[1:5], y[1:5], membership[1:5])
    with pytest.raises(ValueError, match="1 rows belong to no group"):
        strict.predict(X[:1], membership[:1])


def test_without_always_nothing_but_the_weights_changes():
    X, y, membership = stream()
    hedge = AdaNormalHedge(5)
    model = GroupwiseRegressor(include_always=False).fit(X, y, membership)
    hedge.update(np.nan_to_num(model.expert_losses_[:, :-1]), membership)
    np.testing.assert_allclose(model.regret_[:-1], hedge.regret_, atol=1e-9)


@pytest.mark.parametrize("expert", ["ridge", SGDRegressor(random_state=0)])
def test_weightless_rows_and_rows_without_groups_leave_no_trace(expert):
    X, y, membership = stream()
    extra = np.sort(np.random.default_rng(0).integers(0, len(y), 50))
    plain = GroupwiseRegressor(expert, include_always=False, fallback="nan").fit(X, y, membership)
    Z, t = np.insert(X, extra, 0.3, axis=0), np.insert(y, extra, 0.9)
    for awake, weight in ((False, 1.0), (True, 0.0)):
        other = GroupwiseRegressor(expert, include_always=False, fallback="nan").fit(
            Z, t, np.insert(membership, extra, awake, axis=0), np.insert(np.ones(len(y)), extra, weight)
        )
        np.testing.assert_allclose(other.regret_, plain.regret_, atol=1e-11)
        np.testing.assert_allclose(other.predict(X, membership), plain.predict(X, membership), atol=1e-11)
        np.testing.assert_array_equal(other.group_counts_, plain.group_counts_)
        np.testing.assert_allclose(other.regret_report().expected_loss, plain.regret_report().expected_loss, rtol=1e-10)


def test_membership_in_every_form():
    X, y, membership = stream()
    names = ["circle", "square", "triangle", "green", "red"]
    plain = GroupwiseRegressor().fit(X, y, membership)
    for table in (
        membership.astype(int).tolist(),
        membership.astype(float),
        sparse.csr_matrix(membership),
        pd.DataFrame(membership, columns=names),
        pl.DataFrame(membership, schema=names),
    ):
        model = GroupwiseRegressor().fit(X, y, table)
        np.testing.assert_array_equal(model.regret_, plain.regret_)
        np.testing.assert_array_equal(model.predict(X, table), plain.predict(X, membership))
    frame = pd.DataFrame(membership, columns=names)
    model = GroupwiseRegressor().fit(X, y, frame)
    np.testing.assert_array_equal(model.group_names_, [*names, "always"])
    np.testing.assert_array_equal(model.predict(X, frame[names[::-1]]), plain.predict(X, membership))


def test_groups_that_appear_in_the_middle_of_a_stream():
    X, y, membership = stream()
    names = ["circle", "square", "triangle", "green", "red"]
    frame = pd.DataFrame(membership, columns=names)
    frame.loc[:149, "red"] = False
    known = GroupwiseRegressor().fit(X, y, frame)
    grown = GroupwiseRegressor()
    grown.partial_fit(X[:150], y[:150], frame.iloc[:150][names[:4]])
    grown.partial_fit(X[150:], y[150:], frame.iloc[150:])
    np.testing.assert_array_equal(grown.group_names_, known.group_names_)
    np.testing.assert_allclose(grown.regret_, known.regret_, atol=1e-11)
    np.testing.assert_allclose(grown.expert_losses_, known.expert_losses_, atol=1e-11)
    np.testing.assert_allclose(grown.regret_curve("red")[1], known.regret_curve("red")[1], atol=1e-9)
    np.testing.assert_allclose(grown.predict(X, frame), known.predict(X, frame), atol=1e-11)
    with pytest.raises(ValueError, match=r"with the unknown \['blue'\]"):
        grown.predict(X, frame.assign(blue=True))
    with pytest.raises(ValueError, match=r"without \['red'\]"):
        grown.partial_fit(X, y, frame[names[:4]])


def test_groups_from_conditions_on_X():
    X, y, membership = stream()
    columns = [f"x{i}" for i in range(4)] + ["circle", "square", "triangle", "green", "red"]
    frame = pd.DataFrame(X, columns=columns)
    plain = GroupwiseRegressor().fit(X, y, membership)
    for data, groups in (
        (frame, columns[4:]),
        (pl.DataFrame(X, schema=columns), {name: (name, "==", 1) for name in columns[4:]}),
        (frame, {name: [(name, ">", 0.5), (name, "in", {1.0})] for name in columns[4:]}),
        (X, {name: (i + 4, ">=", 1) for i, name in enumerate(columns[4:])}),
        (X, {name: lambda X, i=i: X[:, i + 4] == 1 for i, name in enumerate(columns[4:])}),
    ):
        model = GroupwiseRegressor(groups=groups).fit(data, y)
        np.testing.assert_array_equal(model.group_names_[:-1], columns[4:])
        np.testing.assert_array_equal(model.regret_, plain.regret_)
        np.testing.assert_array_equal(model.predict(data), plain.predict(X, membership))


def test_make_intersections():
    people = pd.DataFrame({"sex": list("fmfm"), "race": list("aabb"), "age": [20, 30, 40, 50]})
    groups = make_intersections(["sex", "race"], X=people)
    assert list(groups) == [
        "sex=f", "sex=m", "race=a", "race=b",
        "sex=f & race=a", "sex=f & race=b", "sex=m & race=a", "sex=m & race=b",
    ]  # fmt: skip
    model = GroupwiseRegressor(groups=groups).fit(people[["age"]].assign(sex=0, race=0), np.arange(4.0))
    np.testing.assert_array_equal(model.group_counts_, [0] * 8 + [4])
    assert list(make_intersections(["sex", "race"], X=people, min_rows=2)) == list(groups)[:4]
    assert list(make_intersections({"young": ("age", "<", 35)}, order=3)) == ["young"]
    assert pickle.loads(pickle.dumps(groups)) == groups
    with pytest.raises(ValueError, match="order must be an integer of at least 1"):
        make_intersections(groups, order=0)


def test_membership_by_metadata_routing_and_groups_in_a_pipeline():
    X, y, membership = stream()
    with sklearn.config_context(enable_metadata_routing=True):
        model = GroupwiseRegressor().set_fit_request(membership=True).set_predict_request(membership=True)
        model.set_score_request(sample_weight=False)
        pipe = make_pipeline(MinMaxScaler(), model).fit(X, y, membership=membership)
        direct = GroupwiseRegressor().fit(MinMaxScaler().fit_transform(X), y, membership)
        np.testing.assert_allclose(
            pipe.predict(X, membership=membership),
            direct.predict(MinMaxScaler().fit_transform(X), membership),
        )
    groups = {name: (i, "==", 1) for i, name in enumerate("abcde", start=4)}
    search = GridSearchCV(
        make_pipeline(make_column_transformer((MinMaxScaler(), [0]), remainder="passthrough"),
                      GroupwiseRegressor(groups=groups)),
        {"groupwiseregressor__alpha": [0.1, 1.0, 10.0]},
        cv=3,
    ).fit(X, y)  # fmt: skip
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("parameters", "change", "message"),
    [
        ({}, {"membership": np.ones((300, 3, 1))}, "membership must have shape"),
        ({}, {"membership": np.ones((10, 3))}, "300 rows"),
        ({}, {"membership": np.full((300, 2), 2)}, "membership must be boolean"),
        ({}, {"membership": np.full((300, 2), np.nan)}, "membership contains NaN|Input membership"),
        ({}, {"membership": pd.DataFrame({"always": np.ones(300, bool)})}, "'always' is taken"),
        ({}, {"y": np.full(300, np.nan)}, "NaN"),
        ({}, {"sample_weight": np.full(300, -1.0)}, "[Nn]egative"),
        ({"alpha": 0.0}, {}, "alpha"),
        ({"dtype": "float32", "alpha": 1e-3}, {}, "alpha >= 0.01"),
        ({"target_range": (0, 0.5)}, {}, r"y must lie in target_range=\(0, 0.5\)"),
        ({"target_range": (1, 0)}, {}, "low < high"),
        ({"clip": (1, 0)}, {}, "clip must be a pair"),
        ({"clip": True}, {}, "clip=True needs a target_range"),
        ({"groups": {"a": (0, ">", 0.5)}}, {}, "must not be passed"),
        ({"groups": {"a": (0, "~", 0.5)}}, {"membership": None}, "with an operator among"),
        ({"groups": {"a": ("age", ">", 0.5)}}, {"membership": None}, "needs X as a DataFrame"),
        ({"groups": {"a": lambda X: np.ones(3)}}, {"membership": None}, "one boolean per row"),
        ({"groups": {"always": (0, ">", 0.5)}}, {"membership": None}, "is taken"),
        ({"include_always": False}, {"membership": None}, "no expert without groups"),
    ],
)  # fmt: skip
def test_bad_input(parameters, change, message):
    X, y, membership = stream()
    arguments = {"X": X, "y": y, "membership": membership} | change
    with pytest.raises(ValueError, match=message):
        GroupwiseRegressor(**parameters).fit(**arguments)


def test_bad_input_leaves_a_stream_as_it_was():
    X, y, membership = stream()
    model = GroupwiseRegressor(target_range=(0, 1)).fit(X, y, membership)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="column for each of the 5 groups"):
        model.partial_fit(X, y, membership[:, :4])
    with pytest.raises(ValueError, match="target_range"):
        model.partial_fit(X, y + 1, membership)
    with pytest.raises(ValueError, match="membership is needed"):
        model.predict(X)
    with pytest.raises(ValueError, match="membership is needed"):
        model.partial_fit(X, y)
    assert pickle.dumps(model) == before
    assert model.fit(X, y).group_names_.tolist() == ["always"]


def test_bounds_are_refused_where_they_do_not_hold():
    X, y, membership = stream()
    with pytest.raises(ValueError, match="no guarantee for losses above 1"):
        GroupwiseRegressor().fit(X, 100 * y, membership).regret_bound()
    with pytest.raises(ValueError, match="and predictions clipped to target_range"):
        GroupwiseRegressor().fit(X, y, membership).regret_bound(against="hindsight")
    with pytest.raises(ValueError, match="sample_weight other than 0 and 1"):
        GroupwiseRegressor(Unweighable()).fit(X, y, membership, np.full(len(y), 0.5))


class Unweighable(sklearn.base.RegressorMixin, sklearn.base.BaseEstimator):
    """Predicts the last target it saw."""

    def partial_fit(self, X, y):
        self.last_ = y[-1]
        return self

    def predict(self, X):
        return np.full(len(X), self.last_)


def test_any_estimator_is_an_expert():
    X, y, membership = stream(100)
    expert = Unweighable()
    online = GroupwiseRegressor(expert, include_always=False).predict_online(X, y, membership[:, :3])
    shape = membership[:, :3].argmax(axis=1)
    last = {}
    for t in range(100):
        assert online[t] == last.get(shape[t], 0.0)
        last[shape[t]] = y[t]
    assert not hasattr(expert, "last_")


def test_orders_are_those_of_pandas():
    frame = pd.DataFrame({"age": np.random.default_rng(0).integers(20, 30, 50)})
    for seed, order in zip((473, 503), shuffled_orders(50), strict=False):
        shuffled = frame.sample(frac=1, random_state=seed)
        np.testing.assert_array_equal(order, shuffled.index)
        by_age = shuffled.sort_values("age", kind="stable").index
        np.testing.assert_array_equal(sorted_order(frame["age"], seed=seed), by_age)
        np.testing.assert_array_equal(sorted_order(frame["age"], seed=seed, descending=True), by_age[::-1])
    assert len(list(shuffled_orders(5))) == 10
