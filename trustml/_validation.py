"""What scikit-learn's validation leaves open: finite numbers whose squares are not."""

import numpy as np
from scipy.sparse import issparse


def largest_magnitude(dtype) -> float:
    """Magnitude up to which squares, and sums of 10^7 of them, are finite in ``dtype``: 3e15 and 2e123."""
    return float(np.finfo(dtype).max) ** 0.4


def has_finite_squares(values, dtype=np.float64) -> bool:
    """Whether all of ``values``, an array or a sparse matrix, are below :func:`largest_magnitude`."""
    numbers = values.data if issparse(values) else np.asarray(values)
    limit = largest_magnitude(dtype)
    return numbers.size == 0 or bool(numbers.max() <= limit and numbers.min() >= -limit)


def check_magnitude(values, name: str, dtype=np.float64):
    """``values``, or an error that names the argument whose squares would overflow ``dtype``."""
    if not has_finite_squares(values, dtype):
        raise ValueError(
            f"{name} holds a number beyond ±{largest_magnitude(dtype):.0e}, whose square is not safely finite in "
            f"{np.dtype(dtype).name}; expected smaller numbers: scale {name} first."
        )
    return values
