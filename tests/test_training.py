"""The training loop against NumPy and optax step by step, closed forms, scikit-learn, and itself."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.callback import CallbackSupportMixin, ProgressBar, ScoringMonitor, with_callbacks
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from trustml._jax import bucket_size
from trustml._networks import MLP
from trustml._training import (
    EpochTasks,
    Hyper,
    SampleLoss,
    ShuffledBatches,
    run_plan,
    start,
    train,
    train_lanes,
    weighted_mean,
)

NEVER = {"n_iter_no_change": None}


def squared_error(outputs, targets, hyper):
    return 0.5 * jnp.sum((outputs - targets) ** 2, axis=1)


def cross_entropy(outputs, targets, hyper):
    own = jnp.take_along_axis(outputs, targets[:, None], axis=1)[:, 0]
    return jax.nn.logsumexp(outputs, axis=1) - own


def huber(outputs, targets, hyper):
    """Its threshold is traced."""
    error = jnp.abs(outputs - targets)
    return jnp.sum(jnp.where(error < hyper["delta"], 0.5 * error**2, hyper["delta"] * (error - 0.5)), axis=1)


TANH = MLP(n_outputs=2, hidden_layer_sizes=(5,), activation="tanh")
LINEAR = MLP(n_outputs=2, zero_output=True)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    Y = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1) + 0.1 * rng.normal(size=(30, 2))
    return X, Y


@pytest.fixture(scope="module")
def params(table):
    return TANH.init(jax.random.key(0), table[0])


@jax.jit
def adam_walk(params, data, rows):
    weight, hyper = jnp.ones(len(data[0])), Hyper()
    state = start("adam", params, hyper)
    return run_plan(SampleLoss(TANH, squared_error), "adam", state, rows, data, weight, hyper, jax.random.key(0))


def assert_close(tree, other, **tolerances):
    tolerances = {"rtol": 1e-5, "atol": 1e-6} | tolerances
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerances), tree, other)


# ---------------------------------------------------------------------------------------------------------------------
# The steps


def numpy_gradient(flat, X, Y, weight, alpha):
    """Loss and gradient of the tanh network by backpropagation, in float64."""
    W1, b1, W2, b2 = flat
    share = weight[:, None] / weight.sum()
    hidden = np.tanh(X @ W1 + b1)
    error = hidden @ W2 + b2 - Y
    loss = 0.5 * (share * error**2).sum() + 0.5 * alpha * ((W1**2).sum() + (W2**2).sum())
    back = (share * error) @ W2.T * (1 - hidden**2)
    return loss, [X.T @ back + alpha * W1, back.sum(0), hidden.T @ (share * error) + alpha * W2, (share * error).sum(0)]


def numpy_steps(params, X, Y, weight, optimizer, hyper, batches):
    """Parameters after, and loss before, each step: the textbook's updates, one row list at a time."""
    theta = [np.asarray(leaf, float) for pair in params for leaf in pair]
    first, second = [np.zeros_like(t) for t in theta], [np.zeros_like(t) for t in theta]
    path, losses = [], []
    for step, rows in enumerate(batches, start=1):
        loss, gradient = numpy_gradient(theta, X[rows], Y[rows], weight[rows], hyper.alpha)
        for i, g in enumerate(gradient):
            if optimizer == "adam":
                first[i] = hyper.beta_1 * first[i] + (1 - hyper.beta_1) * g
                second[i] = hyper.beta_2 * second[i] + (1 - hyper.beta_2) * g**2
                unbiased = first[i] / (1 - hyper.beta_1**step)
                scale = np.sqrt(second[i] / (1 - hyper.beta_2**step)) + hyper.epsilon
                theta[i] = theta[i] - hyper.learning_rate * unbiased / scale
            else:
                first[i] = hyper.momentum * first[i] + g
                ahead = hyper.momentum * first[i] + g if optimizer == "nesterov" else first[i]
                theta[i] = theta[i] - hyper.learning_rate * ahead
        path.append([t.copy() for t in theta])
        losses.append(loss)
    return path, losses


def numpy_batches(rows, batch_size, seed, epochs):
    for epoch in epochs:
        order = np.random.default_rng([seed, epoch]).permutation(rows)
        yield [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "nesterov"])
