"""Pictures of prediction intervals and of what an uncertainty score says about errors."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from trustml.metrics import error_uncertainty_correlation, size_stratified_coverage

# Okabe & Ito's palette, which readers with any colour vision can tell apart.
_INSIDE, _OUTSIDE, _BAND, _MARK = "#0072B2", "#D55E00", "#999999", "#000000"


class UncertaintyDisplay:
    """Do intervals hold, are the narrow ones as honest as the wide ones, and does the score point at errors?

    Make one with :meth:`from_estimator`, on rows that neither the model nor its heads were fitted to.

    Parameters
    ----------
    residuals : ndarray of shape (n_samples,)
        Target minus prediction.
    interval : ndarray of shape (n_samples, 2)
        Ends of the intervals, minus the prediction.
    score : ndarray of shape (n_samples,)
        Uncertainty score of each row.
    coverage : float
        The level promised.
    n_bins : int, default=10
        Bins of width.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (3,)
        Residuals within intervals, sorted by width; coverage by width; absolute errors by score.
    figure_ : matplotlib Figure
        Figure that contains them.

    See Also
    --------
    SPCRegressor : Gives intervals and scores.
    trustml.metrics.size_stratified_coverage : The figures of the second picture.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from trustml.inspection import UncertaintyDisplay
    >>> from trustml.uncertainty import SPCRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(600, 1))
    >>> y = X[:, 0] + X[:, 0] * rng.normal(size=600)
    >>> model = SPCRegressor(LinearRegression(), head="ridge", random_state=0).fit(X[:300], y[:300])
    >>> display = UncertaintyDisplay.from_estimator(model, X[300:], y[300:], n_bins=5)
    >>> display.axes_[1].get_ylabel()
    'coverage'
    """

    def __init__(self, residuals, interval, score, *, coverage, n_bins=10):
        self.residuals = residuals
        self.interval = interval
        self.score = score
        self.coverage = coverage
        self.n_bins = n_bins

    @classmethod
    def from_estimator(cls, estimator, X, y, *, coverage=None, n_bins=10, axes=None):
        """Draw what a fitted estimator of one target says of rows whose targets are known.

        Parameters
        ----------
        estimator : SPCRegressor
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Held-out rows.
        y : array-like of shape (n_samples,)
            Their targets.
        coverage : float, default=None
            Which of the estimator's levels; the highest by default.
        n_bins : int, default=10
            Bins of width.
        axes : sequence of 3 matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : UncertaintyDisplay
        """
        check_is_fitted(estimator)
        coverage = float(estimator.levels_[-1] if coverage is None else coverage)
        predicted, y = np.asarray(estimator.predict(X)), np.asarray(y, float)
        if predicted.ndim != 1 or y.shape != predicted.shape:
            raise ValueError(f"y has shape {y.shape}; expected one target for each of {len(predicted)} rows.")
        interval = estimator.predict_interval(X, coverage) - predicted[:, None]
        score = estimator.predict_uncertainty(X).sds
        return cls(y - predicted, interval, score, coverage=coverage, n_bins=n_bins).plot(axes=axes)

    def plot(self, *, axes=None):
        """Draw.

        Parameters
        ----------
        axes : sequence of 3 matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : UncertaintyDisplay
        """
        import matplotlib.pyplot as plt

        if axes is None:
            _, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
        axes = np.asarray(axes, dtype=object).ravel()
        if len(axes) != 3:
            raise ValueError(f"axes must be 3; got {len(axes)}.")
        self._draw_intervals(axes[0])
        self._draw_coverage(axes[1])
        self._draw_errors(axes[2])
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    def _draw_intervals(self, ax):
        order = np.argsort(self.interval[:, 1] - self.interval[:, 0], kind="stable")
        (lower, upper), residuals = self.interval[order].T, self.residuals[order]
        position = np.arange(len(order))
        inside = (lower <= residuals) & (residuals <= upper)
        ax.fill_between(position, lower, upper, color=_BAND, alpha=0.4, step="mid", linewidth=0)
        for mask, colour, name in ((inside, _INSIDE, "inside"), (~inside, _OUTSIDE, "outside")):
            ax.plot(position[mask], residuals[mask], ".", color=colour, markersize=3, label=f"{name} ({mask.sum()})")
        ax.set(xlabel="rows, narrowest interval first", ylabel="target - prediction")
        ax.set_title(f"{inside.mean():.1%} inside, {self.coverage:.0%} promised")
        ax.legend(frameon=False)

    def _draw_coverage(self, ax):
        report = size_stratified_coverage(self.residuals, self.interval, n_bins=self.n_bins)
        # Twice the binomial standard error around the promise: what chance alone does to so many rows.
        chance = 2 * np.sqrt(self.coverage * (1 - self.coverage) / report.n_samples)
        ax.fill_between(
            report.width, self.coverage - chance, np.minimum(self.coverage + chance, 1), color=_BAND, alpha=0.4
        )
        ax.axhline(self.coverage, color=_MARK, linewidth=1, linestyle="--")
        ax.plot(report.width, report.coverage, "o-", color=_INSIDE)
        ax.set(xlabel="mean width of the bin", ylabel="coverage", ylim=(min(0.5, report.coverage.min()) - 0.02, 1.02))
        ax.set_title("Coverage by width")

    def _draw_errors(self, ax):
        correlation = error_uncertainty_correlation(self.residuals, self.score)
        ax.plot(self.score, np.abs(self.residuals), ".", color=_INSIDE, markersize=3)
        ax.set(xlabel="SDS", ylabel="|target - prediction|")
        ax.set_title(f"Rank correlation {correlation:.2f}")
