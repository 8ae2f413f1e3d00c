"""Tables with known harmful rows."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from trustml._sklearn import Interval, validate_params


@validate_params(
    {
        "y": ["array-like"],
        "fraction": [Interval(Real, 0, 1, closed="both")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_flipped_labels(y: ArrayLike, fraction: float = 0.1, *, random_state=None) -> tuple[NDArray, NDArray[np.bool_]]:
    """Give a known fraction of the rows a wrong label.

    The rows are drawn without replacement; each gets one of the other classes of ``y``, all equally likely.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of at least two classes. Left as they are.
    fraction : float, default=0.1
        Fraction of the rows whose label changes, in [0, 1]; ``round(fraction * n_samples)`` rows do.
    random_state : int, RandomState instance or None, default=None
        Which rows are flipped, and to which class.

    Returns
    -------
    y_flipped : ndarray of shape (n_samples,)
        Labels with ``y``'s values and dtype.
    is_flipped : ndarray of shape (n_samples,) of bool
        True where ``y_flipped`` differs from ``y``.

    Raises
    ------
    ValueError
        If ``y`` is not a column of class labels, or has a single class.

    Examples
    --------
    >>> from trustml.datasets import make_flipped_labels
    >>> make_flipped_labels(["cat", "cat", "dog", "dog"], 0.25, random_state=0)
    (array(['cat', 'cat', 'cat', 'dog'], dtype='<U3'), array([False, False,  True, False]))
    """
    y = column_or_1d(y)
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y must have at least two classes to flip a label; got the single class {classes.tolist()[0]!r}."
        )
    rng = check_random_state(random_state)
    rows = rng.permutation(len(y))[: round(fraction * len(y))]
    # Adding 1 .. n_classes - 1 modulo n_classes reaches every class but the own one.
    codes[rows] = (codes[rows] + rng.randint(1, len(classes), size=len(rows))) % len(classes)
    is_flipped = np.zeros(len(y), dtype=bool)
    is_flipped[rows] = True
    return classes[codes], is_flipped


@validate_params(
    {
        "n_samples": [Interval(Integral, 2, None, closed="left")],
        "n_features": [Interval(Integral, 1, None, closed="left")],
        "n_classes": [Interval(Integral, 2, None, closed="left")],
        "class_sep": [Interval(Real, 0, None, closed="left")],
        "flip_fraction": [Interval(Real, 0, 1, closed="both")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_mislabelled_classification(
    n_samples: int = 200,
    n_features: int = 10,
    *,
    n_classes: int = 2,
    class_sep: float = 2.0,
    flip_fraction: float = 0.1,
    random_state=None,
) -> tuple[NDArray, NDArray, NDArray[np.bool_]]:
    """Make a classification table of which some rows have a wrong label.

    Every class is a Gaussian cloud of unit variance around a centre at distance ``class_sep`` from
    the origin, in a random direction. Classes are as equally large as ``n_samples`` allows.

    Parameters
    ----------
    n_samples : int, default=200
        Number of rows, at least ``n_classes``.
    n_features : int, default=10
        Number of columns.
    n_classes : int, default=2
        Number of classes.
    class_sep : float, default=2.0
        Distance of the class centres from the origin. Two classes lie on opposite sides of it.
    flip_fraction : float, default=0.1
        Fraction of the rows whose label is wrong.
    random_state : int, RandomState instance or None, default=None
        Determines the table.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Features.
    y : ndarray of shape (n_samples,)
        Labels 0 .. n_classes - 1, some of them wrong.
    is_flipped : ndarray of shape (n_samples,) of bool
        True where the label is wrong.

    See Also
    --------
    make_flipped_labels : The same damage to labels of your own.

    Examples
    --------
    >>> from trustml.datasets import make_mislabelled_classification
    >>> X, y, is_flipped = make_mislabelled_classification(60, 4, flip_fraction=0.2, random_state=0)
    >>> X.shape, int(is_flipped.sum())
    ((60, 4), 12)
    """
    if n_samples < n_classes:
        raise ValueError(f"n_samples={n_samples} must be at least n_classes={n_classes}.")
    rng = check_random_state(random_state)
    X, y = _gaussian_classes(rng, n_samples, n_features, n_classes, class_sep)
    y, is_flipped = make_flipped_labels(y, flip_fraction, random_state=rng)
    return X, y, is_flipped


@validate_params(
    {
        "n_sources": [Interval(Integral, 1, None, closed="left")],
        "n_samples_per_source": [Interval(Integral, 2, None, closed="left")],
        "n_features": [Interval(Integral, 1, None, closed="left")],
        "class_sep": [Interval(Real, 0, None, closed="left")],
        "flip_fractions": ["array-like", None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_noisy_sources(
    n_sources: int = 10,
    n_samples_per_source: int = 20,
    n_features: int = 10,
    *,
    class_sep: float = 2.0,
    flip_fractions: ArrayLike | None = None,
    random_state=None,
) -> tuple[NDArray, NDArray, NDArray[np.intp], NDArray[np.bool_]]:
    """Make a two-class table gathered from sources that label more or less carefully.

    All sources draw from the same two Gaussian clouds (see :func:`make_mislabelled_classification`);
    they differ in the fraction of labels that they get wrong. Pass ``source`` as ``units`` to value
    whole sources.

    Parameters
    ----------
    n_sources : int, default=10
        Number of sources.
    n_samples_per_source : int, default=20
        Number of rows that each source contributes.
    n_features : int, default=10
        Number of columns.
    class_sep : float, default=2.0
        Distance of the two class centres from the origin.
    flip_fractions : array-like of shape (n_sources,), default=None
        Fraction of wrong labels in each source. None: from 0 (first source) to 0.5 (last source)
        in equal steps.
    random_state : int, RandomState instance or None, default=None
        Determines the table.

    Returns
    -------
    X : ndarray of shape (n_sources * n_samples_per_source, n_features)
        Features, rows in random order.
    y : ndarray of shape (n_sources * n_samples_per_source,)
        Labels 0 and 1, some of them wrong.
    source : ndarray of shape (n_sources * n_samples_per_source,)
        The source 0 .. n_sources - 1 of each row.
    is_flipped : ndarray of shape (n_sources * n_samples_per_source,) of bool
        True where the label is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.datasets import make_noisy_sources
    >>> X, y, source, is_flipped = make_noisy_sources(3, 20, flip_fractions=[0, 0.1, 0.5], random_state=0)
    >>> np.bincount(source, weights=is_flipped).astype(int)
    array([ 0,  2, 10])
    """
    if flip_fractions is None:
        flip_fractions = np.linspace(0, 0.5, n_sources)
    flip_fractions = column_or_1d(flip_fractions, dtype=float)
    if len(flip_fractions) != n_sources:
        raise ValueError(f"flip_fractions has {len(flip_fractions)} entries, expected n_sources={n_sources}.")
    if not np.all((flip_fractions >= 0) & (flip_fractions <= 1)):
        raise ValueError(f"flip_fractions must lie in [0, 1]; got {flip_fractions}.")
    rng = check_random_state(random_state)
    n_samples = n_sources * n_samples_per_source
    X, y = _gaussian_classes(rng, n_samples, n_features, 2, class_sep)
    source = rng.permutation(np.repeat(np.arange(n_sources), n_samples_per_source))
    rank_in_source = np.empty(n_samples, dtype=int)
    rank_in_source[np.argsort(source, kind="stable")] = np.tile(np.arange(n_samples_per_source), n_sources)
    is_flipped = rank_in_source < np.rint(flip_fractions * n_samples_per_source)[source]
    return X, np.where(is_flipped, 1 - y, y), source, is_flipped


def _gaussian_classes(rng, n_samples, n_features, n_classes, class_sep):
    directions = rng.standard_normal((n_classes, n_features))
    if n_classes == 2:
        directions[1] = -directions[0]
    centres = class_sep * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    y = rng.permutation(np.arange(n_samples) % n_classes)
    return centres[y] + rng.standard_normal((n_samples, n_features)), y
