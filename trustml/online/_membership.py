"""Who belongs to which group: overlapping groups as one boolean table, given or computed from X."""

import operator
from collections.abc import Callable, Mapping
from itertools import combinations
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array

from trustml._sklearn import num_samples, safe_indexing

ALWAYS = "always"

_OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda column, values: np.isin(column, list(values)),
    "not in": lambda column, values: ~np.isin(column, list(values)),
}


def _column(X, key):
    if isinstance(key, str) and not hasattr(X, "columns"):
        raise ValueError(f"A condition on column {key!r} needs X as a DataFrame; got {type(X).__name__}.")
    width = X.shape[1]
    if isinstance(key, str) and key not in list(X.columns):
        raise ValueError(f"A condition names the column {key!r}; X has {[str(name) for name in X.columns]}.")
    if isinstance(key, Integral) and not -width <= key < width:
        raise ValueError(f"A condition names the column {key}; X has {width} columns.")
    return np.asarray(safe_indexing(X, key, axis=1))


def _holds(condition, X, name):
    """Boolean (n,) of one condition: a callable, (column, operator, value), or a list of conditions that all hold."""
    n_rows = num_samples(X)
    if isinstance(condition, list):
        return np.logical_and.reduce([_holds(part, X, name) for part in condition])
    if callable(condition):
        rows = np.asarray(condition(X))
    elif isinstance(condition, tuple) and len(condition) == 3 and condition[1] in _OPERATORS:
        key, op, value = condition
        column = _column(X, key)
        try:
            rows = np.asarray(_OPERATORS[op](column, value))
        except TypeError as error:
            raise ValueError(
                f"groups[{name!r}] compares by {op!r} a column of dtype {column.dtype} with {value!r}, which cannot be."
            ) from error
    else:
        raise ValueError(
            f"groups[{name!r}] must be a callable, a triple (column, operator, value) with an operator among "
            f"{sorted(_OPERATORS)}, or a list of those; got {condition!r}."
        )
    if rows.shape != (n_rows,):
        raise ValueError(f"groups[{name!r}] must give one boolean per row, ({n_rows},); got shape {rows.shape}.")
    return _boolean(rows, f"groups[{name!r}]")


def _boolean(table, name):
    if table.dtype == bool:
        return table
    try:
        numeric = table.astype(np.float64)
    except (TypeError, ValueError):
        numeric = np.full(1, np.nan)
    if not np.isin(numeric, (0.0, 1.0)).all():
        raise ValueError(
            f"{name} must be boolean, or 0 and 1 without missing values; got {table.dtype} with {table.flat[0]} "
            "first. (pandas.get_dummies makes one such column for each label.)"
        )
    return numeric.astype(bool)


def _name(group, i):
    """A column's own name, a function's name, or a number."""
    name = group if isinstance(group, str) else getattr(group, "__name__", "<lambda>")
    return f"group{i}" if name == "<lambda>" else name


def named_conditions(groups) -> dict:
    """The constructor's ``groups`` as a dictionary from names to conditions."""
    if isinstance(groups, Mapping):
        conditions = dict(groups)
    elif isinstance(groups, (list, tuple)):
        # A name is that of a column of zeros and ones.
        conditions = {
            _name(group, i): (group, "==", 1) if isinstance(group, str) else group for i, group in enumerate(groups)
        }
        if len(conditions) < len(groups):
            raise ValueError("groups must have distinct names; give a dictionary from names to conditions instead.")
    else:
        raise ValueError(f"groups must be a dictionary or a list of conditions; got {type(groups).__name__}.")
    _check_names(list(conditions))
    return conditions


def _check_names(names):
    if ALWAYS in names:
        raise ValueError(f"The group name {ALWAYS!r} is taken by the expert that sees every row.")
    if len(set(names)) < len(names):
        raise ValueError(f"Group names must be distinct; got {names}.")


def membership_from_groups(groups, X):
    """Boolean (n, G) and names of the groups that conditions on X define."""
    conditions = named_conditions(groups)
    if not (hasattr(X, "columns") or sparse.issparse(X)):
        X = np.asarray(X)
    columns = [_holds(condition, X, name) for name, condition in conditions.items()]
    table = np.column_stack(columns) if columns else np.zeros((num_samples(X), 0), bool)
    return table, list(conditions)


