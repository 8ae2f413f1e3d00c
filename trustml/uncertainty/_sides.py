"""Quantiles of the sides: how far to shrink them to constants, and to stretch them so that they hold their share."""

import warnings

import numpy as np

from trustml.uncertainty._heads import weighted_quantile

_SHARES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)


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


def shrinkage(residuals, quantiles, constant, weight, levels):
    """Weights (2, n_levels) of the constants in each side's quantiles that serve held-out rows best.

    ``quantiles`` (n, 2, n_levels) of rows that they were not fitted to; ``constant`` (2, n_levels) of all rows. Each
    mixture is stretched to hold its share, and the one of least pinball loss wins: heads that tell rows apart badly,
    as from a few hundred rows of heavy tails, would otherwise need a factor that makes all intervals wide.
    """
    best, least = np.zeros((2, len(levels))), np.full((2, len(levels)), np.inf)
    for share in _SHARES:
        mixed = mix(quantiles, constant, share)
        factors, _ = side_factors(residuals, mixed[:, 0], mixed[:, 1], weight, levels, guarantee=False)
        for side, sign in enumerate((1, -1)):
            mine = (residuals > 0) == (sign == 1)
            gap = (sign * residuals[mine])[:, None] - mixed[mine, side] * factors[side]
            loss = weight[mine] @ np.maximum(levels * gap, (levels - 1) * gap)
            best[side] = np.where(loss < least[side], share, best[side])
            least[side] = np.minimum(loss, least[side])
    return best


def mix(quantiles, constant, share):
    """``quantiles`` (..., 2, n_levels) with a ``share`` of ``constant`` (2, n_levels) in them."""
    return quantiles + share * (constant - quantiles)


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
