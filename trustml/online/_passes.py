"""From NumPy to the kernels and back: whole batches through JAX, single rows without leaving NumPy.

A request to a service brings one row. Dispatching a compiled program for it costs more than the rank-one update
itself, so up to ``FEW_ROWS`` rows take the same recursion in NumPy; both ways agree to rounding.
"""

from contextlib import contextmanager
from functools import cache

import jax
import numpy as np
from threadpoolctl import ThreadpoolController

from trustml._jax import pad_rows
from trustml.online._kernels import BLOCK, HedgeState, RidgeState, hedge_scan, hedge_step, ridge_pass

CHUNK = 8192  # rows handed to a kernel at once: long streams run in constant memory, with one compiled program
FEW_ROWS = 4


def new_ridge(n_groups, n_features, alpha) -> RidgeState:
    """The state of ridge regressions that have seen nothing."""
    return RidgeState(
        np.tile(np.eye(n_features) / alpha, (n_groups, 1, 1)),
        np.zeros((n_groups, n_features)),
        np.zeros((n_groups, n_features)),
        np.zeros(n_groups),
        np.zeros(n_groups),
    )


def new_hedge(prior) -> HedgeState:
    """The state of an aggregator before its first round, from the prior of each expert."""
    with np.errstate(divide="ignore"):
        return HedgeState(np.zeros(len(prior)), np.zeros(len(prior)), np.log(prior))


def chunks(n_rows):
    """Slices of at most ``CHUNK`` rows."""
    return [slice(start, min(start + CHUNK, n_rows)) for start in range(0, n_rows, CHUNK)]


def row_uniforms(seed, first_row, n_rows):
    """One uniform per row of the stream, the same whether rows come one by one or together."""
    bits = np.random.Philox(key=seed)
    return np.random.Generator(bits.advance(first_row)).random((n_rows, 4))[:, 0]  # four draws per step of Philox


def _padded_size(n_rows):
    # Doubling, not a finer ladder: blocks of padding are never visited, and each size compiles for a second.
    return max(2 * BLOCK, 1 << (n_rows - 1).bit_length())


_blas = cache(ThreadpoolController)  # finds the libraries once: looking for them takes milliseconds


def one_blas_thread():
    """A context in which NumPy's and LAPACK's many small problems stay on one thread.

    On several they are slower, and many times slower when the machine is busy.
    """
    return _blas().limit(limits=1, user_api="blas")


@contextmanager
def _sequential():
    # Tens of microseconds of work per dependent step: an accelerator would spend them on launches, and several
    # threads of LAPACK on waiting for each other.
    device = jax.local_devices(backend="cpu")[0]
    with one_blas_thread(), jax.enable_x64(True), jax.default_device(device):
        yield


def _lost_inverse(X, decay, dtype):
    forgetting = "" if decay in (None, 1.0) else ", or a forgetting_factor nearer to 1"
    return ValueError(
        f"X holds magnitudes up to {np.abs(X).max():.0e}, with which the inverse of ridge regression lost all digits "
        f"of {np.dtype(dtype).name}; expected features of similar scale (standardise X), a larger alpha{forgetting}."
    )


