"""Pictures of quantile forecasts: the fan, the reliability of each level, and the weights of the models."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from trustml.metrics import quantile_coverage
from trustml.metrics._quantile import check_quantile_levels

_BLUE, _RED = "#0072B2", "#D55E00"


class QuantileDisplay:
    """Quantile forecasts against what happened.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`. The fan shows rows in the order of their predicted
    median with their central intervals; the reliability plot the share of targets at or below each predicted quantile,
    which is on the diagonal for calibrated forecasts; the weights, of an aggregator, who is believed at which level.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples,)
        Targets.
    y_quantiles : ndarray of shape (n_samples, n_quantiles)
        Predicted quantiles.
    quantiles : ndarray of shape (n_quantiles,)
        Their levels.
    weights : dict of str to ndarray of shape (n_quantiles,), default=None
        Mean weight of each model at each level.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Fan, reliability and, if there are any, weights.
    figure_ : matplotlib Figure
        Figure that contains them.

    See Also
    --------
    trustml.quantile.QuantileAggregator : Combines quantile models.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.inspection import QuantileDisplay
    >>> y = np.random.default_rng(0).normal(size=200)
    >>> q = np.tile([-1.28, 0.0, 1.28], (200, 1))
    >>> display = QuantileDisplay.from_predictions(y, q, quantiles=[0.1, 0.5, 0.9])
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['target', 'share of targets below']
    """

    def __init__(self, y_true, y_quantiles, quantiles, *, weights=None):
        self.y_true = y_true
        self.y_quantiles = y_quantiles
        self.quantiles = quantiles
        self.weights = weights

    @classmethod
    def from_estimator(cls, estimator, X, y, *, axes=None):
        """Draw the forecasts of a fitted estimator.

        Parameters
        ----------
        estimator : estimator with ``predict_quantiles``
            Fitted. The weights of a :class:`~trustml.quantile.QuantileAggregator` are drawn as well: the mean over the
            rows of ``X``, and over the levels of the models if they are "fine".
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        axes : sequence of matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : QuantileDisplay
        """
        check_is_fitted(estimator)
        q = estimator.predict_quantiles(X)
        return cls(np.asarray(y), q, estimator.quantiles_, weights=_mean_weights(estimator, X)).plot(axes=axes)

    @classmethod
    def from_predictions(cls, y_true, y_quantiles, *, quantiles, axes=None):
        """Draw given forecasts.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Targets.
        y_quantiles : array-like of shape (n_samples, n_quantiles)
            Predicted quantiles.
        quantiles : array-like of shape (n_quantiles,)
            Their levels, strictly increasing, between 0 and 1.
        axes : sequence of matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : QuantileDisplay
        """
        return cls(np.asarray(y_true), np.asarray(y_quantiles), check_quantile_levels(quantiles)).plot(axes=axes)

    def plot(self, *, axes=None):
        """Draw.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Where to draw, two, or three with weights; a new figure by default.

        Returns
        -------
        display : QuantileDisplay
        """
        import matplotlib.pyplot as plt

        n = 2 if self.weights is None else 3
        if axes is None:
            _, axes = plt.subplots(1, n, figsize=(4 * n, 3.4), layout="constrained")
        axes = np.asarray(axes, dtype=object).ravel()
        if len(axes) != n:
            raise ValueError(f"axes holds {len(axes)}; expected {n}.")
        self._fan(axes[0])
        self._reliability(axes[1])
        if self.weights is not None:
            self._weights(axes[2])
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    def _fan(self, ax):
        m = len(self.quantiles)
        order = np.argsort(self.y_quantiles[:, m // 2], kind="stable")
        q, x = self.y_quantiles[order], np.arange(len(order))
        for k in range(m // 2):
            ax.fill_between(x, q[:, k], q[:, m - 1 - k], color=_BLUE, alpha=0.8 / (m // 2 + 1), linewidth=0)
        ax.plot(x, q[:, m // 2], color=_BLUE, label=f"quantile {self.quantiles[m // 2]:g}")
        ax.plot(x, self.y_true[order], ".", color=_RED, markersize=2, label="target")
        ax.set(xlabel="rows, by predicted middle", ylabel="target")
        ax.legend()

    def _reliability(self, ax):
        covered = quantile_coverage(self.y_true, self.y_quantiles, quantiles=self.quantiles)
        ax.plot([0, 1], [0, 1], color="black", linewidth=0.8)
        ax.plot(self.quantiles, covered, "o-", color=_BLUE, markersize=3)
        ax.set(xlabel="level", ylabel="share of targets below")

    def _weights(self, ax):
        names = list(self.weights)
        ax.stackplot(self.quantiles, [self.weights[name] for name in names], labels=names)
        ax.set(xlabel="level", ylabel="weight", ylim=(0, 1))
        ax.legend(fontsize="small")


def _mean_weights(estimator, X):
    """Mean weight of each model at each level; None without weights that are shares."""
    if getattr(estimator, "weights", None) not in ("global", "local", "average"):
        return None
    if estimator.weights == "global" and estimator.constraint != "simplex":
        return None
    m = len(estimator.quantiles_)
    mean = estimator.predict_weights(X).mean(axis=0)
    if mean.ndim == 3:
        mean = mean.sum(axis=1)
    by_level = np.broadcast_to(mean[:, None] if mean.ndim == 1 else mean, (len(mean), m))
    return dict(zip(estimator.estimator_names_.tolist(), by_level, strict=True))
