"""The compiled half of the optimisation loop: pure functions of arrays. :mod:`trustml._training` drives them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from trustml._networks import Network


class Hyper(NamedTuple):
    """Numbers that a search may vary without compiling anything.

    Attributes
    ----------
    learning_rate : float
    alpha : float
        Adds ``alpha / 2 * |weights|^2`` to the mean loss, over the parameters with two or more axes (not biases).
        scikit-learn's MLP divides its alpha by the number of rows in a batch first.
    momentum : float
        Of "sgd" and "nesterov".
    beta_1, beta_2, epsilon : float
        Of "adam".
    loss : pytree of numbers or arrays
        Passed to the objective.
    """

    learning_rate: Any = 1e-3
    alpha: Any = 0.0
    momentum: Any = 0.9
    beta_1: Any = 0.9
    beta_2: Any = 0.999
    epsilon: Any = 1e-8
    loss: Any = ()


# Another optimizer is a module-level function from Hyper to a GradientTransformation, given in place of a name.
OPTIMIZERS: dict[str, Callable[[Hyper], optax.GradientTransformation]] = {
    "adam": lambda h: optax.adam(h.learning_rate, h.beta_1, h.beta_2, h.epsilon),
    "sgd": lambda h: optax.chain(optax.trace(h.momentum), optax.scale_by_learning_rate(h.learning_rate)),
    "nesterov": lambda h: optax.chain(
        optax.trace(h.momentum, nesterov=True), optax.scale_by_learning_rate(h.learning_rate)
    ),
    "lbfgs": lambda h: optax.lbfgs(),
}


def weighted_mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    """Mean of ``values`` (n,) under ``weight`` (n,); zero if no weight is positive."""
    total = jnp.sum(weight)
    return jnp.sum(jnp.where(weight > 0, values, 0) * weight) / jnp.where(total > 0, total, 1)


@dataclass(frozen=True)
class SampleLoss:
    """The objective of most components: ``loss`` of each row, averaged. The data are ``(X, targets)``.

    Parameters
    ----------
    network : Network
        Maps parameters and X to outputs.
    loss : callable
        Pure function ``(outputs, targets, hyper) -> losses`` of shape (n_rows,).
    """

    network: Network
    loss: Callable

    def __call__(self, params, batch, weight, key, hyper):
        X, targets = batch
        return weighted_mean(self.loss(self.network.apply(params, X), targets, hyper), weight)


@dataclass(frozen=True)
class Negative:
    """The score that early stopping watches unless told otherwise: minus the objective."""

    objective: Callable

    def __call__(self, params, batch, weight, key, hyper):
        return -self.objective(params, batch, weight, key, hyper)


class State(NamedTuple):
    """Where an optimisation stands."""

    params: Any
    optimizer: Any
    n_steps: Any


class Steps(NamedTuple):
    """What the steps of a plan recorded, each with a leading axis of steps."""

    loss: jax.Array
    weight: jax.Array
    trace: Any


def _transformation(optimizer, hyper):
    make = optimizer if callable(optimizer) else OPTIMIZERS[optimizer]
    return optax.with_extra_args_support(make(hyper))


def start(optimizer, params, hyper: Hyper) -> State:
    """The state before the first step. Pure."""
    return State(params, _transformation(optimizer, hyper).init(params), jnp.int32(0))


def _nothing(params):
    return ()


def _batches(data, weight, rows):
    """Function from a step's number to its batch and weights."""

    def gather(rows):
        index = jnp.maximum(rows, 0)
        batch = jax.tree.map(lambda a: a.at[index].get(mode="promise_in_bounds"), data)
        return batch, jnp.where(rows >= 0, weight[index], 0)

    # One gather for all steps is the faster, unless units of unequal size make the plan far longer than the data.
    if rows.size > 2 * len(weight):
        return lambda step: gather(rows[step])
    batches = gather(rows)
    return lambda step: jax.tree.map(lambda a: lax.dynamic_index_in_dim(a, step, keepdims=False), batches)


