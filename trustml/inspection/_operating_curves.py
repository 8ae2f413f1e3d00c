"""Pictures of what one threshold means for every class."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from trustml.metrics import class_operating_curves, opis_score, threshold_at_far

# Okabe & Ito's palette, which readers with any colour vision can tell apart.
_CLASS, _MEAN, _RANGE, _MARK = "#999999", "#0072B2", "#E69F00", "#D55E00"
_AXIS = {"utility": "utility", "far": "false-accept rate", "frr": "false-reject rate"}


class OperatingCurveDisplay:
    """Utility, or error rate, of every class against the threshold: a faint line per class, the mean, the range.

    Make one with :meth:`from_estimator` or :meth:`from_embeddings`. Where the faint lines are apart, no threshold
    serves all classes alike.

    Parameters
    ----------
    curves : Bunch
        From :func:`trustml.metrics.class_operating_curves`.
    calibration_range : tuple of float
        Distances between which thresholds have the false-accept rates of ``far_range``.
    opis : float
        Variance of the classes' utility over this range.
    threshold : float, default=None
        Distance that is in use.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Figure that contains it.
    class_lines_ : list of matplotlib Line2D
        One for each class.
    mean_line_ : matplotlib Line2D
        Mean over classes.

    See Also
    --------
    trustml.metrics.opis_score : The spread of the faint lines as one number.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from trustml.inspection import OperatingCurveDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = OperatingCurveDisplay.from_embeddings(X, y)
    >>> len(display.class_lines_)
    10
    """

    def __init__(self, curves, *, calibration_range, opis, threshold=None):
        self.curves = curves
        self.calibration_range = calibration_range
        self.opis = opis
        self.threshold = threshold

    @classmethod
    def from_estimator(cls, estimator, X, y, *, rate="utility", far_range=(1e-2, 1e-1), ax=None):
        """Draw the curves of classes that the estimator has not seen, and its threshold.

        Parameters
        ----------
        estimator : TCMEmbedding, PairVerifier or transformer
            Fitted. The threshold is drawn if it has one.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Class labels.
        rate : {"utility", "far", "frr"}, default="utility"
            What to draw.
        far_range : tuple of float, default=(0.01, 0.1)
            False-accept rates of the range that is shaded.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : OperatingCurveDisplay
        """
        check_is_fitted(estimator)
        cosine = getattr(estimator, "threshold_", None)
        threshold = None if cosine is None else 1 - cosine
        Z = estimator.transform(X)
        return cls.from_embeddings(Z, y, rate=rate, far_range=far_range, threshold=threshold, ax=ax)

    @classmethod
    def from_embeddings(cls, X, y, *, rate="utility", far_range=(1e-2, 1e-1), threshold=None, ax=None):
        """Draw the curves of embeddings, under the cosine distance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Embeddings.
        y : array-like of shape (n_samples,)
            Class labels.
        rate : {"utility", "far", "frr"}, default="utility"
            What to draw.
        far_range : tuple of float, default=(0.01, 0.1)
            False-accept rates of the range that is shaded.
        threshold : float, default=None
            A distance to mark.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : OperatingCurveDisplay
        """
        low, high = (threshold_at_far(X, y, far=far, n_resamples=0).threshold for far in far_range)
        furthest = max(1.3 * high, 1.3 * (threshold or 0.0))
        curves = class_operating_curves(X, y, thresholds=np.linspace(0, furthest, 201))
        opis = opis_score(X, y, far_range=far_range)
        display = cls(curves, calibration_range=(low, high), opis=opis, threshold=threshold)
        return display.plot(rate=rate, ax=ax)

    def plot(self, *, rate="utility", ax=None):
        """Draw.

        Parameters
        ----------
        rate : {"utility", "far", "frr"}, default="utility"
            What to draw.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : OperatingCurveDisplay
        """
        import matplotlib.pyplot as plt

        if rate not in _AXIS:
            raise ValueError(f"rate={rate!r}; expected one of {sorted(_AXIS)}.")
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        thresholds, values = self.curves.thresholds, self.curves[rate]
        ax.axvspan(*self.calibration_range, color=_RANGE, alpha=0.2, linewidth=0, label="range of OPIS")
        style = {"color": _CLASS, "linewidth": 0.6, "alpha": 0.6}
        self.class_lines_ = [ax.plot(thresholds, line, **style)[0] for line in values]
        self.class_lines_[0].set_label("each class")
        (self.mean_line_,) = ax.plot(thresholds, values.mean(axis=0), color=_MEAN, linewidth=2, label="mean of classes")
        if self.threshold is not None:
            ax.axvline(self.threshold, color=_MARK, linestyle="--", label="threshold")
        ax.set(xlabel="threshold on 1 - cosine", ylabel=_AXIS[rate], title=f"OPIS {self.opis:.4f}")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
