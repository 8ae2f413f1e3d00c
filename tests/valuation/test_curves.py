import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

from trustml.datasets import make_mislabelled_classification
from trustml.valuation._curves import addition_curve, detection_curve, removal_curve


@pytest.fixture(scope="module")
def table():
    X, y, is_flipped = make_mislabelled_classification(90, 4, n_classes=3, flip_fraction=0.3, random_state=0)
    values = np.random.RandomState(0).normal(size=60) - 2.0 * is_flipped[:60]
    return {"X": X[:60], "y": y[:60], "data_values": values, "X_test": X[60:], "y_test": y[60:]}


def by_hand(table, order, n_rows):
    """Scores of a logistic regression on the first rows of an order, the slow and obvious way."""
    scores = []
    for n in n_rows:
        rows = np.sort(order[:n])
        model = LogisticRegression().fit(table["X"][rows], table["y"][rows])
        scores.append(model.score(table["X_test"], table["y_test"]))
    return scores


@pytest.mark.parametrize(("order", "sign"), [("lowest", 1), ("highest", -1)])
def test_removal_equals_fits_by_hand(table, order, sign):
    fractions = [0.5, 0, 0.25]
    curve = removal_curve(LogisticRegression(), **table, order=order, fractions=fractions)
    removed_first = np.argsort(sign * table["data_values"])
    np.testing.assert_array_equal(curve.n_rows, [30, 60, 45])
    np.testing.assert_array_equal(curve.fractions, fractions)
    np.testing.assert_array_equal(curve.scores, by_hand(table, removed_first[::-1], [30, 60, 45]))


@pytest.mark.parametrize(("order", "sign"), [("lowest", 1), ("highest", -1)])
def test_addition_equals_fits_by_hand(table, order, sign):
    curve = addition_curve(LogisticRegression(), **table, order=order, fractions=[0.2, 0.5, 1])
    added_first = np.argsort(sign * table["data_values"])
    np.testing.assert_array_equal(curve.n_rows, [12, 30, 60])
    np.testing.assert_array_equal(curve.scores, by_hand(table, added_first, [12, 30, 60]))


def test_adding_the_highest_is_removing_the_lowest_read_backwards(table):
    fractions = np.linspace(0.1, 0.9, 9)
    added = addition_curve(LogisticRegression(), **table, order="highest", fractions=fractions)
    removed = removal_curve(LogisticRegression(), **table, order="lowest", fractions=1 - fractions)
    np.testing.assert_array_equal(added.n_rows, removed.n_rows)
    np.testing.assert_array_equal(added.scores, removed.scores)


def test_defaults(table):
    np.testing.assert_allclose(removal_curve(Ridge(), **table).fractions, np.arange(11) / 20)
    np.testing.assert_allclose(addition_curve(Ridge(), **table).fractions, np.arange(1, 11) / 20)


def test_random_order_repeats_with_the_seed_and_ignores_the_values(table):
    def curve(values, seed):
        arguments = table | {"data_values": values}
        return removal_curve(Ridge(), **arguments, order="random", random_state=seed).scores

    values = table["data_values"]
    np.testing.assert_array_equal(curve(values, 0), curve(-values, 0))
    assert (curve(values, 0) != curve(values, 1)).any()


def test_scores_do_not_depend_on_n_jobs(table):
    model = DecisionTreeClassifier(random_state=0)
    np.testing.assert_array_equal(removal_curve(model, **table, n_jobs=2).scores, removal_curve(model, **table).scores)


def test_one_class_left_makes_the_constant_model(table):
    only_class_0 = table | {"data_values": np.where(table["y"] == 0, 1.0, 0.0)}
    curve = addition_curve(LogisticRegression(), **only_class_0, fractions=[0.1])
    assert curve.scores[0] == np.mean(table["y_test"] == 0)


def test_a_class_that_is_gone_has_probability_zero(table):
    n_two_classes = np.sum(table["y"] < 2)
    without_2 = table | {"data_values": np.where(table["y"] < 2, 1.0, 0.0)}
    curve = addition_curve(LogisticRegression(), **without_2, fractions=[n_two_classes / 60], scoring="neg_log_loss")
    rows = table["y"] < 2
    model = LogisticRegression().fit(table["X"][rows], table["y"][rows])
    probabilities = np.column_stack([model.predict_proba(table["X_test"]), np.zeros(30)])
    assert curve.scores[0] == pytest.approx(-log_loss(table["y_test"], probabilities), rel=1e-12)


def test_strings_frames_and_lists(table):
    pd = pytest.importorskip("pandas")
    names = np.array(["ape", "bee", "cat"])
    curve = removal_curve(
        LogisticRegression(),
        pd.DataFrame(table["X"]).add_prefix("x"),
        pd.Series(names[table["y"]]),
        table["data_values"].tolist(),
        X_test=pd.DataFrame(table["X_test"]).add_prefix("x"),
        y_test=names[table["y_test"]],
    )
    np.testing.assert_array_equal(curve.scores, removal_curve(LogisticRegression(), **table).scores)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fractions": [0.5, 1.0]}, r"fractions=1.0 of 60 rows leaves no row"),
        ({"fractions": [-0.1]}, r"fractions must lie in \[0, 1\]; got \[-0.1\]"),
        ({"fractions": [np.nan]}, "fractions contains NaN"),
        ({"order": "worst"}, "'order' parameter"),
        ({"data_values": np.zeros(59)}, "inconsistent numbers of samples"),
        ({"data_values": np.full(60, np.nan)}, "data_values contains NaN"),
        ({"y_test": np.full(30, 7)}, r"y_test holds labels that y does not: \[7\]"),
        ({"X_test": np.zeros((29, 4))}, "inconsistent numbers of samples"),
    ],
)
def test_bad_input_is_named(table, change, message):
    with pytest.raises(ValueError, match=message):
        removal_curve(LogisticRegression(), **(table | change))


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30).filter(
        lambda rows: 0 < sum(flip for _, flip in rows) < len(rows)
    )
)
def test_area_under_the_detection_curve(rows):
    values, flips = np.array(rows, float).T
    curve = detection_curve(values, flips)
    for axis in (curve.inspected, curve.found):
        assert axis[0] == 0
        assert axis[-1] == pytest.approx(1)
        assert np.all(np.diff(axis) >= 0)
    # A cumulative-gain curve has the area of the ROC curve, but for the wrong rows among those inspected.
    share = flips.mean()
    area = np.trapezoid(curve.found, curve.inspected)
    assert area == pytest.approx(share / 2 + (1 - share) * curve.auroc, abs=1e-12)
    assert curve.recall == pytest.approx(np.interp(share, curve.inspected, curve.found))


def test_a_perfect_and_a_useless_ranking():
    flips = np.repeat([True, False], [3, 7])
    perfect = detection_curve(np.arange(10), flips)
    assert (perfect.auroc, perfect.recall) == (1, 1)
    useless = detection_curve(np.zeros(10), flips)
    assert useless.auroc == 0.5
    np.testing.assert_allclose(useless.found, useless.inspected)