def _run(objective, optimizer, state, take, n_slots, n_steps, hyper, key, trace):
    transformation = _transformation(optimizer, hyper)

    def step(i, carry):
        state, record = carry
        batch, weight = take(i)

        def penalised(params):
            loss = objective(params, batch, weight, jax.random.fold_in(key, state.n_steps), hyper.loss)
            # A dot product: XLA's sum of squares makes small steps a quarter slower on the CPU.
            squares = sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(params) if leaf.ndim > 1)
            return loss + 0.5 * hyper.alpha * squares

        if optimizer == "lbfgs":  # The line search has left the value and the gradient in the state.
            loss, gradient = optax.value_and_grad_from_state(penalised)(state.params, state=state.optimizer)
        else:
            loss, gradient = jax.value_and_grad(penalised)(state.params)
        updates, inner = transformation.update(
            gradient, state.optimizer, state.params, value=loss, grad=gradient, value_fn=penalised
        )
        total = jnp.sum(weight)
        moved = State(optax.apply_updates(state.params, updates), inner, state.n_steps + 1)
        state = jax.tree.map(partial(jnp.where, total > 0), moved, state)
        seen = Steps(jnp.where(total > 0, loss, 0), total, trace(state.params))
        return state, jax.tree.map(lambda past, now: past.at[i].set(now), record, seen)

    row_type = jax.eval_shape(lambda: take(0)[1]).dtype
    record = Steps(
        jnp.zeros(n_slots, row_type),
        jnp.zeros(n_slots, row_type),
        jax.tree.map(lambda a: jnp.zeros((n_slots, *a.shape), a.dtype), jax.eval_shape(trace, state.params)),
    )
    return lax.fori_loop(0, n_steps, step, (state, record))


def run_plan(
    objective, optimizer, state: State, rows, data, weight, hyper: Hyper, key, *, n_steps=None, trace=_nothing
) -> tuple[State, Steps]:
    """Take one optimisation step for each row of an index plan. Pure: to be jitted, vmapped or both.

    Parameters
    ----------
    objective : callable
        As in the module's docstring. Static.
    optimizer : {"adam", "sgd", "nesterov", "lbfgs"} or callable
        Static.
    state : State
        From :func:`start`, or from the plan before.
    rows : int array of shape (n_steps, batch_size)
        Numbers of the rows of each batch; -1 for an empty slot.
    data : pytree of arrays of shape (n_rows, ...)
    weight : array of shape (n_rows,)
        Non-negative weights of the rows.
    hyper : Hyper
    key : jax.Array
        Step s of a state's life hands ``fold_in(key, s)`` to the objective.
    n_steps : int, default=None
        Only the first so many steps; traced. Later entries of the record are zero.
    trace : callable, default=None
        Pure function of the parameters, evaluated after every step. Static.

    Returns
    -------
    state : State
    steps : Steps
        ``loss`` before, ``weight`` in and ``trace`` after each step.
    """
    n_slots = len(rows)
    rows = jnp.asarray(rows)
    take = _batches(data, weight, rows)
    return _run(objective, optimizer, state, take, n_slots, n_slots if n_steps is None else n_steps, hyper, key, trace)


class Rule(NamedTuple):
    """When to stop."""

    tol: Any
    n_iter_no_change: Any


class Plan(NamedTuple):
    """Batches of some epochs.

    Attributes
    ----------
    rows : int32 array of shape (n_slots, n_steps, batch_size), or (1, batch_size) for the same batch in every epoch
    n_steps, n_epochs : int32
        How many steps of an epoch, and how many epochs, to take.
    rates : array of shape (n_slots,)
        Factor on the learning rate in each epoch.
    """

    rows: Any
    n_steps: Any
    n_epochs: Any
    rates: Any


class Lane(NamedTuple):
    """What sets one model of many apart, beside its parameters.

    Attributes
    ----------
    weight : array of shape (n_rows,)
    held_out : tuple of such an array and an int32 array of rows of shape (1, n_held_out); or empty
    seed : uint32
    """

    weight: Any
    held_out: Any
    seed: Any


class Progress(NamedTuple):
    """What is carried from one call of the device to the next."""

    state: State
    best_params: Any
    best: Any
    n_unchanged: Any
    stopped: Any
    finite: Any


