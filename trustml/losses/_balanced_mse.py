"""Balanced MSE: squared error as if all targets were equally frequent."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

# Stands for the logarithm of zero, see _conr.py.
_LOG_ZERO = -1e30


class Buckets(NamedTuple):
    """Distribution of targets as masses on points: the prior of bin-based numerical integration (BNI).

    Attributes
    ----------
    centers : array of shape (n_buckets,)
    masses : array of shape (n_buckets,)
        Not negative; the sum does not matter.
    """

    centers: Any
    masses: Any


class Mixture(NamedTuple):
    """Distribution of targets as a mixture of normal ones: the prior of the analytical integration (GAI).

    Attributes
    ----------
    means, variances, masses : arrays of shape (n_components,)
        As ``sklearn.mixture.GaussianMixture`` finds them. Masses sum to one.
    """

    means: Any
    variances: Any
    masses: Any


def balanced_mse(predictions, targets, *, noise_variance, prior=None, where=None):
    r"""Balanced mean squared error of each row.

    Squared error is the likelihood of a normal target around the prediction. This is the likelihood that the same
    prediction would have if all targets were equally frequent, so that rare ones are not drawn towards the common:
    with :math:`v` the variance of the noise,

    .. math:: L_i = 2 v \left[ \frac{(\hat y_i - y_i)^2}{2 v} + \log \int p(y) \, e^{-(\hat y_i - y)^2 / 2 v} dy \right]

    Parameters
    ----------
    predictions, targets : arrays of shape (n,); without ``prior`` also (n, n_outputs)
    noise_variance : float
        :math:`v`, in squared units of the targets; positive. Search it from small values: if it is large, predictions
        run away from the targets. The factor :math:`2 v` has no gradient, so that it may be learned.
    prior : None, Buckets or Mixture, default=None
        The distribution of the training targets. None takes the targets of the batch itself (batch-based Monte
        Carlo, BMC), so that a batch of one row has loss 0.
    where : bool array of shape (n,), default=None
        Rows that exist; the others have loss 0 and no part in the distribution.

    Returns
    -------
    loss : array of shape (n,)
        Zero or more without ``prior``. With one it may be negative, because constants are dropped.

    References
    ----------
    J. Ren, M. Zhang, C. Yu and Z. Liu, "Balanced MSE for Imbalanced Visual Regression", CVPR 2022.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from trustml.losses import balanced_mse
    >>> y = jnp.array([0.0, 1.0])
    >>> [round(row.item(), 4) for row in balanced_mse(y, y, noise_variance=0.5)]
    [0.3133, 0.3133]
    """
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    exists = jnp.ones(len(predictions), bool) if where is None else jnp.asarray(where, bool)
    # An absent row may hold anything, and its gradient must be zero.
    predictions, targets = (jnp.where(_like(exists, a), a, 0) for a in (predictions, targets))
    double = 2 * noise_variance
    error = _squares(predictions - targets, targets.ndim) / double
    if prior is None:
        gaps = _squares(predictions[:, None] - targets, targets.ndim) / double
        log_integral = jax.nn.logsumexp(jnp.where(exists, -gaps, _LOG_ZERO), axis=1)
    elif isinstance(prior, Buckets):
        centers, masses = (jnp.asarray(a, predictions.dtype) for a in prior)
        log_masses = jnp.where(masses > 0, jnp.log(jnp.where(masses > 0, masses, 1)), _LOG_ZERO)
        log_integral = jax.nn.logsumexp(log_masses - (predictions[:, None] - centers) ** 2 / double, axis=1)
    elif isinstance(prior, Mixture):
        means, variances, masses = (jnp.asarray(a, predictions.dtype) for a in prior)
        spread = variances + noise_variance
        log_terms = jnp.log(masses) - 0.5 * jnp.log(spread) - 0.5 * (predictions[:, None] - means) ** 2 / spread
        log_integral = jax.nn.logsumexp(log_terms, axis=1) + 0.5 * jnp.log(noise_variance)
    else:
        raise TypeError(f"prior={prior!r}; expected None, Buckets or Mixture.")
    return jnp.where(exists, lax.stop_gradient(double) * (error + log_integral), 0)


def _like(exists, array):
    return exists.reshape(-1, *[1] * (array.ndim - 1))


def _squares(differences, n_axes):
    """Squared lengths; targets of one axis have one output."""
    return differences**2 if n_axes == 1 else jnp.sum(differences**2, axis=-1)