def test_every_step_equals_the_one_written_in_numpy(table, params, optimizer):
    X, Y = table
    weight = np.random.default_rng(1).uniform(0.5, 2, len(X))
    hyper = Hyper(learning_rate=0.05, alpha=0.01, momentum=0.8, beta_1=0.8, beta_2=0.95, epsilon=1e-6)
    batches = [rows for epoch in numpy_batches(np.arange(30), 7, 3, range(3)) for rows in epoch]
    plan = np.full((len(batches), 7), -1)
    for slot, rows in zip(plan, batches, strict=True):
        slot[: len(rows)] = rows
    data = (jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32))
    _, steps = jax.jit(run_plan, static_argnums=(0, 1), static_argnames="trace")(
        SampleLoss(TANH, squared_error),
        optimizer,
        start(optimizer, params, hyper),
        plan,
        data,
        jnp.asarray(weight, jnp.float32),
        hyper,
        jax.random.key(0),
        trace=jax.tree.leaves,
    )
    path, losses = numpy_steps(params, X, Y, weight, optimizer, hyper, batches)
    np.testing.assert_allclose(steps.loss, losses, rtol=1e-5)
    np.testing.assert_allclose(steps.weight, [weight[rows].sum() for rows in batches], rtol=1e-6)
    for i, traced in enumerate(steps.trace):
        np.testing.assert_allclose(traced, [theta[i] for theta in path], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_train_draws_the_documented_batches(table, params, optimizer):
    X, Y = table
    hyper = Hyper(learning_rate=0.05, alpha=0.01)
    fitted = train(
        SampleLoss(TANH, squared_error),
        params,
        table,
        optimizer=optimizer,
        hyper=hyper,
        batch_size=7,
        max_iter=4,
        seed=5,
        **NEVER,
    )
    epochs = list(numpy_batches(np.arange(30), 7, 5, range(4)))
    path, losses = numpy_steps(
        params, X, Y, np.ones(30), optimizer, hyper, [rows for epoch in epochs for rows in epoch]
    )
    assert_close([leaf for pair in fitted.params for leaf in pair], path[-1], atol=1e-5)
    sizes = [len(rows) for rows in epochs[0]]
    expected = np.average(np.reshape(losses, (4, 5)), axis=1, weights=sizes)
    np.testing.assert_allclose(fitted.loss_curve, expected, rtol=1e-5)
    assert fitted.n_iter == 4
    assert not fitted.converged


def clipped_adamw(hyper):
    return optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(hyper.learning_rate, weight_decay=0.01))


def test_any_optax_transformation_takes_the_steps_of_optax(table, params):
    objective = SampleLoss(TANH, squared_error)
    data = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), table)
    fitted = train(objective, params, table, optimizer=clipped_adamw, batch_size=None, max_iter=5, **NEVER)
    transformation = clipped_adamw(Hyper())
    moments = transformation.init(params)

    @jax.jit
    def step(params, moments):
        gradient = jax.grad(objective)(params, data, jnp.ones(30), None, ())
        updates, moments = transformation.update(gradient, moments, params)
        return optax.apply_updates(params, updates), moments

    for _ in range(5):
        params, moments = step(params, moments)
    assert_close(fitted.params, params)


def test_full_batch_reaches_ridge_in_closed_form(table):
    X, Y = table
    weight = np.random.default_rng(2).uniform(0, 2, len(X))
    alpha = 0.3
    fitted = train(
        SampleLoss(LINEAR, squared_error),
        LINEAR.init(jax.random.key(0), X),
        table,
        optimizer="lbfgs",
        hyper=Hyper(alpha=alpha),
        sample_weight=weight,
        tol=1e-9,
        **NEVER,
    )
    ((coef, intercept),) = fitted.params
    peer = Ridge(alpha * weight.sum()).fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(coef, peer.coef_.T, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(intercept, peer.intercept_, rtol=1e-6, atol=1e-8)
    assert fitted.converged
    assert fitted.n_iter < 200


def test_lbfgs_reaches_the_optimum_of_logistic_regression_and_compiles_once(count_compilations):
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    network = MLP(n_outputs=3, zero_output=True)

    def fit(C, n_rows=150, **options):
        return train(
            SampleLoss(network, cross_entropy),
            network.init(jax.random.key(0), X),
            (X[:n_rows], y[:n_rows]),
            optimizer="lbfgs",
            hyper=Hyper(alpha=1 / (C * n_rows)),
            **options,
        )

    fit(1.0, n_rows=140, max_iter=3)
    with count_compilations() as found:
        for C in (0.1, 1.0, 10.0):
            fitted = fit(C, max_iter=1000, tol=1e-8)
            peer = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, y)
            coef = fitted.params[0][0]
            np.testing.assert_allclose(coef - coef.mean(axis=1, keepdims=True), peer.coef_.T, atol=1e-5)
            assert fitted.converged
    assert found.count == 0


