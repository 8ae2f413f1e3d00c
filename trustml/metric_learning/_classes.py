"""Which classes are trained on, and which are held out for the threshold."""

import warnings

import numpy as np


def check_classes(y, counts, classes):
    """An error unless there are two classes, and one of them has two rows."""
    if len(classes) < 2:
        raise ValueError(
            f"y has {len(classes)} class of positive weight; expected at least 2, or there is no pair of two classes."
        )
    if counts.max() < 2:
        raise ValueError(f"y has {len(classes)} classes of 1 row each; expected some with 2 rows or more.")


def held_out_classes(counts, fraction, seed):
    """Mask of the classes that are held out; of none, with a warning, if there are too few.

    Only classes with two rows or more are: a threshold is set on pairs of one class and of two. Two are left to train
    on.
    """
    mask = np.zeros(len(counts), bool)
    if fraction == 0:
        return mask
    several = np.flatnonzero(counts > 1)
    wanted = max(2, round(fraction * len(counts)))
    if wanted > len(several) - 1 or wanted > len(counts) - 2:
        warnings.warn(
            f"y has {len(counts)} classes, {len(several)} of them with 2 rows or more: too few to hold out {wanted} "
            "for the threshold, so none is set. Call calibrate with other classes before predict_pairs, or set "
            "calibration_fraction=0 to silence this.",
            UserWarning,
            stacklevel=3,
        )
        return mask
    mask[np.random.default_rng(seed).choice(several, wanted, replace=False)] = True
    return mask
