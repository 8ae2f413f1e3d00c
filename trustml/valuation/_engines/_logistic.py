"""LogisticRegression with an L2 penalty: two classes, or the multinomial model of more.

A model has ``k`` linear predictors, one for two classes and else one per class, and minimises over the rows present

    sum_i weight_i * loss(z_i, y_i) + penalty_scale / 2 * sum_c w_c . diag(penalty) w_c,   z = X w

by conjugate gradients, preconditioned with the inverses of the diagonal blocks of the Hessian. Along a prefix the
solution starts from the one before, and a row that joins changes the inverses by a rank-one term (Sherman & Morrison);
they are computed anew at the start of each block of rows.
"""

from functools import partial
from numbers import Real
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.linalg import qr
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight

from trustml._jax import bucket_size, lane_multiple, lanes_in_memory, pad_rows, shard_lanes
from trustml.valuation._engines._scoring import PROBABILITY_SCORES
from trustml.valuation._engines._task import CompiledEngine, padded_validation

_BLOCK = 32
_LANES = 32
# Numbers in a lane's inverses: beyond this many, moving them costs more than scikit-learn's own fit.
_LARGEST_INVERSE = 2**21
# Squared length of Newton's step, in the norm of the Hessian, at which a solution is exact enough for its score.
_TOLERANCE = 1e-8
# Conjugate gradients that take longer than this have outlived their preconditioner: it is computed anew.
_ROUNDS = 40
_MOST_RENEWALS = 20
# An absent class has this added to its predictor: its probability is exactly zero.
_ABSENT = -1e9


class Rows(NamedTuple):
    """What all lanes share: ``n`` rows with ``p`` columns, ``c`` classes, ``m`` validation rows."""

    X: Array  # (n, p), whitened
    member: Array  # (c, n), one where a row is of a class
    weight: Array  # (n,)
    penalty: Array  # (p,)
    balanced: Array  # whether class weights follow the subset
    validation: tuple  # X (m, p), y (m,), weight (m,)


class Model(NamedTuple):
    """Where each of ``l`` lanes stands on the way to its solution."""

    w: Array  # (l, k, p)
    z: Array  # (l, k, n), predictors without the offset of absent classes
    inverse: Array  # (l, k, p, p), approximate inverses of the diagonal blocks of the Hessian


class Objective(NamedTuple):
    """What a subset asks of its model."""

    weights: Array  # (l, n), zero for rows that are absent
    offset: Array  # (l, k), far below zero for classes that are absent
    penalty_scale: Array  # (l, 1, 1)
    present: Array  # (l, c)


def _objective(rows, members, k):
    """The objective of the subsets ``members`` (l, n) of zeros and ones."""
    weights = members * rows.weight
    in_class = weights @ rows.member.T
    present = in_class > 0
    n_present = jnp.sum(present, axis=1, keepdims=True)
    balance = jnp.sum(in_class, axis=1, keepdims=True) / (jnp.maximum(n_present, 1) * jnp.where(present, in_class, 1.0))
    weights = weights * jnp.where(rows.balanced, balance @ rows.member, 1.0)
    if k == 1:
        offset = jnp.where(present[:, :1], jnp.where(present[:, 1:], 0.0, _ABSENT), -_ABSENT)
    else:
        offset = jnp.where(present, 0.0, _ABSENT)
    # scikit-learn fits one predictor, not a symmetric pair, to two of many classes: half the norm, twice the penalty.
    scale = jnp.where((n_present == 2) & (k > 1), 2.0, 1.0)[:, :, None]
    return Objective(weights, offset, scale, present)


def _probabilities(z, objective):
    z = z + objective.offset[:, :, None]
    return jax.nn.sigmoid(z) if z.shape[1] == 1 else jax.nn.softmax(z, axis=1)


def _gradient(model, probability, objective, rows):
    k = model.w.shape[1]
    residual = (probability - rows.member[-k:]) * objective.weights[:, None]
    return residual @ rows.X + objective.penalty_scale * rows.penalty * model.w


def _inverse_hessian(probability, objective, rows):
    """Inverses of the diagonal blocks of the Hessian, (l, k, p, p)."""
    curvature = probability * (1 - probability) * objective.weights[:, None]
    floor = 1e-3 * jnp.max(rows.weight)

    def one_lane(arguments):
        curvature, scale = arguments
        blocks = jnp.einsum("kn,np,nq->kpq", curvature, rows.X, rows.X)
        blocks += jnp.diag(jnp.maximum(scale[0, 0] * rows.penalty, floor))
        eye = jnp.broadcast_to(jnp.eye(blocks.shape[-1]), blocks.shape)
        return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(blocks), True), eye)

    return jax.lax.map(one_lane, (curvature, objective.penalty_scale))


