"""Exact online ridge regression."""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from trustml._sklearn import Interval, StrOptions, fit_context
from trustml.online._input import check_float32_is_safe, check_stream_goes_on, stream_parameters, stream_rows
from trustml.online._kernels import RidgeState
from trustml.online._passes import chunks, new_ridge, ridge_rows


class OnlineRidge(RegressorMixin, BaseEstimator):
    """Ridge regression with an exact ``partial_fit``.

    After any sequence of :meth:`partial_fit` calls the coefficients are those of
    :class:`sklearn.linear_model.Ridge` fitted on all rows at once, to rounding, whatever the sizes of the calls.
    The state is a d by d matrix; no row is kept.

    Parameters
    ----------
    alpha : float, default=1.0
        Ridge penalty, positive. The intercept is not penalised.
    fit_intercept : bool, default=True
        Whether to fit an intercept.
    forward : bool, default=False
        Predict with the forward algorithm of Azoury, Warmuth and Vovk: the ridge prediction divided by one plus
        the leverage of the row. It shrinks where little was seen, and has logarithmic regret without clipping.
    forgetting_factor : float, default=1.0
        Every new row multiplies what was seen before, the penalty included, by this factor in [0.5, 1]. Below 1
        the model follows a drift over about ``1 / (1 - forgetting_factor)`` rows, and directions that stop
        appearing in the rows lose their penalty exponentially.
    dtype : {"float64", "float32"}, default="float64"
        Arithmetic within a call. The state is float64 in both cases. "float32" needs ``alpha >= 0.01``.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients.
    intercept_ : float
        Intercept.
    covariance_ : ndarray of shape (n_features, n_features)
        Inverse of the penalised Gram matrix.
    n_samples_seen_ : int
        Rows of positive weight so far.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    GroupwiseRegressor : One online ridge per group, aggregated with a guarantee for each.

    Notes
    -----
    32 rows at a time are folded into the inverse through the Cholesky factor of ``I + Z P Z'``, which holds the
    rank-one updates that it replaces. With f the one-step-ahead predictions and D one plus the leverages,
    ``sum (y - f)^2 / D`` equals the minimum of ``alpha |theta|^2 + sum (y - x theta)^2`` exactly (without an
    intercept).

    References
    ----------
    K. S. Azoury and M. K. Warmuth, "Relative loss bounds for on-line density estimation with the exponential family
    of distributions", Machine Learning 43, 2001.
    F. Zhdanov and Y. Kalnishkan, "An identity for kernel ridge regression", Theoretical Computer Science 473, 2013.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from trustml.online import OnlineRidge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> online = OnlineRidge(alpha=0.1).partial_fit(X[:300], y[:300]).partial_fit(X[300:], y[300:])
    >>> bool(abs(online.coef_ - Ridge(alpha=0.1).fit(X, y).coef_).max() < 1e-8)
    True
    """

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "fit_intercept": ["boolean"],
        "forward": ["boolean"],
        "forgetting_factor": [Interval(Real, 0.5, 1, closed="both")],
        "dtype": [StrOptions({"float32", "float64"})],
    }

    def __init__(self, *, alpha=1.0, fit_intercept=True, forward=False, forgetting_factor=1.0, dtype="float64"):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.forward = forward
        self.forgetting_factor = forgetting_factor
        self.dtype = dtype

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Forget everything, then learn the rows in order.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; a row of weight 0 changes nothing.

        Returns
        -------
        self : OnlineRidge
        """
        self._advance(X, y, sample_weight, reset=True)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Learn more rows; the parameters and the result are those of :meth:`fit`, without the forgetting."""
        self._advance(X, y, sample_weight, reset=not hasattr(self, "covariance_"))
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def predict_online(self, X, y, sample_weight=None, *, return_leverage=False):
        """Predict each row from the rows before it, then learn it; continues the stream as :meth:`partial_fit` does.

        Returns
        -------
        predictions : ndarray of shape (n_samples,)
            Made before the row's own target was seen; 0 before the first row.
        leverages : ndarray of shape (n_samples,)
            With ``return_leverage``, as in :meth:`predict`.
        """
        prediction, leverage = self._advance(X, y, sample_weight, reset=not hasattr(self, "covariance_"))
        return (prediction, leverage) if return_leverage else prediction

    def _advance(self, X, y, sample_weight, *, reset):
        check_float32_is_safe(self.dtype, self.alpha)
        if not reset:
            check_stream_goes_on(self._began_with, self)
        X, y, weight = stream_rows(self, X, y, sample_weight, reset=reset)
        if reset:
            self._store(new_ridge(1, X.shape[1], self.alpha))
            self._began_with = stream_parameters(self, ("alpha", "fit_intercept"))
            self.n_samples_seen_ = 0
        prediction, leverage = np.zeros(len(y)), np.zeros(len(y))
        for chunk in chunks(len(y)):
            state, f, h = ridge_rows(
                self._state(),
                X[chunk],
                y[chunk],
                weight[chunk],
                np.ones((chunk.stop - chunk.start, 1), bool),
                fit_intercept=self.fit_intercept,
                decay=self.forgetting_factor if self.forgetting_factor < 1 else None,
                dtype=np.dtype(self.dtype),
            )
            prediction[chunk], leverage[chunk] = f[:, 0], h[:, 0]
            self._store(state)
            self.n_samples_seen_ += int((weight[chunk] > 0).sum())
        return self._shrink(prediction, leverage), leverage

    def _state(self):
        fields = (self.covariance_, self.coef_, self._x_mean, self._y_mean, self._weight)
        return RidgeState(*(np.asarray(field)[None] for field in fields))

    def _store(self, state):
        self.covariance_, self.coef_, self._x_mean = (field[0] for field in state[:3])
        self._y_mean, self._weight = float(state.y_mean[0]), float(state.weight[0])
        self.intercept_ = self._y_mean - float(self._x_mean @ self.coef_)

    def _shrink(self, prediction, leverage):
        return prediction / (1 + leverage) if self.forward else prediction

    def predict(self, X, *, return_leverage=False):
        """Predict rows from everything learnt so far.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        return_leverage : bool, default=False
            Also return ``x' A^-1 x``, the variance of the prediction in units of the noise; infinite for a model
            with an intercept that has seen nothing.

        Returns
        -------
        predictions : ndarray of shape (n_samples,)
        leverages : ndarray of shape (n_samples,)
            With ``return_leverage``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        centred = X - self._x_mean
        prediction = self._y_mean + centred @ self.coef_
        if not (self.forward or return_leverage):
            return prediction
        leverage = np.einsum("ij,ij->i", centred @ self.covariance_, centred)
        if self.fit_intercept:
            leverage = leverage + (1 / self._weight if self._weight > 0 else np.inf)
        prediction = self._shrink(prediction, leverage)
        return (prediction, leverage) if return_leverage else prediction
