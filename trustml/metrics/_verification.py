"""One threshold on pairs: false accepts, false rejects, and how sure they are."""

import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import Bunch, check_array, check_consistent_length, check_random_state, column_or_1d

from trustml.metrics._pair_counts import (
    accepted_class_pairs,
    accepted_pairs,
    check_count,
    check_far,
    check_pairs,
    distance_at_far,
    embedded,
)


def _scored_pairs(y_true, y_score):
    y_true = column_or_1d(y_true)
    y_score = column_or_1d(check_array(y_score, ensure_2d=False, dtype=np.float64, input_name="y_score"))
    check_consistent_length(y_true, y_score)
    if not np.isin(y_true, (0, 1)).all():
        raise ValueError(f"y_true holds {np.unique(y_true)[:5].tolist()}; expected 0 (two classes) and 1 (one class).")
    y_true = y_true.astype(bool)
    if y_true.all() or not y_true.any():
        raise ValueError(f"y_true marks {y_true.sum()} of {len(y_true)} pairs; expected pairs of both kinds.")
    return y_true, y_score


def far_frr_curve(y_true: ArrayLike, y_score: ArrayLike) -> Bunch:
    """False-accept and false-reject rate at every threshold on the similarity of pairs.

    Parameters
    ----------
    y_true : array-like of shape (n_pairs,)
        1 for pairs of one class, 0 for pairs of two.
    y_score : array-like of shape (n_pairs,)
        Similarities: larger is more similar.

    Returns
    -------
    curve : Bunch
        ``thresholds``, ascending, the last infinite; ``far`` and ``frr`` of accepting scores at or above them.

    See Also
    --------
    sklearn.metrics.det_curve : The same curve without its trivial ends.

    Examples
    --------
    >>> from trustml.metrics import far_frr_curve
    >>> curve = far_frr_curve([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1])
    >>> curve.far.tolist(), curve.frr.tolist()
    ([1.0, 0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5, 1.0])
    """
    y_true, y_score = _scored_pairs(y_true, y_score)
    thresholds = np.append(np.unique(y_score), np.inf)
    positive, negative = np.sort(y_score[y_true]), np.sort(y_score[~y_true])
    return Bunch(
        thresholds=thresholds,
        far=1 - np.searchsorted(negative, thresholds) / len(negative),
        frr=np.searchsorted(positive, thresholds) / len(positive),
    )


def tar_at_far(y_true: ArrayLike, y_score: ArrayLike, far: float = 0.01) -> float:
    """True-accept rate at the lowest threshold whose false-accept rate does not exceed ``far``.

    Parameters
    ----------
    y_true, y_score
        As in :func:`far_frr_curve`.
    far : float, default=0.01
        In (0, 1).

    Returns
    -------
    tar : float
        Share of the pairs of one class that are accepted. Ties of both kinds fall on the same side.

    Examples
    --------
    >>> from trustml.metrics import tar_at_far
    >>> tar_at_far([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], far=0.5)
    1.0
    """
    far = check_far(far)
    curve = far_frr_curve(y_true, y_score)
    return float(1 - curve.frr[np.argmax(curve.far <= far * (1 + 1e-12))])


def equal_error_rate(y_true: ArrayLike, y_score: ArrayLike) -> float:
    """The error rate at the threshold where false accepts are as frequent as false rejects.

    Parameters
    ----------
    y_true, y_score
        As in :func:`far_frr_curve`.

    Returns
    -------
    eer : float
        By linear interpolation between the two thresholds where the sign of the difference changes.

    Examples
    --------
    >>> from trustml.metrics import equal_error_rate
    >>> equal_error_rate([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1])
    0.5
    """
    curve = far_frr_curve(y_true, y_score)
    return crossing(curve.far, curve.frr)


