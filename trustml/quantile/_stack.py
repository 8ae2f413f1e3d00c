"""A stack: what makes one set of quantiles of those of the base models. Plain dictionaries of arrays.

``{"rule": "median"}``, ``{"weights": ..., "intercept": ...}`` or ``{"networks": ..., ...}``.
"""

import numpy as np

from trustml.quantile._global_weights import combine, fit_global_weights
from trustml.quantile._local_weights import fit_local_weights, local_weights, mix_locally
from trustml.quantile._noncrossing import REPAIRS


def fit_stack(settings, Q, y, weight, X, levels, seed):
    """A stack, and a report on how it was fitted.

    ``settings`` is the aggregator, of whose parameters the stack depends; ``Q`` (n_rows, p, m); ``X`` (n_rows, d) or
    None, of which only local weights depend.
    """
    if settings.weights == "median":
        return {"rule": "median"}, {}
    if settings.weights == "average":
        p, m = Q.shape[1:]
        return {"weights": np.full(p, 1 / p), "intercept": np.zeros(m)}, {}
    if settings.weights == "local":
        return fit_local_weights(settings, Q, y, weight, X, levels, seed)
    weights, intercept, gap = fit_global_weights(
        Q,
        y,
        weight,
        levels,
        resolution=settings.resolution,
        constraint=settings.constraint,
        solver=settings.solver,
        tol=settings.tol,
    )
    return {"weights": weights, "intercept": intercept}, {"objective_gap_": gap}


def apply_stack(settings, stack, Q, X):
    """Quantiles (n_rows, m) in order."""
    if "rule" in stack:
        values = np.median(Q, axis=1)
    elif "networks" in stack:
        values = mix_locally(settings, stack, Q, X)
    else:
        values = combine(Q, stack["weights"]) + stack["intercept"]
    return REPAIRS[settings.noncrossing](values)


def weights_of(settings, stack, X, n_rows):
    """Weights of each row (n_rows, ...)."""
    if "networks" in stack:
        return local_weights(settings, stack, X)
    return np.broadcast_to(stack["weights"], (n_rows, *stack["weights"].shape))
