"""Pictures of the regret of groups."""

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

# Okabe & Ito's palette, which readers with any colour vision can tell apart.
_METHOD, _BASELINE, _MARK = "#0072B2", "#D55E00", "#000000"

_AXIS = {
    "hindsight": "loss - best model in hindsight",
    "expert": "loss - group's own expert",
    "always": "loss - one model for all",
}


class GroupRegretDisplay:
    """Cumulative regret of every group, of the method and of one model for all.

    Make one with :meth:`from_estimator`. A line that climbs says that the group is served worse and worse than its own
    best model would; below zero it is served better than any single linear model could.

    Parameters
    ----------
    curves : dict of str to Bunch
        By group: ``positions`` (numbers of rows of the group), ``method`` and ``always`` (cumulative regret of the
        method and of the expert that sees every row; None without such an expert).
    against : {"hindsight", "expert", "always"}, default="hindsight"
        The comparator.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_groups,)
        One for each group.
    figure_ : matplotlib Figure
        Figure that contains them.

    See Also
    --------
    GroupwiseRegressor : Keeps the regret of every group small.

    Examples
    --------
    >>> from trustml.datasets._groupwise import make_groupwise_regression
    >>> from trustml.online import GroupwiseRegressor
    >>> X, y, membership = make_groupwise_regression(2000, random_state=0)
    >>> model = GroupwiseRegressor(target_range=(0, 1)).fit(X, y, membership)
    >>> display = GroupRegretDisplay.from_estimator(model, groups=["group0", "group4"])
    >>> [ax.get_title() for ax in display.axes_]
    ['group0 (973 rows)', 'group4 (773 rows)']
    """

    def __init__(self, curves, *, against="hindsight"):
        self.curves = curves
        self.against = against

    @classmethod
    def from_estimator(cls, estimator, *, groups=None, against="hindsight", baseline=True, axes=None):
        """Draw the regret that a fitted estimator recorded.

        Parameters
        ----------
        estimator : GroupwiseRegressor
            Fitted with ``record="losses"``.
        groups : sequence of str or int, default=None
            Which groups, all that have rows by default.
        against : {"hindsight", "expert", "always"}, default="hindsight"
            The comparator, as in :meth:`GroupwiseRegressor.regret_curve`.
        baseline : bool, default=True
            Whether to draw the regret of one model for all as well (not against itself).
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each group; a new figure by default.

        Returns
        -------
        display : GroupRegretDisplay
        """
        check_is_fitted(estimator)
        names = estimator.group_names_.tolist()
        if groups is None:
            groups = [name for name, n in zip(names, estimator.group_counts_, strict=True) if n]
        baseline = baseline and against != "always" and estimator.group_names_[-1] == "always"
        curves = {}
        for group in groups:
            positions, method = estimator.regret_curve(group, against)
            always = None
            if baseline:  # the comparator in hindsight is costly, and the same for both
                always = method - estimator.regret_curve(group, "always")[1][positions - 1]
            name = group if isinstance(group, str) else names[group]
            curves[name] = Bunch(positions=positions, method=method, always=always)
        return cls(curves, against=against).plot(axes=axes)

    def plot(self, *, axes=None):
        """Draw.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one for each group; a new figure by default.

        Returns
        -------
        display : GroupRegretDisplay
        """
        import matplotlib.pyplot as plt

        n = len(self.curves)
        if not n:
            raise ValueError("There are no groups to draw.")
        if axes is None:
            columns = min(n, 4)
            lines = -(-n // columns)
            _, grid = plt.subplots(
                lines, columns, figsize=(3 * columns, 2.4 * lines), layout="constrained", squeeze=False
            )
            for unused in grid.flat[n:]:
                unused.remove()
            axes = grid.flat[:n]
        axes = np.asarray(axes, dtype=object).ravel()
        if len(axes) != n:
            raise ValueError(f"axes must be {n}, one for each group; got {len(axes)}.")
        for ax, (name, curve) in zip(axes, self.curves.items(), strict=True):
            ax.axhline(0, color=_MARK, linewidth=0.8)
            if curve.always is not None:
                ax.plot(curve.positions, curve.always, color=_BASELINE, linestyle="--", label="one model for all")
            ax.plot(curve.positions, curve.method, color=_METHOD, label="groupwise")
            size = curve.positions[-1] if len(curve.positions) else 0
            ax.set_title(f"{name} ({size} rows)", fontsize="medium")
            ax.set_xlabel("rows of the group")
        axes[0].set_ylabel(_AXIS[self.against])
        axes[0].legend()
        self.axes_, self.figure_ = axes, axes[0].figure
        return self
