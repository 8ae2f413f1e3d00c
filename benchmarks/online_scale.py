"""GroupwiseRegressor on a million rows in batches, and on single rows, as a service sends them.

    python -m benchmarks.online_scale [--rows 1000000] [--write]

``--write`` puts the figures into benchmarks/README.md.
"""

import argparse
import pickle
import resource
import time

import numpy as np

from benchmarks._common import cpu_seconds, machine, one_thread, table, write_section
from trustml.datasets import make_groupwise_regression
from trustml.online import GroupwiseRegressor

BATCH = 10_000


def peak_memory():
    """MiB of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def stream(n_rows):
    """Batches of generated rows, 25 features and six experts, three of them awake; none is kept."""
    for seed in range(n_rows // BATCH):
        yield make_groupwise_regression(BATCH, random_state=seed)


def long_stream(n_rows):
    """Rows, CPU seconds, peak memory and size of the pickle, after each factor of ten."""
    model, seconds, lines, mark = GroupwiseRegressor(record=None, target_range=(0, 1)), 0.0, [], 10 * BATCH
    for batch in stream(n_rows):
        seconds += cpu_seconds(model.partial_fit, *batch)[0]
        if model.n_rows_seen_ in (mark, n_rows):
            size = len(pickle.dumps(model)) / 1024
            lines.append((f"{model.n_rows_seen_:,}", f"{seconds:.1f}", f"{peak_memory():.0f}", f"{size:.1f}"))
            mark *= 10
    return table(("rows learnt", "CPU seconds", "peak memory of the process, MiB", "the model, KiB"), lines)


def single_rows(n_rows=2000, n_features=96, n_groups=12, n_awake=4):
    """Wall microseconds of calls with one row: median and 99th percentile."""
    rng = np.random.default_rng(0)
    X, y = rng.random((n_rows, n_features)), rng.random(n_rows)
    membership = rng.random((n_rows, n_groups)).argsort(axis=1) < n_awake
    lines = []
    for record in (None, "losses"):
        model = GroupwiseRegressor(target_range=(0, 1), record=record).fit(X, y, membership)
        for name in ("partial_fit", "predict_online", "predict"):
            call, taken = getattr(model, name), []
            for t in range(n_rows):
                row = slice(t, t + 1)
                arguments = (X[row], membership[row]) if name == "predict" else (X[row], y[row], membership[row])
                start = time.perf_counter()
                call(*arguments)
                taken.append(time.perf_counter() - start)
            median, tail = 1e6 * np.quantile(taken, (0.5, 0.99))
            lines.append((f"`{name}`, `record={record!r}`", f"{median:.0f}", f"{tail:.0f}"))
    text = table(("call with one row", "median, µs", "99 %, µs"), lines)
    return text + (
        f"\n\nWall time of {n_rows:,} calls each: {n_features} features, {n_groups + 1} experts, {n_awake + 1} of them "
        "awake."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true", help="put the figures into benchmarks/README.md")
    arguments = parser.parse_args()
    one_thread()
    text = f"{long_stream(arguments.rows)}\n\n{single_rows()} {time.strftime('%d %B %Y')}; {machine()}."
    print(text)
    if arguments.write:
        write_section("online scale", text)


if __name__ == "__main__":
    main()
