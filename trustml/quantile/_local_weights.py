"""Weights that depend on the row: fit the networks, and use them."""

import jax
import numpy as np
from sklearn.utils import check_array

from trustml._jax import bucket_size, pad_rows
from trustml._networks import MLP
from trustml._training import Hyper, train_lanes
from trustml.quantile._local_kernels import MixtureLoss, mean_weights, mix, n_logits
from trustml.quantile._network_base import moments

# Distance that the penalty asks of adjacent quantiles, in standard deviations of the target.
_MARGIN = 1e-3


def features_of(X):
    """Rows as numbers; the models may take more, a network cannot."""
    return check_array(X, dtype=np.float64, input_name="X (of local weights)")


def _network(settings, n_models, n_levels):
    return MLP(
        n_outputs=n_logits(settings.resolution, n_models, n_levels),
        hidden_layer_sizes=tuple(settings.hidden_layer_sizes),
        zero_output=True,
    )


def fit_local_weights(settings, Q, y, weight, X, levels, seed):
    """Networks, as a stack, and a report. They start at equal weights."""
    X = features_of(X)
    n, p, m = Q.shape
    rng = np.random.default_rng(seed)
    n_held_out = round(settings.validation_fraction * n)
    if not 0 < n_held_out < n:
        raise ValueError(
            f"validation_fraction={settings.validation_fraction!r} holds out {n_held_out} of {n} rows; "
            "expected to leave some on both sides."
        )
    seeds = rng.integers(np.iinfo(np.int32).max, size=settings.n_networks)
    held_out = np.zeros((settings.n_networks, n))
    for row in held_out:
        chosen = rng.choice(n, n_held_out, replace=False)
        row[chosen] = weight[chosen]
    mean, scale = moments(X, weight)
    shift, unit = (float(moment[0]) for moment in moments(y[:, None], weight))
    network = _network(settings, p, m)
    start = jax.vmap(network.init, (0, None))(jax.vmap(jax.random.key)(seeds), X[:1])
    penalty = settings.crossing_penalty if settings.noncrossing == "penalty" else 0.0
    fitted = train_lanes(
        MixtureLoss(network, settings.resolution),
        start,
        ((X - mean) / scale, (Q - shift) / unit, (y - shift) / unit),
        hypers=[Hyper(settings.learning_rate, loss=(levels.astype(np.float32), penalty, _MARGIN))],
        seeds=seeds.tolist(),
        sample_weights=np.tile(weight / weight.mean(), (settings.n_networks, 1)),
        validation_weights=held_out,
        batch_size=settings.batch_size,
        max_iter=settings.max_iter,
        n_iter_no_change=settings.n_iter_no_change,
        tol=1e-5,
    )
    if np.any(fitted.diverged):
        raise FloatingPointError(f"Training of the weights diverged; lower learning_rate={settings.learning_rate!r}.")
    params = [tuple(np.asarray(array[:, 0]) for array in layer) for layer in fitted.params]
    stack = {"networks": params, "mean": mean, "scale": scale, "shape": (p, m)}
    return stack, {"n_iter_": int(np.max(fitted.n_iter))}


def _run(settings, stack, X, function, *tables, **static):
    X = ((features_of(X) - stack["mean"]) / stack["scale"]).astype(np.float32)
    rows = bucket_size(len(X))
    padded = [pad_rows(table, rows) for table in (X, *tables)]
    network = _network(settings, *stack["shape"])
    params = tuple(stack["networks"])
    result = function(params, *padded, network=network, resolution=settings.resolution, **static)
    return np.asarray(result, dtype=np.float64)[: len(X)]


def mix_locally(settings, stack, Q, X):
    """Quantiles (n_rows, m)."""
    # float32 is centred, so that a target far from zero keeps its digits.
    centre = Q.mean(axis=(1, 2), keepdims=True)
    return _run(settings, stack, X, mix, (Q - centre).astype(np.float32)) + centre[:, :, 0]


def local_weights(settings, stack, X):
    """Weights of each row, laid out as ``weights_`` after the axis of rows."""
    return _run(settings, stack, X, mean_weights, n_levels=stack["shape"][1])
