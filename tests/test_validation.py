"""Magnitudes whose squares overflow are refused by name."""

import numpy as np
import pytest
import scipy.sparse as sp

from trustml._validation import check_magnitude, has_finite_squares, largest_magnitude


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_ten_million_squares_are_finite_up_to_the_limit(dtype):
    limit = dtype(largest_magnitude(dtype) * (1 - 1e-6))
    assert np.isfinite(limit * limit * dtype(1e7))
    assert has_finite_squares(np.array([limit, -limit]), dtype)
    assert not has_finite_squares(np.array([0.0, -1.01 * limit]), dtype)


def test_the_error_names_the_argument():
    with pytest.raises(ValueError, match=r"X holds a number beyond ±3e\+15.*float32; expected smaller.*scale X first"):
        check_magnitude(sp.csr_array([[0.0, 1e16]]), "X", np.float32)


def test_what_is_small_enough_passes_as_it_is():
    X = np.ones((2, 2))
    assert check_magnitude(X, "X") is X
    assert check_magnitude(np.zeros((0, 2)), "X").size == 0
