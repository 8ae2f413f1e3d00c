"""GaussianNB: means and variances of each class, from sums over subsets or updated as rows join a prefix.

Variances are sums of squared deviations from the subset's own mean, never differences of squares:
scikit-learn adds a billionth of the largest variance to each, which a cancellation would hide.
"""

from functools import partial
from numbers import Real

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.naive_bayes import GaussianNB

from trustml._jax import bucket_size, gather, lane_multiple, lanes_in_memory, pad_rows, shard_lanes
from trustml.valuation._engines._scoring import PROBABILITY_SCORES
from trustml.valuation._engines._task import CompiledEngine, padded_validation

_BLOCK = 64
# scikit-learn takes a class of no more weight than this for an empty one.
_NO_WEIGHT = 1e-8


def _positive(x):
    """``x`` where it is positive, else one: a divisor for sums that are zero there."""
    return jnp.where(x > 0, x, 1)


def _score(of_class, epsilon, informed, X_val, y_val, weight_val, *, score):
    """Score of the model with these weights (n_classes, 1), means and scatters (n_classes, n_features).

    ``X_val`` has shape (n_features, n_val). Rows that are all the same (not ``informed``) have no variance,
    and say nothing about X: the classes keep their prior probabilities, the limit of a vanishing variance.
    """
    total, mean, scatter = of_class
    variance = jnp.where(informed, scatter / _positive(total) + epsilon, 1)
    precision = jnp.where(informed, 1 / variance, 0)

    def add_feature(j, distance):
        return distance + (X_val[j] - mean[:, j, None]) ** 2 * precision[:, j, None]

    # Feature by feature (n_classes, n_val) stays in the cache; a matrix product would expand the square, and
    # cancel.
    distance = jnp.zeros((len(mean), X_val.shape[1]))
    distance = jax.lax.fori_loop(0, len(X_val), add_feature, distance, unroll=2)
    log_joint = jnp.log(total) - 0.5 * (jnp.sum(jnp.log(variance), axis=1, keepdims=True) + distance)
    return score(log_joint.T, y_val, weight_val)


def _moments(members, X):
    """Weight, mean and scatter of each class from weights (..., n_slots, n_classes) of rows X."""
    total = jnp.sum(members, axis=-2)[..., None]
    mean = jnp.einsum("bic,icd->bcd", members, X) / _positive(total)

    def add_slot(i, scatter):
        return scatter + members[:, i, :, None] * (X[i] - mean) ** 2

    return total, mean, jax.lax.fori_loop(0, len(X), add_slot, jnp.zeros_like(mean), unroll=2)


@partial(jax.jit, static_argnames="score")
def _score_subsets(masks, X, same, weight, var_smoothing, validation, *, score):
    """Scores (n_subsets,) of subsets.

    The rows stand in columns of their class: ``masks`` has shape (n_subsets, n_slots, n_classes), ``X``
    (n_slots, n_classes, n_features), ``weight`` (n_slots, n_classes) or None for equal weights. ``same``
    numbers distinct rows.
    """
    members = masks.astype(X.dtype)
    counts = _moments(members, X)
    of_class = counts if weight is None else _moments(members * weight, X)
    # The variance of all rows, unweighted in scikit-learn, is the one within classes and the one between
    # them.
    total, mean, scatter = counts
    n_rows = _positive(jnp.sum(total, axis=1))
    centre = jnp.sum(total * mean, axis=1, keepdims=True) / n_rows[:, None]
    variance = jnp.sum(scatter + total * (mean - centre) ** 2, axis=1) / n_rows
    # Rows that are all the same may differ from their mean by a rounding.
    lowest = jnp.min(jnp.where(masks, same, same.size), axis=(1, 2))
    highest = jnp.max(jnp.where(masks, same, -1), axis=(1, 2))
    value = jax.vmap(partial(_score, score=score), in_axes=(0, 0, 0, None, None, None))
    return value(of_class, var_smoothing * jnp.max(variance, axis=1), lowest < highest, *validation)


def _add(moments, x, weight):
    """Weight, mean and scatter with one more row, by Welford's recursion; without weight it changes nothing."""
    total, mean, scatter = moments
    total = total + weight
    deviation = x - mean
    mean = mean + weight / _positive(total) * deviation
    return total, mean, scatter + weight * deviation * (x - mean)


