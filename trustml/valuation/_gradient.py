"""Values along one pass of stochastic gradient descent: Gradient Shapley."""

from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from trustml._jax import bucket_size, gather, lane_multiple, lanes_in_memory, pad_rows, shard_lanes
from trustml._networks import ACTIVATIONS, MLP
from trustml._sklearn import HasMethods, Interval, StrOptions
from trustml._training import Hyper, run_plan, start
from trustml.valuation._base import BaseDataValuation
from trustml.valuation._engines._scoring import PROBABILITY_SCORES, REGRESSION_SCORES
from trustml.valuation._engines._task import padded_validation
from trustml.valuation._sampling import DRAWS, BaseSampledValuation

# Ghorbani & Zou try these rates, each in this number of passes.
_RATES, _PASSES = 10.0 ** -np.arange(1, 5, 0.5), 10


def _binary_logistic(outputs, y):
    logit = outputs[:, 0]
    return jax.nn.softplus(logit) - y * logit


def _multinomial_logistic(outputs, y):
    own = jnp.take_along_axis(outputs, y[:, None], axis=1)[:, 0]
    return jax.nn.logsumexp(outputs, axis=1) - own


def _half_squared_error(outputs, y):
    return 0.5 * (outputs[:, 0] - y) ** 2


@dataclass(frozen=True)
class _UnitLoss:
    """Mean weighted loss of a unit. Weights have mean one over all rows, so that they scale the unit's step."""

    network: MLP
    loss: Any

    def __call__(self, params, batch, weight, key, hyper):
        X, y = batch
        return jnp.sum(weight * self.loss(self.network.apply(params, X), y)) / jnp.maximum(jnp.sum(weight > 0), 1)


def _descent(hyper):
    return optax.scale_by_learning_rate(hyper.learning_rate)


@partial(jax.jit, static_argnames=("network", "loss", "score"))
def _walk(orders, keys, rates, n_units, unit_rows, data, weight, validation, *, network, loss, score):
    """Scores (n_orders, 1 + n_slots) before the first step and after each one, and whether an order ends finite.

    ``orders`` (n_orders, n_slots) are unit numbers, of which the first ``n_units`` are used; ``unit_rows``
    (n_slots, width) the rows of each unit, padded by -1. Each order has its own key, for the start, and its own rate.
    """
    X_val, y_val, weight_val = validation

    def one_order(order, key, rate):
        def scored(params):
            outputs = network.apply(params, X_val)
            if loss is _half_squared_error:
                outputs = outputs[:, 0]
            elif loss is _binary_logistic:
                outputs = jnp.concatenate([jnp.zeros_like(outputs), outputs], axis=1)
            return score(outputs, y_val, weight_val)

        # A step without rows comes first: the score before any other, rounded as all are.
        rows = jnp.concatenate([jnp.full_like(unit_rows[:1], -1), unit_rows[order]])
        hyper = Hyper(learning_rate=rate)
        state, steps = run_plan(
            _UnitLoss(network, loss),
            _descent,
            start(_descent, network.init(key, data[0]), hyper),
            rows,
            data,
            weight,
            hyper,
            key,
            n_steps=n_units + 1,
            trace=scored,
        )
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(state.params)]))
        return steps.trace, finite

    return jax.vmap(one_order)(orders, jax.vmap(jax.random.key)(keys), rates)