def _damped(step, dz):
    """Newton's step where it changes no predictor by more than one, else shorter.

    The third derivative of the loss is at most the second one times the change of the predictors, and then
    ``log(1 + d) / d`` of Newton's step decreases the objective (Sun & Tran-Dinh 2019, generalised self-concordance).
    """
    spread = jnp.abs(dz[:, 0]) if dz.shape[1] == 1 else jnp.max(dz, axis=1) - jnp.min(dz, axis=1)
    spread = jnp.max(spread, axis=1)
    # Where the rows are separated, curvature may underflow and Newton's step overflow: its logarithm does not.
    biggest = jnp.minimum(jnp.abs(step) * spread, 1e30)
    return jnp.where(biggest > 1, jnp.sign(step) * jnp.log1p(biggest) / jnp.where(biggest > 1, spread, 1), step)


def _dot(a, b):
    return jnp.sum(a * b, axis=(1, 2))


def _solve(model, objective, rows):
    """The model that minimises the objective, and its probabilities: rounds until every lane is exact enough."""

    def renewed(state):
        model, _, slope, n_renewals = state
        inverse = _inverse_hessian(_probabilities(model.z, objective), objective, rows)
        # A lane that is done keeps its inverse: company does not change a score.
        done = (slope <= _TOLERANCE)[:, None, None, None]
        model = model._replace(inverse=jnp.where(done, model.inverse, inverse))
        return (*_conjugate_gradients(model, objective, rows), n_renewals + 1)

    def unfinished(state):
        return (state[3] < _MOST_RENEWALS) & jnp.any(state[2] > _TOLERANCE)

    first = (*_conjugate_gradients(model, objective, rows), 0)
    return jax.lax.while_loop(unfinished, renewed, first)[:2]


def _conjugate_gradients(model, objective, rows):
    """The model after some rounds, its probabilities, and how far each lane is from its optimum."""
    probability = _probabilities(model.z, objective)
    gradient = _gradient(model, probability, objective, rows)
    downhill = jnp.einsum("lkpq,lkq->lkp", model.inverse, gradient)
    seen = objective.weights > 0

    def one_round(state):
        w, z, probability, gradient, downhill, direction, slope, conjugate, n_rounds = state
        direction = conjugate[:, None, None] * direction - downhill
        dz = direction @ rows.X.T
        mean = jnp.sum(probability * dz, axis=1)
        variance = jnp.sum(probability * dz * dz, axis=1) - mean * mean
        curvature = jnp.sum(objective.weights * variance, axis=1)
        curvature += objective.penalty_scale[:, 0, 0] * _dot(direction * rows.penalty, direction)
        # Without curvature, in float32, there is nothing left to win along this direction.
        curved = curvature > 1e-30
        step = jnp.where(curved, -_dot(gradient, direction) / jnp.where(curved, curvature, 1.0), 0.0)
        step = _damped(step, jnp.where(seen[:, None], dz, 0.0))[:, None, None]
        moved = model._replace(w=w + step * direction, z=z + step * dz)
        probability = _probabilities(moved.z, objective)
        new = _gradient(moved, probability, objective, rows)
        downhill = jnp.einsum("lkpq,lkq->lkp", model.inverse, new)
        # Polak & Ribiere, restarted where it would turn back.
        conjugate = jnp.maximum(_dot(downhill, new - gradient) / jnp.maximum(slope, 1e-30), 0.0)
        return (*moved[:2], probability, new, downhill, direction, _dot(downhill, new), conjugate, n_rounds + 1)

    def unfinished(state):
        return (state[-1] < _ROUNDS) & jnp.any(state[6] > _TOLERANCE)

    start = (model.w, model.z, probability, gradient, downhill, jnp.zeros_like(model.w))
    start = (*start, _dot(downhill, gradient), jnp.zeros(len(model.w)), 0)
    w, z, probability, _, _, _, slope, *_ = jax.lax.while_loop(unfinished, one_round, start)
    return Model(w, z, model.inverse), probability, slope


