"""Pictures of errors where targets are frequent and where they are rare."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from trustml.metrics import shot_report
from trustml.metrics._label_bins import bin_numbers, bin_totals, label_bin_edges

# Okabe & Ito's palette, which readers with any colour vision can tell apart.
_COLOURS = {"many": "#0072B2", "median": "#E69F00", "few": "#D55E00"}


class ShotDisplay:
    """Training rows, and the error on test rows, along the target.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`. Bins are coloured by how many training rows they
    have: a model that collapses rare targets has its greatest errors where the upper plot is lowest.

    Parameters
    ----------
    edges : ndarray of shape (n_bins + 1,)
        Of the bins of the target.
    counts : ndarray of shape (n_bins,)
        Training rows of each.
    errors : ndarray of shape (n_bins,)
        Mean absolute error on the test rows of each, NaN without any.
    report : dict
        Of :func:`trustml.metrics.shot_report`.
    regions : list of str
        Region of each bin.

    Attributes
    ----------
    axes_ : ndarray of two matplotlib Axes
        Counts and errors.
    figure_ : matplotlib Figure
        Figure that contains them.

    See Also
    --------
    trustml.metrics.shot_report : The figures.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.inspection import ShotDisplay
    >>> y_train = np.repeat([0, 1, 2], [300, 60, 10])
    >>> display = ShotDisplay.from_predictions([0, 1, 2, 2], [0, 1, 1, 0], y_train)
    >>> display.errors.tolist()
    [0.0, 0.0, 1.5]
    """

    def __init__(self, edges, counts, errors, report, regions):
        self.edges = edges
        self.counts = counts
        self.errors = errors
        self.report = report
        self.regions = regions

    @classmethod
    def from_estimator(cls, estimator, X, y, y_train, *, bins="auto", many=100, few=20, relative=False, axes=None):
        """Draw the errors of a fitted regressor.

        Parameters
        ----------
        estimator : regressor
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Test rows.
        y : array-like of shape (n_samples,)
            Their targets.
        y_train : array-like of shape (n_train,)
            Targets of the training rows.
        bins, many, few, relative
            As in :func:`trustml.metrics.shot_report`.
        axes : sequence of two matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ShotDisplay
        """
        check_is_fitted(estimator)
        options = {"bins": bins, "many": many, "few": few, "relative": relative, "axes": axes}
        return cls.from_predictions(y, estimator.predict(X), y_train, **options)

    @classmethod
    def from_predictions(cls, y_true, y_pred, y_train, *, bins="auto", many=100, few=20, relative=False, axes=None):
        """Draw the errors of predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,)
            Targets and predictions of the test rows.
        y_train : array-like of shape (n_train,)
            Targets of the training rows.
        bins, many, few, relative
            As in :func:`trustml.metrics.shot_report`.
        axes : sequence of two matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ShotDisplay
        """
        report = shot_report(y_true, y_pred, y_train, bins=bins, many=many, few=few, relative=relative)
        y_true, y_pred, y_train = (np.asarray(a, float).ravel() for a in (y_true, y_pred, y_train))
        edges = label_bin_edges(y_train, bins)
        n_bins = len(edges) - 1
        counts = bin_totals(bin_numbers(y_train, edges), n_bins)[:n_bins]
        numbers = bin_numbers(y_true, edges)
        tested = bin_totals(numbers, n_bins)[:n_bins]
        total = bin_totals(numbers, n_bins, np.abs(y_true - y_pred))[:n_bins]
        errors = np.where(tested > 0, total / np.maximum(tested, 1), np.nan)
        scale = len(y_train) / n_bins / 122.08 if relative else 1
        regions = ["many" if n > many * scale else "few" if n < few * scale else "median" for n in counts]
        return cls(edges, counts, errors, report, regions).plot(axes=axes)

    def plot(self, *, axes=None):
        """Draw.

        Parameters
        ----------
        axes : sequence of two matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ShotDisplay
        """
        import matplotlib.pyplot as plt

        if axes is None:
            _, axes = plt.subplots(2, 1, sharex=True, layout="constrained")
        axes = np.asarray(axes, dtype=object).ravel()
        if len(axes) != 2:
            raise ValueError(f"axes must be two; got {len(axes)}.")
        centers, widths = (self.edges[1:] + self.edges[:-1]) / 2, np.diff(self.edges)
        for region, colour in _COLOURS.items():
            of_region = np.array([name == region for name in self.regions])
            label = f"{region}: MAE {self.report[region]['mae']:.3g}"
            axes[0].bar(centers[of_region], self.counts[of_region], widths[of_region], color=colour)
            axes[1].bar(centers[of_region], self.errors[of_region], widths[of_region], color=colour, label=label)
        axes[0].set(yscale="symlog", ylabel="training rows")
        axes[1].set(xlabel="target", ylabel="mean absolute error")
        axes[1].legend()
        self.axes_, self.figure_ = axes, axes[0].figure
        return self
