"""Ridge, RidgeClassifier and LinearRegression: one rank-one update per row that joins a prefix.

All of them minimise ``sum_i s_i |y_i - b - x_i w|^2 + alpha |w|^2`` with an unpenalised intercept ``b``. Eliminating
``b`` leaves the scatter matrix about the weighted means, and a row that joins changes it by one rank-one term (the
recursion of Welford for the means), so the inverse follows by Sherman and Morrison. With ``alpha = 0`` the inverse is
a pseudo-inverse, kept by Greville's recursion: as long as the rows are fewer than the features, a model interpolates
them with the smallest norm, as LinearRegression does.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LinearRegression, Ridge, RidgeClassifier

from trustml._jax import bucket_size, gather, lane_multiple, lanes_in_memory, pad_rows, shard_lanes
from trustml.valuation._engines._scoring import LABEL_SCORES, REGRESSION_SCORES
from trustml.valuation._engines._task import CompiledEngine, padded_validation

_BLOCK = 64
# A row adds a direction when more than this share of its squared length lies outside the span of the rows before it.
_NEW_DIRECTION = 1e-18


def _join(state, row, *, fit_intercept, min_norm):
    """State of the least-squares problem after one more row."""
    inverse, outside, w, x_mean, y_mean, total = state
    x, y, weight = row
    if fit_intercept:
        new_total = total + weight
        share = jnp.where(new_total > 0, weight / jnp.where(new_total > 0, new_total, 1), 0.0)
        dx, dy = x - x_mean, y - y_mean
        x_mean, y_mean, gain = x_mean + share * dx, y_mean + share * dy, share * total
        total = new_total
    else:
        dx, dy, gain = x, y, weight
    error = dy - dx @ w
    u = inverse @ dx
    shrink = gain / (1 + gain * (dx @ u))
    step, new_inverse = shrink * u, inverse - shrink * jnp.outer(u, u)
    if min_norm:
        e = outside @ dx
        length2 = e @ e
        new = (gain > 0) & (length2 > _NEW_DIRECTION * (dx @ dx))
        unit = jnp.where(new, e / jnp.where(new, length2, 1.0), 0.0)
        # Albert & Sittler (1966): the pseudo-inverse of A + g x x^T when x leaves the range of A.
        grown = inverse - jnp.outer(u, unit) - jnp.outer(unit, u)
        grown += (1 / jnp.where(new, gain, 1.0) + dx @ u) * jnp.outer(unit, unit)
        new_inverse = jnp.where(new, grown, new_inverse)
        step = jnp.where(new, unit, step)
        outside = outside - jnp.outer(unit, e)
    return new_inverse, outside, w + jnp.outer(step, error), x_mean, y_mean, total


def _score(w, intercept, present, X_val, y_val, weight_val, *, score, classify):
    """Score of linear predictions of shape (n_val, n_targets); one target of +-1 stands for two classes."""
    predictions = X_val @ w + intercept
    if not classify:
        return score(predictions[:, 0], y_val, weight_val)
    if predictions.shape[1] == 1:
        predictions = jnp.concatenate([-predictions, predictions], axis=1)
    return score(jnp.where(present, predictions, -jnp.inf), y_val, weight_val)


_STATIC = ("fit_intercept", "min_norm", "score", "classify")


@partial(jax.jit, static_argnames=_STATIC)
def _advance(states, present, rows, codes, validation, *, fit_intercept, min_norm, score, classify):
    """Scores (n_orders, block) after each row of a block, and the states at its end."""

    def one_order(state, present, rows, codes):
        def step(carry, item):
            state, present = carry
            row, code = item
            state = _join(state, row, fit_intercept=fit_intercept, min_norm=min_norm)
            present = present | ((jnp.arange(present.size) == code) & (row[2] > 0))
            w, x_mean, y_mean = state[2], state[3], state[4]
            value = _score(w, y_mean - x_mean @ w, present, *validation, score=score, classify=classify)
            return (state, present), value

        return jax.lax.scan(step, (state, present), (rows, codes))

    (states, present), values = jax.vmap(one_order)(states, present, rows, codes)
    return values, states, present


@partial(jax.jit, static_argnames=_STATIC)
def _solve(masks, X, targets, codes, weight, alpha, validation, *, fit_intercept, min_norm, score, classify):
    """Scores (n_subsets,) of the model fitted to each subset."""

    def one_subset(mask):
        s = weight * mask
        total = jnp.sum(s)
        scale = jnp.where(total > 0, 1 / jnp.where(total > 0, total, 1), 0.0) if fit_intercept else 0.0
        x_mean, y_mean = scale * (s @ X), scale * (s @ targets)
        dx, dy = X - x_mean, targets - y_mean
        gram, cross = (dx * s[:, None]).T @ dx, (dx * s[:, None]).T @ dy
        if min_norm:
            w = jnp.linalg.pinv(gram, rtol=1e-12, hermitian=True) @ cross
        else:
            gram = gram + alpha * jnp.eye(gram.shape[0])
            w = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(gram), cross)
        n_classes = targets.shape[1] if targets.shape[1] > 1 else 2
        present = jax.ops.segment_sum(s, codes, n_classes) > 0
        return _score(w, y_mean - x_mean @ w, present, *validation, score=score, classify=classify)

    return jax.vmap(one_subset)(masks)


class RidgeEngine(CompiledEngine):
    """Least squares with an L2 penalty, in float64."""

    name = "jax:ridge"

    @classmethod
    def accepts(cls, estimator, task):
        if type(estimator) in (Ridge, RidgeClassifier) and not (np.ndim(estimator.alpha) == 0 and estimator.alpha > 0):
            return False
        if type(estimator) is RidgeClassifier:
            plain = estimator.class_weight is None and not estimator.positive
            return plain and (task.scoring or "accuracy") in LABEL_SCORES
        plain = type(estimator) in (Ridge, LinearRegression) and not estimator.positive
        return plain and task.classes is None and (task.scoring or "r2") in REGRESSION_SCORES

    def __init__(self, estimator, task):
        super().__init__(task)
        classify = task.classes is not None
        scores = LABEL_SCORES if classify else REGRESSION_SCORES
        self.alpha = float(getattr(estimator, "alpha", 0.0))
        self.static = {
            "fit_intercept": estimator.fit_intercept,
            "min_norm": self.alpha == 0,
            "score": scores[task.scoring or ("accuracy" if classify else "r2")],
            "classify": classify,
        }
        # Predictions do not change when the origin moves, and the scatter matrix is more accurate near zero.
        origin = np.average(task.X, axis=0, weights=task.sample_weight) if estimator.fit_intercept else 0.0
        self.X = task.X - origin
        if not classify:
            self.targets, self.codes = task.y[:, None], np.zeros(len(task.y), np.int32)
        else:
            self.codes = task.y.astype(np.int32)
            columns = np.arange(len(task.classes)) if len(task.classes) > 2 else np.array([1])
            self.targets = np.where(task.y[:, None] == columns, 1.0, -1.0)
        self.validation = padded_validation(task.X_val - origin, task.y_val)

    def score_subsets(self, masks):
        n_rows, n_features = self.X.shape
        padded = bucket_size(n_rows)
        row_bytes = 8 * (3 * n_features + 4)
        lanes = lanes_in_memory(padded * row_bytes + 8 * len(self.validation[0]), at_most=64)
        lanes = lane_multiple(min(lanes, bucket_size(len(masks))))
        arrays = [pad_rows(a, padded) for a in (self.X, self.targets, self.codes, self.task.sample_weight)]
        values = []
        with jax.enable_x64(True):
            for start in range(0, len(masks), lanes):
                chunk = pad_rows(masks[start : start + lanes], lanes)
                (chunk,) = shard_lanes(pad_rows(chunk.T, padded).T)
                values.append(gather(_solve(chunk, *arrays, self.alpha, self.validation, **self.static)))
        return np.concatenate(values)[: len(masks)]

    def score_prefixes(self, orders):
        n_orders, n_rows = orders.shape
        lanes = lane_multiple(n_orders)
        n_features, n_targets = self.X.shape[1], self.targets.shape[1]
        identity = np.broadcast_to(np.eye(n_features), (lanes, n_features, n_features))
        scale = 0.0 if self.static["min_norm"] else 1 / self.alpha
        state = (
            scale * identity,
            identity if self.static["min_norm"] else np.zeros((lanes, 0)),
            np.zeros((lanes, n_features, n_targets)),
            np.zeros((lanes, n_features)),
            np.zeros((lanes, n_targets)),
            np.zeros(lanes),
        )
        present = np.zeros((lanes, max(n_targets, 2)), bool)
        for start in range(0, n_rows, _BLOCK):
            index = orders[:, start : start + _BLOCK]
            width = index.shape[1]
            index = np.pad(index, ((0, lanes - n_orders), (0, _BLOCK - width)), mode="edge")
            weight = self.task.sample_weight[index]
            weight[:, width:] = 0
            with jax.enable_x64(True):
                rows, codes = (self.X[index], self.targets[index], weight), self.codes[index]
                shards = shard_lanes(*state, present, *rows, codes)
                state, present, rows, codes = shards[:6], shards[6], shards[7:10], shards[10]
                values, state, present = _advance(state, present, rows, codes, self.validation, **self.static)
            yield gather(values)[:n_orders, :width]
