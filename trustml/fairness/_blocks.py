"""Rows in blocks that belong to one group each, so that all groups run in one compiled program without waste."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trustml._jax import bucket_size

_MOST_ROWS = 512


class Blocks(NamedTuple):
    """Where the rows of groups are.

    Attributes
    ----------
    rows : int32 array of shape (n_blocks, r)
        Row numbers; the number of rows, one past the last, marks an empty slot.
    group : int32 array of shape (n_blocks,)
        Group of each block; blocks that only fill up belong to group 0 and are empty.
    """

    rows: NDArray[np.int32]
    group: NDArray[np.int32]

    def take(self, array):
        """The rows (n_blocks, r, ...) of an array; zeros in empty slots."""
        padded = np.concatenate([array, np.zeros((1, *array.shape[1:]), array.dtype)])
        return padded[self.rows]


def make_blocks(codes: NDArray, n_groups: int) -> Blocks:
    """Blocks for rows of which ``codes`` gives the group."""
    n_rows = len(codes)
    counts = np.bincount(codes, minlength=n_groups)
    width = min(_MOST_ROWS, bucket_size(counts.max()))
    n_blocks = -(-counts // width)
    padded = bucket_size(n_blocks.sum(), minimum=2)
    group = np.zeros(padded, np.int32)
    group[: n_blocks.sum()] = np.repeat(np.arange(n_groups), n_blocks)
    rows = np.full((padded, width), n_rows, np.int32)
    order = np.argsort(codes, kind="stable")
    # A row's slot is its rank in its group, counted from the first slot of the group's first block.
    first_row, first_block = np.cumsum(counts) - counts, np.cumsum(n_blocks) - n_blocks
    of_row = codes[order]
    slot = np.arange(n_rows) - first_row[of_row] + first_block[of_row] * width
    rows.reshape(-1)[slot] = order
    return Blocks(rows, group)
