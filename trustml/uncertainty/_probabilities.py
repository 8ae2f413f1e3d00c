"""Split points of probabilities: residuals of one-hot labels, their heads, and what calibrates with them.

Symbols of Zhao & Chen (2025): p is a predicted probability, Y the one-hot label, pi = E[Y]. Y - p is 1 - p above zero
and -p below, so that M = E|Y - p| = pi (1 - p) + (1 - pi) p. A = E[(Y - p) 1(Y = 1)] and B = E[p 1(Y = 0)] add up to M.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize_scalar
from threadpoolctl import threadpool_limits

from trustml._networks import MLP, predict
from trustml._training import Hyper, SampleLoss, train_lanes
from trustml.uncertainty._heads import MemberOutputs, average, batch_size, mean_model, weighted_fit

_STRENGTHS = np.linspace(0, 1, 21)


def squared_error(outputs, targets, hyper):
    """Sum over outputs, (n_rows,)."""
    return jnp.sum((outputs - targets) ** 2, axis=1)


def raw(outputs):
    """Outputs of a network as they are."""
    return outputs


def head_targets(probabilities, one_hot):
    """|Y - p|, (Y - p) 1(Y = 1) and p 1(Y = 0), side by side: (n_rows, 3 n_classes)."""
    above = one_hot * (1 - probabilities)
    below = (1 - one_hot) * probabilities
    return np.concatenate([above + below, above, below], axis=1)


def sds(probabilities, mar):
    """Sum over classes of |2 p (1 - p) - M|; with true MARs it is the sum of |pi - p| |1 - 2 p|."""
    return np.abs(2 * probabilities * (1 - probabilities) - mar).sum(axis=1)


def correction(mar, above, below, reduce):
    """Estimate of pi - p from its equal forms A - B, M - 2 B and 2 A - M: their mean, which is A - B, or the least."""
    if reduce == "mean":
        return above - below
    return np.minimum(np.minimum(above - below, mar - 2 * below), 2 * above - mar)


def project(points):
    """The nearest probabilities (n_rows, n_classes), by sorting (Duchi et al. 2008, figure 1)."""
    ordered = -np.sort(-points, axis=1)
    excess = (np.cumsum(ordered, axis=1) - 1) / np.arange(1, points.shape[1] + 1)
    last = (ordered > excess).sum(axis=1) - 1
    return np.maximum(points - np.take_along_axis(excess, last[:, None], axis=1), 0)


def tempered(probabilities, temperature):
    """softmax(log p / T)."""
    logits = np.log(np.maximum(probabilities, np.finfo(float).tiny)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def log_loss(probabilities, codes, weight):
    """Mean log loss; a probability of zero counts as 1e-12."""
    return np.average(-np.log(np.maximum(probabilities[np.arange(len(codes)), codes], 1e-12)), weights=weight)


def best_temperature(probabilities, codes, weight):
    """Temperature of least log loss, between 1/20 and 20."""
    found = minimize_scalar(
        lambda t: log_loss(tempered(probabilities, np.exp(t)), codes, weight),
        bounds=np.log([0.05, 20]),
        method="bounded",
    )
    # No better than no change at all is no change.
    worse = found.fun >= log_loss(probabilities, codes, weight)
    return 1.0 if worse else float(np.exp(found.x))


def best_strength(probabilities, delta, codes, weight):
    """Share of the correction that gives the least log loss, from 0 to 1 in steps of 0.05."""
    losses = [log_loss(project(probabilities + s * delta), codes, weight) for s in _STRENGTHS]
    return float(_STRENGTHS[int(np.argmin(losses))])


def fit_heads(features, targets, weight, folds, settings):
    """Out-of-fold outputs (n_rows, 3 n_classes), heads and the epochs done; as for a regressor."""
    fit = _fit_ridge if settings["head"] == "ridge" else _fit_mlp
    return fit(features, targets, weight, folds, settings)


def head_outputs(heads, features):
    """M, A and B, each (n_rows, n_classes), within [0, 1] as their targets are."""
    if isinstance(heads, tuple):
        sizes = tuple(biases.size for _, biases in heads)
        outputs = predict(MLP(sizes[-1], sizes[:-1]), heads, features.astype(np.float32)).astype(float)
    else:
        outputs = heads.predict(features)
    return np.split(np.clip(outputs, 0, 1), 3, axis=1)


def _fit_ridge(features, targets, weight, folds, settings):
    def fit(rows):
        model = mean_model("ridge", rows.sum(), features.shape[1], settings["seed"])
        return weighted_fit(model, features[rows], targets[rows], weight[rows])

    held_out = np.empty_like(targets)
    with threadpool_limits(1, user_api="blas"):
        for fold in range(folds.max() + 1):
            held_out[folds == fold] = fit(folds != fold).predict(features[folds == fold])
        return held_out, fit(np.full(len(folds), True)), 1


def _fit_mlp(features, targets, weight, folds, settings):
    n_folds = folds.max() + 1
    mine = folds == np.arange(n_folds)[:, None]
    features, targets = features.astype(np.float32), targets.astype(np.float32)
    network = MLP(targets.shape[1], tuple(settings["hidden_layer_sizes"]), zero_output=True)
    keys = jax.random.split(jax.random.key(settings["seed"]), n_folds)
    params = jax.tree.map(np.asarray, jax.vmap(network.init, (0, None))(keys, features[:1]))
    means = np.stack([np.average(targets, axis=0, weights=weight * ~fold) for fold in mine]).astype(np.float32)
    trained = train_lanes(
        SampleLoss(network, squared_error),
        (*params[:-1], (params[-1][0], means)),
        (features, targets),
        hypers=[Hyper(settings["learning_rate"], settings["alpha"])],
        seeds=[settings["seed"] + fold for fold in range(n_folds)],
        sample_weights=~mine * weight,
        validation_weights=mine * weight,
        batch_size=batch_size(settings["batch_size"], len(features)),
        max_iter=settings["max_iter"],
        tol=settings["tol"],
        n_iter_no_change=settings["n_iter_no_change"],
    )
    if trained.interrupt is not None:
        raise trained.interrupt
    if trained.diverged.any():
        raise FloatingPointError(f"The heads diverged. Lower learning_rate={settings['learning_rate']!r}.")
    params = jax.tree.map(lambda a: np.asarray(a)[:, 0], trained.params)
    every = predict(MemberOutputs(network, raw), params, features)
    return every[np.arange(len(folds)), folds].astype(float), average(params), int(trained.n_iter.max())
