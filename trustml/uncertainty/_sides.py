"""Conformal factors: by how much the quantiles of each side must be stretched to hold their share of rows."""

import warnings

import numpy as np

from trustml.uncertainty._heads import weighted_quantile


def side_factors(residuals, up, down, weight, levels, *, guarantee):
    """Factors (2, n_levels) of the quantiles of the upper and the lower side, and the rows (2,) they come from.

    ``residuals`` (n,) of rows that the quantiles ``up`` and ``down`` (n, n_levels) were not fitted to. A factor is the
    smallest that lets a share ``ceil((n + 1) level) / n`` of the side's n rows lie inside, as in split conformal
    prediction (Papadopoulos et al. 2002) on the ratio of residual and quantile. A new row of that side then lies
    inside with a probability of at least ``level``. A side with too few rows for it has an infinite factor; without
    ``guarantee`` that of its largest ratio, and one if it has no row.
    """
    factors, counts = np.ones((2, len(levels))), np.zeros(2, int)
    for side, (mask, sign, quantiles) in enumerate(((residuals > 0, 1, up), (residuals <= 0, -1, down))):
        mine = mask & (weight > 0)
        counts[side] = mine.sum()
        target = sign * residuals[mine]
        with np.errstate(divide="ignore"):
            # A residual of zero lies inside an interval of no width.
            ratios = np.where(target[:, None] > 0, target[:, None] / quantiles[mine], 0.0)
        # Weights are counted in rows: the new row is one more of average weight.
        scaled = weight[mine] / weight[mine].mean() if counts[side] else weight[mine]
        for i, level in enumerate(levels):
            factors[side, i] = weighted_quantile(ratios[:, i], level, scaled, extra=1.0)
            if np.isinf(factors[side, i]) and not guarantee:
                finite = ratios[np.isfinite(ratios[:, i]), i]
                factors[side, i] = finite.max(initial=0.0) if len(finite) else 1.0
    return factors, counts


def warn_of_few_rows(counts, levels, consequence):
    """A warning with the number, if a side of any target has fewer rows than its highest level needs."""
    needed = int(np.ceil(np.max(levels) / (1 - np.max(levels)) - 1e-9))
    for target, sides in enumerate(counts):
        for name, count in zip(("above", "below"), sides, strict=True):
            if count < needed:
                of = f" of target {target}" if len(counts) > 1 else ""
                warnings.warn(
                    f"coverage={np.max(levels):g} needs {needed} rows {name} the prediction{of}, and there are "
                    f"{count}: {consequence}.",
                    UserWarning,
                    stacklevel=3,
                )
