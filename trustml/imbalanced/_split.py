"""Splits whose test rows are spread evenly over the target."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length

from trustml.imbalanced._label_weights import check_targets
from trustml.metrics._label_bins import bin_numbers, label_bin_edges


class BalancedTestSplit:
    """Splits whose test rows are spread evenly over the range of the target, for use as ``cv``.

    Errors on rare targets can only be seen where rare targets are tested. Of each bin of the target, a third of the
    rows goes to the test, but no more than ``max_per_bin``; the training rows keep the long tail.

    Parameters
    ----------
    n_splits : int, default=5
        Random splits, as of :class:`sklearn.model_selection.ShuffleSplit`.
    bins : "auto", int or array-like of edges, default="auto"
        "auto" is one bin for each integer if all targets are integers that span no more than 1,000, else 20 bins of
        equal width for fewer than 2,000 rows and 50 for more.
    max_per_bin : int, default=30
        Most test rows of a bin.
    random_state : int, RandomState instance or None, default=None
        Of the shuffles.

    References
    ----------
    Y. Yang, K. Zha, Y. Chen, H. Wang and D. Katabi, "Delving into Deep Imbalanced Regression", ICML 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.imbalanced import BalancedTestSplit
    >>> y = np.repeat([0, 1, 2], [900, 60, 6])
    >>> for train, test in BalancedTestSplit(n_splits=1, random_state=0).split(y[:, None], y):
    ...     print(np.bincount(y[train]), np.bincount(y[test]))
    [870  40   4] [30 20  2]
    """

    def __init__(self, n_splits=5, *, bins="auto", max_per_bin=30, random_state=None):
        for name, value in (("n_splits", n_splits), ("max_per_bin", max_per_bin)):
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name}={value!r}; expected a positive integer.")
        self.n_splits = n_splits
        self.bins = bins
        self.max_per_bin = max_per_bin
        self.random_state = random_state

    def split(self, X, y, groups=None):
        """Indices of training and test rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Only its length matters.
        y : array-like of shape (n_samples,)
            Targets.
        groups : object
            Ignored.

        Yields
        ------
        train, test : ndarray
            Sorted row numbers.
        """
        for train, _, test in self._parts(X, y, with_validation=False):
            yield train, test

    def split_with_validation(self, X, y):
        """Indices of training, validation and test rows; the latter two are equally many of each bin.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Only its length matters.
        y : array-like of shape (n_samples,)
            Targets.

        Yields
        ------
        train, validation, test : ndarray
            Sorted row numbers.
        """
        yield from self._parts(X, y, with_validation=True)

    def get_n_splits(self, X=None, y=None, groups=None):
        """Number of splits; the arguments are ignored.

        Parameters
        ----------
        X, y, groups : object

        Returns
        -------
        n_splits : int
        """
        return self.n_splits

    def _parts(self, X, y, *, with_validation):
        y, _ = check_targets(y)
        if X is not None:
            check_consistent_length(X, y)
        rng = check_random_state(self.random_state)
        numbers = bin_numbers(y, label_bin_edges(y, self.bins))
        _, numbers, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        sizes = np.minimum(counts // 3, self.max_per_bin)
        if not sizes.any():
            raise ValueError(
                f"bins={self.bins!r}: no bin has three targets, of which one would be tested; expected fewer."
            )
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        for _ in range(self.n_splits):
            shuffled = rng.permutation(len(y))
            rows = shuffled[np.argsort(numbers[shuffled], kind="stable")]
            place = np.arange(len(y)) - starts[numbers[rows]]
            size = sizes[numbers[rows]]
            test = place < size
            validation = with_validation & ~test & (place < 2 * size)
            yield tuple(np.sort(rows[part]) for part in (~test & ~validation, validation, test))
