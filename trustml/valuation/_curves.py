"""Checks of values on one's own data: do low ones mark bad rows, is the model better without them?"""

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.utils import (
    Bunch,
    check_array,
    check_consistent_length,
    check_random_state,
    column_or_1d,
    indexable,
)
from sklearn.utils.multiclass import check_classification_targets

from trustml._sklearn import HasMethods, StrOptions, validate_params
from trustml.metrics._detection import check_detection, detection_auroc, detection_recall, found_by_inspection
from trustml.valuation._engines import BlackBoxEngine, Task

_CURVE_PARAMETERS = {
    "estimator": [HasMethods(["fit", "predict"])],
    "X": ["array-like", "sparse matrix"],
    "y": ["array-like"],
    "data_values": ["array-like"],
    "X_test": ["array-like", "sparse matrix"],
    "y_test": ["array-like"],
    "order": [StrOptions({"lowest", "highest", "random"})],
    "fractions": ["array-like", None],
    "scoring": [str, callable, None],
    "n_jobs": [Integral, None],
    "random_state": ["random_state"],
}


def detection_curve(data_values: ArrayLike, is_flipped: ArrayLike) -> Bunch:
    """How many of the wrong rows are found if rows are inspected in order of value, lowest first.

    Parameters
    ----------
    data_values : array-like of shape (n_samples,)
        Values of the rows; low means harmful.
    is_flipped : array-like of shape (n_samples,) of bool
        True for the rows known to be wrong: some, but not all.

    Returns
    -------
    curve : :class:`~sklearn.utils.Bunch`
        - ``inspected``, ndarray of shape (n_distinct_values + 1,): fraction of all rows inspected,
          rising from 0 to 1. Rows of equal value are inspected together; in between, the expectation
          over their order is linear.
        - ``found``, ndarray of the same shape: fraction of the wrong rows among them.
        - ``auroc``, float: probability that a wrong row is valued below a right one.
        - ``recall``, float: fraction found once as many rows are inspected as are wrong.

    See Also
    --------
    removal_curve : Does the model get better without the rows of lowest value?
    trustml.datasets.make_flipped_labels : Flip labels of your own data, to see whether they are found.

    References
    ----------
    .. [1] A. Ghorbani & J. Zou, "Data Shapley: Equitable Valuation of Data for Machine Learning",
       ICML 2019.

    Examples
    --------
    >>> from trustml.valuation import detection_curve
    >>> curve = detection_curve([-0.2, 0.1, 0.0, 0.3], [True, False, False, True])
    >>> curve.inspected
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    >>> curve.found
    array([0. , 0.5, 0.5, 0.5, 1. ])
    >>> curve.auroc, curve.recall
    (0.5, 0.5)
    """
    data_values, is_flipped = check_detection(data_values, is_flipped)
    inspected, found = found_by_inspection(data_values, is_flipped)
    return Bunch(
        inspected=inspected,
        found=found,
        auroc=detection_auroc(data_values, is_flipped),
        recall=detection_recall(data_values, is_flipped),
    )


@validate_params(_CURVE_PARAMETERS, prefer_skip_nested_validation=True)
def removal_curve(
    estimator,
    X: ArrayLike,
    y: ArrayLike,
    data_values: ArrayLike,
    *,
    X_test: ArrayLike,
    y_test: ArrayLike,
    order: str = "lowest",
    fractions: ArrayLike | None = None,
    scoring=None,
    n_jobs: int | None = None,
    random_state=None,
) -> Bunch:
    """Score of a model after some of its training rows are removed in order of value.

    Good values make the score rise, or at least stay, while the lowest are removed, and fall faster
    than at random while the highest are. Score the model on rows that took no part in the valuation.

    Parameters
    ----------
    estimator : estimator
        Model that is cloned and fitted to the rows left.
    X : array-like of shape (n_samples, n_features)
        Training rows, in any form that ``estimator`` takes.
    y : array-like of shape (n_samples,)
        Their targets.
    data_values : array-like of shape (n_samples,)
        Their values.
    X_test : array-like of shape (n_test, n_features)
        Rows on which the model is scored.
    y_test : array-like of shape (n_test,)
        Their targets.
    order : {"lowest", "highest", "random"}, default="lowest"
        Which rows are removed first. Rows of equal value are removed in the order of X.
    fractions : array-like of shape (n_points,), default=None
        Fractions of the rows that are removed, in [0, 1); ``round(fraction * n_samples)`` rows are.
        None: 0, 0.05, ..., 0.5.
    scoring : str, callable or None, default=None
        As in :func:`sklearn.model_selection.cross_val_score`.
    n_jobs : int, default=None
        Fits in parallel, as in scikit-learn (joblib's current backend).
    random_state : int, RandomState instance or None, default=None
        The order, if it is random.

    Returns
    -------
    curve : :class:`~sklearn.utils.Bunch`
        ``fractions`` (removed), ``n_rows`` (left) and ``scores``, ndarrays of shape (n_points,).

    Notes
    -----
    A class of which no row is left is never predicted; a single class left makes the constant model.

    See Also
    --------
    addition_curve : The score while rows are added.
    trustml.inspection.DataValueDisplay : Draws these curves.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from trustml.datasets import make_mislabelled_classification
    >>> from trustml.valuation import removal_curve
    >>> X, y, is_flipped = make_mislabelled_classification(300, flip_fraction=0.4, random_state=0)
    >>> right = ~is_flipped[150:]
    >>> curve = removal_curve(
    ...     LogisticRegression(), X[:150], y[:150], -1.0 * is_flipped[:150], fractions=[0, 0.2, 0.4],
    ...     X_test=X[150:][right], y_test=y[150:][right],
    ... )
    >>> curve.n_rows
    array([150, 120,  90])
    >>> curve.scores.round(2)
    array([0.71, 0.79, 0.97])
    """
    fractions = _check_fractions(np.linspace(0, 0.5, 11) if fractions is None else fractions)
    data_values = _check_values(data_values, y)
    n_rows = len(data_values) - np.rint(fractions * len(data_values)).astype(int)
    kept_first = _rows_in_order(data_values, order, random_state)[::-1]
    return _curve(estimator, X, y, kept_first, fractions, n_rows, X_test, y_test, scoring, n_jobs)


