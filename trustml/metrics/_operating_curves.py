"""Operating characteristics of every class under one threshold, and how far they are apart (OPIS)."""

import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import Bunch

from trustml.metrics._pair_counts import accepted_pairs, check_count, check_far, check_pairs, distance_at_far, embedded

FAR_RANGE = (1e-2, 1e-1)


def class_operating_curves(
    X: ArrayLike,
    y: ArrayLike,
    *,
    thresholds: ArrayLike | None = None,
    far_range: tuple[float, float] = FAR_RANGE,
    n_thresholds: int = 201,
    c: float = 1.0,
    metric: str = "cosine",
) -> Bunch:
    """False-accept rate, false-reject rate and utility of every class, at each of a range of thresholds.

    A pair is accepted if its distance is at most the threshold. A class's false-reject rate is among the pairs of its
    own rows, its false-accept rate among the pairs of one of its rows with one of another class. Its utility is the
    harmonic mean of what is right of both, ``(1 + c**2) * phi * psi / (c**2 * phi + psi)`` with specificity
    ``phi = 1 - far`` and sensitivity ``psi = 1 - frr``.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_components)
        Embeddings.
    y : array-like of shape (n_samples,)
        Class labels.
    thresholds : array-like of shape (n_thresholds,), default=None
        Distances, ascending. None takes ``n_thresholds`` equally spaced ones over ``far_range``.
    far_range : tuple of float, default=(0.01, 0.1)
        False-accept rates over all pairs between which the thresholds lie. Of ``thresholds=None`` only.
    n_thresholds : int, default=201
        How many. Of ``thresholds=None`` only.
    c : float, default=1.0
        Weight of sensitivity against specificity in the utility.
    metric : {"cosine", "euclidean"}, default="cosine"
        Distance: one minus the cosine, or Euclidean.

    Returns
    -------
    curves : Bunch
        ``thresholds`` (n_thresholds,), ``classes`` (n_classes,), of which those with one row are left out;
        ``far``, ``frr``, ``utility`` (n_classes, n_thresholds); ``mean_far``, ``mean_frr`` (n_thresholds,) over all
        pairs, ``mean_utility`` over classes; ``n_singletons``, how many classes have one row: their rows take part in
        pairs of two classes.

    See Also
    --------
    opis_score : How far the utilities of classes are apart.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.metrics import class_operating_curves
    >>> X, y = np.array([[1.0, 0], [1, 0.1], [0, 1], [0.8, 1]]), ["a", "a", "b", "b"]
    >>> curves = class_operating_curves(X, y, thresholds=[0.1, 0.3])
    >>> curves.frr.tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    data = embedded(X, y, metric)
    return _curves(data, thresholds, far_range, n_thresholds, c)


def _curves(data, thresholds, far_range, n_thresholds, c):
    check_pairs(data)
    if not (np.isscalar(c) and 0 < c < np.inf):
        raise ValueError(f"c={c!r}; expected a positive number.")
    if thresholds is None:
        thresholds = _thresholds(data, far_range, n_thresholds)
    thresholds = np.asarray(thresholds, float)
    if thresholds.ndim != 1 or not len(thresholds) or not (np.diff(thresholds) >= 0).all():
        raise ValueError("thresholds must be a one-dimensional array of ascending, finite distances.")
    positive, negative = accepted_pairs(data, thresholds)
    known = data.n_positive > 0
    n_positive, n_negative = data.n_positive, data.n_negative
    psi = positive[known] / n_positive[known, None]
    phi = 1 - negative[known] / n_negative[known, None]
    denominator = c * c * phi + psi
    utility = (1 + c * c) * phi * psi / np.where(denominator > 0, denominator, 1)
    return Bunch(
        thresholds=thresholds,
        classes=data.classes[known],
        far=1 - phi,
        frr=1 - psi,
        utility=utility,
        mean_far=negative.sum(axis=0) / n_negative.sum(),
        mean_frr=1 - positive.sum(axis=0) / n_positive.sum(),
        mean_utility=utility.mean(axis=0),
        n_singletons=int(np.count_nonzero(~known)),
    )


def _thresholds(data, far_range, n_thresholds):
    low, high = (check_far(far, "far_range") for far in far_range)
    if low >= high:
        raise ValueError(f"far_range={far_range!r}; expected two ascending rates.")
    n_thresholds = check_count("n_thresholds", n_thresholds, 2)
    n_pairs = int(data.n_negative.sum() // 2)
    if low * n_pairs < 1:
        warnings.warn(
            f"far_range begins at {low:g}, which is less than one of the {n_pairs} pairs of two classes; take a higher "
            "rate or more rows.",
            UndefinedMetricWarning,
            stacklevel=4,
        )
    return np.linspace(*distance_at_far(data, (low, high)), n_thresholds)


def opis_score(
    X: ArrayLike,
    y: ArrayLike,
    *,
    thresholds: ArrayLike | None = None,
    far_range: tuple[float, float] = FAR_RANGE,
    n_thresholds: int = 201,
    c: float = 1.0,
    metric: str = "cosine",
) -> float:
    """Operating-point inconsistency: the variance of utility over classes, averaged over thresholds.

    Zero if every threshold of the range serves all classes equally, at most one quarter. It does not say how well they
    are served: an embedding that is useless for all classes has a low score. Report the mean utility beside it.

    Parameters
    ----------
    X, y, thresholds, far_range, n_thresholds, c, metric
        As in :func:`class_operating_curves`.

    Returns
    -------
    opis : float
        Smaller is better. NaN, with a warning, if fewer than two classes have pairs, or if the range of thresholds is
        empty, as for embeddings that are all equal.

    See Also
    --------
    epsilon_opis_score : Compares the best classes with the worst.
    open_world_report : This and everything to be read beside it.

    Notes
    -----
    The score is not the same for the cosine and for the Euclidean distance on the unit sphere: equal steps of the one
    are not equal steps of the other.

    References
    ----------
    Q. Zhang et al., "Threshold-Consistent Margin Loss for Open-World Deep Metric Learning", ICLR 2024. Defaults follow
    a protocol of others that names the paper.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.metrics import opis_score
    >>> angles = np.deg2rad([0, 10, 90, 110, 200, 240])
    >>> X = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    >>> round(opis_score(X, [0, 0, 1, 1, 2, 2], thresholds=np.linspace(0.1, 0.3, 201)), 3)
    0.148
    """
    return opis_of(_curves(embedded(X, y, metric), thresholds, far_range, n_thresholds, c))


def epsilon_opis_score(
    X: ArrayLike,
    y: ArrayLike,
    *,
    epsilon: float = 0.1,
    thresholds: ArrayLike | None = None,
    far_range: tuple[float, float] = FAR_RANGE,
    n_thresholds: int = 201,
    c: float = 1.0,
    metric: str = "cosine",
) -> float:
    """Squared difference between the utility of the best and of the worst classes, averaged over thresholds.

    Parameters
    ----------
    X, y, thresholds, far_range, n_thresholds, c, metric
        As in :func:`class_operating_curves`.
    epsilon : float, default=0.1
        Share of the classes, rounded and at least one, on either side. Classes are ranked by their mean utility over
        the thresholds, and the rates of a group are averaged before its utility is taken.

    Returns
    -------
    score : float
        In [0, 1]; smaller is better. NaN as :func:`opis_score`.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.metrics import epsilon_opis_score
    >>> angles = np.deg2rad([0, 10, 90, 110, 200, 240])
    >>> X = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    >>> round(epsilon_opis_score(X, [0, 0, 1, 1, 2, 2], thresholds=np.linspace(0.1, 0.3, 201)), 3)
    0.668
    """
    return epsilon_opis_of(_curves(embedded(X, y, metric), thresholds, far_range, n_thresholds, c), epsilon, c)


def opis_of(curves) -> float:
    """:func:`opis_score` of curves."""
    if _undefined(curves):
        return np.nan
    return _average(curves.thresholds, curves.utility.var(axis=0))


def epsilon_opis_of(curves, epsilon=0.1, c=1.0) -> float:
    """:func:`epsilon_opis_score` of curves."""
    if not 0 < epsilon <= 1:
        raise ValueError(f"epsilon={epsilon!r}; expected a number in (0, 1].")
    if _undefined(curves):
        return np.nan
    n_classes = len(curves.classes)
    size = max(1, round(epsilon * n_classes))
    ranked = np.argsort([_average(curves.thresholds, utility) for utility in curves.utility], kind="stable")
    sides = []
    for group in (ranked[:size], ranked[n_classes - size :]):
        phi, psi = 1 - curves.far[group].mean(axis=0), 1 - curves.frr[group].mean(axis=0)
        denominator = c * c * phi + psi
        sides.append((1 + c * c) * phi * psi / np.where(denominator > 0, denominator, 1))
    return _average(curves.thresholds, (sides[0] - sides[1]) ** 2)


def _undefined(curves):
    n_classes, extent = len(curves.classes), curves.thresholds[-1] - curves.thresholds[0]
    reason = None
    if n_classes < 2:
        reason = f"{n_classes} class has pairs of its own; expected at least 2"
    elif not extent > 0:
        reason = "the range of thresholds is empty: too many distances are equal, as those of a collapsed embedding"
    if reason:
        warnings.warn(f"OPIS is undefined: {reason}.", UndefinedMetricWarning, stacklevel=3)
    return reason is not None


def _average(thresholds, values):
    """Mean over the range, by the trapezoidal rule."""
    return float(np.trapezoid(values, thresholds) / (thresholds[-1] - thresholds[0]))
