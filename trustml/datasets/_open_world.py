"""Classes of unequal width, for embeddings that will meet classes they have not seen."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from trustml._sklearn import Interval, validate_params


@validate_params(
    {
        "n_classes": [Interval(Integral, 2, None, closed="left")],
        "n_samples_per_class": [Interval(Integral, 1, None, closed="left")],
        "n_features": [Interval(Integral, 1, None, closed="left")],
        "n_informative": [Interval(Integral, 1, None, closed="left")],
        "spread": [tuple, list],
        "nuisance": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_open_world(
    n_classes: int = 100,
    n_samples_per_class: int = 10,
    n_features: int = 100,
    *,
    n_informative: int = 16,
    spread: tuple[float, float] = (0.3, 0.8),
    nuisance: float = 1.5,
    random_state=None,
) -> tuple[NDArray, NDArray]:
    """Many classes that differ in a few directions, each with a width of its own.

    Classes have normal centres in ``n_informative`` directions, which are hidden by a rotation. Rows lie about their
    centre with the standard deviation of their class, and with ``nuisance`` times as much in all other directions.

    Parameters
    ----------
    n_classes : int, default=100
        Number of classes.
    n_samples_per_class : int, default=10
        Rows of each.
    n_features : int, default=100
        Number of features.
    n_informative : int, default=16
        Directions in which the classes differ, at most ``n_features``.
    spread : tuple of float, default=(0.3, 0.8)
        The standard deviation of a class is uniform between these; centres have 1. It is what makes one threshold serve
        classes unequally.
    nuisance : float, default=1.5
        Factor on the standard deviation in the directions where classes do not differ.
    random_state : int, RandomState instance or None, default=None
        Of the draw.

    Returns
    -------
    X : ndarray of shape (n_classes * n_samples_per_class, n_features)
        Rows, class after class.
    y : ndarray of shape (n_classes * n_samples_per_class,)
        Classes, 0 to n_classes - 1.

    Examples
    --------
    >>> from trustml.datasets import make_open_world
    >>> X, y = make_open_world(n_classes=20, n_samples_per_class=5, random_state=0)
    >>> X.shape, y[:6].tolist()
    ((100, 100), [0, 0, 0, 0, 0, 1])
    """
    if n_informative > n_features:
        raise ValueError(
            f"n_informative={n_informative} is more than n_features={n_features}; expected at most as many."
        )
    if len(spread) != 2 or not 0 <= spread[0] <= spread[1]:
        raise ValueError(f"spread={spread!r}; expected two ascending, non-negative numbers.")
    rng = check_random_state(random_state)
    y = np.repeat(np.arange(n_classes), n_samples_per_class)
    rotation, _ = np.linalg.qr(rng.normal(size=(n_features, n_features)))
    informative = np.arange(n_features) < n_informative
    centres = rng.normal(size=(n_classes, n_features)) * informative
    widths = rng.uniform(*spread, size=n_classes)
    noise = rng.normal(size=(len(y), n_features)) * np.where(informative, 1, nuisance) * widths[y, None]
    return (centres[y] + noise) @ rotation, y
