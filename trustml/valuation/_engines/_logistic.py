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

from trustml._jax import bucket_size, gather, lane_multiple, lanes_in_memory, pad_rows, shard_lanes
from trustml._validation import has_finite_squares
from trustml.valuation._engines._scoring import PROBABILITY_SCORES
from trustml.valuation._engines._task import CompiledEngine, padded_validation

_BLOCK = 64
# Lanes of a program, however few are wanted: so the one that scores all rows is also the one that walks.
_LANES = 20
_NEVER = np.iinfo(np.int32).max
# Numbers in a lane's inverses: beyond this many, moving them costs more than scikit-learn's own fit.
_LARGEST_INVERSE = 2**21
# Squared length of Newton's step, in the norm of the Hessian, after which a solution is exact enough for its score.
_TOLERANCE = 1e-7
# Rounds after which a preconditioner has outlived its Hessian.
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


def _gradient(w, probability, objective, rows):
    k = w.shape[1]
    residual = (probability - rows.member[-k:]) * objective.weights[:, None]
    return residual @ rows.X + objective.penalty_scale * rows.penalty * w


def _curved(objective, k):
    """Predictors (l, k) that have curvature: those of classes that are there and not alone."""
    return (jnp.sum(objective.present, axis=1, keepdims=True) > 1) & objective.present[:, -k:]


def _inverse_hessian(z, objective, rows):
    """Inverses of the diagonal blocks of the Hessian, (l, k, p, p)."""
    n_classes = len(rows.member)
    some = _curved(objective, z.shape[1])
    probability = jnp.where(some[:, :, None], _probabilities(z, objective), 1 / n_classes)
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


def _sum_to_zero(downhill, objective):
    """``downhill`` without the part that all classes share, which changes no probability: the optimum has none."""
    if downhill.shape[1] == 1:
        return downhill
    present = objective.present[:, :, None]
    shared = jnp.sum(jnp.where(present, downhill, 0.0), axis=1, keepdims=True)
    return jnp.where(present, downhill - shared / jnp.sum(present, axis=1, keepdims=True), 0.0)


def _dot(a, b):
    return jnp.sum(a * b, axis=(1, 2))


class Search(NamedTuple):
    """State of the conjugate gradients; ``slope`` is the squared length of the last preconditioned gradient."""

    w: Array  # (l, k, p)
    z: Array  # (l, k, n)
    probability: Array  # (l, k, n), before the last step
    gradient: Array  # (l, k, p)
    direction: Array  # (l, k, p)
    slope: Array  # (l,)


def _solve(model, objective, rows, renew):
    """The model that minimises the objective, and its probabilities before the last step.

    A round computes the gradient and steps; rounds end once every lane was near enough before its step. ``renew`` says
    whether the preconditioner is computed anew before the first one, as it is later whenever it has not sufficed.
    """
    seen = objective.weights > 0

    def far(search):
        return jnp.any(search.slope > _TOLERANCE)

    def some_rounds(state):
        search, inverse, n_renewals = state
        inverse = jax.lax.cond(
            renew | (n_renewals > 0), lambda: _inverse_hessian(search.z, objective, rows), lambda: inverse
        )

        def one_round(state):
            search, n_rounds = state
            probability = _probabilities(search.z, objective)
            gradient = _gradient(search.w, probability, objective, rows)
            downhill = _sum_to_zero(jnp.einsum("lkpq,lkq->lkp", inverse, gradient), objective)
            # Polak & Ribiere, restarted where it would turn back.
            conjugate = _dot(downhill, gradient - search.gradient) / jnp.maximum(search.slope, 1e-30)
            conjugate = jnp.where(n_rounds == 0, 0.0, jnp.maximum(conjugate, 0.0))
            direction = conjugate[:, None, None] * search.direction - downhill
            dz = direction @ rows.X.T
            mean = jnp.sum(probability * dz, axis=1)
            variance = jnp.sum(probability * dz * dz, axis=1) - mean * mean
            curvature = jnp.sum(objective.weights * variance, axis=1)
            curvature += objective.penalty_scale[:, 0, 0] * _dot(direction * rows.penalty, direction)
            # Without curvature, in float32, there is nothing left to win along this direction.
            curved = curvature > 1e-30
            step = jnp.where(curved, -_dot(gradient, direction) / jnp.where(curved, curvature, 1.0), 0.0)
            step = _damped(step, jnp.where(seen[:, None], dz, 0.0))[:, None, None]
            w, z = search.w + step * direction, search.z + step * dz
            return Search(w, z, probability, gradient, direction, _dot(downhill, gradient)), n_rounds + 1

        search, _ = jax.lax.while_loop(lambda state: far(state[0]) & (state[1] < _ROUNDS), one_round, (search, 0))
        return search, inverse, n_renewals + 1

    w, z, inverse = model
    nowhere = jnp.zeros_like(w)
    start = Search(w, z, jnp.zeros_like(z), nowhere, nowhere, jnp.full(len(w), jnp.inf))
    search, inverse, _ = jax.lax.while_loop(
        lambda state: far(state[0]) & (state[2] < _MOST_RENEWALS), some_rounds, (start, inverse, 0)
    )
    return Model(search.w, search.z, inverse), search.probability


