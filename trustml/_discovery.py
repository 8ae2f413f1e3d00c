"""All public estimators, found rather than listed."""

from sklearn.base import BaseEstimator

import trustml
from trustml import inspection


def all_estimators() -> list[tuple[str, type[BaseEstimator]]]:
    """Every public estimator class of trustml; reports and displays of ``trustml.inspection`` are none.

    The counterpart of :func:`sklearn.utils.discovery.all_estimators`, for tests and tools that go through all of
    them.

    Returns
    -------
    estimators : list of (str, class)
        Names and classes, sorted by name.

    Examples
    --------
    >>> from trustml import all_estimators
    >>> [name for name, _ in all_estimators() if name.endswith("Shapley")]
    ['BetaShapley', 'DataShapley', 'ExactShapley', 'GradientShapley', 'KNNShapley']
    """
    public = ((name, getattr(trustml, name)) for name in sorted(trustml.__all__) if not hasattr(inspection, name))
    return [(name, value) for name, value in public if isinstance(value, type) and issubclass(value, BaseEstimator)]
