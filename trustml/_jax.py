"""The border with JAX: seeds, padded shapes, chunks, devices, and the way back to NumPy."""

import jax
import numpy as np
from jax.experimental import multihost_utils
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.utils import check_random_state


def seed_from(random_state) -> int:
    """A 31-bit seed drawn once from whatever scikit-learn accepts as ``random_state``."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def bucket_size(n: int, *, minimum: int = 8) -> int:
    """The smallest size of the ladder 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, ... that holds ``n`` rows.

    Four rungs per doubling: arrays padded to a rung waste less than a quarter, and the folds of a
    cross-validation, which differ by a row or two, share one compiled program.
    """
    n = max(int(n), minimum)
    octave = 1 << (n - 1).bit_length() - 1
    for quarters in (4, 5, 6, 7, 8):
        size = octave * quarters // 4
        if size >= n:
            return size
    raise AssertionError("unreachable: 8 quarters are the next power of two")


def pad_rows(array: ArrayLike, n_rows: int, fill=0) -> NDArray:
    """``array`` with rows of ``fill`` added at its end, up to ``n_rows``."""
    array = np.asarray(array)
    padded = np.full((n_rows, *array.shape[1:]), fill, dtype=array.dtype)
    padded[: len(array)] = array
    return padded


def lanes_in_memory(bytes_per_lane: float, *, at_most: int) -> int:
    """How many lanes of a batch fit into ``sklearn.get_config()["working_memory"]``: a power of two."""
    budget = get_config()["working_memory"] * 2**20
    lanes = 1
    while 2 * lanes <= at_most and 2 * lanes * bytes_per_lane <= budget:
        lanes *= 2
    return lanes


def shard_lanes(*arrays):
    """Spread the leading axis of each array over ``jax.devices()`` when there is more than one, here or elsewhere.

    The caller pads the axis to :func:`lane_multiple` and gets the results back by :func:`gather`; they do not depend
    on the number of devices.
    """
    devices = jax.devices()
    if len(devices) == 1:
        return arrays
    mesh = jax.sharding.Mesh(np.array(devices), ("lanes",))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("lanes"))
    return tuple(jax.device_put(array, spread) for array in arrays)


def gather(result) -> NDArray:
    """``result`` as a NumPy array, whole in every process if ``jax.distributed`` spread it over several."""
    if getattr(result, "is_fully_addressable", True):
        return np.asarray(result)
    return np.asarray(multihost_utils.process_allgather(result, tiled=True))


def lane_multiple(lanes: int) -> int:
    """``lanes`` rounded up so that every device receives the same number."""
    n_devices = len(jax.devices())
    return -(-lanes // n_devices) * n_devices
