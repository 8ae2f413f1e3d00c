"""Intervals of shares and means."""

import numpy as np
from scipy.stats import norm


def share_interval(count, n, level=0.95):
    """Wilson's interval of a share ``count / n``; (0, 1) without observations."""
    count, n = np.asarray(count, float), np.asarray(n, float)
    z = norm.ppf(0.5 + level / 2)
    safe = np.where(n > 0, n, 1)
    share = count / safe
    centre = (share + z**2 / (2 * safe)) / (1 + z**2 / safe)
    half = z / (1 + z**2 / safe) * np.sqrt(share * (1 - share) / safe + z**2 / (4 * safe**2))
    known = n > 0
    return np.where(known, np.maximum(centre - half, 0), 0.0), np.where(known, np.minimum(centre + half, 1), 1.0)


def mean_interval(values, level=0.95):
    """Mean of independent values and its normal interval."""
    values = np.asarray(values, float)
    mean = values.mean()
    half = norm.ppf(0.5 + level / 2) * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.inf
    return float(mean), float(mean - half), float(mean + half)
