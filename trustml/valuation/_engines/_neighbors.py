"""KNeighborsClassifier and KNeighborsRegressor: rows are ranked by distance once, and subsets look up the nearest.

The training rows in the order of their distance to a validation row are the same for every subset. A subset's
neighbours are the first K of that order that it holds, and a row that joins a prefix enters a sorted list of
length K.
"""

from functools import partial
from numbers import Integral, Real

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from trustml._jax import bucket_size, gather, lane_multiple, lanes_in_memory, pad_rows, shard_lanes
from trustml.valuation._engines._scoring import PROBABILITY_SCORES, REGRESSION_SCORES
from trustml.valuation._engines._task import CompiledEngine

_BLOCK = 64
# Neighbours that subsets look at together.
_DEPTH = 16
# Finite for any two rows, and dependent on no other row, so that a subset has the distances of the whole.
_METRICS = (
    *("euclidean", "l2", "sqeuclidean", "minkowski", "cityblock", "manhattan", "l1"),
    *("chebyshev", "cosine", "canberra"),
)


def _score(totals, y_val, weight_val, *, score, n_classes):
    """Score of the neighbours' summed votes (n_classes, n_val), or of their sums of (weight, weighted target)."""
    if n_classes:
        return score(jnp.log(totals.T.astype(weight_val.dtype)), y_val, weight_val)
    weight, target = totals
    return score(target / jnp.where(weight > 0, weight, 1), y_val, weight_val)


def _votes(target, weight, n_classes):
    """What each neighbour adds to the totals, with the totals along a new first axis."""
    if n_classes:
        classes = jnp.arange(n_classes).reshape(-1, *(1,) * target.ndim)
        return jnp.where(target == classes, weight, 0)
    return jnp.stack([weight, weight * target])


_STATIC = ("k", "score", "n_classes")


@partial(jax.jit, static_argnames=_STATIC)
def _score_subsets(masks, order, target, weight, validation, *, k, score, n_classes):
    """Scores (n_subsets,) of subsets; ``order``, ``target`` and ``weight`` (n_rows, n_val) start with the nearest.

    All lanes look at one block of neighbours after the other until each has found its k.
    """
    members = masks.T
    wanted = jnp.minimum(k, jnp.sum(members, axis=0))

    def look(state, neighbour):
        found, exact = state
        row, infinite = neighbour
        take = members[row] & (found < k)
        # As in scikit-learn: neighbours at distance zero, whose weight is infinite, silence all others.
        votes = take & (infinite[:, None] | ~exact)
        return (found + take, exact | (take & infinite[:, None])), votes

    def unfinished(state):
        start, (found, _), _ = state
        return (start < len(order)) & jnp.any(found < wanted)

    def look_at_block(state):
        start, seen, totals = state
        block = [jax.lax.dynamic_slice_in_dim(array, start, _DEPTH) for array in (order, target, weight)]
        infinite = jnp.isinf(block[2])
        seen, votes = jax.lax.scan(look, seen, (block[0], infinite))
        ballots = _votes(block[1], jnp.where(infinite, 1, block[2]), n_classes)
        totals = totals + jnp.einsum("tjv,jvb->vtb", ballots, votes.astype(weight.dtype))
        return start + _DEPTH, seen, totals

    shape = (order.shape[1], masks.shape[0])
    seen = jnp.zeros(shape, jnp.int32), jnp.zeros(shape, bool)
    totals = jnp.zeros((shape[0], n_classes or 2, shape[1]), weight.dtype)
    totals = jax.lax.while_loop(unfinished, look_at_block, (0, seen, totals))[-1]
    value = partial(_score, score=score, n_classes=n_classes)
    return jax.vmap(value, in_axes=(-1, None, None))(totals.swapaxes(0, 1), *validation)


@partial(jax.jit, static_argnames=_STATIC)
def _advance(nearest, rows, rank, target, weight, validation, *, k, score, n_classes):
    """Scores (n_orders, block) after each row of a block, and the k nearest rows so far, (k, n_val) per order."""

    def join(nearest, row):
        new = (rank[row], jnp.broadcast_to(target[row], rank.shape[1:]), weight[row])
        # Sorted by rank: entries behind the new row move down by one. A row that is absent ranks behind all.
        stays = nearest[0] <= new[0]
        enters = jnp.concatenate([jnp.ones_like(stays[:1]), stays[:-1]])
        nearest = tuple(
            jnp.where(stays, old, jnp.where(enters, own, jnp.concatenate([old[:1], old[:-1]])))
            for old, own in zip(nearest, new, strict=True)
        )
        vote = nearest[2]
        infinite = jnp.isinf(vote)
        vote = jnp.where(jnp.any(infinite, axis=0), infinite, vote)
        totals = jnp.sum(_votes(nearest[1], vote, n_classes), axis=1)
        return nearest, _score(totals, *validation, score=score, n_classes=n_classes)

    nearest, values = jax.vmap(partial(jax.lax.scan, join))(nearest, rows)
    return values, nearest


def _weight_of(distance, weights, *, counts):
    if weights != "distance":
        # Sums of votes that only count are exact, and faster, in float32.
        return np.ones_like(distance, dtype=np.float32 if counts else np.float64)
    with np.errstate(divide="ignore"):
        return 1 / distance


