"""Pictures of how far almost equally good models differ."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

_RANGE, _BEST, _BOUND = "#56B4E9", "#000000", "#D55E00"


class MultiplicityDisplay:
    """The range of probabilities of every case, or how many cases almost equally good models conflict about.

    Make one with :meth:`from_estimator`.

    Parameters
    ----------
    probability : ndarray of shape (n_cases,), default=None
        For ``kind="range"``: what the best model says.
    viable_range : ndarray of shape (n_cases, 2), default=None
        For ``kind="range"``: smallest and largest probability that a good model gives.
    deltas : ndarray of shape (n_deltas,), default=None
        For ``kind="conflict"``: changes of probability that count as a conflict.
    ambiguity, discrepancy : ndarray of shape (n_deltas,), default=None
        For ``kind="conflict"``: share of cases about which some good model conflicts, and the largest share that was
        found for one and the same model.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the picture.
    figure_ : matplotlib Figure
        Figure that contains it.

    See Also
    --------
    trustml.fairness.PredictiveMultiplicity : The model that is drawn.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from trustml.fairness import PredictiveMultiplicity
    >>> from trustml.inspection import MultiplicityDisplay
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X = scale(X[:, :5])
    >>> model = PredictiveMultiplicity().fit(X, y)
    >>> MultiplicityDisplay.from_estimator(model, X).ax_.get_title()
    '5 % of cases on either side of 1/2'
    """

    def __init__(self, *, probability=None, viable_range=None, deltas=None, ambiguity=None, discrepancy=None):
        self.probability = probability
        self.viable_range = viable_range
        self.deltas = deltas
        self.ambiguity = ambiguity
        self.discrepancy = discrepancy

    @classmethod
    def from_estimator(cls, estimator, X, *, kind="range", deltas=(0.02, 0.05, 0.1, 0.2, 0.3), ax=None):
        """Draw what the good models say about cases.

        Parameters
        ----------
        estimator : PredictiveMultiplicity
            Fitted.
        X : array-like of shape (n_cases, n_features)
            Cases.
        kind : {"range", "conflict"}, default="range"
            What is drawn.
        deltas : sequence of floats, default=(0.02, 0.05, 0.1, 0.2, 0.3)
            For "conflict": changes of probability that count.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : MultiplicityDisplay
        """
        check_is_fitted(estimator)
        if kind == "range":
            found = cls(probability=estimator.predict_proba(X)[:, 1], viable_range=estimator.viable_range(X))
        elif kind == "conflict":
            lower, upper = estimator.discrepancy(X, deltas)
            found = cls(deltas=np.asarray(deltas, float), ambiguity=upper, discrepancy=lower)
        else:
            raise ValueError(f"kind={kind!r} found; expected 'range' or 'conflict'.")
        return found.plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : MultiplicityDisplay
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(6, 4), layout="constrained")
        if self.deltas is None:
            order = np.argsort(self.probability, kind="stable")
            share = np.linspace(0, 100, len(order))
            low, high = self.viable_range[order].T
            ax.fill_between(share, low, high, color=_RANGE, step="mid", label="good models")
            ax.plot(share, self.probability[order], color=_BEST, label="best model")
            ax.axhline(0.5, color=_BOUND, linestyle=":")
            unsure = np.mean((low < 0.5) & (high > 0.5))
            ax.set(xlabel="cases, in the order of the best model (%)", ylabel="probability")
            ax.set_title(f"{100 * unsure:.0f} % of cases on either side of 1/2")
        else:
            ax.plot(self.deltas, 100 * self.ambiguity, color=_BEST, marker="o", label="ambiguity: some model")
            ax.plot(
                self.deltas, 100 * self.discrepancy, color=_BOUND, marker="s", label="discrepancy: one model, found"
            )
            ax.set(xlabel="change of probability", ylabel="cases with a change as large (%)", ylim=(0, None))
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
