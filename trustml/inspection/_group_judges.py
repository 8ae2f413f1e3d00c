"""Pictures of how differently groups would be judged."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

# Okabe & Ito's palette, which readers with any colour vision can tell apart.
_VALUE, _NULL, _MARK = "#D55E00", "#0072B2", "#000000"

KINDS = ("matrix", "null")


class LInCoDisplay:
    """The gaps between the judges of all groups, or the coefficient against its null distribution.

    Make one with :meth:`from_estimator`. The kinds are

    - ``"matrix"``: for every pair of groups the debiased gap with its interval, coloured by who is harsher: the mean
      judgment of the judge of the column less that of the row. An asterisk marks pairs whose p-value, corrected for the
      number of pairs, is 0.05 or less;
    - ``"null"``: the coefficient, and what it would be if all groups were judged alike.

    Parameters
    ----------
    kind : {"matrix", "null"}
        What is drawn.
    groups : ndarray of shape (n_groups,)
        Labels.
    signed, debiased, pvalues : ndarray of shape (n_groups, n_groups), default=None
        For the matrix: signed mean gaps, debiased gaps and p-values.
    interval : ndarray of shape (n_groups, n_groups, 2), default=None
        For the matrix: intervals of the debiased gaps; NaN where there are none.
    value, p_value : float, default=None
        For the null: the coefficient and its p-value.
    null_distribution : ndarray of shape (n_null,), default=None
        For the null: simulated coefficients.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the picture.
    figure_ : matplotlib Figure
        Figure that contains it.

    See Also
    --------
    trustml.fairness.LInCo : The audit that is drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.fairness import LInCo
    >>> from trustml.inspection import LInCoDisplay
    >>> rng = np.random.default_rng(0)
    >>> X, group = rng.normal(size=(600, 3)), np.repeat(["a", "b"], 300)
    >>> y = X[:, 0] + 0.5 * (group == "b") + 0.3 * rng.normal(size=600)
    >>> audit = LInCo(random_state=0).fit(X, y, sensitive_features=group)
    >>> LInCoDisplay.from_estimator(audit, kind="null").ax_.get_title()
    'p = 0.005'
    """

    def __init__(
        self,
        kind,
        groups,
        *,
        signed=None,
        debiased=None,
        interval=None,
        pvalues=None,
        value=None,
        p_value=None,
        null_distribution=None,
    ):
        self.kind = kind
        self.groups = groups
        self.signed = signed
        self.debiased = debiased
        self.interval = interval
        self.pvalues = pvalues
        self.value = value
        self.p_value = p_value
        self.null_distribution = null_distribution

    @classmethod
    def from_estimator(cls, estimator, *, kind="matrix", class_label=None, ax=None):
        """Draw a fitted audit.

        Parameters
        ----------
        estimator : LInCo
            Fitted.
        kind : {"matrix", "null"}, default="matrix"
            What is drawn.
        class_label : label, default=None
            Class whose probability is compared, for more than two classes; None: the last.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : LInCoDisplay
        """
        check_is_fitted(estimator)
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r} found; expected one of {list(KINDS)}.")
        if kind == "null":
            if not len(estimator.null_distribution_):
                raise ValueError("kind='null' found for an audit with n_null=0; expected one with a null distribution.")
            return cls(
                kind,
                estimator.groups_,
                value=estimator.linco_,
                p_value=estimator.p_value_,
                null_distribution=estimator.null_distribution_,
            ).plot(ax=ax)
        signed = estimator.pairwise_signed_
        if signed.ndim == 3:
            label = estimator.classes_[-1] if class_label is None else class_label
            if label not in estimator.classes_:
                raise ValueError(f"class_label={label!r} found; expected one of {estimator.classes_.tolist()}.")
            signed = signed[:, :, np.flatnonzero(estimator.classes_ == label)[0]]
        return cls(
            kind,
            estimator.groups_,
            signed=signed,
            debiased=estimator.pairwise_debiased_,
            interval=estimator.pairwise_interval_,
            pvalues=estimator.pairwise_pvalues_,
        ).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : LInCoDisplay
        """
        import matplotlib.pyplot as plt

        if ax is None:
            side = 1.5 + 0.9 * len(self.groups) if self.kind == "matrix" else 4
            _, ax = plt.subplots(figsize=(side + 1.5, side), layout="constrained")
        self._matrix(ax) if self.kind == "matrix" else self._null(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _matrix(self, ax):
        names = [str(group) for group in self.groups]
        most = np.abs(self.signed).max() or 1
        image = ax.imshow(self.signed, cmap="PuOr_r", vmin=-most, vmax=most)
        for a, b in zip(*np.nonzero(~np.eye(len(names), dtype=bool)), strict=True):
            text = f"{self.debiased[a, b]:.2f}" + ("*" if self.pvalues[a, b] <= 0.05 else "")
            if np.isfinite(self.interval[a, b]).all():
                low, high = self.interval[a, b]
                text += f"\n[{low:.2f}, {high:.2f}]"
            dark = abs(self.signed[a, b]) > 0.7 * most
            ax.text(b, a, text, ha="center", va="center", fontsize="small", color="white" if dark else "black")
        ax.set_xticks(range(len(names)), names)
        ax.set_yticks(range(len(names)), names)
        ax.set(xlabel="judge of", ylabel="compared with the judge of")
        ax.figure.colorbar(image, ax=ax, label="mean judgment: column minus row")

    def _null(self, ax):
        ax.hist(self.null_distribution, bins="auto", color=_NULL, label="judged alike, simulated")
        ax.axvline(np.mean(self.null_distribution), color=_MARK, linestyle=":", label="noise floor")
        ax.axvline(self.value, color=_VALUE, label="found")
        ax.set(xlabel="LInCo", ylabel="simulated data sets", title=f"p = {self.p_value:.2g}")
        ax.legend()
