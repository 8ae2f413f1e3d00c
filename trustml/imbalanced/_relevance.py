"""How relevant a target is: 0 for ordinary ones, 1 for rare ones."""

import numpy as np

from trustml.imbalanced._label_weights import DenseWeight


def boxplot_relevance(y, coef=1.5):
    """Relevance that rises from 0 at the median to 1 at the whiskers of a box plot, on the sides that have outliers.

    Hermite splines with slope 0 at both ends, as Torgo & Ribeiro (2007) propose.
    """
    lower, median, upper = np.quantile(y, [0.25, 0.5, 0.75])
    reach = coef * (upper - lower)
    inside = y[(y >= lower - reach) & (y <= upper + reach)]
    relevance = np.zeros(len(y))
    for outside, whisker, sign in ((y < lower - reach, inside.min(), -1), (y > upper + reach, inside.max(), 1)):
        if not outside.any():
            continue
        distance, reached = sign * (y - median), sign * (whisker - median)
        if reached > 0:
            share = np.clip(distance / reached, 0, 1)
            rise = share**2 * (3 - 2 * share)  # the cubic of slope 0 at both ends
        else:
            rise = (distance > 0).astype(float)
        relevance = np.maximum(relevance, rise)
    if not relevance.any():
        raise ValueError(
            "relevance='boxplot': y has no outliers beyond the whiskers of its box plot, so that no target is rare; "
            "expected relevance='density', or a callable from targets to relevance."
        )
    return relevance


def density_relevance(y):
    """One less the density of the target, from 0 for the most frequent to 1 for the rarest."""
    model = DenseWeight().fit(y)
    return 1 - np.interp(y, model.grid_, model.density_)


RELEVANCE = {"boxplot": boxplot_relevance, "density": density_relevance}