def _scores(model, objective, rows, score):
    X_val, y_val, weight_val = rows.validation
    z = jnp.swapaxes(model.w @ X_val.T, 1, 2)
    if z.shape[2] == 1:
        z = jnp.concatenate([jnp.zeros_like(z), z], axis=2)
    z = jnp.where(objective.present[:, None], z, -jnp.inf)
    return jax.vmap(score, (0, None, None))(z, y_val, weight_val)


@partial(jax.jit, static_argnames=("score", "block"))
def _advance(w, rank, order, start, rows, *, score, block):
    """Coefficients after ``block`` more rows of each order have joined from ``start`` on, and the score after each.

    ``order`` (l, block) are the rows that join, ``rank`` (l, n) the place of each row in its order.
    """
    k, lanes = w.shape[1], jnp.arange(len(w))
    n_classes = len(rows.member)

    def join(model, place):
        objective = _objective(rows, (rank <= place).astype(w.dtype), k)
        model, probability = _solve(model, objective, rows)
        newest = order[:, place - start]
        at_row = probability[lanes, :, newest]
        usual = (n_classes - 1) / n_classes**2
        # A class without rows has no curvature yet: the one it will start with stands in for it.
        some = (jnp.sum(objective.present, axis=1, keepdims=True) > 1) & objective.present[:, -k:]
        spread = jnp.where(some, at_row * (1 - at_row), usual) * objective.weights[lanes, newest][:, None]
        toward = jnp.einsum("lkpq,lq->lkp", model.inverse, rows.X[newest])
        gain = spread / (1 + spread * jnp.sum(toward * rows.X[newest][:, None], axis=2))
        less = gain[:, :, None, None] * toward[:, :, :, None] * toward[:, :, None, :]
        return model._replace(inverse=model.inverse - less), _scores(model, objective, rows, score)

    z = w @ rows.X.T
    before = _objective(rows, (rank < start).astype(w.dtype), k)
    inverse = _inverse_hessian(_start_probability(z, before, n_classes), before, rows)
    model, scores = jax.lax.scan(join, Model(w, z, inverse), start + jnp.arange(block))
    return model.w, scores.T


def _start_probability(z, objective, n_classes):
    """Probabilities, and the uniform one for classes that are absent or alone."""
    k = z.shape[1]
    some = (jnp.sum(objective.present, axis=1, keepdims=True) > 1) & objective.present[:, -k:]
    return jnp.where(some[:, :, None], _probabilities(z, objective), 1 / n_classes)


@partial(jax.jit, static_argnames=("score",))
def _score_masks(members, w, rows, *, score):
    """Score of the model of each subset, from zero."""
    k = w.shape[1]
    objective = _objective(rows, members, k)
    n_classes = len(rows.member)
    z = w @ rows.X.T
    inverse = _inverse_hessian(_start_probability(z, objective, n_classes), objective, rows)
    model, _ = _solve(Model(w, z, inverse), objective, rows)
    return _scores(model, objective, rows, score)