class _Passes:
    """Passes of gradient descent over the units of one split: the game that they play."""

    name = "jax:gradient"

    def __init__(self, problem, split, unit_of_row, scoring, hidden_layer_sizes, activation, most_lanes):
        weight = problem.sample_weight[split.rows]
        weight = weight / (weight[weight > 0].mean() if weight.any() else 1)
        X, X_val = _standardised(problem.X[split.rows], weight, split.X_val)
        y, y_val = problem.y[split.rows], split.y_val
        classify = problem.classes is not None
        self.unit = 1.0
        if classify:
            binary = len(problem.classes) == 2
            n_outputs = 1 if binary else len(problem.classes)
            loss = _binary_logistic if binary else _multinomial_logistic
            score = PROBABILITY_SCORES[scoring or "accuracy"]
            y, y_val = y.astype(np.int32), y_val.astype(np.int32)
        else:
            scale = _spread(y, weight)[1]
            self.unit = {"r2": 1.0, "neg_mean_squared_error": scale**2}.get(scoring or "r2", scale)
            y, y_val = _standardised(y, weight, y_val)
            n_outputs, loss, score = 1, _half_squared_error, REGRESSION_SCORES[scoring or "r2"]
        self.n_players = unit_of_row.max() + 1
        self.n_evaluations = 0
        network = MLP(n_outputs, hidden_layer_sizes, activation, zero_output=True)
        self.static = {"network": network, "loss": loss, "score": score}
        size = bucket_size(len(y))
        unit_rows = _rows_of_units(unit_of_row)
        arrays = (X, y, weight, *padded_validation(X_val, y_val))
        X, y, weight, *validation = (a.astype(np.float32) if a.dtype.kind == "f" else a for a in arrays)
        self.arrays = jax.device_put(
            (unit_rows, (pad_rows(X, size), pad_rows(y, size)), pad_rows(weight, size), tuple(validation))
        )
        widths = (X.shape[1], *hidden_layer_sizes, n_outputs)
        lane_bytes = 4 * (unit_rows.size * (X.shape[1] + 2) + len(validation[0]) * sum(widths[1:]))
        self.lanes = lane_multiple(min(most_lanes, lanes_in_memory(lane_bytes, at_most=2 * most_lanes)))

    def scores(self, orders, seeds, rates):
        """Scores (n_orders, 1 + n_players) along each order, and whether it ends with finite numbers."""
        n_orders, n_units = orders.shape
        found = []
        slots = len(self.arrays[0])
        for first in range(0, n_orders, self.lanes):
            chunk = np.minimum(np.arange(first, first + self.lanes), n_orders - 1)
            order = np.zeros((self.lanes, slots), np.int32)
            order[:, :n_units] = orders[chunk]
            lanes = shard_lanes(order, seeds[chunk].astype(np.uint32), rates[chunk].astype(np.float32))
            found.append(_walk(*lanes, np.int32(n_units), *self.arrays, **self.static))
        scores, finite = (np.concatenate([gather(part[k]) for part in found])[:n_orders] for k in (0, 1))
        scores = scores[:, : n_units + 1].astype(np.float64) * float(self.unit)
        return scores, finite & np.isfinite(scores).all(axis=1)

    def choose_rate(self, candidates, rng):
        """Keep the candidate with the best mean less standard deviation of the score after a pass."""
        orders = _random_orders(rng, _PASSES, self.n_players)
        seeds = rng.integers(2**32, size=_PASSES, dtype=np.uint32)
        n = len(candidates)
        scores, finite = self.scores(np.tile(orders, (n, 1)), np.tile(seeds, n), np.repeat(candidates, _PASSES))
        final = np.where(finite, scores[:, -1], -np.inf).reshape(n, _PASSES)
        usable = np.isfinite(final).all(axis=1)
        if not usable.any():
            self._refuse(candidates)
        merit = np.full(n, -np.inf)
        merit[usable] = final[usable].mean(axis=1) - final[usable].std(axis=1)
        best = np.argmax(merit)
        self.learning_rate = float(candidates[best])
        self.empty_score, self.full_score = float(scores[0, 0]), float(final[best].mean())

    def marginals(self, orders, seeds):
        """What each unit (n_orders, n_players) changed in the score of each order."""
        scores, finite = self.scores(orders, seeds, np.full(len(orders), self.learning_rate))
        if not finite.all():
            self._refuse([self.learning_rate])
        self.n_evaluations += orders.size
        by_unit = np.empty(orders.shape)
        np.put_along_axis(by_unit, orders, np.diff(scores, axis=1), axis=1)
        return by_unit

    @staticmethod
    def _refuse(rates):
        raise ValueError(
            f"learning_rate={rates[-1]:g} makes gradient descent diverge: the parameters or the score are no longer "
            "finite after one pass over the rows. Expected a smaller rate, or 'auto'; or standardise X."
        )


