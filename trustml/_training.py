"""The one optimisation loop: minibatch or full batch, one model or many, compiled once for all hyper-parameters.

What is minimised, and its arguments
    An *objective* is a pure function ``objective(params, batch, weight, key, hyper) -> scalar``: the mean loss over
    the rows of a batch whose ``weight`` (batch_size,) is positive. ``batch`` holds rows of ``data``, any pytree of
    arrays of n rows each (X and y, two views, quantiles of base models). ``key`` is fresh in every step, for
    augmentations. ``hyper`` is a pytree of the loss's own numbers. Most components need only :class:`SampleLoss`, the
    weighted mean of a loss per row; a loss over pairs of rows is a function, or a frozen dataclass with ``__call__``.

    An objective is *static*, that is compiled in: let it be a module-level function or a frozen dataclass, which
    compare equal from one fit to the next. A lambda or ``functools.partial`` made in ``fit`` is compiled every time.
    Every number is *traced*: those of :class:`Hyper`, seeds, weights, ``tol``, counts of rows and of epochs. A grid
    search over numbers, and folds that differ by a few rows, run one program.

Entry points
    ``train``         one model; early stopping, warm starts, callbacks, interrupts
    ``train_lanes``   many models (folds or seeds x settings) in one program
    ``run_plan``      the core that both use: a pure function, one step per row of an index plan, with a hook that
                      records something after every step; jit and vmap it for anything else
    ``EpochTasks``    reports epochs to ``sklearn.callback``; the device is then called once an epoch, so make it only
                      for an estimator that has callbacks

Rows, weights and padding
    Arrays are padded to ``bucket_size`` rows, and batches to a fixed number of slots; padding has weight zero and
    never changes a result. Rows of ``sample_weight`` zero are never drawn, as if they were absent. A batch is
    normalised by its own weight, the last and shorter one too, and a batch without weight is no step at all. Epoch e
    is shuffled by ``default_rng([seed, e])`` on the host, whatever the padding and however many epochs a call does.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from trustml._batches import (
    Plans,
    Sampler,
    ShuffledBatches,
    cast,
    check_weights,
    count_rows,
    pad,
    place_data,
    row_lists,
)
from trustml._callbacks import EpochTasks, Hooks
from trustml._jax import bucket_size, lane_multiple, shard_lanes
from trustml._optimisation import (
    OPTIMIZERS,
    Hyper,
    Lane,
    Negative,
    Plan,
    Progress,
    Rule,
    SampleLoss,
    begin_lanes,
    begin_one,
    epochs_lanes,
    epochs_one,
    run_plan,
    start,
    weighted_mean,
)

__all__ = [
    "OPTIMIZERS",
    "EpochTasks",
    "Hooks",
    "Hyper",
    "Options",
    "SampleLoss",
    "Sampler",
    "ShuffledBatches",
    "TrainResult",
    "run_plan",
    "start",
    "train",
    "train_lanes",
    "weighted_mean",
]

# A call of the device grows until it takes this long, so that an interrupt is soon heeded. Nothing is donated: an
# interrupt between a call and the assignment of its result would lose the state.
_ENOUGH_SECONDS = 0.1
_NEVER = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Options:
    """How to train; keyword arguments of :func:`train` and :func:`train_lanes`.

    Attributes
    ----------
    optimizer : {"adam", "sgd", "nesterov", "lbfgs"} or callable, default="adam"
        A callable is a module-level function from a :class:`Hyper` to an optax transformation. L-BFGS takes all rows in
        every iteration, in float64, and stops when no entry of the gradient exceeds ``tol``, or the loss falls no more.
    score : callable, default=None
        ``(params, batch, weight, key, hyper.loss) -> scalar`` of the held-out rows, greater is better; pure and
        hashable. None is minus the objective.
    batch_size : int or None, default=200
        Rows in a step. None, or no fewer than there are rows, takes all of them in one.
    shuffle : bool, default=True
        Draw the rows in a new order in every epoch.
    max_iter : int, default=200
        Most epochs (iterations of L-BFGS).
    tol : float, default=1e-4
        Least improvement of the loss, or of the score if rows are held out, that counts as one.
    n_iter_no_change : int or None, default=10
        Stop after more than this number of epochs in a row without such an improvement, as scikit-learn's MLP
        does. None never stops.
    schedule : callable, default=None
        From the number of an epoch, counted from 0, to a factor on the learning rate.
    """

    optimizer: Any = "adam"
    score: Callable | None = None
    batch_size: int | None = 200
    shuffle: bool = True
    max_iter: int = 200
    tol: float = 1e-4
    n_iter_no_change: int | None = 10
    schedule: Callable[[int], float] | None = None

    def __post_init__(self):
        if not callable(self.optimizer) and self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer={self.optimizer!r}; expected one of {sorted(OPTIMIZERS)}, or a callable.")
        for name in ("batch_size", "max_iter"):
            value = getattr(self, name)
            if (value is None and name == "max_iter") or (value is not None and value < 1):
                raise ValueError(f"{name}={value!r}; expected a positive integer.")

    @property
    def dtype(self):
        # A line search compares losses whose difference float32 does not hold.
        return np.float64 if self.optimizer == "lbfgs" else np.float32


@dataclass(frozen=True)
class TrainResult:
    """A trained model; of ``train_lanes`` one for each lane and setting, in leading axes (n_lanes, n_settings).

    Attributes
    ----------
    params : pytree of ndarray
        The last parameters; with rows held out, those of the best score.
    loss_curve : ndarray of shape (n_iter,)
        Mean loss over each epoch, penalty included. NaN after the end of a lane that stopped before others.
    validation_scores : ndarray of shape (n_iter,) or None
        Score of the held-out rows after each epoch.
    n_iter : int or ndarray
        Epochs (iterations of L-BFGS) done in this call.
    converged : bool or ndarray
        Whether ``tol`` ended it: not ``max_iter``, an interrupt or a callback.
    diverged : bool or ndarray
        Whether a loss or a parameter ceased to be finite: of lanes only, since ``train`` raises.
    state : dict or None
        For a warm start of ``train``: plain lists, numbers and arrays.
    interrupt : KeyboardInterrupt or None
        What cut it short; to be raised again once the model is stored.
    """

    params: Any
    loss_curve: NDArray
    validation_scores: NDArray | None
    n_iter: Any
    converged: Any
    diverged: Any
    state: dict | None = None
    interrupt: KeyboardInterrupt | None = None


def train(
    objective: Callable,
    params,
    data,
    *,
    hyper: Hyper | None = None,
    sample_weight: ArrayLike | None = None,
    validation_weight: ArrayLike | None = None,
    sampler: Sampler | None = None,
    seed: int = 0,
    state: dict | None = None,
    hooks: Hooks | None = None,
    **options,
) -> TrainResult:
    """Minimise an objective over the rows of ``data``.

    Parameters
    ----------
    objective : callable
        ``(params, batch, weight, key, hyper.loss) -> scalar``, hashable; see the module's docstring.
    params : pytree of float arrays
        The start.
    data : pytree of arrays of shape (n_rows, ...)
        Floats become float32 (float64 for "lbfgs") and integers int32.
    hyper : Hyper, default=None
        All numbers that do not change the program; None is ``Hyper()``.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows in the objective; None is one for each. Rows of weight zero are never drawn.
    validation_weight : array-like of shape (n_rows,), default=None
        Rows of positive weight are held out: not trained on, but scored after every epoch. Then the score decides when
        to stop, and the parameters with the best score are returned.
    sampler : Sampler, default=None
        Draws the batches of an epoch in place of ``batch_size`` and ``shuffle``: class-balanced ones, say.
    seed : int, default=0
        Of the shuffles and of the keys.
    state : dict, default=None
        ``TrainResult.state`` of an earlier run with the same optimizer: its parameters, moments, seed and count of
        epochs go on in place of ``params`` and ``seed``.
    hooks : Hooks, default=None
        Told of every epoch; :class:`EpochTasks` for scikit-learn's callbacks.
    **options
        Fields of :class:`Options`.

    Returns
    -------
    TrainResult

    Raises
    ------
    ValueError
        If the loss, the score or a parameter ceases to be finite.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from trustml._networks import MLP
    >>> from trustml._training import SampleLoss, train
    >>> def squared_error(outputs, targets, hyper):
    ...     return (outputs[:, 0] - targets) ** 2
    >>> X = np.arange(6.0).reshape(6, 1)
    >>> network = MLP(n_outputs=1, zero_output=True)
    >>> start = network.init(jax.random.key(0), X)
    >>> fitted = train(SampleLoss(network, squared_error), start, (X, 3 * X[:, 0] + 1), optimizer="lbfgs")
    >>> [round(p.item(), 3) for p in fitted.params[0]]
    [3.0, 1.0]
    """
    if state is not None:
        params, seed = state["params"], state["seed"]
    return _optimise(
        objective,
        jax.tree.map(lambda a: np.asarray(a)[None], params),
        data,
        hyper=hyper or Hyper(),
        weights=None if sample_weight is None else [sample_weight],
        validation=None if validation_weight is None else [validation_weight],
        samplers=None if sampler is None else [sampler],
        seeds=[seed],
        options=Options(**options),
        state=state,
        hooks=hooks,
    )


def train_lanes(
    objective: Callable,
    params,
    data,
    *,
    hypers: Sequence[Hyper],
    seeds: Sequence[int],
    sample_weights: ArrayLike | None = None,
    validation_weights: ArrayLike | None = None,
    samplers: Sequence[Sampler] | None = None,
    data_axes=None,
    **options,
) -> TrainResult:
    """Train a model for each lane (a fold, a seed, a target) and each setting of the numbers, in one program.

    Every result equals that of :func:`train` with the lane's rows and seed and the setting's numbers. The settings of
    a lane share its batches.

    Parameters
    ----------
    objective : callable
        As in :func:`train`.
    params : pytree of float arrays with a leading axis of n_lanes
        The start of each lane, as ``jax.vmap(network.init, (0, None))(keys, X)`` gives it.
    data : pytree of arrays of shape (n_rows, ...)
        Shared by all lanes, but for ``data_axes``.
    hypers : sequence of Hyper, of length n_settings
    seeds : sequence of int, of length n_lanes
    sample_weights, validation_weights : array-like of shape (n_lanes, n_rows), default=None
        As in :func:`train`, for each lane: folds of a cross-validation are lanes with other rows held out.
    samplers : sequence of Sampler, of length n_lanes, default=None
    data_axes : None, 0 or a tuple of them, default=None
        As ``in_axes`` of ``jax.vmap``, a prefix of ``data``: 0 marks arrays of shape (n_lanes, n_rows, ...).
    **options
        Fields of :class:`Options`.

    Returns
    -------
    TrainResult
        Arrays have leading axes (n_lanes, n_settings). A model that diverges does not raise, but is marked.
    """
    return _optimise(
        objective,
        params,
        data,
        hyper=jax.tree.map(lambda *numbers: np.stack([np.asarray(n) for n in numbers]), *hypers),
        weights=sample_weights,
        validation=validation_weights,
        samplers=samplers,
        seeds=seeds,
        options=Options(**options),
        lanes=True,
        data_axes=data_axes,
    )


class _Standing(NamedTuple):
    """Everything so far: replaced in one assignment, so that an interrupt finds the old or the new."""

    progress: Progress
    n_epochs: int
    n_iter: Any
    losses: tuple
    scores: tuple

    def after(self, outcome, n_epochs):
        done, progress, losses, scores = outcome
        return _Standing(
            progress,
            self.n_epochs + n_epochs,
            self.n_iter + np.asarray(done),
            (*self.losses, np.asarray(losses)[..., :n_epochs]),
            (*self.scores, np.asarray(scores)[..., :n_epochs]),
        )


def _drive(call, now, plans, options, hooks, result):
    """Call the device for chunks of epochs until all models have stopped; the last standing, and an interrupt."""
    budget = 1
    try:
        while now.n_epochs < options.max_iter and not np.all(now.progress.stopped | ~now.progress.finite):
            n_epochs = 1 if hooks else min(budget, plans.capacity, options.max_iter - now.n_epochs)
            if hooks:
                hooks.begin()
            began = time.perf_counter()
            now = now.after(call(now.progress, plans.draw(now.n_epochs, n_epochs)), n_epochs)
            if time.perf_counter() - began < _ENOUGH_SECONDS:
                budget *= 2
            if hooks and hooks.end(partial(result, now)):
                break
    except KeyboardInterrupt as interrupt:
        if now.n_epochs == 0:
            raise
        return now, interrupt
    return now, None


def _optimise(
    objective,
    params,
    data,
    *,
    hyper,
    weights,
    validation,
    samplers,
    seeds,
    options,
    lanes=False,
    data_axes=None,
    state=None,
    hooks=None,
):
    """Both entry points. Arrays have a leading axis of lanes, which is taken off unless ``lanes``."""
    n_lanes, n_rows, dtype = len(seeds), count_rows(data, data_axes), options.dtype
    weights, held_out = check_weights(weights, validation, (n_lanes, n_rows))
    plans = Plans(weights, samplers, seeds, state["epoch"] if state else 0, options)
    score = None if held_out is None else options.score or Negative(objective)
    static = {"objective": objective, "optimizer": options.optimizer, "score": score}
    begin, epochs = (begin_lanes, partial(epochs_lanes, data_axes=data_axes)) if lanes else (begin_one, epochs_one)

    def place(tree):
        """The one lane, or all of them over the devices, the last one repeated to fill these."""
        if not lanes:
            return jax.tree.map(lambda a: a[0], tree)
        order = np.minimum(np.arange(lane_multiple(n_lanes)), n_lanes - 1)
        leaves, structure = jax.tree.flatten(jax.tree.map(lambda a: np.asarray(a)[order], tree))
        return jax.tree.unflatten(structure, shard_lanes(*leaves))

    def result(now, interrupt=None):
        take = (lambda a: np.array(a)[:n_lanes]) if lanes else (lambda a: np.array(a)[()])
        progress = now.progress
        n_iter, diverged = take(now.n_iter), take(~progress.finite)
        curves = [np.concatenate(c, axis=-1)[..., : np.max(n_iter)] for c in (now.losses, now.scores)]
        trained = TrainResult(
            params=jax.tree.map(take, progress.best_params if score else progress.state.params),
            loss_curve=take(curves[0]),
            validation_scores=take(curves[1]) if score else None,
            n_iter=n_iter,
            converged=take(progress.stopped) & ~diverged,
            diverged=diverged,
            interrupt=interrupt,
        )
        if lanes:
            return trained
        state = {
            "params": trained.params,
            "optimizer": [np.array(leaf) for leaf in jax.tree.leaves(progress.state.optimizer)],
            "n_steps": int(progress.state.n_steps),
            "epoch": int(plans.first_epoch + n_iter),
            "seed": int(seeds[0]),
        }
        flags = {"converged": bool(trained.converged), "diverged": bool(diverged)}
        return replace(trained, n_iter=int(n_iter), state=state, **flags)

    with jax.enable_x64(dtype is np.float64):
        rows = bucket_size(n_rows)
        held = () if held_out is None else (pad(held_out, rows, 1, dtype), row_lists(held_out)[:, None])
        hyper = jax.tree.map(lambda a: cast(a, dtype), hyper)
        patience = _NEVER if options.n_iter_no_change is None else options.n_iter_no_change
        fixed = jax.device_put(
            {
                "data": place_data(data, data_axes, rows, dtype, place),
                "lane": place(Lane(pad(weights, rows, 1, dtype), held, np.asarray(seeds, np.uint32))),
                "hyper": hyper,
                "rule": Rule(dtype(options.tol), np.int32(patience)),
            }
        )
        start_params = place(jax.tree.map(lambda a: cast(a, dtype), params))
        progress = begin(**static, params=start_params, hyper=hyper)
        if state is not None and options.optimizer != "lbfgs":
            progress = progress._replace(state=_resumed(progress.state, state))

        def call(progress, plan):
            plan = Plan(place(plan.rows), np.int32(plan.n_steps), np.int32(plan.n_epochs), plan.rates.astype(dtype))
            return jax.block_until_ready(epochs(**static, **fixed, plan=plan, progress=progress))

        now = _Standing(progress, 0, np.zeros(progress.stopped.shape, int), (), ())
        now, interrupt = _drive(call, now, plans, options, hooks, result)
        trained = result(now, interrupt)
    if not lanes and trained.diverged:
        raise ValueError(
            f"Training diverged in epoch {plans.first_epoch + trained.n_iter}: its loss is {trained.loss_curve[-1]}, "
            "and not all of loss, score and parameters are finite. "
            f"Lower learning_rate={float(hyper.learning_rate):g}, or standardise the data."
        )
    return trained


def _resumed(state, saved):
    """``state`` with the moments and the step count of a saved one."""
    leaves, structure = jax.tree.flatten(state.optimizer)
    shapes, found = [leaf.shape for leaf in leaves], [np.shape(leaf) for leaf in saved["optimizer"]]
    if shapes != found:
        raise ValueError(
            f"state holds moments of shapes {found}; expected {shapes}, of the same optimizer and network."
        )
    moments = [jax.numpy.asarray(a, leaf.dtype) for a, leaf in zip(saved["optimizer"], leaves, strict=True)]
    return state._replace(optimizer=structure.unflatten(moments), n_steps=jax.numpy.int32(saved["n_steps"]))
