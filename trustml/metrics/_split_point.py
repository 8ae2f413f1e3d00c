"""Split-point analysis: what the two sides of the residuals of any model say about its bias and its noise."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch, check_array, check_consistent_length, column_or_1d

from trustml._sklearn import check_sample_weight


def discrepancy(mar, mar_up, mar_down):
    """D = 2 Mu Md - M (Mu + Md), exactly zero where all three are equal; arrays of one shape."""
    return mar_up * (mar_down - mar) + mar_down * (mar_up - mar)


def widening(mar, mar_up, mar_down, largest):
    """Factors of the upper and the lower quantile by which heads that contradict each other widen an interval.

    With p_u = M / (2 Mu) and p_d = M / (2 Md), which sum to one for heads that agree, they are p_u / (1 - p_d) and
    p_d / (1 - p_u), within [1, largest]. A share of one or more on the other side means ``largest``.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        p_up, p_down = mar / (2 * mar_up), mar / (2 * mar_down)
        factors = [np.where(q < 1, p / (1 - q), np.inf) for p, q in ((p_up, p_down), (p_down, p_up))]
    return tuple(np.clip(np.where(np.isnan(f), 1.0, f), 1.0, largest) for f in factors)


def split_point_stats(residuals: ArrayLike, *, groups: ArrayLike | None = None, sample_weight=None) -> Bunch:
    """Bias and asymmetry of residuals, in all and by group.

    Parameters
    ----------
    residuals : array-like of shape (n_samples,)
        Target minus prediction, best of rows that the model was not fitted to.
    groups : array-like of shape (n_samples,), default=None
        Label of each row's group; None takes all rows as one group, labelled "all".
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.

    Returns
    -------
    stats : Bunch of ndarray of shape (n_groups,)
        ``group``, ``n_samples`` (rows of positive weight), ``bias`` (mean residual), ``mar`` (mean absolute residual),
        ``mar_up`` and ``mar_down`` (of the residuals above zero; of the others), ``p_up``, ``p_down`` (shares of the
        sides), ``discrepancy``, ``sds`` (its root) and ``sds_relative`` (of no unit). A side without rows has a MAR
        of NaN, and so has what follows from it.

    Notes
    -----
    With :math:`M` the MAR and :math:`M_u, M_d` those of the sides, the discrepancy is
    :math:`D = 2 M_u M_d - M (M_u + M_d)`. Of any finite sample it equals bias times :math:`M_d - M_u` exactly. It is
    thus zero if and only if the mean residual is zero or the sides are equally far away; then M is the harmonic mean
    of :math:`M_u` and :math:`M_d`. A residual of exactly zero counts as lower side.

    References
    ----------
    Zhao & Chen (2025), "Uncertainty quantification by split-point analysis", arXiv:2509.13262.

    Examples
    --------
    >>> from trustml.metrics import split_point_stats
    >>> stats = split_point_stats([3, -1, -1, -1, 4, 0], groups=["a", "a", "a", "a", "b", "b"])
    >>> stats.bias, stats.discrepancy
    (array([0., 2.]), array([ 0., -8.]))
    """
    residuals = check_array(residuals, ensure_2d=False, dtype=np.float64, input_name="residuals")
    residuals = column_or_1d(residuals)
    weight = check_sample_weight(sample_weight, residuals, dtype=np.float64, ensure_non_negative=True)
    groups = np.full(len(residuals), "all") if groups is None else column_or_1d(groups)
    check_consistent_length(residuals, groups)
    labels, group = np.unique(groups, return_inverse=True)

    def total(values):
        return np.bincount(group, weights=values * weight, minlength=len(labels))

    up = residuals > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        everything = total(np.ones(len(residuals)))
        p_up = total(up) / everything
        mar = total(np.abs(residuals)) / everything
        mar_up = total(np.where(up, residuals, 0)) / total(up)
        mar_down = total(np.where(up, 0, -residuals)) / total(~up)
        D = discrepancy(mar, mar_up, mar_down)
        return Bunch(
            group=labels,
            n_samples=np.bincount(group, weights=weight > 0, minlength=len(labels)).astype(int),
            bias=total(residuals) / everything,
            mar=mar,
            mar_up=mar_up,
            mar_down=mar_down,
            p_up=p_up,
            p_down=1 - p_up,
            discrepancy=D,
            sds=np.sqrt(np.abs(D)),
            sds_relative=np.abs(D) / (2 * mar_up * mar_down),
        )
