"""A table of numbers and categories, taken apart and put together again."""

import numpy as np
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_array

from trustml._validation import check_magnitude


class MixedColumns:
    """Columns of an array, or of a pandas or polars frame.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
    categorical : array-like of int, str or bool, or None
        None: columns of a frame that do not hold numbers.

    Attributes
    ----------
    numbers : ndarray of shape (n_samples, n_numeric)
    n_categorical : int
    """

    def __init__(self, X, categorical):
        self.frame = X if hasattr(X, "columns") else None
        if self.frame is None:
            X = check_array(X, dtype=None if categorical is not None else np.float64, ensure_all_finite=False)
        self.X, self.names = X, list(X.columns) if self.frame is not None else list(range(X.shape[1]))
        self.categorical = self._positions(categorical)
        self.numeric = [j for j in range(len(self.names)) if j not in self.categorical]
        self.n_categorical = len(self.categorical)
        n_rows = len(X)
        self.numbers = np.zeros((n_rows, 0))
        if self.numeric:
            numbers = np.column_stack([np.asarray(self._column(j)) for j in self.numeric])
            self.numbers = check_magnitude(check_array(numbers, dtype=np.float64, input_name="X"), "X")

    def distances_in(self, rows):
        """Coordinates of rows whose distances are those of standardised numbers, plus 1 for each other category."""
        numbers = self.numbers[rows]
        scale = numbers.std(axis=0)
        parts = [numbers / np.where(scale > 0, scale, 1)]
        if self.categorical:
            table = np.column_stack([np.asarray(self._column(j)).astype(str)[rows] for j in self.categorical])
            parts.append(OneHotEncoder(sparse_output=False).fit_transform(table) / np.sqrt(2))
        return np.hstack(parts)

    def build(self, numbers, sources):
        """A table of the kind of X, from numbers (n, n_numeric) and, of each category, the row that it is from."""
        columns = dict(zip(self.numeric, numbers.T, strict=True))
        for j, rows in zip(self.categorical, sources, strict=True):
            column = self._column(j)
            columns[j] = column.iloc[rows].array if hasattr(column, "iloc") else column[rows]
        ordered = [columns[j] for j in range(len(self.names))]
        if self.frame is None:
            return np.column_stack(ordered)
        return type(self.frame)(dict(zip(self.names, ordered, strict=True)))

    def _column(self, j):
        if self.frame is None:
            return self.X[:, j]
        return self.frame.iloc[:, j] if hasattr(self.frame, "iloc") else self.frame[:, j]

    def _positions(self, categorical):
        n_columns = len(self.names)
        if categorical is None:
            if self.frame is None:
                return []
            return [j for j in range(n_columns) if np.asarray(self._column(j)[:0]).dtype.kind not in "fiu"]
        given = np.asarray(categorical)
        if given.dtype == bool and len(given) == n_columns:
            return np.flatnonzero(given).tolist()
        known = {name: j for j, name in enumerate(self.names)} if given.dtype.kind not in "iu" else None
        found = [known.get(name, -1) if known is not None else int(name) for name in given.tolist()]
        if not all(0 <= j < n_columns for j in found):
            raise ValueError(f"categorical_features={categorical!r}; expected columns of X: {self.names}.")
        return sorted(set(found))