def test_without_shuffling_rows_come_in_their_order(table, params):
    X, Y = table
    hyper = Hyper(learning_rate=0.05)
    options = {"optimizer": "sgd", "hyper": hyper, "batch_size": 7, "max_iter": 2, "shuffle": False}
    fitted = train(SampleLoss(TANH, squared_error), params, table, **options)
    batches = 2 * [np.arange(30)[i : i + 7] for i in range(0, 30, 7)]
    path, _ = numpy_steps(params, X, Y, np.ones(30), "sgd", hyper, batches)
    assert_close([leaf for pair in fitted.params for leaf in pair], path[-1], atol=1e-5)


def test_schedule_scales_the_learning_rate_of_each_epoch(table, params):
    options = {"optimizer": "sgd", "batch_size": 7, "max_iter": 3}
    objective = SampleLoss(TANH, squared_error)
    fast = Hyper(learning_rate=1e-3, momentum=0.0)
    scheduled = train(objective, params, table, schedule=lambda epoch: [1.0, 0.0, 0.5][epoch], hyper=fast, **options)
    first = train(objective, params, table, hyper=fast, **options | {"max_iter": 1})
    state = first.state | {"epoch": 2}
    slow = fast._replace(learning_rate=5e-4)
    last = train(objective, params, table, hyper=slow, state=state, **options | {"max_iter": 1})
    assert_close(scheduled.params, last.params)


# ---------------------------------------------------------------------------------------------------------------------
# Rows, weights, padding


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 70), batch_size=st.integers(1, 40), shuffle=st.booleans())
def test_batches_hold_every_row_once_and_no_more_than_asked(n, batch_size, shuffle):
    rows = 3 * np.arange(n)
    batches = ShuffledBatches(rows, batch_size, shuffle)(np.random.default_rng(0))
    drawn = batches[batches >= 0]
    np.testing.assert_array_equal(np.sort(drawn), rows)
    assert batches.shape[0] == -(-n // batch_size)
    assert batches.shape[1] <= batch_size


@pytest.mark.parametrize(("batch_size", "held_out"), [(7, False), (7, True), (200, True)])
def test_padding_never_changes_a_result(table, params, batch_size, held_out, monkeypatch):
    validation = (np.arange(30) % 5 == 0).astype(float) if held_out else None
    options = {"batch_size": batch_size, "max_iter": 6, "validation_weight": validation, **NEVER}
    tight = train(SampleLoss(TANH, squared_error), params, table, **options)
    for module in ("trustml._batches", "trustml._training"):
        monkeypatch.setattr(f"{module}.bucket_size", lambda n, minimum=8: 3 * bucket_size(n, minimum=minimum))
    padded = train(SampleLoss(TANH, squared_error), params, table, **options)
    assert_close(padded.params, tight.params)
    np.testing.assert_allclose(padded.loss_curve, tight.loss_curve, rtol=1e-6)
    if held_out:
        np.testing.assert_allclose(padded.validation_scores, tight.validation_scores, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [7, 200])
def test_rows_of_weight_zero_are_as_if_absent(table, params, batch_size):
    keep = np.arange(30) != 4
    options = {"batch_size": batch_size, "max_iter": 5, **NEVER}
    objective = SampleLoss(TANH, squared_error)
    weighted = train(objective, params, table, sample_weight=keep.astype(float), **options)
    without = train(objective, params, (table[0][keep], table[1][keep]), **options)
    assert_close(weighted.params, without.params)
    np.testing.assert_allclose(weighted.loss_curve, without.loss_curve, rtol=1e-6)


def test_a_weight_of_two_is_a_row_twice_in_a_full_batch(table, params):
    weight = 1.0 + (np.arange(30) < 10)
    twice = np.concatenate([np.arange(30), np.arange(10)])
    objective, options = SampleLoss(TANH, squared_error), {"batch_size": None, "max_iter": 20, **NEVER}
    weighted = train(objective, params, table, sample_weight=weight, **options)
    repeated = train(objective, params, (table[0][twice], table[1][twice]), **options)
    assert_close(weighted.params, repeated.params, atol=1e-5)


def test_a_batch_without_weight_is_no_step(table, params):
    data = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), table)
    full, empty = np.arange(4), np.full(4, -1)
    gaps, _ = adam_walk(params, data, np.stack([full, empty, full]))
    solid, _ = adam_walk(params, data, np.stack([full, full]))
    assert_close(gaps, solid)
    assert gaps.n_steps == 2


def test_weighted_mean_ignores_what_is_under_zero_weight():
    values = jnp.array([1.0, jnp.inf, 3.0])
    assert weighted_mean(values, jnp.array([1.0, 0.0, 3.0])) == 2.5
    assert weighted_mean(values, jnp.zeros(3)) == 0.0


@dataclass(frozen=True)
class BalancedBatches:
    """As many rows of either class in each batch."""

    y: tuple
    n_steps: int

    def __call__(self, rng):
        classes = [np.flatnonzero(np.array(self.y) == label) for label in (0, 1)]
        return np.concatenate([rng.choice(rows, (self.n_steps, 4)) for rows in classes], axis=1)


