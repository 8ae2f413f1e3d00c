"""Wrong labels, drawn with known chances."""

from collections.abc import Mapping
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from trustml._sklearn import Interval, StrOptions, validate_params

# Classes of these tables that look alike, as the code of the paper on LDR losses exchanges them.
SWAPS: dict[str, dict] = {
    "letter": dict(zip("BCEHIKMOPU", "DGFNLXWQRV", strict=True)),
    "vowel": {0: 1, 2: 3, 4: 5, 6: 7, 8: 9},
    "news20": {2: 5, 3: 4, 7: 8, 9: 10, 11: 12, 15: 18},
}
_KIND = StrOptions({"uniform", "symmetric", "pair", "swap"})
_RATE = Interval(Real, 0, 1, closed="both")


@validate_params(
    {
        "classes": ["array-like"],
        "kind": [_KIND],
        "rate": [_RATE],
        "swaps": [Mapping, StrOptions(set(SWAPS)), None],
    },
    prefer_skip_nested_validation=True,
)
def noise_transition_matrix(classes: ArrayLike, kind: str = "uniform", rate: float = 0.3, *, swaps=None) -> NDArray:
    """Probability of each observed label, given the true one.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        Distinct classes, in the order of rows and columns.
    kind : {"uniform", "symmetric", "pair", "swap"}, default="uniform"
        "uniform" redraws the label among all classes with probability ``rate``, so that ``rate / n_classes`` of the
        rows keep it by luck; "symmetric" gives another class with probability ``rate``. Papers call both uniform.
        "pair" turns a class into the next one, and the last into the first; "swap" exchanges the classes of ``swaps``.
    rate : float, default=0.3
        In [0, 1].
    swaps : dict or {"letter", "vowel", "news20"}, default=None
        Pairs of classes for "swap", each taken both ways; a name stands for the pairs of the LDR paper's code. Classes
        outside of all pairs keep their labels.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        Rows are true classes and sum to one, columns are observed ones.

    Examples
    --------
    >>> from trustml.datasets import noise_transition_matrix
    >>> noise_transition_matrix(["a", "b", "c"], "pair", 0.2)
    array([[0.8, 0.2, 0. ],
           [0. , 0.8, 0.2],
           [0.2, 0. , 0.8]])
    """
    classes = column_or_1d(classes)
    n = len(classes)
    if n < 2 or len(set(classes.tolist())) < n:
        raise ValueError(f"classes={classes.tolist()}; expected at least two classes, all distinct.")
    if (kind == "swap") != (swaps is not None):
        raise ValueError(f"kind={kind!r} with swaps={swaps!r}; expected swaps for kind='swap', and only for it.")
    keep = (1 - rate) * np.eye(n)
    if kind == "uniform":
        return keep + rate / n
    if kind == "symmetric":
        return keep + rate * (1 - np.eye(n)) / (n - 1)
    if kind == "pair":
        return keep + rate * np.roll(np.eye(n), 1, axis=1)
    return keep + rate * np.eye(n)[_partners(classes.tolist(), SWAPS[swaps] if isinstance(swaps, str) else swaps)]


def _partners(classes, swaps):
    """Position of the class that each class is exchanged with."""
    position = {label: at for at, label in enumerate(classes)}
    named = [*swaps.keys(), *swaps.values()]
    unknown = [label for label in named if label not in position]
    if unknown or len(set(named)) < len(named):
        raise ValueError(f"swaps={dict(swaps)}; expected pairs of classes out of {classes}, each in one pair at most.")
    both = dict(swaps) | {second: first for first, second in swaps.items()}
    return [position[both.get(label, label)] for label in classes]


@validate_params(
    {
        "y": ["array-like"],
        "kind": [_KIND, StrOptions({"matrix"})],
        "rate": [_RATE],
        "swaps": [Mapping, StrOptions(set(SWAPS)), None],
        "transition": ["array-like", None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_label_noise(
    y: ArrayLike, kind: str = "uniform", rate: float = 0.3, *, swaps=None, transition=None, random_state=None
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Draw a noisy label for every row, each by itself.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels of at least two classes. Left as they are.
    kind : {"uniform", "symmetric", "pair", "swap", "matrix"}, default="uniform"
        As in :func:`noise_transition_matrix`, over the sorted classes of ``y``; or "matrix", for a ``transition`` of
        your own.
    rate : float, default=0.3
        In [0, 1]; not for "matrix".
    swaps : dict or {"letter", "vowel", "news20"}, default=None
        Pairs of classes for "swap".
    transition : array-like of shape (n_classes, n_classes), default=None
        For "matrix": probability of each observed label (column), given the true one (row), by sorted classes.
    random_state : int, RandomState instance or None, default=None
        Of the draws.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples,)
        Labels with ``y``'s values and dtype.
    is_wrong : ndarray of shape (n_samples,) of bool
        True where ``y_noisy`` differs from ``y``.

    See Also
    --------
    make_flipped_labels : An exact number of wrong labels.

    Examples
    --------
    >>> from trustml.datasets import make_label_noise
    >>> make_label_noise(["a", "b", "c", "a"], "pair", 1.0)
    (array(['b', 'c', 'a', 'b'], dtype='<U1'), array([ True,  True,  True,  True]))
    """
    y = column_or_1d(y)
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has the single class {classes.tolist()[0]!r}; expected at least two.")
    if (kind == "matrix") != (transition is not None):
        raise ValueError(
            f"kind={kind!r} with transition={transition!r}; expected a transition for 'matrix', and only for it."
        )
    if transition is None:
        transition = noise_transition_matrix(classes, kind, rate, swaps=swaps)
    else:
        transition = check_array(transition, dtype=np.float64, input_name="transition")
        n = len(classes)
        if transition.shape != (n, n) or (transition < 0).any() or not np.allclose(transition.sum(axis=1), 1):
            raise ValueError(
                f"transition has shape {transition.shape}, a least entry of {transition.min():.3g} and rows that sum "
                f"to {transition.sum(axis=1).round(5).tolist()}; expected shape {(n, n)}, no negative entry, sums of 1."
            )
    # The label is where a uniform number falls among the cumulative probabilities of the row's class.
    reached = np.cumsum(transition, axis=1)[:, :-1]
    drawn = (check_random_state(random_state).random_sample(len(y))[:, None] >= reached[codes]).sum(axis=1)
    return classes[drawn], drawn != codes