class NeighborsEngine(CompiledEngine):
    """K nearest neighbours.

    A subset of fewer than ``n_neighbors`` rows, which scikit-learn refuses to predict from, uses them all.
    Rows at the same distance are ranked by their number.
    """

    name = "jax:neighbors"

    @classmethod
    def accepts(cls, estimator, task):
        positive = task.sample_weight[task.sample_weight > 0]
        if type(estimator) is KNeighborsClassifier:
            known = task.classes is not None and (task.scoring or "accuracy") in PROBABILITY_SCORES
        else:
            known = type(estimator) is KNeighborsRegressor and task.classes is None
            known = known and (task.scoring or "r2") in REGRESSION_SCORES
        return (
            known
            and isinstance(estimator.n_neighbors, Integral)
            and estimator.n_neighbors > 0
            and estimator.weights in ("uniform", "distance", None)
            and estimator.metric in _METRICS
            and estimator.metric_params is None
            and (estimator.metric != "minkowski" or (isinstance(estimator.p, Real) and 1 <= estimator.p < np.inf))
            and bool(np.ptp(positive) == 0)
        )

    def __init__(self, estimator, task):
        super().__init__(task)
        n_classes = 0 if task.classes is None else len(task.classes)
        scores = PROBABILITY_SCORES if n_classes else REGRESSION_SCORES
        self.static = {
            "k": min(int(estimator.n_neighbors), task.n_rows),
            "score": scores[task.scoring or ("accuracy" if n_classes else "r2")],
            "n_classes": n_classes,
        }
        n_val = len(task.y_val)
        n_rows = _DEPTH * -(-bucket_size(task.n_rows + 1) // _DEPTH)
        # Padding ranks behind every row, and so does a row of weight zero. Validation rows are padded by copies.
        of_val = np.resize(np.arange(n_val), bucket_size(n_val))
        self.validation = task.y_val[of_val], (np.arange(len(of_val)) < n_val).astype(np.float64)
        distance = _distances(task.X_val, task.X, estimator)[of_val]
        present = task.sample_weight > 0
        order = np.argsort(np.where(present, distance, np.inf), axis=1, kind="stable").astype(np.int32)
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(task.n_rows, dtype=np.int32)[None], axis=1)
        rank[:, ~present] = n_rows
        target = task.y.astype(np.int32 if n_classes else np.float64)
        weight = _weight_of(distance, estimator.weights, counts=bool(n_classes))
        in_order = order, target[order], np.take_along_axis(weight, order, axis=1)
        self.in_order = [pad_rows(array.T, n_rows, fill) for array, fill in zip(in_order, (-1, 0, 0), strict=True)]
        self.by_row = pad_rows(rank.T, n_rows, n_rows), pad_rows(target, n_rows), pad_rows(weight.T, n_rows)

    def score_subsets(self, masks):
        n_rows, n_val = self.in_order[0].shape
        per_lane = n_rows + n_val * 8 * (2 + 2 * (self.static["n_classes"] or 2))
        lanes = lanes_in_memory(per_lane, at_most=128)
        lanes = lane_multiple(min(lanes, bucket_size(len(masks))))
        masks = masks & (self.task.sample_weight > 0)
        values = []
        with jax.enable_x64(True):
            for start in range(0, len(masks), lanes):
                chunk = pad_rows(masks[start : start + lanes], lanes)
                (chunk,) = shard_lanes(pad_rows(chunk.T, n_rows).T)
                values.append(gather(_score_subsets(chunk, *self.in_order, self.validation, **self.static)))
        return np.concatenate(values)[: len(masks)]

    def score_prefixes(self, orders):
        n_orders, n_rows = orders.shape
        lanes = lane_multiple(n_orders)
        behind_all, n_val = self.in_order[0].shape
        shape = (lanes, self.static["k"], n_val)
        # Free places of the lists: of no class, and without weight.
        nobody = -1 if self.static["n_classes"] else 0
        nearest = (
            np.full(shape, behind_all, np.int32),
            np.full(shape, nobody, self.by_row[1].dtype),
            np.zeros(shape, self.by_row[2].dtype),
        )
        for start in range(0, n_rows, _BLOCK):
            rows = orders[:, start : start + _BLOCK]
            width = rows.shape[1]
            rows = np.pad(rows, ((0, lanes - n_orders), (0, 0)))
            rows = np.pad(rows, ((0, 0), (0, _BLOCK - width)), constant_values=-1)
            with jax.enable_x64(True):
                *nearest, rows = shard_lanes(*nearest, rows)
                values, nearest = _advance(tuple(nearest), rows, *self.by_row, self.validation, **self.static)
            yield gather(values)[:n_orders, :width]


def _distances(X_val, X, estimator):
    """Distances (n_val, n_rows), term by term where they are Euclidean: exact zeros and exact ties."""
    metric = estimator.metric
    if metric in ("euclidean", "l2") or (metric == "minkowski" and estimator.p == 2):
        return cdist(X_val, X)
    if metric == "minkowski":
        return cdist(X_val, X, "minkowski", p=estimator.p)
    return pairwise_distances(X_val, X, metric=metric)
