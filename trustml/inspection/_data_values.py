"""Pictures of data values."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.base import is_regressor
from sklearn.utils import Bunch, check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted

from trustml.valuation._curves import addition_curve, detection_curve, removal_curve

KINDS = ("values", "detection", "removal", "addition")

# Okabe & Ito's palette, which readers with any colour vision can tell apart.
_HELPS, _HURTS, _UNCLEAR, _MARK = "#0072B2", "#D55E00", "#999999", "#000000"


class DataValueDisplay:
    """Pictures of the values of training rows.

    Make one with :meth:`from_estimator` or :meth:`from_values`, which compute what one ``kind`` of
    picture needs and draw it. The kinds are

    - ``"values"``: every value with its confidence interval, in increasing order; rows that hurt (interval below
      zero), help (interval above zero) and rows of which neither can be said;
    - ``"detection"``: the fraction of known wrong rows that is found by inspecting the rows of lowest value first;
    - ``"removal"``: the score of the model on test rows after the rows of lowest (highest) value are removed,
      against removal in random order;
    - ``"addition"``: the score of the model fitted to the rows of highest (lowest) value only, likewise.

    Parameters
    ----------
    kind : {"values", "detection", "removal", "addition"}
        What is drawn.
    data_values : ndarray of shape (n_samples,)
        Values.
    interval : ndarray of shape (n_samples, 2), default=None
        Lower and upper bounds of the values.
    level : float, default=None
        Coverage of these bounds.
    is_flipped : ndarray of shape (n_samples,) of bool, default=None
        Rows known to be wrong.
    names : sequence of str of shape (n_samples,), default=None
        Labels for the axis: for a few units rather than for many rows.
    curves : dict of str to Bunch, default=None
        For ``"removal"`` and ``"addition"``: what :func:`~trustml.valuation.removal_curve` or
        :func:`~trustml.valuation.addition_curve` gave in the orders ``"lowest"`` and ``"highest"``, and
        ``"random"`` with ``scores`` of shape (n_repeats, n_points).
    score_name : str, default=None
        Label of the score's axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the picture.
    figure_ : matplotlib Figure
        Figure that contains it.

    See Also
    --------
    trustml.valuation.detection_curve : The numbers behind ``kind="detection"``.
    trustml.valuation.removal_curve : The numbers behind ``kind="removal"``.

    Examples
    --------
    >>> from trustml.inspection import DataValueDisplay
    >>> display = DataValueDisplay.from_values(
    ...     [-0.2, 0.1, 0.02, 0.3], standard_errors=[0.02, 0.02, 0.02, 0.04]
    ... )
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['1 hurts', '1 unclear', '2 help']
    """

    def __init__(
        self,
        kind,
        data_values,
        *,
        interval=None,
        level=None,
        is_flipped=None,
        names=None,
        curves=None,
        score_name=None,
    ):
        self.kind = kind
        self.data_values = data_values
        self.interval = interval
        self.level = level
        self.is_flipped = is_flipped
        self.names = names
        self.curves = curves
        self.score_name = score_name

    @classmethod
    def from_values(
        cls,
        data_values: ArrayLike,
        *,
        kind: str = "values",
        standard_errors: ArrayLike | None = None,
        is_flipped: ArrayLike | None = None,
        names=None,
        level: float = 0.95,
        ax=None,
    ) -> "DataValueDisplay":
        """Draw values computed elsewhere.

        Parameters
        ----------
        data_values : array-like of shape (n_samples,)
            Values of rows, or of units.
        kind : {"values", "detection"}, default="values"
            What to draw. The other kinds need a model: see :meth:`from_estimator`.
        standard_errors : array-like of shape (n_samples,), default=None
            Their standard errors. None: no intervals are drawn.
        is_flipped : array-like of shape (n_samples,) of bool, default=None
            Rows known to be wrong: marked in the picture of the values, needed by ``"detection"``.
        names : sequence of str of shape (n_samples,), default=None
            Labels for the axis: for a few units rather than for many rows.
        level : float, default=0.95
            Coverage of the intervals, in (0, 1).
        ax : matplotlib Axes, default=None
            Axes to draw on; a new figure by default.

        Returns
        -------
        display : DataValueDisplay
            The picture drawn.
        """
        _check_kind(kind, ("values", "detection"))
        data_values = check_array(data_values, ensure_2d=False, dtype=np.float64, input_name="data_values")
        interval = None
        if standard_errors is not None:
            if not 0 < level < 1:
                raise ValueError(f"level={level!r} must lie in (0, 1).")
            errors = check_array(standard_errors, ensure_2d=False, dtype=np.float64, input_name="standard_errors")
            check_consistent_length(data_values, errors)
            half = norm.ppf(0.5 + level / 2) * errors
            interval = np.column_stack([data_values - half, data_values + half])
        return cls._draw(kind, data_values, interval, level, is_flipped, names, ax)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X=None,
        y=None,
        *,
        kind: str = "values",
        X_test=None,
        y_test=None,
        is_flipped: ArrayLike | None = None,
        level: float = 0.95,
        fractions: ArrayLike | None = None,
        n_repeats: int = 10,
        scoring=None,
        n_jobs: int | None = None,
        random_state=None,
        ax=None,
    ) -> "DataValueDisplay":
        """Draw the values of a fitted valuation.

        Parameters
        ----------
        estimator : fitted data valuation
            Such as :class:`~trustml.valuation.DataShapley`.
        X, y : array-like of shape (n_samples, n_features) and (n_samples,), default=None
            The rows that were valued; needed by ``"removal"`` and ``"addition"``.
        kind : {"values", "detection", "removal", "addition"}, default="values"
            What to draw.
        X_test, y_test : array-like of shape (n_test, n_features) and (n_test,), default=None
            Rows that took no part in the valuation, on which ``"removal"`` and ``"addition"`` score the model.
        is_flipped : array-like of shape (n_samples,) of bool, default=None
            Rows known to be wrong: marked in the picture of the values, needed by ``"detection"``.
        level : float, default=0.95
            Coverage of the intervals.
        fractions : array-like of shape (n_points,), default=None
            Fractions removed or added, as in :func:`~trustml.valuation.removal_curve`.
        n_repeats : int, default=10
            Number of random orders that ``"removal"`` and ``"addition"`` compare with.
        scoring : str, callable or None, default=None
            How ``"removal"`` and ``"addition"`` score the model.
        n_jobs : int, default=None
            Fits in parallel.
        random_state : int, RandomState instance or None, default=None
            The random orders.
        ax : matplotlib Axes, default=None
            Axes to draw on; a new figure by default.

        Returns
        -------
        display : DataValueDisplay
            The picture drawn.
        """
        check_is_fitted(estimator)
        _check_kind(kind, KINDS)
        curves, score_name = None, None
        if kind in ("removal", "addition"):
            given = {"X": X, "y": y, "X_test": X_test, "y_test": y_test}
            absent = [name for name, value in given.items() if value is None]
            if absent:
                raise ValueError(f"kind={kind!r} fits and scores the model again; give {', '.join(absent)}.")
            arguments = {
                **given,
                "data_values": estimator.data_values_,
                "fractions": fractions,
                "scoring": scoring,
                "n_jobs": n_jobs,
            }
            compute = removal_curve if kind == "removal" else addition_curve
            curves = _three_orders(compute, estimator.estimator_, arguments, n_repeats, random_state)
            score_name = _name_of(scoring, estimator.estimator_)
        return cls._draw(
            kind,
            estimator.data_values_,
            estimator.confidence_interval(level),
            level,
            is_flipped,
            None,
            ax,
            curves=curves,
            score_name=score_name,
        )

    @classmethod
    def _draw(cls, kind, data_values, interval, level, is_flipped, names, ax, **computed):
        if kind == "detection" and is_flipped is None:
            raise ValueError("kind='detection' needs is_flipped, the mask of rows known to be wrong.")
        if is_flipped is not None:
            is_flipped = column_or_1d(is_flipped).astype(bool)
        check_consistent_length(data_values, is_flipped, names)
        display = cls(
            kind,
            data_values,
            interval=interval,
            level=level,
            is_flipped=is_flipped,
            names=names,
            **computed,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax=None) -> "DataValueDisplay":
        """Draw the picture.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; a new figure by default.

        Returns
        -------
        display : DataValueDisplay
            This object, with ``ax_`` and ``figure_``.
        """
        self.ax_ = _new_axes() if ax is None else ax
        self.figure_ = self.ax_.figure
        self.ax_.spines[["top", "right"]].set_visible(False)
        {
            "values": self._plot_values,
            "detection": self._plot_detection,
            "removal": self._plot_scores,
            "addition": self._plot_scores,
        }[self.kind](self.ax_)
        return self

    def _plot_values(self, ax):
        order = np.argsort(self.data_values, kind="stable")
        values, place = self.data_values[order], np.arange(len(order))
        lower, upper = (values, values) if self.interval is None else self.interval[order].T
        verdicts = (
            ("hurts", "hurt", _HURTS, upper < 0),
            ("unclear", "unclear", _UNCLEAR, (lower <= 0) & (upper >= 0)),
            ("helps", "help", _HELPS, lower > 0),
        )
        ax.axhline(0, color=_MARK, linewidth=0.8, zorder=1)
        size = np.clip(1500 / len(order), 4, 40)
        for one, many, color, rows in verdicts:
            if rows.any():
                label = f"{rows.sum()} {one if rows.sum() == 1 else many}"
                ax.vlines(place[rows], lower[rows], upper[rows], color=color, linewidth=1, alpha=0.45, zorder=2)
                ax.scatter(place[rows], values[rows], s=size, color=color, zorder=3, label=label)
        if self.is_flipped is not None:
            rows = self.is_flipped[order]
            ax.scatter(
                place[rows],
                values[rows],
                s=3 * size,
                facecolors="none",
                edgecolors=_MARK,
                linewidths=1,
                zorder=4,
                label=f"{rows.sum()} known to be wrong",
            )
        if self.names is not None:
            ax.set_xticks(place, np.asarray(self.names)[order], rotation=90 if len(order) > 6 else 0)
        uncertain = self.interval is not None and np.ptp(self.interval, axis=1).any()
        ax.set(
            xlabel="rows, lowest value first" if self.names is None else None,
            ylabel=f"data value, {self.level:.0%} interval" if uncertain else "data value",
        )
        _legend(ax, "lower right")

    def _plot_detection(self, ax):
        curve = detection_curve(self.data_values, self.is_flipped)
        share = self.is_flipped.mean()
        ax.plot([0, share, 1], [0, 1, 1], color=_UNCLEAR, linestyle=":", label="perfect")
        ax.plot([0, 1], [0, 1], color=_UNCLEAR, linestyle="--", label="random order")
        ax.plot(
            curve.inspected,
            curve.found,
            color=_HURTS,
            linewidth=2,
            label=f"lowest value first (AUROC {curve.auroc:.2f})",
        )
        _percent(ax.xaxis)
        _percent(ax.yaxis)
        ax.set(xlabel="rows inspected", ylabel="wrong rows found", xlim=(0, 1), ylim=(0, 1.03))
        _legend(ax, "lower right")

    def _plot_scores(self, ax):
        random = self.curves["random"]
        mean, spread = random.scores.mean(axis=0), random.scores.std(axis=0)
        ax.fill_between(random.fractions, mean - spread, mean + spread, color=_UNCLEAR, alpha=0.25, linewidth=0)
        ax.plot(random.fractions, mean, color=_UNCLEAR, linestyle="--", label="random order")
        for order, color in (("lowest", _HURTS), ("highest", _HELPS)):
            curve = self.curves[order]
            ax.plot(
                curve.fractions,
                curve.scores,
                color=color,
                linewidth=2,
                marker="o",
                markersize=4,
                label=f"{order} value first",
            )
        _percent(ax.xaxis)
        done = "removed" if self.kind == "removal" else "used"
        ax.set(xlabel=f"training rows {done}", ylabel=self.score_name)
        _legend(ax, "best")


def _check_kind(kind, allowed):
    if kind not in allowed:
        raise ValueError(f"kind={kind!r} must be one of {', '.join(map(repr, allowed))}.")


def _three_orders(compute, model, arguments, n_repeats, random_state):
    rng = check_random_state(random_state)
    curves = {order: compute(model, **arguments, order=order) for order in ("lowest", "highest")}
    repeats = [compute(model, **arguments, order="random", random_state=rng) for _ in range(n_repeats)]
    scores = np.array([repeat.scores for repeat in repeats])
    return curves | {"random": Bunch(fractions=repeats[0].fractions, n_rows=repeats[0].n_rows, scores=scores)}


def _name_of(scoring, model):
    if isinstance(scoring, str):
        return f"{scoring.replace('_', ' ')} on test rows"
    own = "R²" if is_regressor(model) else "accuracy"
    return f"{own if scoring is None else 'score'} on test rows"


def _new_axes():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "DataValueDisplay needs matplotlib, which is not installed: pip install 'trustml[plot]'."
        ) from error
    return plt.subplots(layout="constrained")[1]


def _legend(ax, place):
    ax.legend(loc=place, framealpha=0.85, edgecolor="none").set_zorder(5)


def _percent(axis):
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