def class_counts(params, batch, weight, key, hyper):
    """Its value is the share of class 1 in the batch."""
    return weighted_mean(batch, weight) + 0 * params


def test_a_sampler_decides_the_batches():
    y = np.arange(40) % 8 == 0
    arguments = (class_counts, np.zeros(1), y.astype(float))

    def scalar(params, batch, weight, key, hyper):
        return jnp.sum(class_counts(params, batch, weight, key, hyper))

    balanced = train(scalar, *arguments[1:], sampler=BalancedBatches(tuple(y), 6), max_iter=3)
    np.testing.assert_allclose(balanced.loss_curve, 0.5)
    plain = train(scalar, *arguments[1:], batch_size=8, max_iter=3)
    np.testing.assert_allclose(plain.loss_curve, 1 / 8)


# ---------------------------------------------------------------------------------------------------------------------
# The key, and other objectives


def augmented(params, batch, weight, key, hyper):
    """Two views of each row, and a loss over pairs of rows: nothing that a loss per row could be."""
    one, two = (batch + 0.1 * jax.random.normal(k, batch.shape) for k in jax.random.split(key))
    pairs = jnp.tanh(one @ params) @ jnp.tanh(two @ params).T
    return jnp.sum(weight[:, None] * weight * (pairs - jnp.eye(len(batch))) ** 2) / jnp.sum(weight) ** 2


def noise(params, batch, weight, key, hyper):
    return jax.random.uniform(key) + 0 * jnp.sum(params)


def test_the_key_is_fresh_in_every_step_and_set_by_the_seed(table):
    options = {"batch_size": None, "max_iter": 50, **NEVER}
    drawn = train(noise, np.zeros(1), table, **options).loss_curve
    assert len(np.unique(drawn)) == 50
    np.testing.assert_allclose(drawn.mean(), 0.5, atol=0.15)
    np.testing.assert_array_equal(train(noise, np.zeros(1), table, **options).loss_curve, drawn)
    assert not np.array_equal(train(noise, np.zeros(1), table, seed=1, **options).loss_curve, drawn)


def test_an_objective_over_pairs_with_two_views_trains(table):
    begin = np.random.default_rng(0).normal(size=(3, 2))
    fitted = train(augmented, begin, table[0], batch_size=10, max_iter=50, hyper=Hyper(learning_rate=0.01), **NEVER)
    assert fitted.loss_curve[-1] < 0.8 * fitted.loss_curve[0]


# ---------------------------------------------------------------------------------------------------------------------
# Compilation


def test_numbers_and_folds_of_a_search_compile_once(table, params, count_compilations):
    X, Y = table

    def fit(n_rows, **numbers):
        loss = {"delta": numbers.pop("delta", 1.0)}
        options = {key: numbers.pop(key) for key in ("tol", "seed", "n_iter_no_change", "max_iter") if key in numbers}
        weight = np.linspace(1, 2, n_rows)
        hyper = Hyper(loss=loss, **numbers)
        objective = SampleLoss(replace(TANH), huber)
        train(objective, params, (X[:n_rows], Y[:n_rows]), hyper=hyper, sample_weight=weight, batch_size=8, **options)

    fit(28, max_iter=3)
    with count_compilations() as found:
        for i, n_rows in enumerate((25, 26, 27, 28)):
            fit(n_rows, learning_rate=10.0 ** (-1 - i), alpha=0.1 * i, momentum=0.1 * i, delta=1.0 + i, max_iter=2 + i)
            fit(n_rows, tol=0.1 * i, seed=i, n_iter_no_change=i + 1, beta_1=0.5, max_iter=5)
    assert found.count == 0


def test_lanes_of_other_numbers_compile_once(table, params, count_compilations):
    objective = SampleLoss(TANH, huber)
    lanes = jax.tree.map(lambda a: np.stack([a, a]), params)

    def fit(rates, delta):
        hypers = [Hyper(learning_rate=rate, loss={"delta": delta}) for rate in rates]
        train_lanes(objective, lanes, table, hypers=hypers, seeds=[0, 1], batch_size=8, max_iter=2)

    fit([1e-2, 1e-3], 1.0)
    with count_compilations() as found:
        fit([3e-2, 3e-3], 2.0)
    assert found.count == 0


# ---------------------------------------------------------------------------------------------------------------------
# Stopping, warm starts, interrupts, callbacks


def stopping_epoch(merits, tol, n_iter_no_change):
    """Epochs that scikit-learn's MLP would do with these scores."""
    best, unchanged = -np.inf, 0
    for epoch, merit in enumerate(merits, start=1):
        unchanged = unchanged + 1 if merit < best + tol else 0
        best = max(best, merit)
        if unchanged > n_iter_no_change:
            return epoch
    return len(merits)


