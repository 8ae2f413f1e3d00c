"""The orders in which a published experiment saw its rows."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state, check_scalar, column_or_1d

PAPER_SEEDS = (473, 503, 623, 550, 692, 989, 617, 458, 301, 205)


def shuffled_orders(n_rows, seeds=PAPER_SEEDS):
    """One permutation of rows per seed, that of ``DataFrame.sample(frac=1, random_state=seed)``.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    seeds : iterable of int, default=PAPER_SEEDS
        Seeds; by default the ten of Acharya et al. (ICLR 2024).

    Yields
    ------
    ndarray of int of shape (n_rows,)
        Positions.

    Examples
    --------
    >>> from trustml.online import shuffled_orders
    >>> next(shuffled_orders(5))
    array([3, 4, 2, 1, 0])
    """
    check_scalar(n_rows, "n_rows", Integral, min_val=0)
    for seed in seeds:
        yield check_random_state(seed).permutation(n_rows)


def sorted_order(key, *, seed=None, descending=False):
    """Rows in the order of a column: people of one kind come first, then the others.

    Parameters
    ----------
    key : array-like of shape (n_rows,)
        What to sort by.
    seed : int or None, default=None
        Seed of the shuffle before the stable sort, which orders ties; None keeps them in the order of the rows.
    descending : bool, default=False
        Whether to reverse the ascending order, ties included.

    Returns
    -------
    ndarray of int of shape (n_rows,)
        Positions.

    Examples
    --------
    >>> from trustml.online import sorted_order
    >>> sorted_order([2, 1, 2, 1])
    array([1, 3, 0, 2])
    """
    key = column_or_1d(key)
    if (key != key).any():
        raise ValueError("key holds missing values, which have no place in an order; expected none.")
    order = np.arange(len(key)) if seed is None else check_random_state(seed).permutation(len(key))
    order = order[np.argsort(key[order], kind="stable")]
    return order[::-1] if descending else order