def _scores(model, objective, rows, score):
    X_val, y_val, weight_val = rows.validation
    z = jnp.swapaxes(model.w @ X_val.T, 1, 2)
    if z.shape[2] == 1:
        z = jnp.concatenate([jnp.zeros_like(z), z], axis=2)
    z = jnp.where(objective.present[:, None], z, -jnp.inf)
    return jax.vmap(score, (0, None, None))(z, y_val, weight_val)


@partial(jax.jit, static_argnames=("score",))
def _advance(w, rank, order, start, n_places, rows, *, score):
    """Coefficients after ``n_places`` more rows of each order have joined from ``start`` on, and the score after each.

    ``order`` (l, _BLOCK) are the rows that join, ``rank`` (l, n) the place of each row in its order. The count of
    places is traced: a subset, all of whose rows join in one place, is scored by the same program.
    """
    k, lanes = w.shape[1], jnp.arange(len(w))
    n_classes = len(rows.member)

    def join(step, state):
        model, scores = state
        objective = _objective(rows, (rank <= start + step).astype(w.dtype), k)
        model, probability = _solve(model, objective, rows, step == 0)
        scores = scores.at[:, step].set(_scores(model, objective, rows, score))
        newest = order[:, step]
        at_row = probability[lanes, :, newest]
        usual = (n_classes - 1) / n_classes**2
        # A class without rows has no curvature yet: the one it will start with stands in for it.
        spread = jnp.where(_curved(objective, k), at_row * (1 - at_row), usual)
        spread *= objective.weights[lanes, newest][:, None]
        toward = jnp.einsum("lkpq,lq->lkp", model.inverse, rows.X[newest])
        gain = spread / (1 + spread * jnp.sum(toward * rows.X[newest][:, None], axis=2))
        # An inverse that was computed anew knows the row.
        gain = jnp.where(step == 0, 0.0, gain)
        less = gain[:, :, None, None] * toward[:, :, :, None] * toward[:, :, None, :]
        return model._replace(inverse=model.inverse - less), scores

    start_model = Model(w, w @ rows.X.T, jnp.zeros((*w.shape, w.shape[-1]), w.dtype))
    model, scores = jax.lax.fori_loop(0, n_places, join, (start_model, jnp.zeros(order.shape, w.dtype)))
    return model.w, scores


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
        small = small and has_finite_squares(task.X, np.float32)
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

    def _n_lanes(self):
        n, p = self.rows.X.shape
        per_lane = 4 * self.k * (p * p + 6 * n + 8 * p) + 8 * n
        return lane_multiple(min(lanes_in_memory(2 * per_lane, at_most=2 * _LANES), _LANES))

    def _zeros(self, lanes):
        return np.zeros((lanes, self.k, self.rows.X.shape[1]), np.float32)

    def _advance(self, w, rank, order, start, n_places):
        """The next coefficients, and scores (l, n_places)."""
        w, rank, order = shard_lanes(w, rank, order)
        with jax.default_matmul_precision("highest"):
            counts = np.int32(start), np.int32(n_places)
            w, scores = _advance(w, rank, order, *counts, self.rows, score=self.score)
        return w, gather(scores).astype(float)[:, :n_places]

    def score_subsets(self, masks):
        n_masks, lanes = len(masks), self._n_lanes()
        # All rows of a subset join in the first place.
        rank = pad_rows(np.where(masks, 0, _NEVER).T, len(self.rows.X), fill=_NEVER).T.astype(np.int32)
        order, scores = np.zeros((lanes, _BLOCK), np.int32), []
        for first in range(0, n_masks, lanes):
            chunk = pad_rows(rank[first : first + lanes], lanes)
            scores.append(self._advance(self._zeros(lanes), chunk, order, 0, 1)[1][:, 0])
        return np.concatenate(scores)[:n_masks]

    def score_prefixes(self, orders):
        n_orders, n_rows = orders.shape
        lanes = self._n_lanes()
        n_lanes = -(-n_orders // lanes) * lanes
        orders = np.pad(orders, ((0, n_lanes - n_orders), (0, 0)), mode="edge").astype(np.int32)
        # Rows of the padding join in no order, and places beyond the last one change nothing.
        rank = np.full((n_lanes, len(self.rows.X)), _NEVER, np.int32)
        np.put_along_axis(rank, orders, np.arange(n_rows, dtype=np.int32)[None], axis=1)
        w = [self._zeros(lanes) for _ in range(n_lanes // lanes)]
        for start in range(0, n_rows, _BLOCK):
            n_places = min(_BLOCK, n_rows - start)
            joining = np.pad(orders[:, start : start + n_places], ((0, 0), (0, _BLOCK - n_places)))
            blocks = []
            for chunk in range(len(w)):
                these = slice(chunk * lanes, (chunk + 1) * lanes)
                w[chunk], scores = self._advance(w[chunk], rank[these], joining[these], start, n_places)
                blocks.append(scores)
            yield np.concatenate(blocks)[:n_orders]


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
