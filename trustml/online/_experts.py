"""The experts of a groupwise stream: ridge regressions as arrays, or clones of a user's estimator."""

from copy import deepcopy
from inspect import signature

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone

from trustml.online._kernels import RidgeState
from trustml.online._passes import new_ridge, ridge_rows


def _one_stream(expert, started, X, y, weight, pass_weight):
    prediction = np.zeros(len(y))
    for t in range(len(y)):
        row = X[t : t + 1]
        if started:
            prediction[t] = expert.predict(row)[0]
        if weight[t] > 0:
            if pass_weight:
                expert.partial_fit(row, y[t : t + 1], sample_weight=weight[t : t + 1])
            else:
                expert.partial_fit(row, y[t : t + 1])
            started = True
    return expert, prediction


def estimator_rows(experts, counts, X, y, weight, awake, pass_weight):
    """As ``ridge_rows``: each group's rows through its own estimator; 0 is predicted before its first row.

    The estimators that come in are left alone, so that an interrupted call leaves the previous state. Groups run in
    parallel under ``joblib.parallel_config``.
    """
    results = Parallel()(
        delayed(_one_stream)(
            deepcopy(expert) if mine.any() else expert, count > 0, X[mine], y[mine], weight[mine], pass_weight
        )
        for expert, count, mine in zip(experts, counts, awake.T, strict=True)
    )
    prediction = np.zeros(awake.shape)
    for g, (_, values) in enumerate(results):
        prediction[awake[:, g], g] = values
    return [expert for expert, _ in results], prediction


def estimator_predictions(experts, counts, X, awake):
    """Predictions (n, G) of the awake experts; 0 where asleep or untrained."""
    prediction = np.zeros(awake.shape)
    for g, (expert, count) in enumerate(zip(experts, counts, strict=True)):
        mine = awake[:, g]
        if count and mine.any():
            prediction[mine, g] = expert.predict(X[mine])
    return prediction


class GroupExperts:
    """The part of :class:`GroupwiseRegressor` that trains one expert per group and asks it for predictions."""

    def _new_experts(self, n_experts, n_features):
        if isinstance(self.expert, str):
            return new_ridge(n_experts, n_features, self.alpha)
        return [clone(self.expert) for _ in range(n_experts)]

    def _experts(self):
        if isinstance(self.expert, str):
            return RidgeState(self.covariance_, self.coef_, self._x_mean, self._y_mean, self._seen_weight)
        return self.experts_

    def _store_experts(self, experts):
        if isinstance(self.expert, str):
            self.covariance_, self.coef_, self._x_mean, self._y_mean, self._seen_weight = experts
        else:
            self.experts_ = experts

    def _grow_experts(self, at, n_new):
        new = self._new_experts(n_new, self.n_features_in_)
        if isinstance(self.expert, str):
            # Insertion of a stack before one position: the index list tells NumPy that `new` has several rows.
            grown = (
                np.insert(old, [at] * n_new, fresh, axis=0) for old, fresh in zip(self._experts(), new, strict=True)
            )
            self._store_experts(RidgeState(*grown))
        else:
            self.experts_ = [*self.experts_[:at], *new, *self.experts_[at:]]

    @property
    def intercept_(self):
        """Intercepts of ridge experts, (n_groups,)."""
        return self._y_mean - np.einsum("ij,ij->i", self._x_mean, self.coef_)

    def _expert_pass(self, X, y, weight, awake):
        """The experts after the rows, and their predictions (n, n_experts) before each; 0 where asleep."""
        if not isinstance(self.expert, str):
            weighs = "sample_weight" in signature(self.expert.partial_fit).parameters
            if not weighs and not np.isin(weight, (0, 1)).all():
                raise ValueError(
                    f"sample_weight other than 0 and 1 needs an expert whose partial_fit takes it; "
                    f"{self.expert!r} does not."
                )
            return estimator_rows(self.experts_, self.group_counts_, X, y, weight, awake, weighs)
        experts, prediction, leverage = ridge_rows(
            self._experts(),
            X,
            y,
            weight,
            awake,
            fit_intercept=self.fit_intercept,
            dtype=np.dtype(self.dtype),
            with_leverage=self.expert == "forward",
        )
        return experts, prediction / (1 + leverage) if self.expert == "forward" else prediction

    def _expert_predictions(self, X, awake):
        """Predictions (n, n_experts) from everything learnt so far; 0 where asleep."""
        if not isinstance(self.expert, str):
            return estimator_predictions(self.experts_, self.group_counts_, X, awake)
        prediction = X @ self.coef_.T + self.intercept_
        if self.expert == "forward":
            centred = X - self._x_mean[:, None]
            leverage = np.einsum("gij,gij->ig", centred @ self.covariance_, centred)
            if self.fit_intercept:
                with np.errstate(divide="ignore"):
                    leverage = leverage + 1 / self._seen_weight
            prediction = prediction / (1 + leverage)
        return np.where(awake, prediction, 0.0)