@pytest.mark.parametrize(("tol", "n_iter_no_change"), [(1e-4, 3), (1e-2, 5), (0.0, 1), (0.5, 0)])
def test_the_loss_stops_training_as_in_scikit_learn(table, params, tol, n_iter_no_change):
    options = {"hyper": Hyper(learning_rate=0.2), "batch_size": 7}
    free = train(SampleLoss(TANH, squared_error), params, table, max_iter=120, **options, **NEVER)
    rule = {"tol": tol, "n_iter_no_change": n_iter_no_change}
    stopped = train(SampleLoss(TANH, squared_error), params, table, max_iter=120, **options, **rule)
    assert stopped.n_iter == stopping_epoch(-free.loss_curve, tol, n_iter_no_change) < 120
    assert stopped.converged
    np.testing.assert_allclose(stopped.loss_curve, free.loss_curve[: stopped.n_iter], rtol=1e-5)


def minus_largest_error(params, batch, weight, key, hyper):
    X, Y = batch
    return -jnp.max(jnp.where(weight > 0, jnp.sum((TANH.apply(params, X) - Y) ** 2, axis=1), 0))


@pytest.mark.parametrize("score", [None, minus_largest_error])
def test_early_stopping_returns_the_parameters_of_the_best_score(table, params, score):
    X, Y = table
    held_out = (np.arange(30) % 4 == 0).astype(float)
    fitted = train(
        SampleLoss(TANH, squared_error),
        params,
        table,
        validation_weight=held_out,
        score=score,
        hyper=Hyper(learning_rate=0.1),
        batch_size=7,
        max_iter=300,
        n_iter_no_change=8,
    )
    rows = held_out > 0
    outputs = np.asarray(TANH.apply(fitted.params, X[rows]))
    errors = ((outputs - Y[rows]) ** 2).sum(axis=1)
    mine = -0.5 * errors.mean() if score is None else -errors.max()
    np.testing.assert_allclose(mine, fitted.validation_scores.max(), rtol=1e-4)
    assert fitted.n_iter == len(fitted.validation_scores) == stopping_epoch(fitted.validation_scores, 1e-4, 8) < 300
    assert fitted.validation_scores[-1] < fitted.validation_scores.max()
    # Held-out rows are not trained on.
    Y = np.where(rows[:, None], 1e6, Y)
    other = train(SampleLoss(TANH, squared_error), params, (X, Y), validation_weight=held_out, batch_size=7, max_iter=2)
    same = train(SampleLoss(TANH, squared_error), params, table, validation_weight=held_out, batch_size=7, max_iter=2)
    np.testing.assert_array_equal(other.loss_curve, same.loss_curve)


@pytest.mark.parametrize("optimizer", ["adam", "nesterov"])
def test_a_warm_start_goes_on_where_the_run_ended(table, params, optimizer):
    options = {"optimizer": optimizer, "batch_size": 7, "seed": 3, **NEVER}
    whole = train(SampleLoss(TANH, squared_error), params, table, max_iter=7, **options)
    begun = train(SampleLoss(TANH, squared_error), params, table, max_iter=3, **options)
    saved = pickle.loads(pickle.dumps(begun.state))
    resumed = train(SampleLoss(TANH, squared_error), None, table, max_iter=4, state=saved, **options)
    assert_close(resumed.params, whole.params, rtol=1e-6)
    np.testing.assert_allclose(np.r_[begun.loss_curve, resumed.loss_curve], whole.loss_curve, rtol=1e-6)
    assert resumed.state["epoch"] == 7
    for leaf in jax.tree.leaves(saved):
        assert isinstance(leaf, np.ndarray | np.generic | int)


def test_a_warm_start_of_lbfgs_keeps_the_parameters(table):
    begin = LINEAR.init(jax.random.key(0), table[0])
    fitted = train(SampleLoss(LINEAR, squared_error), begin, table, optimizer="lbfgs", tol=1e-8)
    again = train(SampleLoss(LINEAR, squared_error), None, table, optimizer="lbfgs", tol=1e-8, state=fitted.state)
    assert again.n_iter <= 2
    assert_close(again.params, fitted.params)


class InterruptAt:
    """Hooks that an impatient user stands behind."""

    def __init__(self, epoch, stop=False):
        self.epoch, self.stop, self.seen = epoch, stop, []

    def begin(self):
        if len(self.seen) == self.epoch and not self.stop:
            raise KeyboardInterrupt

    def end(self, result):
        self.seen.append(result())
        return self.stop and len(self.seen) == self.epoch


