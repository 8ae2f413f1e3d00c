"""What a new user gets wrong: every error names the argument, what was found and what is expected."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import SGDRegressor

from trustml.datasets import make_groupwise_regression
from trustml.online import (
    AdaNormalHedge,
    GroupwiseRegressor,
    OnlineRidge,
    group_hindsight,
    make_intersections,
    shuffled_orders,
    sorted_order,
)

N = 4  # rows that never reach the compiled path
X, y, membership = make_groupwise_regression(N, 4, random_state=0)
FRAME = pd.DataFrame(X, columns=list("abcdefghi"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.array(["no", "yes", "no", "yes"])}, "y must be numbers; got dtype <U3 with no first"),
        ({"membership": np.array(["f", "m", "f", "m"])}, r"got \(4,\).*pandas.get_dummies"),
        ({"membership": membership[:, 0]}, "A single group is a table of one column"),
        ({"membership": pd.DataFrame({"sex": ["f", "m", "f", "m"]})}, "must be boolean.*with f first.*get_dummies"),
        ({"membership": pd.DataFrame({"a": pd.array([True, None] * 2, dtype="boolean")})}, "membership contains NaN"),
    ],
)
def test_rows_and_groups(change, message):
    with pytest.raises(ValueError, match=message):
        GroupwiseRegressor().fit(**{"X": X, "y": y, "membership": membership} | change)


@pytest.mark.parametrize("pair", [(0, np.nan), (0, np.inf), ("a", "b"), (0, 1, 2), (None, 1), (1, 1), ()])
@pytest.mark.parametrize("name", ["target_range", "clip"])
def test_intervals(name, pair):
    with pytest.raises(ValueError, match=f"{name} must be a pair .low, high. of finite numbers"):
        GroupwiseRegressor(**{name: pair}).fit(X, y)


@pytest.mark.parametrize(
    ("data", "groups", "message"),
    [
        (FRAME, {"old": ("age", ">", 1)}, "names the column 'age'; X has .'a', 'b'"),
        (X, {"old": (9, ">", 1)}, "names the column 9; X has 9 columns"),
        (X, {"old": (0, ">", "x")}, r"groups\['old'\] compares by '>' a column of dtype float64 with 'x'"),
        (X, {"old": (0, "in", 1)}, r"groups\['old'\] compares by 'in'"),
    ],
)
def test_conditions(data, groups, message):
    with pytest.raises(ValueError, match=message):
        GroupwiseRegressor(groups=groups).fit(data, y)


def test_nameless_functions_are_numbered():
    model = GroupwiseRegressor(groups=[lambda X: X[:, 0] > 0.5, lambda X: X[:, 1] > 0.5]).fit(X, y)
    np.testing.assert_array_equal(model.group_names_, ["group0", "group1", "always"])


@pytest.mark.parametrize("group", [None, 1.5, -1, 6])
def test_group_of_a_curve(group):
    model = GroupwiseRegressor().fit(X, y, membership)
    with pytest.raises(ValueError, match="group must be a name or a position below 6"):
        model.regret_curve(group)


@pytest.mark.parametrize(
    "change",
    [
        {"expert": "forward"},
        {"expert": SGDRegressor()},
        {"include_always": False},
        {"alpha": 5.0},
        {"fit_intercept": False},
        {"target_range": (0, 2)},
        {"aggregator": "specialists"},
        {"loss_scale": 2.0},
        {"fallback": "nan"},
        {"record": None},
    ],
)
def test_a_stream_goes_on_as_it_began(change):
    model = GroupwiseRegressor(target_range=(0, 1)).partial_fit(X, y, membership)
    (name,) = change
    with pytest.raises(ValueError, match=f"{name}=.*stream that began with {name}=.*Call fit to begin anew"):
        model.set_params(**change).partial_fit(X, y, membership)
    model.set_params(**{name: getattr(GroupwiseRegressor(target_range=[0, 1]), name)})  # the same values as before
    assert model.partial_fit(X, y, membership).n_rows_seen_ == 2 * N
    model.set_params(prediction="sample", clip=False, dtype="float32").partial_fit(X, y, membership)
    assert model.set_params(**change).fit(X, y, membership).n_rows_seen_ == N


def test_a_ridge_goes_on_as_it_began():
    model = OnlineRidge(alpha=np.float64(1.0)).partial_fit(X, y).set_params(alpha=1).partial_fit(X, y)
    with pytest.raises(ValueError, match=r"alpha=2.0 found in a stream that began with alpha=.*1.0"):
        model.set_params(alpha=2.0).partial_fit(X, y)
    with pytest.raises(ValueError, match="y must be numbers"):
        OnlineRidge().fit(X, np.array(["a"] * N))


@pytest.mark.parametrize("n_rows", [1, 3, 8])
@pytest.mark.parametrize("forgetting", [False, True])
def test_an_inverse_that_is_lost_says_what_to_change(n_rows, forgetting):
    learnt, targets = np.ones((20, 2)) * [1.0, 1e9], np.arange(20.0)
    message = r"magnitudes up to 1e\+09.*standardise X.*larger alpha" + forgetting * ".*forgetting_factor nearer"
    model = OnlineRidge(fit_intercept=False, forgetting_factor=0.999 if forgetting else 1.0)
    states = []

    def stream():
        for start in range(0, 20, n_rows):
            model.partial_fit(learnt[start : start + n_rows], targets[start : start + n_rows])
            states.append((model.covariance_.copy(), model.n_samples_seen_))

    model.partial_fit(learnt[:1], targets[:1])
    states.append((model.covariance_.copy(), 1))
    with pytest.raises(ValueError, match=message):
        stream()
    np.testing.assert_array_equal(model.covariance_, states[-1][0])
    assert model.n_samples_seen_ == states[-1][1]


def test_aggregators():
    assert AdaNormalHedge(np.int64(2), loss_scale=np.float32(1)).update([0, 1]) == 0.5
    with pytest.raises(ValueError, match=r"losses must have a column for each of 2 experts; got shape \(1, 3\)"):
        AdaNormalHedge(2).update([0, 1, 0])
    with pytest.raises(ValueError, match=r"got 2\.0 for expert 1 in round 0"):
        AdaNormalHedge(2).update([0, 2])
    with pytest.raises(ValueError, match="losses and awake must have the same shape"):
        AdaNormalHedge(2).update([[0, 1], [1, 0]], [True, False])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_weight": [-1.0] * N}, "Negative values"),
        ({"sample_weight": [np.nan] * N}, "sample_weight contains NaN"),
        ({"alpha": -1.0}, "alpha == -1.0, must be >= 0"),
        ({"y": [np.nan] * N}, "y contains NaN"),
        ({"X": X * 1e200}, "X holds a number beyond"),
    ],
)
def test_group_hindsight(change, message):
    with pytest.raises(ValueError, match=message):
        group_hindsight(**{"X": X, "y": y, "membership": membership} | change)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_intersections({"a": (0, ">", 1)}, order=1.5), "order must be an integer of at least 1; got 1.5"),
        (lambda: make_intersections(["a"], X=pd.DataFrame({"a": ["x", None]})), "Column 'a' of X has missing values"),
        (lambda: make_intersections(["a"], X=pd.DataFrame({"a": ["x", 1]})), "'a' of X holds categories that cannot"),
        (lambda: make_intersections(["b"], X=pd.DataFrame({"a": ["x", "y"]})), "names the column 'b'; X has .'a'"),
        (lambda: next(shuffled_orders(-1)), "n_rows == -1"),
        (lambda: sorted_order([1.0, np.nan]), "key holds missing values"),
        (lambda: sorted_order([[1, 2], [2, 1]]), "should be a 1d array"),
    ],
)
def test_groups_and_orders(call, message):
    with pytest.raises(ValueError, match=message):
        call()
