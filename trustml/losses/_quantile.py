"""Losses of quantiles, as pure functions of JAX."""

import jax
import jax.numpy as jnp


def pinball(predictions: jax.Array, targets: jax.Array, levels: jax.Array) -> jax.Array:
    """Pinball loss ``max(t e, (t - 1) e)`` of residuals ``e = targets - predictions`` at levels t.

    Shapes broadcast. At a residual of zero the gradient is that of overprediction, ``1 - t``.
    """
    residuals = targets - predictions
    return jnp.where(residuals > 0, levels, levels - 1) * residuals


def crossing_penalty(quantiles: jax.Array, margin: jax.Array) -> jax.Array:
    """Mean over adjacent levels (last axis) of how far they miss being ``margin`` apart in the right order.

    Zero for fewer than two levels. All pairs of levels, as in Fakoor et al. (2023, equation 19), cost the square of
    their number; adjacent ones have the same zeros.
    """
    if quantiles.shape[-1] < 2:
        return jnp.zeros(quantiles.shape[:-1], quantiles.dtype)
    return jnp.mean(jnp.maximum(quantiles[..., :-1] - quantiles[..., 1:] + margin, 0), axis=-1)