def test_an_interrupt_leaves_the_model_of_the_epochs_before(table, params):
    arguments = (SampleLoss(TANH, squared_error), params, table)
    cut = train(*arguments, batch_size=7, hooks=InterruptAt(3))
    short = train(*arguments, batch_size=7, max_iter=3)
    assert isinstance(cut.interrupt, KeyboardInterrupt)
    assert cut.n_iter == 3
    assert not cut.converged
    assert_close(cut.params, short.params)
    assert short.interrupt is None


def test_an_interrupt_inside_a_chunk_of_epochs_leaves_the_chunk_before(table, params):
    def interrupting(epoch):
        if epoch >= 5:
            raise KeyboardInterrupt
        return 1.0

    arguments = (SampleLoss(TANH, squared_error), params, table)
    cut = train(*arguments, batch_size=7, schedule=interrupting)
    assert 1 <= cut.n_iter <= 5
    assert_close(cut.params, train(*arguments, batch_size=7, max_iter=cut.n_iter).params)


def test_an_interrupt_before_the_first_epoch_is_raised(table, params):
    with pytest.raises(KeyboardInterrupt):
        train(SampleLoss(TANH, squared_error), params, table, hooks=InterruptAt(0))


def test_hooks_see_every_epoch_and_may_stop(table, params):
    hooks = InterruptAt(4, stop=True)
    arguments = (SampleLoss(TANH, squared_error), params, table)
    fitted = train(*arguments, batch_size=7, hooks=hooks)
    assert fitted.n_iter == 4
    assert [seen.n_iter for seen in hooks.seen] == [1, 2, 3, 4]
    for k, seen in enumerate(hooks.seen, start=1):
        assert_close(seen.params, train(*arguments, batch_size=7, max_iter=k).params)


class ToyRegressor(CallbackSupportMixin, RegressorMixin, BaseEstimator):
    """The smallest estimator on the loop."""

    def __init__(self, max_iter=6):
        self.max_iter = max_iter

    def _fitted(self, result):
        return {"params_": result.params, "n_iter_": result.n_iter}

    @with_callbacks
    def fit(self, X, y):
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        network = MLP(n_outputs=1, zero_output=True)
        fitted = train(
            SampleLoss(network, squared_error),
            network.init(jax.random.key(0), X),
            (X, y[:, None]),
            hyper=Hyper(learning_rate=0.1),
            max_iter=self.max_iter,
            hooks=EpochTasks(self, context, self._fitted, X=X, y=y),
        )
        for name, value in self._fitted(fitted).items():
            setattr(self, name, value)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self

    def predict(self, X):
        ((coef, intercept),) = self.params_
        return X @ coef[:, 0] + intercept[0]


class StopAfter:
    """A callback of the user's own."""

    def __init__(self, n_tasks):
        self.n_tasks, self.losses = n_tasks, []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        if context.task_name == "epoch":
            self.losses.append(np.mean((fitted_estimator.predict(X) - y) ** 2))
        return len(self.losses) == self.n_tasks

    def teardown(self, estimator, context):
        pass


def test_callbacks_of_scikit_learn_see_every_epoch_and_may_stop(table):
    X, y = table[0], table[0] @ [1.0, 2.0, 3.0]
    callback = StopAfter(4)
    model = ToyRegressor().set_callbacks(callback).fit(X, y)
    assert model.n_iter_ == 4
    assert np.all(np.diff(callback.losses) < 0)
    np.testing.assert_allclose(callback.losses[-1], np.mean((model.predict(X) - y) ** 2), rtol=1e-6)


def test_progress_bar_and_scoring_monitor(table, capsys):
    X, y = table[0], table[0] @ [1.0, 2.0, 3.0]
    monitor = ScoringMonitor(scoring="r2")
    model = ToyRegressor().set_callbacks(ProgressBar(), monitor).fit(X, y)
    assert model.n_iter_ == 6
    assert "ToyRegressor" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------------------------
# Many models


@pytest.fixture(scope="module")
def folds():
    return np.stack([(np.arange(30) % 3 == fold).astype(float) for fold in range(3)])


