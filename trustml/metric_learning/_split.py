"""Splits by class: what is tested on has classes that were not trained on."""

import numpy as np
from sklearn.model_selection import GroupKFold, GroupShuffleSplit
from sklearn.utils import indexable

from trustml._sklearn import safe_indexing


class ClassDisjointKFold(GroupKFold):
    """K folds whose classes do not overlap.

    :class:`sklearn.model_selection.GroupKFold` with the classes as groups: cross-validation for what will meet classes
    that it has not seen. It goes wherever scikit-learn takes ``cv``.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2 and at most the number of classes.
    shuffle : bool, default=False
        Draw the classes of a fold at random, rather than balance the numbers of rows.
    random_state : int, RandomState instance or None, default=None
        Of the shuffle.

    See Also
    --------
    train_test_class_split : One split.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.metric_learning import ClassDisjointKFold
    >>> y = np.array(list("aabbcc"))
    >>> for train, test in ClassDisjointKFold(n_splits=3).split(y[:, None], y):
    ...     print(y[train], y[test])
    ['a' 'a' 'b' 'b'] ['c' 'c']
    ['a' 'a' 'c' 'c'] ['b' 'b']
    ['b' 'b' 'c' 'c'] ['a' 'a']
    """

    def split(self, X, y=None, groups=None):
        """Row numbers of the training and the test part of each fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Class labels.
        groups : object
            Ignored: the classes are the groups.

        Yields
        ------
        train, test : ndarray of int
        """
        if y is None:
            raise ValueError("y=None; expected class labels, by which the folds are made.")
        return super().split(X, y, groups=y)


def train_test_class_split(*arrays, y, test_size=0.25, random_state=None):
    """Split rows so that no class is on both sides.

    Parameters
    ----------
    *arrays : array-likes of n_samples rows
        What to split.
    y : array-like of shape (n_samples,)
        Class labels.
    test_size : float or int, default=0.25
        Share, or number, of the classes that go to the test side.
    random_state : int, RandomState instance or None, default=None
        Of the draw.

    Returns
    -------
    parts : list
        For each array, and at last for y, its training and its test part.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.metric_learning import train_test_class_split
    >>> X, y = np.arange(12).reshape(6, 2), np.array(list("aabbcc"))
    >>> X_train, X_test, y_train, y_test = train_test_class_split(X, y=y, test_size=1, random_state=0)
    >>> sorted(set(y_train.tolist())), sorted(set(y_test.tolist()))
    (['a', 'b'], ['c'])
    """
    arrays = indexable(*arrays, y)
    splitter = GroupShuffleSplit(n_splits=1, test_size=test_size, random_state=random_state)
    train, test = next(splitter.split(np.zeros(len(arrays[-1])), groups=np.asarray(arrays[-1])))
    return [part for array in arrays for part in (safe_indexing(array, train), safe_indexing(array, test))]
