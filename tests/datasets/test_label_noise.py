"""Label noise: the chances that are promised, and refusals by name."""

import numpy as np
import pytest

from trustml.datasets import make_label_noise, noise_transition_matrix

LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


@pytest.mark.parametrize(
    ("kind", "wrong", "swaps"),
    [
        ("uniform", 0.6 * 25 / 26, None),
        ("symmetric", 0.6, None),
        ("pair", 0.6, None),
        ("swap", 0.6 * 20 / 26, "letter"),
    ],
)
def test_labels_are_wrong_as_often_as_the_matrix_says(kind, wrong, swaps):
    y = np.repeat(LETTERS, 4000)
    noisy, is_wrong = make_label_noise(y, kind, 0.6, swaps=swaps, random_state=0)
    transition = noise_transition_matrix(LETTERS, kind, 0.6, swaps=swaps)
    np.testing.assert_allclose(transition.sum(axis=1), 1)
    assert 1 - np.trace(transition) / 26 == pytest.approx(wrong)
    np.testing.assert_array_equal(is_wrong, noisy != y)
    assert noisy.dtype == y.dtype
    found = np.array([[np.mean(row == letter) for letter in LETTERS] for row in noisy.reshape(26, 4000)])
    np.testing.assert_allclose(found, transition, atol=5 * 0.5 / 4000**0.5)
    # Where the matrix has a zero, there is no such label.
    assert (found[transition == 0] == 0).all()


def test_swaps_go_both_ways_and_leave_the_others():
    noisy, _ = make_label_noise(np.repeat(LETTERS, 2), "swap", 1.0, swaps="letter")
    assert "".join(noisy[::2]) == "ADGBFECNLJXIWHQROPSTVUMKYZ"
    noisy, _ = make_label_noise([0, 1, 2], "swap", 1.0, swaps={0: 2})
    np.testing.assert_array_equal(noisy, [2, 1, 0])


def test_a_matrix_of_ones_own():
    noisy, is_wrong = make_label_noise([0, 1, 0, 1], "matrix", transition=[[0, 1], [0, 1]], random_state=0)
    np.testing.assert_array_equal(noisy, 1)
    np.testing.assert_array_equal(is_wrong, [True, False, True, False])


def test_rate_zero_changes_nothing_and_seeds_repeat():
    y = np.arange(100) % 7
    for kind in ("uniform", "symmetric", "pair"):
        np.testing.assert_array_equal(make_label_noise(y, kind, 0.0)[0], y)
        first, second = (make_label_noise(y, kind, 0.5, random_state=3)[0] for _ in range(2))
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": [1, 1]}, "single class 1"),
        ({"y": [0, 1], "kind": "swap"}, "expected swaps"),
        ({"y": [0, 1], "swaps": {0: 1}}, "expected swaps for kind='swap'"),
        ({"y": [0, 1], "kind": "swap", "swaps": {0: 5}}, r"swaps=\{0: 5\}; expected pairs of classes out of \[0, 1\]"),
        ({"y": [0, 1, 2], "kind": "swap", "swaps": {0: 1, 1: 2}}, "each in one pair at most"),
        ({"y": [0, 1], "kind": "matrix"}, "expected a transition"),
        ({"y": [0, 1], "kind": "matrix", "transition": [[0.5, 0.6], [0, 1]]}, r"sum to \[1\.1, 1\.0\]"),
        ({"y": [0, 1], "rate": 1.5}, "'rate' parameter"),
        ({"y": [0, 1], "kind": "unifrom"}, "'kind' parameter"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_label_noise(**arguments)


def test_classes_must_be_distinct():
    with pytest.raises(ValueError, match="all distinct"):
        noise_transition_matrix([1, 1, 2])