@pytest.mark.parametrize(
    ("optimizer", "batch_size"),
    [
        ("adam", 7),
        pytest.param("adam", None, marks=pytest.mark.slow),
        pytest.param("lbfgs", None, marks=pytest.mark.slow),
    ],
)
def test_lanes_equal_separate_runs(table, folds, optimizer, batch_size):
    keys = jax.random.split(jax.random.key(0), 3)
    lanes = jax.vmap(TANH.init, (0, None))(keys, table[0])
    weights = np.random.default_rng(3).uniform(0.5, 1, folds.shape)
    weights[2, 5:9] = 0
    hypers = [Hyper(learning_rate=rate, alpha=alpha) for rate, alpha in ((0.1, 0.0), (0.02, 0.1))]
    options = {"optimizer": optimizer, "batch_size": batch_size, "max_iter": 40, "n_iter_no_change": 4, "tol": 1e-3}
    together = train_lanes(
        SampleLoss(TANH, squared_error),
        lanes,
        table,
        hypers=hypers,
        seeds=[7, 8, 9],
        sample_weights=weights,
        validation_weights=folds,
        **options,
    )
    assert together.n_iter.shape == together.converged.shape == (3, 2)
    assert not together.diverged.any()
    # A line search amplifies the rounding of batched products.
    tolerances = {"rtol": 1e-4, "atol": 1e-5} if optimizer == "adam" else {"rtol": 1e-6, "atol": 1e-7}
    for lane in range(3):
        for setting, hyper in enumerate(hypers):
            alone = train(
                SampleLoss(TANH, squared_error),
                jax.tree.map(lambda a, lane=lane: a[lane], lanes),
                table,
                hyper=hyper,
                seed=7 + lane,
                sample_weight=weights[lane],
                validation_weight=folds[lane],
                **options,
            )
            n_iter = together.n_iter[lane, setting]
            assert n_iter == alone.n_iter
            assert together.converged[lane, setting] == alone.converged
            np.testing.assert_allclose(together.loss_curve[lane, setting, :n_iter], alone.loss_curve, **tolerances)
            assert np.isnan(together.loss_curve[lane, setting, n_iter:]).all()
            of_lane = jax.tree.map(lambda a, at=(lane, setting): a[at], together.params)
            assert_close(of_lane, alone.params, **tolerances)


def test_lanes_may_have_their_own_data(table, params):
    X, Y = table
    targets = np.stack([Y, 2 * Y, Y[::-1]])
    lanes = jax.tree.map(lambda a: np.stack([a] * 3), params)
    arguments = {"batch_size": 7, "max_iter": 5}
    together = train_lanes(
        SampleLoss(TANH, squared_error),
        lanes,
        (X, targets),
        hypers=[Hyper()],
        seeds=[0, 0, 0],
        data_axes=(None, 0),
        **arguments,
    )
    for lane in range(3):
        alone = train(SampleLoss(TANH, squared_error), params, (X, targets[lane]), **arguments)
        assert_close(jax.tree.map(lambda a, lane=lane: a[lane, 0], together.params), alone.params)


def test_a_lane_that_diverges_is_marked_and_leaves_the_others_alone(table, params):
    lanes = jax.tree.map(lambda a: a[None], params)
    hypers = [Hyper(learning_rate=1e-2), Hyper(learning_rate=1e30)]
    objective, options = SampleLoss(TANH, squared_error), {"optimizer": "sgd", "batch_size": 7, "max_iter": 9, **NEVER}
    together = train_lanes(objective, lanes, table, hypers=hypers, seeds=[0], **options)
    np.testing.assert_array_equal(together.diverged, [[False, True]])
    assert together.n_iter[0, 1] < together.n_iter[0, 0] == 9
    assert not together.converged.any()
    alone = train(objective, params, table, hyper=hypers[0], **options)
    assert_close(jax.tree.map(lambda a: a[0, 0], together.params), alone.params)


def test_lanes_of_explicit_plans_with_a_trace_equal_one_walk_at_a_time(table):
    """What a walk along permutations by single rows needs: a score after every step, in lanes."""
    X, Y = (jnp.asarray(a, jnp.float32) for a in table)
    objective, hyper = SampleLoss(LINEAR, squared_error), Hyper(learning_rate=0.05)
    begin = start("sgd", LINEAR.init(jax.random.key(0), X), hyper)

    def score(params):
        return -jnp.mean((LINEAR.apply(params, X) - Y) ** 2)

    def walk(rows):
        _, steps = run_plan(objective, "sgd", begin, rows, (X, Y), jnp.ones(30), hyper, jax.random.key(0), trace=score)
        return steps.trace

    orders = np.stack([np.random.default_rng(k).permutation(30) for k in range(4)])
    scores = jax.jit(jax.vmap(walk))(orders[:, :, None])
    assert scores.shape == (4, 30)
    for order, traced in zip(orders, np.asarray(scores), strict=True):
        theta, velocity = [np.zeros((3, 2)), np.zeros(2)], [np.zeros((3, 2)), np.zeros(2)]
        for row, seen in zip(order, traced, strict=True):
            error = table[0][row] @ theta[0] + theta[1] - table[1][row]
            velocity = [0.9 * velocity[0] + np.outer(table[0][row], error), 0.9 * velocity[1] + error]
            theta = [t - 0.05 * v for t, v in zip(theta, velocity, strict=True)]
            np.testing.assert_allclose(seen, -np.mean((table[0] @ theta[0] + theta[1] - table[1]) ** 2), rtol=1e-4)


