"""Weights that are the same for every row: the exact minimisers of the pinball loss."""

import numpy as np

from trustml.quantile._linear_programme import Programme, minimise_pinball, warn_of_gap


def fit_global_weights(Q, y, weight, levels, *, resolution, constraint, solver, tol):
    """Weights, intercepts and the largest relative gap.

    ``Q`` has shape (n_rows, p, m). The weights have shape (p,), (p, m) or (p, m, m): of model j at level v in the
    output at level t. Intercepts (m,) are zero under a constraint.
    """
    n, p, m = Q.shape
    weight = weight / weight.sum()
    upper, lower = levels[:, None] * weight, (1 - levels[:, None]) * weight
    if resolution == "coarse":
        # One regression of all levels: the rows are the pairs of a row and a level.
        design = Q.transpose(0, 2, 1).reshape(1, n * m, p)
        if constraint is None:
            design = np.concatenate([design, np.tile(np.eye(m), (n, 1))[None]], axis=2)
        target, upper, lower = np.repeat(y, m)[None], upper.T.reshape(1, -1), lower.T.reshape(1, -1)
    else:
        design = Q.transpose(2, 0, 1) if resolution == "medium" else Q.reshape(1, n, p * m)
        target = y[None]
        if constraint is None:
            design = np.concatenate([design, np.ones((len(design), n, 1))], axis=2)
    programme = Programme(design, target, upper, lower, constraint)
    solution = minimise_pinball(programme, tol, solver)
    w, intercept = solution.w, np.zeros(m)
    if constraint is None:
        n_weights = p * m if resolution == "fine" else p
        w, intercept = w[:, :n_weights], w[:, n_weights:].ravel()
    shapes = {"coarse": (p,), "medium": (p, m), "fine": (p, m, m)}
    return w.T.reshape(shapes[resolution]), intercept, warn_of_gap(solution, programme, tol)


def combine(Q, weights):
    """Quantiles (n_rows, m) of base quantiles (n_rows, p, m) under weights (p,), (p, m) or (p, m, m)."""
    if weights.ndim == 1:
        return np.tensordot(weights, Q, axes=(0, 1))
    if weights.ndim == 2:
        return np.einsum("npm,pm->nm", Q, weights)
    return Q.reshape(len(Q), -1) @ weights.reshape(-1, weights.shape[-1])