def crossing(far, frr) -> float:
    """Where a falling and a rising rate meet."""
    difference = far - frr
    after = int(np.argmax(difference <= 0))
    if after == 0 or difference[after] == 0:
        return float((far[after] + frr[after]) / 2)
    share = difference[after - 1] / (difference[after - 1] - difference[after])
    return float(far[after - 1] + share * (far[after] - far[after - 1]))


def threshold_at_far(
    X: ArrayLike,
    y: ArrayLike,
    *,
    far: float = 0.01,
    metric: str = "cosine",
    n_resamples: int = 200,
    confidence: float = 0.95,
    random_state=None,
) -> Bunch:
    """The threshold with a given false-accept rate over all pairs, and an interval for that rate on other classes.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_components)
        Embeddings of classes that the embedding was not trained on. On training classes the rate is several times too
        low.
    y : array-like of shape (n_samples,)
        Class labels.
    far : float, default=0.01
        Target, in (0, 1); it is not exceeded on these rows.
    metric : {"cosine", "euclidean"}, default="cosine"
        Distance: one minus the cosine, or Euclidean.
    n_resamples : int, default=200
        Resamples of the classes for the interval; 0 for none.
    confidence : float, default=0.95
        Of the interval, in (0, 1).
    random_state : int, RandomState instance or None, default=None
        Of the resamples.

    Returns
    -------
    found : Bunch
        ``threshold``, a distance: pairs at most this far apart are accepted; ``far`` and ``tar``, the false- and
        true-accept rates on these rows; ``far_interval``, a tuple, the central share of the rate at this threshold
        over samples of as many classes with replacement (NaN if ``n_resamples=0``).

    Warns
    -----
    UndefinedMetricWarning
        If the target is less than one pair of two classes.

    Notes
    -----
    Classes are resampled, not pairs: pairs that share a class fall together, and the number of classes is what limits
    how sure the rate is.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.metrics import threshold_at_far
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(np.arange(20), 5)
    >>> X = rng.normal(size=(20, 8))[y] + 0.3 * rng.normal(size=(100, 8))
    >>> found = threshold_at_far(X, y, far=0.01, random_state=0)
    >>> bool(found.far <= 0.01), round(found.tar, 3)
    (True, 0.99)
    """
    far = check_far(far)
    check_far(confidence, "confidence")
    n_resamples = check_count("n_resamples", n_resamples, 0)
    data = embedded(X, y, metric)
    check_pairs(data)
    n_pairs = int(data.n_negative.sum() // 2)
    if far * n_pairs < 1:
        warnings.warn(
            f"far={far:g} is less than one of the {n_pairs} pairs of two classes: the threshold accepts none of them. "
            "Take more rows or classes, or a higher rate.",
            UndefinedMetricWarning,
            stacklevel=2,
        )
    (threshold,) = distance_at_far(data, far)
    positive, negative = accepted_pairs(data, np.array([threshold]))
    interval = (np.nan, np.nan)
    if n_resamples:
        interval = _far_interval(data, threshold, n_resamples, confidence, check_random_state(random_state))
    return Bunch(
        threshold=float(threshold),
        far=float(negative.sum() / data.n_negative.sum()),
        tar=float(positive.sum() / data.n_positive.sum()),
        far_interval=interval,
    )


def _far_interval(data, threshold, n_resamples, confidence, rng):
    """Percentiles of the false-accept rate over resamples of the classes."""
    n_classes = len(data.classes)
    accepted = accepted_class_pairs(data, threshold)
    draws = rng.multinomial(n_classes, np.full(n_classes, 1 / n_classes), size=n_resamples)
    totals = draws @ data.counts
    # Two copies of a class are no pair of two classes.
    pairs = totals**2 - (draws**2) @ (data.counts**2)
    hits = np.sum((draws @ accepted) * draws, axis=1)
    rates = hits[pairs > 0] / pairs[pairs > 0]
    tail = (1 - confidence) / 2
    return tuple(np.quantile(rates, (tail, 1 - tail)).tolist())
