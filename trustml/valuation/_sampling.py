"""Valuations estimated by sampling: rounds of independent draws, a stopping rule, standard errors, checkpoints."""

import os
import time
import warnings
from abc import abstractmethod
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from scipy.stats import t as student_t
from sklearn.exceptions import ConvergenceWarning

from trustml._jax import seed_from
from trustml._sklearn import Interval
from trustml.valuation._base import BaseGameValuation, Valued, mean_over_games
from trustml.valuation._checkpoint import SamplingState, identity_of

# The paper compares the values with those of 100 permutations before; looked at after every fifth of it.
_WINDOW_ROUNDS = 5


class BaseSampledValuation(BaseGameValuation):
    """Base of the valuations that average independent observations of each player's worth.

    A subclass implements ``_observe`` and names in ``_draws_parameter`` the parameter that limits the draws.
    """

    _parameter_constraints: dict = {
        **BaseGameValuation._parameter_constraints,
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "random_state": ["random_state"],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
    }
    _round_draws = 20
    _draws_parameter: str
    # What decides the observations, beside the data and the estimator.
    _identity_parameters: tuple = ("scoring", "error_score")

    @abstractmethod
    def _observe(self, game, rng, draws):
        """Observations of shape (n_observations, n_players) from the draws numbered by the slice ``draws``.

        ``rng`` is fresh for every round of ``_round_draws`` draws; ``draws`` selects among them, so that a run
        that was cut inside a round goes on with the rest of it.
        """

    def _max_draws(self):
        return getattr(self, self._draws_parameter)

    def _max_rounds(self):
        return -(-self._max_draws() // self._round_draws)

    def _value_games(self, games, players, problem, context):
        state = self._initial_state(games, players, problem)
        for game, evaluated in zip(games, state.n_evaluations, strict=True):
            game.n_evaluations = int(evaluated)
        started, interrupt = time.monotonic(), None
        change = self._relative_change(state)
        try:
            while change > self.tol and state.n_draws < self._max_draws():
                task = context.subcontext(task_name="round")
                task.call_on_fit_task_begin(estimator=self, X=problem.X_given, y=problem.y_given)
                state = self._next_round(state, games, players, problem.n_units)
                change = self._relative_change(state)
                if self.checkpoint is not None:
                    state.save(self.checkpoint)
                stop = task.call_on_fit_task_end(
                    estimator=self,
                    X=problem.X_given,
                    y=problem.y_given,
                    reconstruction_attributes=partial(self._attributes_so_far, problem, players, state),
                )
                if stop or (self.max_time is not None and time.monotonic() - started >= self.max_time):
                    break
        except KeyboardInterrupt as caught:
            if state.n_draws == 0:
                raise
            interrupt = caught
        converged = bool(change <= self.tol)
        if not converged and interrupt is None:
            warnings.warn(
                f"{type(self).__name__} stopped after {self._draws_parameter.removeprefix('max_')}={state.n_draws} "
                f"with a relative change of {change:.3g} over its window, above tol={self.tol}: raise "
                f"{self._draws_parameter} (or max_time), or judge the values by their standard errors.",
                ConvergenceWarning,
                stacklevel=2,
            )
        values, errors = self._estimate(state, players, problem.n_units)
        attributes = {
            "converged_": converged,
            "relative_change_": float(change),
            f"n_{self._draws_parameter.removeprefix('max_')}_": state.n_draws,
            "n_observations_": state.n_observations,
            "n_evaluations_": int(state.n_evaluations.sum()),
        }
        if self.warm_start:
            attributes["sampling_state_"] = vars(state)
        return Valued(values, errors, attributes, interrupt)

    def _attributes_so_far(self, problem, players, state):
        """Fitted attributes as if sampling had ended with ``state``: what callbacks score."""
        values, errors = self._estimate(state, players, problem.n_units)
        return self._fitted_attributes(problem, values, errors, {"n_observations_": state.n_observations})

    def _initial_state(self, games, players, problem):
        """The state to go on from: the checkpoint's, the last fit's, or a new one."""
        parameters = self._identity_parameters + (("random_state",) if self.random_state is not None else ())
        identity = identity_of(self, problem, parameters)
        if self.checkpoint is not None and Path(self.checkpoint).exists():
            state = SamplingState.load(self.checkpoint)
            state.check_continues(identity, f"checkpoint={str(self.checkpoint)!r}")
            return state
        if self.warm_start and hasattr(self, "sampling_state_"):
            state = SamplingState(**self.sampling_state_)
            state.check_continues(identity, "warm_start=True: the last fit")
            return state
        zeros = [np.zeros(len(units)) for units in players]
        return SamplingState(
            identity=identity,
            seed=seed_from(self.random_state),
            n_draws=0,
            n_observations=0,
            n_evaluations=np.array([game.n_evaluations for game in games]),
            means=zeros,
            squares=zeros,
            history=np.zeros((0, problem.n_units)),
        )

    def _next_round(self, state, games, players, n_units):
        """The state after the rest of the current round of draws; the old one is left as it was."""
        number, done = divmod(state.n_draws, self._round_draws)
        last = min(self._round_draws, done + self._max_draws() - state.n_draws)
        means, squares = [], []
        for g, game in enumerate(games):
            rng = np.random.default_rng([state.seed, g, number])
            observations = self._observe(game, rng, slice(done, last))
            # Chan, Golub & LeVeque (1983): merge the moments of two samples.
            n, more = state.n_observations, len(observations)
            mean = observations.mean(axis=0)
            gap = mean - state.means[g]
            means.append(state.means[g] + gap * (more / (n + more)))
            spread = ((observations - mean) ** 2).sum(axis=0)
            squares.append(state.squares[g] + spread + gap**2 * (n * more / (n + more)))
        state = replace(
            state,
            n_draws=state.n_draws + last - done,
            n_observations=state.n_observations + more,
            n_evaluations=np.array([game.n_evaluations for game in games]),
            means=means,
            squares=squares,
        )
        values, _ = self._estimate(state, players, n_units)
        return replace(state, history=np.concatenate([state.history, values[None]])[-_WINDOW_ROUNDS - 1 :])

    @staticmethod
    def _estimate(state, players, n_units):
        """Values and standard errors of the units."""
        n = state.n_observations
        per_game = [
            (mean, np.sqrt(square / (n * (n - 1))) if n > 1 else np.full_like(mean, np.inf))
            for mean, square in zip(state.means, state.squares, strict=True)
        ]
        return mean_over_games(per_game, players, n_units)

    @staticmethod
    def _relative_change(state):
        """Mean absolute change of the values over the window, relative to their mean absolute value."""
        if len(state.history) <= _WINDOW_ROUNDS:
            return np.inf
        change = np.abs(state.history[-1] - state.history[0]).sum()
        size = np.abs(state.history[-1]).sum()
        return change / size if size > 0 else change

    def _error_quantile(self, probability):
        return student_t.ppf(probability, max(self.n_observations_ - 1, 1))


DRAWS = [Interval(Integral, 1, None, closed="left")]
