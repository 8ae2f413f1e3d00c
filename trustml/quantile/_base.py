"""What every quantile regressor of the package offers."""

from abc import ABC, abstractmethod

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted

from trustml._sklearn import num_samples
from trustml.metrics import weighted_interval_score
from trustml.metrics._quantile import check_quantile_levels
from trustml.quantile._distribution import at_levels, distribution, inverse

DEFAULT_QUANTILES = tuple(round(0.05 * k, 2) for k in range(1, 20))
_CHUNK_ROWS = 1 << 15


def check_coverage(coverage, levels):
    """The two levels of the central interval."""
    if not 0 < coverage < 1:
        raise ValueError(f"coverage={coverage!r}; expected a number between 0 and 1.")
    ends = np.array([(1 - coverage) / 2, (1 + coverage) / 2])
    if ends[0] < levels[0] - 1e-12 or ends[1] > levels[-1] + 1e-12:
        raise ValueError(
            f"coverage={coverage!r} needs the levels {ends.round(6).tolist()}; expected a coverage whose levels lie "
            f"between those fitted, {levels[0]:g} and {levels[-1]:g}."
        )
    return ends


class BaseQuantileRegressor(RegressorMixin, BaseEstimator, ABC):
    """Predictions of all kinds from ``_fitted_quantiles``, the quantiles at the fitted levels ``quantiles_``."""

    @abstractmethod
    def _fitted_quantiles(self, X):
        """Quantiles (n_samples, n_quantiles) at ``quantiles_``, ordered unless the user wants them crossed."""

    def predict_quantiles(self, X, quantiles=None):
        """Predict quantiles.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        quantiles : array-like of shape (n_quantiles,), default=None
            Levels, increasing, within the range of those fitted, between which quantiles are linear. None: those
            fitted.

        Returns
        -------
        y_quantiles : ndarray of shape (n_samples, n_quantiles)
        """
        check_is_fitted(self)
        wanted = None if quantiles is None else check_quantile_levels(quantiles)
        values = self._fitted_quantiles(X)
        return values if wanted is None else at_levels(values, self.quantiles_, wanted)

    def predict(self, X):
        """Predict the median.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
        """
        return self.predict_quantiles(X, [0.5])[:, 0]

    def predict_interval(self, X, coverage=0.9):
        """Predict central intervals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        coverage : float, default=0.9
            Nominal coverage, between 0 and 1; its two levels lie in the range of those fitted.

        Returns
        -------
        intervals : ndarray of shape (n_samples, 2)
            Lower and upper ends.
        """
        check_is_fitted(self)
        return self.predict_quantiles(X, check_coverage(coverage, self.quantiles_))

    def predict_cdf(self, X, y):
        """Predict the probability that the target is at most ``y``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : float or array-like of shape (n_samples,)
            Threshold, one for all or one for each row.

        Returns
        -------
        probability : ndarray of shape (n_samples,)
            Linear between the quantiles; beyond the outermost ones exponential tails go on with the density next to
            them, which is an assumption.
        """
        check_is_fitted(self)
        y = check_array(np.broadcast_to(y, num_samples(X)) if np.ndim(y) == 0 else y, ensure_2d=False, dtype=float)
        check_consistent_length(X, y)
        return distribution(np.sort(self._fitted_quantiles(X), axis=1), self.quantiles_, column_or_1d(y))

    def sample(self, X, n=1, *, random_state=None):
        """Draw targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        n : int, default=1
            Draws for each row.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        draws : ndarray of shape (n_samples, n)
            From the distribution of :meth:`predict_cdf`.
        """
        check_is_fitted(self)
        values = np.sort(self._fitted_quantiles(X), axis=1)
        u = check_random_state(random_state).random_sample((len(values), n))
        chunks = range(0, len(values), _CHUNK_ROWS)
        draws = [inverse(values[i : i + _CHUNK_ROWS], self.quantiles_, u[i : i + _CHUNK_ROWS]) for i in chunks]
        return np.concatenate(draws)

    def score(self, X, y, sample_weight=None):
        """Share of the weighted interval score that the prediction saves: greater is better, and 1 is best.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            One minus the score of the fitted levels, divided by that of the quantiles of ``y`` itself, the best
            prediction that does not look at ``X``. The counterpart of R^2, and of
            :func:`sklearn.metrics.d2_pinball_score` for several levels.
        """
        predicted, y = self.predict_quantiles(X), column_or_1d(y)
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        constant = np.quantile(y, self.quantiles_, weights=weight, method="inverted_cdf")
        ours, theirs = (
            weighted_interval_score(y, q, quantiles=self.quantiles_, sample_weight=weight)
            for q in (predicted, np.tile(constant, (len(y), 1)))
        )
        if theirs == 0:
            return float(ours == 0)
        return 1 - ours / theirs