def _random_orders(rng, n_orders, n_units):
    return rng.permuted(np.tile(np.arange(n_units), (n_orders, 1)), axis=1)


def _spread(column, weight):
    """Weighted mean and standard deviation of each column; the latter is one for a constant."""
    if not weight.any():
        return 0.0, 1.0
    mean = np.average(column, axis=0, weights=weight)
    scale = np.sqrt(np.average((column - mean) ** 2, axis=0, weights=weight))
    return mean, np.where(scale > 0, scale, 1.0)


def _standardised(training, weight, validation):
    mean, scale = _spread(training, weight)
    return (training - mean) / scale, (validation - mean) / scale


def _rows_of_units(unit_of_row):
    """Row numbers of each unit (bucket of n_units, width), padded by -1."""
    sizes = np.bincount(unit_of_row)
    width = 1 if sizes.max() == 1 else bucket_size(sizes.max(), minimum=2)
    rows = np.full((bucket_size(len(sizes)), width), -1, np.int32)
    order = np.argsort(unit_of_row, kind="stable")
    slot = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rows[unit_of_row[order], slot] = order
    return rows


class GradientShapley(BaseSampledValuation):
    """Values of training rows along single passes of stochastic gradient descent.

    Rows arrive in random order and each moves a model by one gradient step; a row's value is what its step changes
    in the validation score, averaged over orders. A step costs a fraction of a microsecond, where Data Shapley
    fits a model. Linear models by default, multilayer perceptrons by ``hidden_layer_sizes``.

    Parameters
    ----------
    estimator : estimator, default=None
        Model that is refitted on the rows kept; a classifier makes the descent logistic or multinomial, a regressor
        least squares. None is ``LogisticRegression()`` if y holds labels (strings, booleans, integers, or any two
        values), and ``Ridge()`` if it holds floats.
    hidden_layer_sizes : tuple of int, default=()
        Hidden layers of the model that descends; none makes it linear.
    activation : {"relu", "tanh", "logistic", "identity"}, default="relu"
        Of the hidden layers.
    learning_rate : "auto" or float, default="auto"
        Length of a step. "auto" takes, of 0.1, 0.0316, 0.01, ..., 0.0000316, the one with the best mean less standard
        deviation of the score after one pass, over ten passes in random orders, for each fold.
    scoring : str or None, default=None
        Score on the validation rows: "accuracy" (None), "balanced_accuracy" or "neg_log_loss" for labels; "r2" (None),
        "neg_mean_squared_error", "neg_root_mean_squared_error" or "neg_mean_absolute_error" for numbers.
    cv : int, cross-validation generator or iterable, default=5
        Folds on which the rows are valued when ``fit`` gets no validation set.
    max_permutations : int, default=500
        Passes at most, in each fold.
    tol : float, default=0.05
        The values have converged when their mean absolute change over the last 100 permutations is at most this
        fraction of their mean absolute value.
    select : {"positive", "nonnegative", "all"} or float, default="positive"
        Rows that ``estimator_`` is refitted on, as in :class:`DataShapley`.
    warm_start : bool, default=False
        Go on from the permutations of the last ``fit`` to the same data.
    checkpoint : str or path, default=None
        File that is replaced after every 20 permutations, to resume a run from.
    max_time : float or None, default=None
        Stop after this many seconds, at the end of a round of 20 permutations.
    random_state : int, RandomState instance or None, default=None
        Seeds the permutations and the hidden layers.

    Attributes
    ----------
    data_values_ : ndarray of shape (n_samples,)
        Value of each row, in units of the score.
    standard_errors_ : ndarray of shape (n_samples,)
        Their standard errors over permutations.
    learning_rates_ : ndarray of shape (n_folds,)
        Rate used in each fold; one, with a validation set.
    empty_score_ : float
        Score before the first step, when all outputs are zero (a tie of labels goes to the first), mean over folds.
    full_score_ : float
        Mean score after one pass, over ten passes and the folds.
    n_permutations_ : int
        Passes done in each fold.
    estimator_ : estimator
        Model refitted on the rows kept; other attributes are those of :class:`DataShapley`.

    See Also
    --------
    DataShapley : Fits a model to each subset: slower, and does not depend on a learning rate.

    Notes
    -----
    In each permutation the changes sum to the score after the pass less the score before it, but this is no
    estimate of the Shapley value: what a row changes depends on when it arrives, not only on who came before. Columns
    of X, and a numeric y, are standardised by the training rows. Rows of a unit make one step, along their mean
    gradient. A row's weight, relative to the mean weight, scales its gradient. The output layer starts at zero, the
    hidden layers at random for each permutation.

    References
    ----------
    .. [1] A. Ghorbani, J. Zou. "Data Shapley: equitable valuation of data for machine learning". ICML 2019,
       Algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from trustml import GradientShapley
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:100:2], y[:100:2].copy()
    >>> y[[3, 40]] = 1 - y[[3, 40]]
    >>> valuation = GradientShapley(tol=0.2, random_state=0).fit(X, y)
    >>> np.sort(np.argsort(valuation.data_values_)[:2])
    array([ 3, 40])
    """

    _parameter_constraints: dict = {
        name: BaseSampledValuation._parameter_constraints[name]
        for name in ("select", "cv", "tol", "warm_start", "checkpoint", "max_time", "random_state")
    } | {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "learning_rate": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "scoring": [StrOptions(set(PROBABILITY_SCORES) | set(REGRESSION_SCORES)), None],
        "max_permutations": DRAWS,
    }
    _draws_parameter = "max_permutations"
    _identity_parameters = ("scoring", "hidden_layer_sizes", "activation", "learning_rate")
    _needs_numbers = BaseDataValuation._needs_numbers

    def __init__(
        self,
        estimator=None,
        *,
        hidden_layer_sizes=(),
        activation="relu",
        learning_rate="auto",
        scoring=None,
        cv=5,
        max_permutations=500,
        tol=0.05,
        select="positive",
        warm_start=False,
        checkpoint=None,
        max_time=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.learning_rate = learning_rate
        self.scoring = scoring
        self.cv = cv
        self.max_permutations = max_permutations
        self.tol = tol
        self.select = select
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.max_time = max_time
        self.random_state = random_state

    def _value(self, problem, context):
        known = REGRESSION_SCORES if problem.classes is None else PROBABILITY_SCORES
        if self.scoring is not None and self.scoring not in known:
            kind = "numbers" if problem.classes is None else "labels"
            raise ValueError(f"scoring={self.scoring!r}, but y holds {kind}; expected one of {sorted(known)}.")
        hidden = tuple(self.hidden_layer_sizes)
        if not all(isinstance(width, Integral) and width > 0 for width in hidden):
            raise ValueError(f"hidden_layer_sizes={self.hidden_layer_sizes!r}; expected positive integers.")
        games, players = [], []
        for split in problem.splits:
            units, unit_of_row = np.unique(problem.unit_of_row[split.rows], return_inverse=True)
            games.append(_Passes(problem, split, unit_of_row, self.scoring, hidden, self.activation, self._round_draws))
            players.append(units)
        valued = self._value_games(games, players, problem, context)
        of_games = {
            "engine_": _Passes.name,
            "learning_rates_": np.array([game.learning_rate for game in games]),
            "full_score_": float(np.mean([game.full_score for game in games])),
            "empty_score_": float(np.mean([game.empty_score for game in games])),
        }
        return replace(valued, attributes={**of_games, **valued.attributes})

    def _initial_state(self, games, players, problem):
        state = super()._initial_state(games, players, problem)
        rates = _RATES if isinstance(self.learning_rate, str) else np.array([self.learning_rate], float)
        for g, game in enumerate(games):
            # Of the seed alone, so that a resumed run takes the same rate; rounds have one number less.
            game.choose_rate(rates, np.random.default_rng([state.seed, g, 0, 1]))
        return state

    def _observe(self, game, rng, draws):
        orders = _random_orders(rng, self._round_draws, game.n_players)
        seeds = rng.integers(2**32, size=self._round_draws, dtype=np.uint32)
        return game.marginals(orders[draws], seeds[draws])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.allow_nan = False
        return tags