@partial(jax.jit, static_argnames="score")
def _advance(moments, X, codes, weight, var_smoothing, validation, *, score):
    """Scores (n_orders, block) after each row of a block, and the moments of classes and of all rows at its end."""

    def step(moments, row):
        of_class, of_all = moments
        x, code, weight = row
        member = (jnp.arange(len(of_class[0])) == code)[:, None]
        of_class, of_all = _add(of_class, x, member * weight), _add(of_all, x, 1.0 * (weight > 0))
        variance = jnp.max(of_all[2]) / _positive(of_all[0])
        value = _score(of_class, var_smoothing * variance, variance > 0, *validation, score=score)
        return (of_class, of_all), value

    moments, values = jax.vmap(partial(jax.lax.scan, step))(moments, (X, codes, weight))
    return values, moments


class NaiveBayesEngine(CompiledEngine):
    """Gaussian naive Bayes, in float64.

    Priors that the user gives are left to scikit-learn, which refuses them for a subset without all classes.
    """

    name = "jax:gaussian_nb"

    @classmethod
    def accepts(cls, estimator, task):
        return (
            type(estimator) is GaussianNB
            and task.classes is not None
            and estimator.priors is None
            and isinstance(estimator.var_smoothing, Real)
            and estimator.var_smoothing > 0
            and (task.scoring or "accuracy") in PROBABILITY_SCORES
            and bool(task.sample_weight[task.sample_weight > 0].min() > _NO_WEIGHT)
        )

    def __init__(self, estimator, task):
        super().__init__(task)
        self.var_smoothing = float(estimator.var_smoothing)
        self.score = PROBABILITY_SCORES[task.scoring or "accuracy"]
        self.codes = task.y.astype(np.int32)
        # Nothing depends on the origin, and numbers near zero have more digits.
        origin = task.X.mean(axis=0)
        self.X = task.X - origin
        X_val, y_val, weight_val = padded_validation(task.X_val - origin, task.y_val)
        self.validation = np.ascontiguousarray(X_val.T), y_val, weight_val
        # Row number in each slot of each class; -1, a row that no subset has, where a class has fewer rows.
        members = [np.flatnonzero(self.codes == code) for code in range(len(task.classes))]
        n_slots = bucket_size(max(map(len, members)))
        self.slots = np.stack([pad_rows(rows, n_slots, -1) for rows in members], axis=1)
        same = np.unique(task.X, axis=0, return_inverse=True)[1].ravel()
        positive = task.sample_weight[task.sample_weight > 0]
        weight = None if np.ptp(positive) == 0 else task.sample_weight[self.slots]
        self.rows = self.X[self.slots], same[self.slots], weight

    def score_subsets(self, masks):
        n_slots, n_classes = self.slots.shape
        per_lane = 8 * n_classes * (2 * n_slots + 4 * self.X.shape[1] + 2 * len(self.validation[1]))
        lanes = lanes_in_memory(per_lane, at_most=64)
        lanes = lane_multiple(min(lanes, bucket_size(len(masks))))
        nobody = np.zeros((len(masks), 1), bool)
        masks = np.concatenate([masks & (self.task.sample_weight > 0), nobody], axis=1)
        values = []
        with jax.enable_x64(True):
            for start in range(0, len(masks), lanes):
                (chunk,) = shard_lanes(pad_rows(masks[start : start + lanes][:, self.slots], lanes))
                scores = _score_subsets(chunk, *self.rows, self.var_smoothing, self.validation, score=self.score)
                values.append(gather(scores))
        return np.concatenate(values)[: len(masks)]

    def score_prefixes(self, orders):
        n_orders, n_rows = orders.shape
        lanes = lane_multiple(n_orders)
        shape = len(self.task.classes), self.X.shape[1]
        moments = (
            (np.zeros((lanes, shape[0], 1)), np.zeros((lanes, *shape)), np.zeros((lanes, *shape))),
            (np.zeros(lanes), np.zeros((lanes, shape[1])), np.zeros((lanes, shape[1]))),
        )
        for start in range(0, n_rows, _BLOCK):
            index = orders[:, start : start + _BLOCK]
            width = index.shape[1]
            index = np.pad(index, ((0, lanes - n_orders), (0, _BLOCK - width)), mode="edge")
            weight = self.task.sample_weight[index]
            weight[:, width:] = 0
            with jax.enable_x64(True):
                of_class, of_all = moments
                shards = shard_lanes(*of_class, *of_all, self.X[index], self.codes[index], weight)
                moments, rows = (shards[:3], shards[3:6]), shards[6:]
                values, moments = _advance(moments, *rows, self.var_smoothing, self.validation, score=self.score)
            yield gather(values)[:n_orders, :width]
