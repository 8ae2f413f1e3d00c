"""Closed forms, identities and bounds of the coefficient for given judgments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustml.fairness import linco_from_judgments
from trustml.fairness._debias import split_half_gaps, squared_gaps

# Judges 1, 2, 3 say 1, 2, 3; 2, 2, 5; 6, 2, 1 about three cases.
THREE = np.array([[1.0, 2, 6], [2, 2, 2], [3, 5, 1]])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 2.0),
        ({"aggregate": "std"}, 1.0),
        ({"aggregate": "std", "ddof": 1}, np.sqrt(2)),
        ({"aggregate": "cv"}, 1 / 3),
        ({"aggregate": "cv", "ddof": 1}, np.sqrt(2) / 3),
        ({"disagreement": "relative"}, 2 / 3),
    ],
)
def test_two_judges(options, expected):
    assert linco_from_judgments([[2.0, 4.0]], **options).linco == pytest.approx(expected, rel=1e-12)


def test_three_judges():
    found = linco_from_judgments(THREE)
    np.testing.assert_allclose(found.pairwise[[0, 0, 1], [1, 2, 2]], [1, 7 / 3, 8 / 3])
    np.testing.assert_allclose(found.case_inconsistency, [10 / 3, 0, 8 / 3])
    assert found.linco == pytest.approx(2)
    squares = linco_from_judgments(THREE, disagreement="squared").case_inconsistency
    np.testing.assert_allclose(squares, [14, 0, 8])
    np.testing.assert_allclose(squares, 2 * 3 / 2 * THREE.var(axis=1))
    assert linco_from_judgments(THREE, aggregate="range").case_inconsistency.tolist() == [5, 0, 4]


def test_labels_are_gini_impurities():
    labels = np.array([[0, 1, 1, 2], [0, 1, 2, 2], [0, 0, 1, 2]]).T
    found = linco_from_judgments(labels.astype(str))
    np.testing.assert_allclose(found.case_inconsistency, [0, 2 / 3, 2 / 3, 0])
    assert found.linco == pytest.approx(1 / 3)


def test_probabilities():
    p = np.array([[0.2, 0.5], [0.9, 0.9]])
    both = np.stack([1 - p, p], axis=-1)
    padded = np.concatenate([both, np.zeros((2, 2, 1))], axis=-1)
    for name in ("tv", "hellinger", "js", "squared"):
        two, three = (linco_from_judgments(J, disagreement=name).linco for J in (both, padded))
        assert two == pytest.approx(three, rel=1e-12)
    assert linco_from_judgments(both).linco == pytest.approx(0.15)
    assert linco_from_judgments([[[1, 0, 0], [0, 0, 1]]], disagreement="js").linco == pytest.approx(1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_split_half_identity_and_invariances(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, 5, 2, 1))
    v = np.full(5, 0.2)
    a1, b1, a2, b2 = first[:, 0], first[:, 1], second[:, 0], second[:, 1]
    crossed = np.mean([(a1 - b1) ** 2, (a1 - b2) ** 2, (a2 - b1) ** 2, (a2 - b2) ** 2])
    within = np.mean((a1 - a2) ** 2 + (b1 - b2) ** 2)
    assert split_half_gaps(first, second, v)[0, 1] == pytest.approx(crossed - within / 2, abs=1e-12)
    np.testing.assert_allclose(split_half_gaps(first, first, v), squared_gaps(first, v), atol=1e-12)
    J = rng.normal(size=(4, 3))
    found, permuted = linco_from_judgments(J), linco_from_judgments(J[:, [2, 0, 1]])
    assert permuted.linco == pytest.approx(found.linco)
    np.testing.assert_allclose(permuted.pairwise, found.pairwise[np.ix_([2, 0, 1], [2, 0, 1])])
    assert found.linco <= np.sqrt(linco_from_judgments(J, disagreement="squared").linco) + 1e-12
    assert found.pairwise[0, 2] <= found.pairwise[0, 1] + found.pairwise[1, 2] + 1e-12


@pytest.mark.parametrize(
    ("judgments", "options", "message"),
    [
        ([1.0, 2.0], {}, "judgments has shape"),
        ([[1.0], [2.0]], {}, "1 judge"),
        ([[1.0, np.nan]], {}, "NaN"),
        ([[[0.5, 0.6], [0.5, 0.5]]], {}, "sum to one"),
        ([["a", "b"]], {"aggregate": "std"}, "aggregate='std'"),
        ([[1.0, 2.0]], {"disagreement": "tv"}, "disagreement='tv'"),
        ([[1.0, 2.0]], {"case_weight": [1, 1]}, "case_weight"),
    ],
)
def test_bad_input(judgments, options, message):
    with pytest.raises(ValueError, match=message):
        linco_from_judgments(judgments, **options)
