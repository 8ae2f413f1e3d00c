"""Heads of a regressor: what predicts the sides of its residuals from the features of a row.

Both kinds have one signature. ``features`` is (n_rows, n_features); ``residuals`` (n_rows, n_targets), standardised;
``folds`` the number of each row's fold. Fitted heads are arrays or scikit-learn estimators. Outputs have the shape
(n_rows, n_targets, 3 + 2 n_levels): M, Mu, Md, q_u of rising levels, q_d of rising levels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from scipy.linalg import block_diag
from sklearn import config_context
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from trustml._networks import MLP, predict
from trustml._training import Hyper, train_lanes
from trustml.uncertainty._kernels import FLOOR, SplitPointObjective, positive_outputs

# A side with fewer rows than this gets constants from the scikit-learn heads.
_FEW_ROWS = 10


def weighted_quantile(values, levels, weight, extra=0.0):
    """Smallest of ``values`` whose cumulative weight reaches ``levels`` of the total plus ``extra``; else infinity."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    total = (reached[-1] if len(reached) else 0.0) + extra
    # The product of a level and a whole number may miss that number by a rounding.
    rank = np.searchsorted(reached, np.asarray(levels) * total - 1e-9 * total)
    return np.append(values[order], np.inf)[rank]


def constants(residuals, weight, levels):
    """The best outputs that are the same for every row, (3 + 2 n_levels,); zero for a side without rows."""
    up = residuals > 0
    parts, quantiles = [np.average(np.abs(residuals), weights=weight)], []
    for mask, sign in ((up, 1), (~up, -1)):
        mine = mask & (weight > 0)
        parts.append(np.average(sign * residuals[mine], weights=weight[mine]) if mine.any() else 0.0)
        quantiles.append(
            weighted_quantile(sign * residuals[mine], levels, weight[mine]) if mine.any() else np.zeros(len(levels))
        )
    return np.concatenate([parts, *quantiles])


@dataclass(frozen=True)
class MemberOutputs:
    """Outputs (n_rows, n_members, n_outputs) of networks whose parameters have a leading axis of members.

    ``activate`` is a module-level function of the outputs of one.
    """

    network: MLP
    activate: Callable = positive_outputs

    def init(self, key, X):
        return jax.vmap(self.network.init, (0, None))(key, X)

    def apply(self, params, X):
        return jax.vmap(lambda member: self.activate(self.network.apply(member, X)), out_axes=1)(params)


def _start(network, keys, features, residuals, weights, levels):
    """Parameters of every lane, which begin at the constants of its rows."""
    params = jax.tree.map(np.asarray, jax.vmap(network.init, (0, None))(keys, features[:1]))
    best = [constants(r, w, levels) for r, w in zip(residuals, weights, strict=True)]
    best = np.asarray(best)
    steps = np.diff(best[:, 3:].reshape(len(best), 2, -1), axis=2, prepend=0).reshape(len(best), -1)
    wanted = np.maximum(np.concatenate([best[:, :3], steps], axis=1), 1e-3)
    return (*params[:-1], (params[-1][0], (wanted + np.log(-np.expm1(-wanted))).astype(np.float32)))


def average(params):
    """One network whose outputs, before the last activation, are the mean of those of the members."""
    members = len(params[0][0])
    if len(params) == 1:
        return tuple((weights.mean(axis=0), biases.mean(axis=0)) for weights, biases in params)
    (first, *middle), (last, last_bias) = params[:-1], params[-1]
    layers = [(np.concatenate(first[0], axis=1), np.concatenate(first[1]))]
    layers += [(block_diag(*weights), np.concatenate(biases)) for weights, biases in middle]
    return (*layers, (np.concatenate(last) / members, last_bias.mean(axis=0)))


def fit_mlp_heads(features, residuals, weight, folds, levels, settings):
    """Networks trained on all folds but one, each until it gets no better on that one; averaged.

    Returns out-of-fold outputs, the averaged network's parameters (with a leading axis of targets) and the epochs done.
    """
    n_targets, n_folds = residuals.shape[1], folds.max() + 1
    lanes = n_targets * n_folds
    held_out = np.tile((folds == np.arange(n_folds)[:, None]) * weight, (n_targets, 1))
    weights = np.tile((folds != np.arange(n_folds)[:, None]) * weight, (n_targets, 1))
    residuals = np.repeat(residuals.T.astype(np.float32), n_folds, axis=0)
    features = features.astype(np.float32)
    network = MLP(3 + 2 * len(levels), tuple(settings["hidden_layer_sizes"]), zero_output=True)
    keys = jax.random.split(jax.random.key(settings["seed"]), lanes)
    shares = np.average(residuals > 0, axis=1, weights=weight)
    share = np.maximum(np.stack([shares.mean(), 1 - shares.mean()]), 1e-3)
    trained = train_lanes(
        SplitPointObjective(network, settings["quantile_loss"]),
        _start(network, keys, features, residuals, weights, levels),
        (features, residuals),
        hypers=[
            Hyper(
                settings["learning_rate"], settings["alpha"], loss={"levels": np.asarray(levels), "side_share": share}
            )
        ],
        seeds=[settings["seed"] + lane for lane in range(lanes)],
        sample_weights=weights,
        validation_weights=held_out,
        data_axes=(None, 0),
        batch_size=batch_size(settings["batch_size"], len(features)),
        max_iter=settings["max_iter"],
        tol=settings["tol"],
        n_iter_no_change=settings["n_iter_no_change"],
    )
    if trained.interrupt is not None:
        raise trained.interrupt
    if trained.diverged.any():
        raise FloatingPointError(
            f"The heads diverged. Lower learning_rate={settings['learning_rate']!r}, or look for outliers in y."
        )
    params = jax.tree.map(lambda a: np.asarray(a)[:, 0], trained.params)
    every = predict(MemberOutputs(network), params, features)
    every = every.reshape(len(features), n_targets, n_folds, -1)
    out_of_fold = every[np.arange(len(folds)), :, folds].astype(float)
    averaged = [
        average(jax.tree.map(lambda a, t=t: a[t * n_folds : (t + 1) * n_folds], params)) for t in range(n_targets)
    ]
    n_iter = int(trained.n_iter.max())
    return out_of_fold, jax.tree.map(lambda *a: np.stack(a), *averaged), n_iter


