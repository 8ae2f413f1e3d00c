"""The unit in which a coefficient is reported."""

import numpy as np

_OF_LINCO = ("linco_", "pairwise_", "null_distribution_", "noise_floor_", "minimum_detectable_effect_")
_OF_TARGET = ("linco_rms_", "linco_debiased_", "interval_", "pairwise_debiased_", "pairwise_interval_")
_OF_SQUARE = ("squared_debiased_", "squared_standard_error_")


def scale_of(normalize, court, disagreement, aggregate):
    """What the target is divided by: one, unless ``normalize`` says a spread of the target."""
    if normalize in (None, "noise_floor"):
        return 1.0
    in_unit_of_target = aggregate in ("std", "range") or (
        aggregate == "pairs" and disagreement in ("absolute", "squared")
    )
    if court.response != "number" or not in_unit_of_target:
        raise ValueError(
            f"normalize={normalize!r} found for disagreement={disagreement!r}, aggregate={aggregate!r} of judgments of "
            f"the kind {court.response!r}; expected numbers, compared in their own unit."
        )
    y, weight = court.y, court.weight
    if normalize == "target_std":
        scale = np.sqrt(np.average((y - np.average(y, weights=weight)) ** 2, weights=weight))
    else:
        scale = np.subtract(*np.quantile(y, [0.75, 0.25], weights=weight, method="inverted_cdf"))
    if not scale > 0:
        raise ValueError(f"normalize={normalize!r} found, but this spread of y is {scale}; expected a positive one.")
    return float(scale)


def rescale(audit, power):
    """Divide what a fitted audit reports by ``scale_`` to the power of its unit."""
    if audit.normalize == "noise_floor":
        audit.scale_ = audit.noise_floor_ ** (1 / power)
        _divide(audit, _OF_LINCO, audit.scale_**power)
    elif audit.normalize is not None:
        _divide(audit, _OF_LINCO, audit.scale_**power)
        _divide(audit, (*_OF_TARGET, "pairwise_signed_"), audit.scale_)
        _divide(audit, _OF_SQUARE, audit.scale_**2)


def _divide(audit, names, scale):
    for name in names:
        setattr(audit, name, getattr(audit, name) / scale)
