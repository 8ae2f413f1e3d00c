"""From labels of people to groups: one column, or the intersections of several."""

import warnings
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from trustml._sklearn import num_samples


@dataclass(frozen=True)
class Groups:
    """Who belongs to which group.

    Attributes
    ----------
    labels : ndarray of shape (n_groups,)
        Sorted. Labels of one column as they are; intersections as strings ``"a & b"``.
    codes : ndarray of int of shape (n_samples,)
        Number of the group of each row.
    empty : list of str
        Categories, or intersections of labels, without a row.
    """

    labels: NDArray
    codes: NDArray[np.intp]
    empty: list[str]


def _columns(sensitive_features):
    """The columns as (name or None, 1-D array, categories or None)."""
    if hasattr(sensitive_features, "columns"):
        frame = sensitive_features
        return [_series(frame[name]) for name in frame.columns]
    if hasattr(sensitive_features, "to_numpy"):
        return [_series(sensitive_features)]
    array = np.asarray(sensitive_features)
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.size == 0):
        raise ValueError(
            f"sensitive_features has shape {array.shape}; expected (n_samples,) or (n_samples, n_columns)."
        )
    return [(column, None) for column in (array[:, None] if array.ndim == 1 else array).T]


def _series(series):
    """Values of a column of a pandas or polars frame, and its declared categories."""
    categories = getattr(getattr(series, "cat", None), "categories", None) if hasattr(series, "cat") else None
    categories = None if categories is None or not hasattr(categories, "tolist") else categories.tolist()
    return np.asarray(series.to_numpy(), dtype=object) if categories else series.to_numpy(), categories


def _missing(column):
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind == "O":
        # None, NaN, NaT and pandas.NA: the last three differ from themselves, or do not say.
        return np.array([value is None or not _equals_itself(value) for value in column], dtype=bool)
    return np.isnat(column) if column.dtype.kind in "mM" else np.zeros(len(column), bool)


def _equals_itself(value):
    try:
        return bool(value == value)
    except TypeError:
        return False


def _encode(column):
    """Sorted labels and codes; labels of mixed types are sorted as strings."""
    if column.dtype.kind == "O" and all(isinstance(value, str) for value in column):
        column = column.astype(str)
    elif column.dtype.kind == "O":
        kinds = {type(value) for value in column}
        column = np.array(column.tolist()) if len(kinds) == 1 else column.astype(str)
    return np.unique(column, return_inverse=True)


def find_groups(sensitive_features, n_samples, name="sensitive_features") -> Groups:
    """Group every row; a missing label is an error."""
    if sensitive_features is None:
        raise ValueError(
            f"{name}=None found; expected the group of each of the {n_samples} rows (n_samples={n_samples})."
        )
    if num_samples(sensitive_features) != n_samples:
        raise ValueError(
            f"{name} has {num_samples(sensitive_features)} rows; expected {n_samples}, one label for each row of X."
        )
    columns = _columns(sensitive_features)
    missing = np.logical_or.reduce([_missing(column) for column, _ in columns])
    if missing.any():
        raise ValueError(
            f"{name} has {missing.sum()} missing labels, the first at row {missing.argmax()}; expected a label for "
            "every row: give these rows a label of their own, or leave them out."
        )
    encoded = [_encode(column) for column, _ in columns]
    unused = [
        sorted(set(map(str, categories)) - set(map(str, labels.tolist()))) if categories else []
        for (_, categories), (labels, _) in zip(columns, encoded, strict=True)
    ]
    if len(columns) == 1:
        labels, codes = encoded[0]
        return Groups(labels, codes.reshape(-1), unused[0])
    shape = [len(labels) for labels, _ in encoded]
    cell = np.ravel_multi_index([codes.reshape(-1) for _, codes in encoded], shape)
    names = np.array([" & ".join(map(str, parts)) for parts in product(*(labels.tolist() for labels, _ in encoded))])
    found, codes = np.unique(cell, return_inverse=True)
    empty = np.delete(names, found).tolist() + [label for labels in unused for label in labels]
    return Groups(names[found], codes, empty)


def groups_with_judge(groups, weight, min_group_size):
    """Which groups have enough rows of positive weight for a judge, how many each has, and why the others have none."""
    counts = np.bincount(groups.codes, weights=weight > 0, minlength=len(groups.labels)).astype(int)
    kept = counts >= min_group_size
    sizes = dict(zip(map(str, groups.labels.tolist()), counts.tolist(), strict=True))
    small = {name: f"{n} rows, min_group_size={min_group_size}" for name, n in sizes.items() if n < min_group_size}
    if kept.sum() < 2:
        raise ValueError(
            f"sensitive_features leaves {kept.sum()} of the groups {sizes} "
            f"with min_group_size={min_group_size} rows or more; expected two (n_samples={len(weight)})."
        )
    if small:
        warnings.warn(
            f"groups without a judge, with their {counts[~kept].sum()} rows: {small}", UserWarning, stacklevel=5
        )
    return kept, counts, {**small, **dict.fromkeys(groups.empty, "no rows")}
