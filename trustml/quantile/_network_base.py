"""Networks that predict distributions: what the neural quantile regressors share."""

from abc import abstractmethod
from numbers import Integral, Real

import jax
import numpy as np
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.validation import validate_data

from trustml._jax import seed_from
from trustml._networks import ACTIVATIONS, MLP, predict
from trustml._sklearn import Interval, StrOptions, check_sample_weight, fit_context
from trustml._training import EpochTasks, Hyper, SampleLoss, train
from trustml._validation import check_magnitude
from trustml.metrics._quantile import check_quantile_levels
from trustml.quantile._base import BaseQuantileRegressor


class BaseNetworkRegressor(CallbackSupportMixin, BaseQuantileRegressor):
    """A multilayer perceptron on standardised rows and targets. A subclass names its outputs and its loss."""

    _parameter_constraints = {
        "quantiles": ["array-like"],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    @abstractmethod
    def _n_outputs(self):
        """Outputs of the network, for the levels ``quantiles_``."""

    @abstractmethod
    def _loss(self):
        """Loss of rows, a module-level function, and its numbers."""

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. A row of weight zero is never drawn.

        Returns
        -------
        self : object
        """
        self.quantiles_ = check_quantile_levels(self.quantiles)
        context = self._init_callback_context(max_subtasks=self.max_iter)
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        check_magnitude(X, "X")
        y = check_magnitude(y.astype(np.float64, copy=False), "y")
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self._standardise(X, y, weight)
        seed = seed_from(self.random_state)
        loss, numbers = self._loss()
        fitted = train(
            SampleLoss(self._network(), loss),
            self._network().init(jax.random.key(seed), X[:1]),
            (self._features(X), (y - self._y_mean) / self._y_scale),
            hyper=Hyper(self.learning_rate, self.alpha, loss=numbers),
            sample_weight=weight / weight.mean(),
            validation_weight=self._held_out(weight, seed),
            seed=seed,
            hooks=EpochTasks(self, context, self._fitted, X=X, y=y) if hasattr(self, "_skl_callbacks") else None,
            batch_size=self.batch_size,
            max_iter=self.max_iter,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
        )
        for name, value in self._fitted(fitted).items():
            setattr(self, name, value)
        if fitted.interrupt is not None:
            raise fitted.interrupt
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _standardise(self, X, y, weight):
        self._X_mean, self._X_scale = moments(X, weight)
        self._y_mean, self._y_scale = (float(moment[0]) for moment in moments(y[:, None], weight))

    def _held_out(self, weight, seed):
        if not self.early_stopping:
            return None
        rows = np.flatnonzero(weight)
        n = round(self.validation_fraction * len(rows))
        if not 0 < n < len(rows):
            raise ValueError(
                f"validation_fraction={self.validation_fraction!r} holds out {n} of n_samples={len(rows)} rows; "
                "expected to leave some on both sides, or early_stopping=False."
            )
        held_out = np.zeros(len(weight))
        chosen = np.random.default_rng(seed).choice(rows, n, replace=False)
        held_out[chosen] = weight[chosen]
        return held_out

    def _network(self):
        return MLP(self._n_outputs(), tuple(self.hidden_layer_sizes), self.activation)

    def _features(self, X):
        return (X - self._X_mean) / self._X_scale

    def _fitted(self, fitted):
        return {
            "coefs_": [np.asarray(weights) for weights, _ in fitted.params],
            "intercepts_": [np.asarray(biases) for _, biases in fitted.params],
            "loss_curve_": np.asarray(fitted.loss_curve),
            "n_iter_": fitted.n_iter,
        }

    def _outputs(self, X):
        """Outputs of the network, standardised (n_samples, n_outputs)."""
        X = validate_data(self, X, reset=False, dtype=np.float64)
        params = tuple(zip(self.coefs_, self.intercepts_, strict=True))
        return predict(self._network(), params, self._features(X).astype(np.float32)).astype(np.float64)


def moments(values, weight):
    """Weighted mean and standard deviation of columns, the latter one where a column is constant."""
    mean = np.average(values, axis=0, weights=weight)
    deviation = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weight))
    return mean, np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)