def batch_size(given, n_rows):
    """``given``, or for "auto" the power of two near a sixteenth of the rows, between 32 and 1024."""
    return given if given != "auto" else int(np.clip(2 ** round(np.log2(n_rows / 16)), 32, 1024))


def mlp_outputs(heads, features):
    """Outputs of averaged networks."""
    sizes = tuple(biases.shape[1] for _, biases in heads)
    network = MemberOutputs(MLP(sizes[-1], sizes[:-1]))
    return predict(network, heads, features.astype(np.float32))


def mean_model(head, n_rows, n_features, seed):
    if head == "gradient_boosting":
        return HistGradientBoostingRegressor(max_iter=50, random_state=seed)
    components = Nystroem(gamma=1 / n_features, n_components=min(100, n_rows), random_state=seed)
    return make_pipeline(components, RidgeCV(np.logspace(-3, 3, 13)))


def weighted_fit(model, X, target, weight):
    name = "ridgecv__sample_weight" if hasattr(model, "steps") else "sample_weight"
    # The weights are for these models, whatever the user's own routes are.
    with config_context(enable_metadata_routing=False):
        return model.fit(X, target, **{name: weight})


def _fit_models(head, features, residuals, weight, levels, seed):
    """Models of one target: of M, Mu, Md, then of the sides' quantiles (or numbers that multiply the side's MAR)."""
    rows = weight > 0
    X, e, weight = features[rows], residuals[rows], weight[rows]
    best = constants(e, weight, levels)
    models = [weighted_fit(mean_model(head, len(X), X.shape[1], seed), X, np.abs(e), weight)]
    quantiles = []
    for side, (mask, sign) in enumerate(((e > 0, 1), (e <= 0, -1))):
        if mask.sum() < _FEW_ROWS:
            fixed = [best[1 + side], *best[3:].reshape(2, -1)[side]]
            dummies = [DummyRegressor(strategy="constant", constant=c).fit(X[:1], [0.0]) for c in fixed]
            models.append(dummies[0])
            quantiles += dummies[1:]
            continue
        target = sign * e[mask]
        mean = weighted_fit(mean_model(head, mask.sum(), X.shape[1], seed), X[mask], target, weight[mask])
        models.append(mean)
        if head == "gradient_boosting":
            for level in levels:
                model = HistGradientBoostingRegressor(loss="quantile", quantile=level, max_iter=50, random_state=seed)
                quantiles.append(model.fit(X[mask], target, sample_weight=weight[mask]))
        else:
            ratio = target / _at_least(mean.predict(X[mask]), best[1 + side])
            quantiles += weighted_quantile(ratio, levels, weight[mask]).tolist()
    return [*models, *quantiles], best.tolist()


def _at_least(predicted, mean):
    """A least-squares fit of something positive may fall below zero: no less than a tenth of its mean."""
    return np.maximum(predicted, max(0.1 * mean, FLOOR))


def sklearn_outputs(heads, features):
    """Outputs of heads that are scikit-learn models."""
    outputs = []
    for models, best in heads:
        mars = [_at_least(model.predict(features), mean) for model, mean in zip(models[:3], best[:3], strict=True)]
        quantiles = np.empty((len(features), 2, (len(models) - 3) // 2))
        for i, model in enumerate(models[3:]):
            side, level = divmod(i, quantiles.shape[2])
            predicted = model * mars[1 + side] if isinstance(model, float) else model.predict(features)
            quantiles[:, side, level] = np.maximum(predicted, FLOOR)
        quantiles = np.maximum.accumulate(quantiles, axis=2)
        outputs.append(np.column_stack([*mars, quantiles.reshape(len(features), -1)]))
    return np.stack(outputs, axis=1)


def fit_sklearn_heads(features, residuals, weight, folds, levels, settings):
    """Gradient boosting, or ridge regression on a Nystroem kernel map, for each number; refitted to all rows.

    Ridge knows no quantiles: they are the MAR of the side times one number per level.
    """
    head, seed = settings["head"], settings["seed"]

    def fit(rows):
        # Matrices of a hundred columns: more threads would mostly wait for each other.
        with threadpool_limits(1, user_api="blas"):
            return fit_targets(rows)

    def fit_targets(rows):
        masked = np.where(rows, weight, 0.0)
        return [_fit_models(head, features, e, masked, levels, seed) for e in residuals.T]

    out_of_fold = np.empty((len(features), residuals.shape[1], 3 + 2 * len(levels)))
    for fold in range(folds.max() + 1):
        held_out = folds == fold
        out_of_fold[held_out] = sklearn_outputs(fit(~held_out), features[held_out])
    return out_of_fold, fit(np.full(len(features), True)), 1
