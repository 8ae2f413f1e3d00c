"""The mathematics of split-point heads: one small network that predicts the residuals of another model, side by side.

Symbols of Zhao & Chen (2025): e = y - v(x) is the residual of the model v; M = E|e| its mean absolute residual (MAR),
Mu = E[e | e > 0] and Md = E[-e | e <= 0] those of its sides; q_u and q_d quantiles of e and -e on these sides.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from trustml._networks import MLP
from trustml._training import weighted_mean

# Of the standardised outputs: sqrt|D| and the factors of widening divide by them.
FLOOR = 1e-6


def positive_outputs(raw: jax.Array) -> jax.Array:
    """M, Mu, Md, then q_u and q_d at every level, from the outputs (n, 3 + 2 n_levels) of a network.

    All are positive, and quantiles rise with their level whatever the network says.
    """
    positive = jax.nn.softplus(raw) + FLOOR
    sides = positive[:, 3:].reshape(len(raw), 2, -1)
    return jnp.concatenate([positive[:, :3], jnp.cumsum(sides, axis=2).reshape(len(raw), -1)], axis=1)


def coverage_penalty(quantiles, targets, weight, levels):
    """Gap of the batch's coverage to each level times the mean distance of the rows on the wrong side.

    ``quantiles`` (n, n_levels), ``targets`` (n,), ``weight`` (n,), ``levels`` (n_levels,); returns a scalar.
    """
    gap = targets[:, None] - quantiles
    total = jnp.sum(weight)
    covered = jnp.sum(weight[:, None] * (gap <= 0), axis=0) / jnp.where(total > 0, total, 1)
    lacking = covered < levels
    wrong = jnp.where(lacking, gap > 0, gap <= 0) * weight[:, None]
    amount = jnp.sum(wrong, axis=0)
    distance = jnp.sum(wrong * jnp.abs(gap), axis=0) / jnp.where(amount > 0, amount, 1)
    # The coverage counts rows: it has no gradient, and weighs the distance.
    return jnp.sum(jax.lax.stop_gradient(jnp.abs(levels - covered)) * distance)


@dataclass(frozen=True)
class SplitPointObjective:
    """Mean loss of the heads on a batch ``(features, residuals)``; ``hyper`` holds ``levels`` and ``side_share``.

    Parameters
    ----------
    network : MLP
        With 3 + 2 n_levels outputs.
    quantile_loss : {"pinball", "coverage"}
    """

    network: MLP
    quantile_loss: str = "pinball"

    def __call__(self, params, batch, weight, key, hyper):
        features, residuals = batch
        outputs = positive_outputs(self.network.apply(params, features))
        quantiles = outputs[:, 3:].reshape(len(outputs), 2, -1)
        loss = weighted_mean((outputs[:, 0] - jnp.abs(residuals)) ** 2, weight)
        for side, sign in enumerate((1, -1)):
            on_side = (residuals > 0) == (sign == 1)
            target = sign * residuals
            error = (outputs[:, 1 + side] - target) ** 2
            if self.quantile_loss == "pinball":
                error += jnp.sum(pinball(quantiles[:, side], target, hyper["levels"]), axis=1)
            else:
                loss += coverage_penalty(quantiles[:, side], target, on_side * weight, hyper["levels"])
            # Over the side's share of all rows: the mean over its rows, without their number in this batch.
            loss += weighted_mean(jnp.where(on_side, error, 0), weight) / hyper["side_share"][side]
        return loss


def pinball(quantiles, targets, levels):
    """Pinball loss of ``quantiles`` (n, n_levels) of ``targets`` (n,) at ``levels`` (n_levels,), of their shape."""
    gap = targets[:, None] - quantiles
    return jnp.maximum(levels * gap, (levels - 1) * gap)
