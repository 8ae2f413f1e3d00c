"""What both streaming regressors ask of their rows, and of a stream that goes on."""

import numpy as np
from sklearn.utils.validation import validate_data

from trustml._sklearn import check_sample_weight
from trustml._validation import check_magnitude


def stream_rows(estimator, X, y, sample_weight, *, reset):
    """Validated X (n, d), y (n,) and weights (n,), all float64."""
    X, y = validate_data(estimator, X, y, reset=reset, dtype=np.float64, y_numeric=True)
    if y.dtype.kind not in "biuf":
        raise ValueError(f"y must be numbers; got dtype {y.dtype} with {y[0]} first.")
    check_magnitude(X, "X", estimator.dtype)
    check_magnitude(y, "y", estimator.dtype)
    y = y.astype(np.float64, copy=False)
    if sample_weight is None:
        return X, y, np.ones(len(y))
    weight = check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True, allow_all_zero_weights=not reset
    )
    return X, y, check_magnitude(weight, "sample_weight", estimator.dtype)


def check_float32_is_safe(dtype, alpha):
    """float32 loses the inverse of a nearly singular matrix within a few blocks."""
    if dtype == "float32" and alpha < 1e-2:
        raise ValueError(
            f"dtype='float32' needs alpha >= 0.01, below which rounding destroys the inverse; got alpha={alpha}."
        )


def stream_parameters(estimator, names) -> dict:
    """Values of the parameters that a stream keeps from its first row on; an estimator stands for its class."""
    values = {}
    for name in names:
        value = getattr(estimator, name)
        if isinstance(value, list):
            value = tuple(value)
        values[name] = f"{type(value).__name__}()" if hasattr(value, "get_params") else value
    return values


def check_stream_goes_on(began_with, estimator):
    """An error if a parameter was set that the state, the books or the bounds of the past depend on."""
    for name, value in stream_parameters(estimator, began_with).items():
        if value != began_with[name]:
            raise ValueError(
                f"{name}={value!r} found in a stream that began with {name}={began_with[name]!r}; expected the same. "
                "Call fit to begin anew."
            )