def _begin(objective, optimizer, score, params, hyper):
    dtype = jax.tree.leaves(params)[0].dtype
    progress = Progress(
        state=start(optimizer, params, hyper),
        best_params=params if score else (),
        best=jnp.asarray(-jnp.inf, dtype),
        n_unchanged=jnp.int32(0),
        stopped=jnp.bool_(False),
        finite=jnp.bool_(True),
    )
    # Strong types throughout, as the epochs return them: a weak one among optax's would compile these twice.
    return jax.tree.map(lambda a: jnp.asarray(a, a.dtype), progress)


def _at_optimum(state, loss, tol):
    """Whether L-BFGS is done: a flat gradient, or a step from ``loss`` that gained no more than rounding."""
    value, gradient = (optax.tree_utils.tree_get(state.optimizer, name) for name in ("value", "grad"))
    steepest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(gradient)]))
    rounding = 64 * jnp.finfo(loss.dtype).eps * jnp.maximum(jnp.abs(value), 1)
    return (steepest <= tol) | (loss - value <= rounding)


def _epochs(objective, optimizer, score, plan, data, progress, lane, hyper, rule):
    """Epochs until the plan ends or the rule stops: their number, the progress, their losses and scores."""
    key = jax.random.key(lane.seed)
    same_batch = plan.rows.ndim == 2
    batch = _batches(data, lane.weight, plan.rows) if same_batch else None
    held_out = _batches(data, *lane.held_out)(0) if score else None

    def running(carry):
        done, progress, _, _ = carry
        return (done < plan.n_epochs) & ~progress.stopped & progress.finite

    def epoch(carry):
        done, progress, losses, scores = carry
        take = batch if same_batch else _batches(data, lane.weight, plan.rows[done])
        rated = hyper._replace(learning_rate=hyper.learning_rate * plan.rates[done])
        n_slots = plan.rows.shape[-2]
        state, steps = _run(objective, optimizer, progress.state, take, n_slots, plan.n_steps, rated, key, _nothing)
        loss = jnp.sum(steps.loss * steps.weight) / jnp.sum(steps.weight)
        merit = -loss if score is None else score(state.params, *held_out, key, hyper.loss)
        merit = merit.astype(progress.best.dtype)
        # The rule of scikit-learn's MLP.
        n_unchanged = jnp.where(merit < progress.best + rule.tol, progress.n_unchanged + 1, 0)
        stopped = n_unchanged > rule.n_iter_no_change
        if optimizer == "lbfgs":
            stopped = _at_optimum(state, loss, rule.tol) | (stopped if score else False)
        finite = jnp.isfinite(loss) & ~jnp.isnan(merit)
        for leaf in jax.tree.leaves(state.params):
            finite &= jnp.all(jnp.isfinite(leaf))
        keep = partial(jnp.where, merit > progress.best)
        best_params = jax.tree.map(keep, state.params, progress.best_params) if score else ()
        best = jnp.maximum(merit, progress.best)
        progress = Progress(state, best_params, best, n_unchanged, stopped, finite)
        return done + 1, progress, losses.at[done].set(loss), scores.at[done].set(merit)

    blank = jnp.full(plan.rates.shape, jnp.nan, progress.best.dtype)
    return lax.while_loop(running, epoch, (jnp.int32(0), progress, blank, blank))


_STATIC = ("objective", "optimizer", "score")
begin_one = jax.jit(_begin, static_argnames=_STATIC)
epochs_one = jax.jit(_epochs, static_argnames=_STATIC)


@partial(jax.jit, static_argnames=_STATIC)
def begin_lanes(objective, optimizer, score, params, hyper):
    """The progress (n_lanes, n_settings) at the parameters of each lane and the numbers of each setting."""
    begin = partial(_begin, objective, optimizer, score)
    return jax.vmap(jax.vmap(begin, (None, 0)), (0, None))(params, hyper)


@partial(jax.jit, static_argnames=(*_STATIC, "data_axes"))
def epochs_lanes(objective, optimizer, score, plan, data, progress, lane, hyper, rule, *, data_axes):
    """:func:`_epochs` of lanes x settings; the settings of a lane share its batches, gathered once."""
    epochs = partial(_epochs, objective, optimizer, score)
    settings = jax.vmap(epochs, (None, None, 0, None, 0, None))
    return jax.vmap(settings, (Plan(0, None, None, None), data_axes, 0, 0, None, None))(
        plan, data, progress, lane, hyper, rule
    )