class LogisticEngine(CompiledEngine):
    """Logistic regression with an L2 penalty, at its optimum, in float32.

    Rows that a nearly absent penalty lets the model separate, to a training loss below ``_TOLERANCE``, are as good as
    fitted: labels agree with scikit-learn's, but how sure the model is of them, and so a log loss, need not.
    """

    name = "jax:logistic"

    @classmethod
    def accepts(cls, estimator, task):
        if type(estimator) is not LogisticRegression or task.classes is None:
            return False
        l2 = estimator.penalty in ("l2", "deprecated") and estimator.l1_ratio in (0, None)
        smooth = l2 and not estimator.dual and estimator.solver != "liblinear"
        finite = isinstance(estimator.C, Real) and 0 < estimator.C < np.inf
        n_predictors = len(task.classes) if len(task.classes) > 2 else 1
        small = n_predictors * (np.shape(task.X)[1] + 1) ** 2 <= _LARGEST_INVERSE
        return smooth and finite and small and (task.scoring or "accuracy") in PROBABILITY_SCORES

    def __init__(self, estimator, task):
        super().__init__(task)
        n_rows, n_classes = len(task.y), len(task.classes)
        weight, balanced = task.sample_weight, estimator.class_weight == "balanced"
        if not balanced:
            by_class = compute_class_weight(estimator.class_weight, classes=task.classes, y=task.classes)
            weight = weight * by_class[task.y]
        X, X_val, penalty = _whiten(task.X, task.X_val, estimator.C, estimator.fit_intercept)
        padded = bucket_size(n_rows)
        self.score = PROBABILITY_SCORES[task.scoring or "accuracy"]
        self.k = 1 if n_classes == 2 else n_classes
        X_val, y_val, weight_val = padded_validation(X_val, task.y_val.astype(np.int32))
        self.rows = Rows(
            X=pad_rows(X, padded).astype(np.float32),
            member=pad_rows(task.y[:, None] == np.arange(n_classes), padded).T.astype(np.float32),
            weight=pad_rows(weight, padded).astype(np.float32),
            penalty=penalty.astype(np.float32),
            balanced=np.asarray(balanced),
            validation=(X_val.astype(np.float32), y_val, weight_val.astype(np.float32)),
        )

    def _n_lanes(self, wanted):
        n, p = self.rows.X.shape
        per_lane = 4 * self.k * (p * p + 6 * n + 8 * p) + 8 * n
        return lane_multiple(min(lanes_in_memory(2 * per_lane, at_most=_LANES), bucket_size(wanted)))

    def _zeros(self, lanes):
        return np.zeros((lanes, self.k, self.rows.X.shape[1]), np.float32)

    def score_subsets(self, masks):
        n_masks, padded = len(masks), len(self.rows.X)
        lanes, scores = self._n_lanes(n_masks), []
        for first in range(0, n_masks, lanes):
            chunk = pad_rows(pad_rows(masks[first : first + lanes], lanes).T, padded).T.astype(np.float32)
            chunk, w = shard_lanes(chunk, self._zeros(lanes))
            with jax.default_matmul_precision("highest"):
                scores.append(np.asarray(_score_masks(chunk, w, self.rows, score=self.score), float))
        return np.concatenate(scores)[:n_masks]

    def score_prefixes(self, orders):
        n_orders, n_rows = orders.shape
        lanes = self._n_lanes(n_orders)
        n_lanes = -(-n_orders // lanes) * lanes
        orders = np.pad(orders, ((0, n_lanes - n_orders), (0, 0)), mode="edge").astype(np.int32)
        # Rows of the padding join in no order, and places beyond the last one change nothing.
        rank = np.full((n_lanes, len(self.rows.X)), np.iinfo(np.int32).max, np.int32)
        np.put_along_axis(rank, orders, np.arange(n_rows, dtype=np.int32)[None], axis=1)
        w = [self._zeros(lanes) for _ in range(n_lanes // lanes)]
        for start in range(0, n_rows, _BLOCK):
            joining = np.pad(
                orders[:, start : start + _BLOCK], ((0, 0), (0, max(0, start + _BLOCK - n_rows))), mode="edge"
            )
            blocks = []
            for chunk in range(len(w)):
                these = slice(chunk * lanes, (chunk + 1) * lanes)
                arrays = shard_lanes(w[chunk], rank[these], joining[these])
                with jax.default_matmul_precision("highest"):
                    w[chunk], scores = _advance(*arrays, np.int32(start), self.rows, score=self.score, block=_BLOCK)
                blocks.append(np.asarray(scores, float))
            yield np.concatenate(blocks)[:n_orders, : n_rows - start]


def _whiten(X, X_val, C, fit_intercept):
    """Columns in which the Hessian of all rows is near the identity, and the penalty there.

    The features are moved to their mean if there is an intercept, which absorbs it, turned to their principal axes and
    scaled; the penalty stays diagonal. Axes along which the rows do not extend carry no coefficient.
    """
    n_rows = len(X)
    origin = X.mean(axis=0) if fit_intercept else np.zeros(X.shape[1])
    X, X_val = X - origin, X_val - origin
    triangle = qr(X, mode="r")[0][: min(X.shape)]
    _, singular, axes = np.linalg.svd(triangle, full_matrices=False)
    extends = singular > singular[:1] * max(X.shape) * np.finfo(float).eps
    # scikit-learn's features are at least one: keep the number of columns, so that folds share one program.
    length = np.where(extends, np.sqrt((singular**2 + 1 / C) / n_rows), np.inf)
    axes, penalty = axes.T / length, np.where(extends, 1 / (C * length**2), 1.0)
    X, X_val = X @ axes, X_val @ axes
    if fit_intercept:
        X, X_val = np.c_[X, np.ones(len(X))], np.c_[X_val, np.ones(len(X_val))]
        penalty = np.append(penalty, 0.0)
    return X, X_val, penalty