def test_plans_much_longer_than_the_data_give_the_same_steps(table, params):
    data = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), table)
    rows = np.random.default_rng(0).integers(0, 30, (10, 4))
    wide = np.concatenate([rows, np.full((10, 20), -1)], axis=1)
    narrow, _ = adam_walk(params, data, rows)
    padded, _ = adam_walk(params, data, wide)
    assert_close(narrow.params, padded.params)


# ---------------------------------------------------------------------------------------------------------------------
# Reproducibility across processes and devices

_SCRIPT = """
import json, jax, numpy as np
from trustml._networks import MLP
from trustml._training import Hyper, SampleLoss, train, train_lanes

def squared_error(outputs, targets, hyper):
    return 0.5 * ((outputs - targets) ** 2).sum(axis=1)

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(30, 3)), rng.normal(size=(30, 2))
network = MLP(n_outputs=2, hidden_layer_sizes=(5,), activation="tanh")
lanes = jax.vmap(network.init, (0, None))(jax.random.split(jax.random.key(0), 3), X)
options = {"batch_size": 7, "max_iter": 5}
fitted = train(SampleLoss(network, squared_error), network.init(jax.random.key(0), X), (X, Y), seed=4, **options)
many = train_lanes(
    SampleLoss(network, squared_error), lanes, (X, np.stack([Y, 2 * Y, 3 * Y])), data_axes=(None, 0),
    hypers=[Hyper(), Hyper(0.1)], seeds=[1, 2, 3], **options
)
leaves = jax.tree.leaves((fitted.params, many.params))
print(json.dumps([len(jax.devices())] + [float(np.sum(np.abs(leaf))) for leaf in leaves]))
"""


@pytest.mark.slow
def test_another_process_with_two_devices_gives_the_result_of_this_one(capsys):
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    run = [sys.executable, "-c", _SCRIPT]
    there = subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout
    exec(_SCRIPT, {})
    (n_there, *sums_there), (n_here, *sums_here) = json.loads(there), json.loads(capsys.readouterr().out)
    assert (n_there, n_here) == (2, len(jax.devices()))
    np.testing.assert_allclose(sums_there, sums_here, rtol=1e-6)


# ---------------------------------------------------------------------------------------------------------------------
# Errors


def test_divergence_names_the_learning_rate(table, params):
    with pytest.raises(ValueError, match=r"epoch \d+.*learning_rate=1e\+30"):
        train(SampleLoss(TANH, squared_error), params, table, optimizer="sgd", hyper=Hyper(learning_rate=1e30))


def undefined_score(params, batch, weight, key, hyper):
    return jnp.nan * jnp.sum(params[0][0])


def test_a_score_that_is_not_a_number_is_an_error(table, params):
    held_out = np.arange(30) < 5
    with pytest.raises(ValueError, match="score"):
        train(SampleLoss(TANH, squared_error), params, table, validation_weight=held_out, score=undefined_score)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "adamm"}, "optimizer='adamm'; expected one of"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"max_iter": None}, "max_iter=None"),
        ({"sample_weight": np.ones(29)}, r"sample_weight has shape .*29.*expected .*30"),
        ({"sample_weight": -np.ones(30)}, "sample_weight holds negative"),
        ({"sample_weight": np.full(30, np.nan)}, "sample_weight holds negative or non-finite"),
        ({"sample_weight": np.zeros(30)}, "No row is left to train on"),
        ({"validation_weight": np.zeros(30)}, "validation_weight is zero for every row"),
        ({"validation_weight": np.ones(30)}, "No row is left to train on"),
        ({"sampler": lambda rng: np.array([[3, 30]])}, "sampler drew row 30; expected rows below 30"),
    ],
)
def test_bad_arguments_are_named(table, params, arguments, message):
    with pytest.raises(ValueError, match=message):
        train(SampleLoss(TANH, squared_error), params, table, **arguments)


def test_an_unknown_option_is_named(table, params):
    with pytest.raises(TypeError, match="learning_rate"):
        train(SampleLoss(TANH, squared_error), params, table, learning_rate=0.1)


def test_data_of_unequal_lengths_are_refused(table, params):
    with pytest.raises(ValueError, match=r"\[29, 30\] rows"):
        train(SampleLoss(TANH, squared_error), params, (table[0], table[1][:29]))


def test_a_state_of_another_optimizer_is_refused(table, params):
    state = train(SampleLoss(TANH, squared_error), params, table, optimizer="sgd", max_iter=1).state
    with pytest.raises(ValueError, match="moments of shapes"):
        train(SampleLoss(TANH, squared_error), params, table, optimizer="adam", state=state)