@validate_params(_CURVE_PARAMETERS, prefer_skip_nested_validation=True)
def addition_curve(
    estimator,
    X: ArrayLike,
    y: ArrayLike,
    data_values: ArrayLike,
    *,
    X_test: ArrayLike,
    y_test: ArrayLike,
    order: str = "highest",
    fractions: ArrayLike | None = None,
    scoring=None,
    n_jobs: int | None = None,
    random_state=None,
) -> Bunch:
    """Score of a model fitted to more and more of the training rows, added in order of value.

    Good values make the score rise faster than at random while the highest are added first, and more
    slowly while the lowest are.

    Parameters
    ----------
    estimator, X, y, data_values, X_test, y_test, scoring, n_jobs, random_state
        As in :func:`removal_curve`.
    order : {"lowest", "highest", "random"}, default="highest"
        Which rows are added first. Rows of equal value are added in the order of X.
    fractions : array-like of shape (n_points,), default=None
        Fractions of the rows that the model is fitted to, in (0, 1]; it is fitted to
        ``round(fraction * n_samples)`` rows. None: 0.05, 0.1, ..., 0.5.

    Returns
    -------
    curve : :class:`~sklearn.utils.Bunch`
        ``fractions`` (added), ``n_rows`` and ``scores``, ndarrays of shape (n_points,).

    See Also
    --------
    removal_curve : The score while rows are removed.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from trustml.datasets import make_mislabelled_classification
    >>> from trustml.valuation import addition_curve
    >>> X, y, is_flipped = make_mislabelled_classification(300, flip_fraction=0.4, random_state=0)
    >>> right = ~is_flipped[150:]
    >>> curve = addition_curve(
    ...     LogisticRegression(), X[:150], y[:150], -1.0 * is_flipped[:150], fractions=[0.1, 0.6, 1],
    ...     X_test=X[150:][right], y_test=y[150:][right],
    ... )
    >>> curve.scores.round(2)
    array([0.91, 0.97, 0.71])
    """
    fractions = _check_fractions(np.linspace(0.05, 0.5, 10) if fractions is None else fractions)
    data_values = _check_values(data_values, y)
    n_rows = np.rint(fractions * len(data_values)).astype(int)
    kept_first = _rows_in_order(data_values, order, random_state)
    return _curve(estimator, X, y, kept_first, fractions, n_rows, X_test, y_test, scoring, n_jobs)


def _check_fractions(fractions):
    fractions = check_array(fractions, ensure_2d=False, dtype=np.float64, input_name="fractions")
    outside = fractions[(fractions < 0) | (fractions > 1)]
    if len(outside):
        raise ValueError(f"fractions must lie in [0, 1]; got {outside.tolist()}.")
    return column_or_1d(fractions)


def _check_values(data_values, y):
    data_values = check_array(data_values, ensure_2d=False, dtype=np.float64, input_name="data_values")
    check_consistent_length(data_values, y)
    return column_or_1d(data_values)


def _rows_in_order(data_values, order, random_state):
    if order == "random":
        return check_random_state(random_state).permutation(len(data_values))
    return np.argsort(data_values if order == "lowest" else -data_values, kind="stable")


def _curve(estimator, X, y, kept_first, fractions, n_rows, X_test, y_test, scoring, n_jobs):
    """Scores with the first ``n_rows`` of the rows ``kept_first``."""
    if not n_rows.all():
        raise ValueError(
            f"fractions={fractions[n_rows == 0][0]} of {len(kept_first)} rows leaves no row to fit; "
            "expected fractions that leave at least one."
        )
    X, y = indexable(X, column_or_1d(y))
    X_test, y_test = indexable(X_test, column_or_1d(y_test))
    classes = None
    if is_classifier(estimator):
        check_classification_targets(y)
        classes, y = np.unique(y, return_inverse=True)
        unseen = np.setdiff1d(y_test, classes)
        if len(unseen):
            raise ValueError(f"y_test holds labels that y does not: {unseen[:5].tolist()}.")
        y_test = np.searchsorted(classes, y_test)
    rank = np.empty(len(kept_first), dtype=int)
    rank[kept_first] = np.arange(len(kept_first))
    # Every mask keeps a row, so that the score of the empty set is never asked for.
    task = Task(X, y, np.ones(len(y)), X_test, y_test, classes, scoring, empty_score=np.nan)
    engine = BlackBoxEngine(estimator, task, n_jobs=n_jobs, error_score="raise")
    scores = engine.score_subsets(rank < n_rows[:, None])
    return Bunch(fractions=fractions, n_rows=n_rows, scores=scores)
