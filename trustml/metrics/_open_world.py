"""Everything about an embedding of classes it has not seen, and scorers for model selection."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from trustml.metrics._operating_curves import FAR_RANGE, class_operating_curves, epsilon_opis_of, opis_of, opis_score
from trustml.metrics._pair_counts import accepted_pairs, embedded
from trustml.metrics._retrieval import map_at_r, recall_at_k
from trustml.metrics._verification import crossing, threshold_at_far


def open_world_report(
    X: ArrayLike,
    y: ArrayLike,
    *,
    far: float = 0.01,
    far_range: tuple[float, float] = FAR_RANGE,
    epsilon: float = 0.1,
    metric: str = "cosine",
    n_resamples: int = 200,
    random_state=None,
) -> Bunch:
    """Retrieval, verification and consistency of an embedding, on classes it was not trained on.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_components)
        Embeddings.
    y : array-like of shape (n_samples,)
        Class labels.
    far : float, default=0.01
        False-accept rate of the threshold.
    far_range, epsilon
        As in :func:`opis_score` and :func:`epsilon_opis_score`.
    metric : {"cosine", "euclidean"}, default="cosine"
        Distance: one minus the cosine, or Euclidean.
    n_resamples, random_state
        As in :func:`threshold_at_far`.

    Returns
    -------
    report : Bunch
        ``n_classes``, ``n_samples``, ``n_singletons`` (classes of one row, which only OPIS and retrieval leave out);
        ``map_at_r``, ``recall_at_1``; ``mean_utility`` over classes and thresholds, ``opis`` and ``epsilon_opis``,
        which mean little where it is low; ``equal_error_rate``, from 2001 thresholds; ``threshold``, ``far``,
        ``far_interval``, ``tar``, as :func:`threshold_at_far` has them, and ``class_far``, ``class_frr``, the rates of
        each of ``classes`` at this threshold.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.metrics import open_world_report
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(np.arange(20), 5)
    >>> X = rng.normal(size=(20, 8))[y] + 0.3 * rng.normal(size=(100, 8))
    >>> report = open_world_report(X, y, random_state=0)
    >>> {name: round(report[name], 3) for name in ("map_at_r", "mean_utility", "opis")}
    {'map_at_r': 0.951, 'mean_utility': 0.973, 'opis': 0.0}
    """
    found = threshold_at_far(X, y, far=far, metric=metric, n_resamples=n_resamples, random_state=random_state)
    curves = class_operating_curves(X, y, far_range=far_range, metric=metric)
    at_threshold = class_operating_curves(X, y, thresholds=[found.threshold], metric=metric)
    return Bunch(
        n_classes=len(curves.classes) + curves.n_singletons,
        n_samples=len(np.asarray(y)),
        n_singletons=curves.n_singletons,
        map_at_r=map_at_r(X, y, metric=metric),
        recall_at_1=recall_at_k(X, y, metric=metric),
        mean_utility=float(curves.mean_utility.mean()),
        opis=opis_of(curves),
        epsilon_opis=epsilon_opis_of(curves, epsilon),
        equal_error_rate=_equal_error_rate(embedded(X, y, metric)),
        threshold=found.threshold,
        far=found.far,
        far_interval=found.far_interval,
        tar=found.tar,
        classes=curves.classes,
        class_far=at_threshold.far[:, 0],
        class_frr=at_threshold.frr[:, 0],
    )


def _equal_error_rate(data):
    furthest = 2.0 if data.squares is None else 2 * float(np.sqrt(data.squares.max()))
    thresholds = np.linspace(0, furthest, 2001)[::-1]
    positive, negative = accepted_pairs(data, thresholds[::-1])
    far = negative.sum(axis=0)[::-1] / data.n_negative.sum()
    return crossing(far, 1 - positive.sum(axis=0)[::-1] / data.n_positive.sum())


def map_at_r_scorer(estimator, X, y) -> float:
    """Mean average precision at R of what ``estimator`` makes of rows.

    Parameters
    ----------
    estimator : transformer
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Rows of classes that it was not trained on: take :class:`trustml.metric_learning.ClassDisjointKFold`.
    y : array-like of shape (n_samples,)
        Class labels.

    Returns
    -------
    score : float
        :func:`map_at_r`; greater is better.
    """
    return map_at_r(estimator.transform(X), y)


def neg_opis_scorer(estimator, X, y) -> float:
    """Minus the operating-point inconsistency of what ``estimator`` makes of rows.

    A useless embedding may have the best of these scores: use it beside another.

    Parameters
    ----------
    estimator, X, y
        As in :func:`map_at_r_scorer`.

    Returns
    -------
    score : float
        Minus :func:`opis_score`; greater is better.
    """
    return -opis_score(estimator.transform(X), y)


def tar_at_far_scorer(estimator, X, y) -> float:
    """True-accept rate at a false-accept rate of 1 % over all pairs of what ``estimator`` makes of rows.

    Parameters
    ----------
    estimator, X, y
        As in :func:`map_at_r_scorer`.

    Returns
    -------
    score : float
        Greater is better.
    """
    return threshold_at_far(estimator.transform(X), y, n_resamples=0).tar
