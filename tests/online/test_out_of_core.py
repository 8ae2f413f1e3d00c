"""Streams that do not fit into memory: arrays mapped from disk, batches of a Parquet file."""

import tracemalloc

import numpy as np
import polars as pl

from trustml.datasets import make_groupwise_regression
from trustml.online import GroupwiseRegressor
from trustml.online._passes import CHUNK


def test_arrays_mapped_from_disk_are_read_in_place(tmp_path):
    X, y, membership = make_groupwise_regression(20 * CHUNK, 35, random_state=0)
    for name, array in (("X", X), ("y", y), ("membership", membership[:, :1])):
        np.save(tmp_path / f"{name}.npy", array)
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("X", "y", "membership")]
    model = GroupwiseRegressor(record=None).fit(X, y, membership[:, :1])
    peaks = []
    for n_rows in (2 * CHUNK, 20 * CHUNK):
        tracemalloc.start()
        other = GroupwiseRegressor(record=None).fit(*(array[:n_rows] for array in mapped))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 0.2 * (X.nbytes * 18 / 20)  # a few numbers per row, whatever the number of features
    np.testing.assert_array_equal(other.regret_, model.regret_)


def test_batches_of_a_parquet_file(tmp_path):
    X, y, membership = make_groupwise_regression(1000, 4, random_state=0)
    features, groups = list("abcdefghi"), ["circle", "square", "triangle", "green", "red"]
    table = pl.DataFrame(X, schema=features).with_columns(pl.Series("target", y))
    table = table.hstack(pl.DataFrame(membership, schema=groups))
    table.write_parquet(tmp_path / "people.parquet", row_group_size=256)

    model, rows = GroupwiseRegressor(record=None), pl.scan_parquet(tmp_path / "people.parquet")
    for start in range(0, 1000, 256):
        batch = rows.slice(start, 256).collect()
        model.partial_fit(batch[features], batch["target"], membership=batch[groups])
    whole = GroupwiseRegressor(record=None).fit(table[features], y, membership=table[groups])
    assert model.n_rows_seen_ == 1000
    np.testing.assert_array_equal(model.feature_names_in_, features)
    np.testing.assert_allclose(model.regret_, whole.regret_, atol=1e-11)
    np.testing.assert_allclose(model.coef_, whole.coef_, atol=1e-11)