def membership_from_table(membership, n_rows):
    """Boolean (n, G) and, from a DataFrame, names (None otherwise)."""
    names = None
    if sparse.issparse(membership):
        membership = membership.toarray()
    elif hasattr(membership, "columns"):
        names = [str(name) for name in membership.columns]
        _check_names(names)
    table = check_array(
        membership, dtype=None, ensure_2d=False, allow_nd=True, ensure_min_features=0, input_name="membership"
    )
    if table.ndim != 2 or len(table) != n_rows:
        raise ValueError(
            f"membership must have shape (n_samples, n_groups) with {n_rows} rows; got {table.shape}. "
            "(A single group is a table of one column; pandas.get_dummies makes one column for each label.)"
        )
    return _boolean(table, "membership"), names


def align(table, names, known, *, may_grow):
    """Columns of ``table`` in the order of ``known`` names, then new ones; returns the table and the new names."""
    if names is None:
        if table.shape[1] != len(known):
            raise ValueError(
                f"membership must have a column for each of the {len(known)} groups {known}; got {table.shape[1]} "
                "columns. (Name the columns in a DataFrame to add groups to a stream.)"
            )
        return table, []
    missing = [name for name in known if name not in names]
    new = [name for name in names if name not in known]
    if missing or (new and not may_grow):
        raise ValueError(
            f"membership must have the columns {known}; got {names}"
            + (f", without {missing}" if missing else "")
            + (f", with the unknown {new}" if new and not may_grow else "")
            + "."
        )
    return table[:, [names.index(name) for name in [*known, *new]]], new


def _categories(X, key):
    column = _column(X, key)
    values = set(column.tolist())
    if any(value is None or value != value for value in values):
        raise ValueError(f"Column {key!r} of X has missing values; expected a category in every row.")
    try:
        return sorted(values)
    except TypeError as error:
        raise ValueError(f"Column {key!r} of X holds categories that cannot be sorted; expected one type.") from error


def make_intersections(groups, *, order=2, X=None, min_rows=1) -> dict:
    """Groups and their intersections, as conditions for ``GroupwiseRegressor(groups=...)``.

    Parameters
    ----------
    groups : dict or list
        Conditions as in :class:`GroupwiseRegressor`; or, with ``X``, a list of names of categorical columns, every
        value of which becomes a group.
    order : int, default=2
        The largest number of groups that are intersected.
    X : DataFrame, default=None
        Data whose categories are read, and on which intersections of fewer than ``min_rows`` rows are left out.
        Without it every intersection is kept; empty ones cost a logarithm in the bounds and no time.
    min_rows : int, default=1
        Smallest intersection that is kept. Only with ``X``.

    Returns
    -------
    dict
        From names ("a & b" for intersections) to conditions that can be pickled if those of ``groups`` can.

    Examples
    --------
    >>> from trustml.online import make_intersections
    >>> list(make_intersections({"young": ("age", "<=", 35), "smoker": ("smoker", "==", "yes")}))
    ['young', 'smoker', 'young & smoker']
    """
    if not isinstance(order, Integral) or order < 1:
        raise ValueError(f"order must be an integer of at least 1; got {order!r}.")
    if X is not None and isinstance(groups, (list, tuple)) and all(isinstance(g, str) for g in groups):
        groups = {f"{key}={value}": (key, "==", value) for key in groups for value in _categories(X, key)}
    conditions: dict[str, Callable | tuple | list] = named_conditions(groups)
    names = list(conditions)
    for size in range(2, int(order) + 1):
        for parts in combinations(names, size):
            conditions[" & ".join(parts)] = [conditions[part] for part in parts]
    if X is None:
        return conditions
    table, _ = membership_from_groups(conditions, X)
    return {
        name: condition
        for (name, condition), rows in zip(conditions.items(), table.sum(axis=0), strict=True)
        if rows >= min_rows
    }