def ridge_rows(state, X, y, weight, awake, *, fit_intercept, decay=None, dtype=np.float64, with_leverage=True):
    """One exact pass: state after the rows, and per row and awake group the prediction and leverage before it.

    Arrays are (n, d), (n,), (n,) and boolean (n, G); the tables that come back are (n, G), zero where asleep, and so
    are leverages that are not asked for. The state is float64 and handed over: a single row is written into its
    arrays. ``dtype`` is that of the arithmetic within a batch.
    """
    prediction, leverage = np.zeros(awake.shape), np.zeros(awake.shape)
    if len(y) <= FEW_ROWS:
        if len(y) > 1:  # a later row may be refused, and then the earlier ones leave no trace
            state = RidgeState(*(field.copy() for field in state))
        for t in range(len(y)):
            groups = np.flatnonzero(awake[t])
            prediction[t, groups], leverage[t, groups] = _ridge_row(
                state, groups, X[t], y[t], weight[t], 1.0 if decay is None else decay, fit_intercept
            )
        return state, prediction, leverage

    n_padded = _padded_size(len(y))
    group, row = np.nonzero(awake.T)
    counts = awake.sum(axis=0)
    slot = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.full((awake.shape[1], n_padded), n_padded, dtype=np.int32)
    rows[group, slot] = row
    with _sequential():
        new, f, h = ridge_pass(
            RidgeState(*(field.astype(dtype) for field in state)),
            pad_rows(X.astype(dtype, copy=False), n_padded + 1),
            pad_rows(y.astype(dtype, copy=False), n_padded + 1),
            pad_rows(weight.astype(dtype, copy=False), n_padded + 1),
            rows,
            counts,
            None if decay is None else np.asarray(decay, dtype),
            fit_intercept=fit_intercept,
            with_leverage=with_leverage,
        )
        prediction[row, group] = np.asarray(f)[group, slot]
        if with_leverage:
            leverage[row, group] = np.asarray(h)[group, slot]
        if not np.isfinite(new.coef).all():
            raise _lost_inverse(X, decay, dtype)
        # asarray of a JAX array is read-only; the state is NumPy's own.
        return RidgeState(*(np.array(field, dtype=np.float64) for field in new)), prediction, leverage


def _ridge_row(state, groups, x, y, weight, decay, fit_intercept):
    """The recursion for one row, in place, for the groups that are awake."""
    covariance, coef, x_mean, y_mean, seen = state
    P, theta, before = covariance[groups], coef[groups], seen[groups]
    if fit_intercept:
        z, target = x - x_mean[groups], y - y_mean[groups]
        started = before > 0
        with np.errstate(divide="ignore"):
            mean_leverage = np.where(started, 1 / before, np.inf)
    else:
        z, target = np.broadcast_to(x, theta.shape), np.full(len(groups), y)
        mean_leverage = 0.0
    Pz = (P @ z[:, :, None])[:, :, 0]
    fitted = (z * theta).sum(axis=1)
    spread = (z * Pz).sum(axis=1)
    prediction, leverage = y_mean[groups] + fitted, spread + mean_leverage
    if weight > 0:
        after = decay * before + weight
        counted = weight * decay * before / after if fit_intercept else np.full(len(groups), weight)
        pivot = decay + counted * spread
        if not ((pivot > 0) & np.isfinite(pivot)).all():
            raise _lost_inverse(x, decay, np.float64)
        gain = counted / pivot
        covariance[groups] = (P - gain[:, None, None] * (Pz[:, :, None] * Pz[:, None, :])) / decay
        coef[groups] = theta + (gain * (target - fitted))[:, None] * Pz
        if fit_intercept:
            x_mean[groups] += (weight / after)[:, None] * z
            y_mean[groups] += weight / after * target
        seen[groups] = after
    return prediction, leverage


def hedge_rounds(state, losses, awake, weight, learning_rate, kind):
    """The aggregator over T rounds, (T, N) losses and awake: new state, distributions (T, N), expected losses (T,)."""
    if len(losses) <= FEW_ROWS:
        distributions, expected = np.zeros(losses.shape), np.zeros(len(losses))
        for t in range(len(losses)):
            state, distributions[t], expected[t] = hedge_step(
                state, losses[t], awake[t], weight[t], learning_rate, kind, np
            )
        return state, distributions, expected
    n_padded = _padded_size(len(losses))
    with _sequential():
        new, distributions, expected = hedge_scan(
            state,
            pad_rows(losses, n_padded),
            pad_rows(awake, n_padded),
            pad_rows(weight, n_padded),
            np.float64(learning_rate),
            kind=kind,
        )
        new = HedgeState(*(np.array(field) for field in new))
        return new, np.asarray(distributions)[: len(losses)], np.asarray(expected)[: len(losses)]
