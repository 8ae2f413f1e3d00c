"""Feature distribution smoothing (FDS): statistics of features per bucket, borrowed from neighbouring buckets."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class FeatureStatistics(NamedTuple):
    """Mean and variance of the features in each bucket of the target.

    Attributes
    ----------
    mean, variance : arrays of shape (n_buckets, n_features)
    seen : bool array of shape (n_buckets,)
        Buckets that have had a row; of others the mean is 0 and the variance 1.
    """

    mean: Any
    variance: Any
    seen: Any


def feature_statistics(features, buckets, *, n_buckets, before=None, momentum=0.9, where=None) -> FeatureStatistics:
    """Statistics of features per bucket, averaged with those of epochs before.

    Parameters
    ----------
    features : array of shape (n, n_features)
        Of one epoch.
    buckets : int array of shape (n,)
        Bucket of each target; those beyond the ends belong to the last bucket there.
    n_buckets : int
    before : FeatureStatistics, default=None
    momentum : float, default=0.9
        Share of what was before. A bucket's first rows replace all of it.
    where : bool array of shape (n,), default=None
        Rows that exist.

    Returns
    -------
    statistics : FeatureStatistics
        Variances are unbiased, and 0 for a bucket of one row.

    References
    ----------
    Y. Yang, K. Zha, Y. Chen, H. Wang and D. Katabi, "Delving into Deep Imbalanced Regression", ICML 2021, section 3.2.
    """
    features = jnp.asarray(features)
    weights = jnp.ones(len(features), features.dtype) if where is None else jnp.asarray(where, features.dtype)
    buckets = jnp.clip(jnp.asarray(buckets), 0, n_buckets - 1)

    def total(values):
        return jax.ops.segment_sum(values, buckets, n_buckets)

    counts = total(weights)[:, None]
    mean = total(weights[:, None] * jnp.where(weights[:, None] > 0, features, 0)) / jnp.maximum(counts, 1)
    gaps = jnp.where(weights[:, None] > 0, features - mean[buckets], 0)
    variance = total(weights[:, None] * gaps**2) / jnp.maximum(counts - 1, 1)
    seen = counts[:, 0] > 0
    if before is None:
        return FeatureStatistics(mean, jnp.where(seen[:, None], variance, 1), seen)
    share = jnp.where(before.seen[:, None], momentum, 0)
    mean, variance = (
        jnp.where(seen[:, None], share * old + (1 - share) * new, old)
        for old, new in ((before.mean, mean), (before.variance, variance))
    )
    return FeatureStatistics(mean, variance, seen | before.seen)


def smooth_statistics(statistics, kernel) -> FeatureStatistics:
    """Statistics averaged over neighbouring buckets.

    Parameters
    ----------
    statistics : FeatureStatistics
    kernel : array of shape (size,)
        Weights, not negative and of odd size; divided by their sum, over the buckets that have rows. Buckets are
        reflected at both ends, without the last one twice.

    Returns
    -------
    statistics : FeatureStatistics
    """
    kernel = jnp.asarray(kernel)
    if kernel.ndim != 1 or len(kernel) % 2 == 0:
        raise ValueError(f"kernel has shape {kernel.shape}; expected one axis of odd length.")
    half = len(kernel) // 2
    if half >= len(statistics.mean):
        raise ValueError(f"kernel has length {len(kernel)}; expected less than twice {len(statistics.mean)} buckets.")

    def smooth(values):
        padded = jnp.pad(values, ((half, half), (0, 0)), mode="reflect")
        return jax.vmap(lambda column: jnp.convolve(column, kernel, mode="valid"), 1, 1)(padded)

    # A bucket without rows has nothing to lend.
    seen = statistics.seen[:, None].astype(statistics.mean.dtype)
    total = smooth(seen)
    mean, variance = (
        jnp.where(total > 0, smooth(seen * values) / jnp.where(total > 0, total, 1), values)
        for values in (statistics.mean, statistics.variance)
    )
    return FeatureStatistics(mean, variance, statistics.seen)


def calibrate_features(features, buckets, statistics, smoothed, *, clip=(0.1, 10.0)):
    """Features with the smoothed mean and variance of their bucket in place of its own.

    Parameters
    ----------
    features : array of shape (n, n_features)
    buckets : int array of shape (n,)
    statistics, smoothed : FeatureStatistics
        Before and after :func:`smooth_statistics`.
    clip : tuple of two floats, default=(0.1, 10.0)
        Bounds of the ratio of variances.

    Returns
    -------
    features : array of shape (n, n_features)
        Unchanged where a bucket's variance is 0, and in buckets without a row.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import FeatureStatistics, calibrate_features
    >>> one = jnp.ones(1, bool)
    >>> own = FeatureStatistics(jnp.array([[2.0, 3.0]]), jnp.array([[1.0, 4.0]]), one)
    >>> borrowed = FeatureStatistics(jnp.array([[2.5, 3.0]]), jnp.array([[4.0, 400.0]]), one)
    >>> print(calibrate_features(jnp.array([[1.0, 2.0]]), jnp.zeros(1, int), own, borrowed))
    [[ 0.5       -0.1622777]]
    """
    features = jnp.asarray(features)
    buckets = jnp.clip(jnp.asarray(buckets), 0, len(statistics.mean) - 1)
    varies = (statistics.variance > 0) & statistics.seen[:, None]
    ratio = jnp.clip(smoothed.variance / jnp.where(varies, statistics.variance, 1), *clip)
    moved = (features - statistics.mean[buckets]) * jnp.sqrt(ratio)[buckets] + smoothed.mean[buckets]
    return jnp.where(varies[buckets], moved, features)
