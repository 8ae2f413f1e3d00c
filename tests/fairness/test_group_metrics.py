"""Rates of groups against scikit-learn and against a bootstrap of the rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, precision_score, recall_score

from trustml.fairness import group_metric_frame


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    truth, group = rng.integers(0, 2, size=400), rng.choice(["a", "b", "c"], size=400, p=[0.5, 0.3, 0.2])
    return truth, truth ^ (rng.random(400) < 0.2), group


def test_rates_are_those_of_scikit_learn(data):
    truth, predicted, group = data
    names = ["accuracy", "precision", "true_positive_rate", "false_positive_rate", "selection_rate", "base_rate"]
    found = group_metric_frame(truth, predicted, group, names, n_boot=10)
    for label, values in zip(found.groups, found.by_group, strict=True):
        t, p = truth[group == label], predicted[group == label]
        false_positives = 1 - recall_score(t, p, pos_label=0)
        expected = [
            accuracy_score(t, p),
            precision_score(t, p),
            recall_score(t, p),
            false_positives,
            p.mean(),
            t.mean(),
        ]
        np.testing.assert_allclose(values, expected)
    np.testing.assert_allclose(found.overall[0], accuracy_score(truth, predicted))
    np.testing.assert_allclose(found.difference, np.ptp(found.by_group, axis=0))
    np.testing.assert_allclose(found.ratio, found.by_group.min(axis=0) / found.by_group.max(axis=0))
    complement = group_metric_frame(truth, predicted, group, ["false_negative_rate", "true_negative_rate"], n_boot=10)
    np.testing.assert_allclose(complement.by_group, 1 - found.by_group[:, 2:4])


def test_intervals_are_those_of_a_bootstrap_of_rows(data):
    truth, predicted, group = data
    found = group_metric_frame(truth, predicted, group, ["accuracy"], n_boot=20_000, confidence=0.9, random_state=0)
    rng = np.random.default_rng(1)
    accuracies = []
    for _ in range(2000):
        rows = rng.integers(400, size=400)
        right = truth[rows] == predicted[rows]
        accuracies.append([right[group[rows] == label].mean() for label in "abc"])
    expected = np.quantile(accuracies, [0.05, 0.95], axis=0).T
    np.testing.assert_allclose(found.by_group_interval[:, 0], expected, atol=0.01)
    spread = np.quantile(np.ptp(accuracies, axis=1), [0.05, 0.95])
    np.testing.assert_allclose(found.difference_interval[0], spread, atol=0.01)


def test_what_cannot_be_estimated_is_nan():
    found = group_metric_frame([0, 0, 1, 1], [0, 1, 1, 1], ["a", "a", "b", "b"], ["true_positive_rate"], n_boot=50)
    np.testing.assert_array_equal(found.by_group[:, 0], [np.nan, 1])
    assert np.isnan(found.by_group_interval[0]).all()
    assert np.isnan(found.difference).all()
    assert np.isnan(found.difference_interval).all()


def test_frames_intersections_and_labels(data):
    truth, predicted, group = data
    frame = pd.DataFrame({"one": group, "two": pd.Categorical(np.where(truth, "x", "y"), list("xyz"))})
    words = np.array(["bad", "good"])
    found = group_metric_frame(words[truth], words[predicted], frame, "accuracy", n_boot=10, random_state=0)
    assert found.groups.tolist() == ["a & x", "a & y", "b & x", "b & y", "c & x", "c & y"]
    assert found.empty_groups == ["z"]
    table = found.to_frame()
    assert table.columns.tolist() == ["group", "metric", "rows", "value", "low", "high"]
    assert table["rows"].sum() == 400
    again = group_metric_frame(words[truth], words[predicted], frame, "accuracy", n_boot=10, random_state=0)
    np.testing.assert_array_equal(found.by_group_interval, again.by_group_interval)
    bad = group_metric_frame(words[truth], words[predicted], group, "selection_rate", pos_label="bad", n_boot=10)
    np.testing.assert_allclose(bad.overall, 1 - predicted.mean())


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([0, 1], [0, 1], ["a", "b"], ["auc"]), {}, "metrics="),
        (([0, 1, 2], [0, 1, 2], ["a", "b", "c"]), {}, "y_true has the labels"),
        (([0, 1, 1], [0, 1, 2], ["a", "b", "c"]), {}, "y_pred has the labels"),
        (([0, 1], [0, 1], ["a"]), {}, "sensitive_features has 1 rows"),
        (([0, 1], [0, 1], ["a", None]), {}, "1 missing labels"),
        (([0, 1], [0, 1], ["a", "b"]), {"pos_label": 7}, "pos_label=7"),
    ],
)
def test_bad_input(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        group_metric_frame(*arguments, **options)
