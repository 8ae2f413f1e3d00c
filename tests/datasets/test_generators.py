import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustml.datasets import make_flipped_labels, make_mislabelled_classification, make_noisy_sources


@given(
    y=st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=40).filter(lambda y: len(set(y)) > 1),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 100),
)
def test_flips_as_many_rows_as_it_says_and_marks_them(y, fraction, seed):
    y = np.array(y)
    before = y.copy()
    flipped, mask = make_flipped_labels(y, fraction, random_state=seed)
    assert mask.sum() == round(fraction * len(y))
    np.testing.assert_array_equal(flipped != y, mask)
    assert set(flipped) <= set(y)
    np.testing.assert_array_equal(y, before)


def test_every_other_class_is_equally_likely():
    y = np.zeros(30_000, dtype=int)
    y[:3] = [1, 2, 3]
    flipped, _ = make_flipped_labels(y, 1.0, random_state=0)
    shares = np.bincount(flipped[3:], minlength=4) / len(flipped[3:])
    np.testing.assert_allclose(shares, [0, 1 / 3, 1 / 3, 1 / 3], atol=0.015)  # 5 standard errors


def test_same_seed_same_flips_other_seed_others():
    y = np.arange(100) % 3
    first, again, other = (make_flipped_labels(y, 0.2, random_state=seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_accepts_a_series_and_keeps_the_dtype():
    pd = pytest.importorskip("pandas")
    flipped, _ = make_flipped_labels(pd.Series([0, 1, 1, 0], dtype="int8"), 0.5, random_state=0)
    assert flipped.dtype == np.int8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 1, 1], 0.1), "single class 1"),
        (([0.5, 1.5, 2.25], 0.1), "Unknown label type"),
        (([[0, 1], [1, 0]], 0.1), "1d array"),
        (([0, 1], 1.5), "'fraction' parameter"),
    ],
)
def test_bad_labels_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_flipped_labels(*arguments, random_state=0)


def test_mislabelled_classification_separates_but_for_the_flips():
    X, y, is_flipped = make_mislabelled_classification(
        300, 5, n_classes=3, class_sep=30, flip_fraction=0.2, random_state=0
    )
    assert X.shape == (300, 5)
    assert is_flipped.sum() == 60
    # Clouds this far apart: the nearest row with a right label has the row's true class.
    distances = np.linalg.norm(X[:, None] - X[None, ~is_flipped], axis=2)
    nearest = y[~is_flipped][np.argsort(distances, axis=1)[:, 1]]
    np.testing.assert_array_equal(nearest != y, is_flipped)
    np.testing.assert_array_equal(np.bincount(np.where(is_flipped, nearest, y)), [100, 100, 100])


def test_mislabelled_classification_needs_a_row_per_class():
    with pytest.raises(ValueError, match="n_samples=3 must be at least n_classes=4"):
        make_mislabelled_classification(3, n_classes=4)


def test_noisy_sources_flip_what_they_are_told():
    rates = [0.0, 0.25, 1.0]
    X, y, source, is_flipped = make_noisy_sources(3, 8, 2, class_sep=30, flip_fractions=rates, random_state=0)
    np.testing.assert_array_equal(np.bincount(source), [8, 8, 8])
    np.testing.assert_array_equal(np.bincount(source, weights=is_flipped), [0, 2, 8])
    true = np.where(is_flipped, 1 - y, y)
    reference = X[true == 1].mean(axis=0)
    np.testing.assert_array_equal(X @ reference > 0, true == 1)


def test_noisy_sources_default_rates_rise_to_one_half():
    *_, source, is_flipped = make_noisy_sources(5, 40, random_state=0)
    np.testing.assert_array_equal(np.bincount(source, weights=is_flipped), [0, 5, 10, 15, 20])


@pytest.mark.parametrize(
    ("rates", "message"),
    [([0.1], "1 entries, expected n_sources=3"), ([0, 0.1, 1.2], r"must lie in \[0, 1\]")],
)
def test_noisy_sources_bad_rates(rates, message):
    with pytest.raises(ValueError, match=message):
        make_noisy_sources(3, flip_fractions=rates)
