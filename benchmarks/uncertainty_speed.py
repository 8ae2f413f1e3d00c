"""CPU time of SPCRegressor's heads: training per row and step, the whole fit beside the base model's, a million rows.

    python -m benchmarks.uncertainty_speed [--turns 5] [--write]

One thread. Compiled before. ``--write`` puts the table into benchmarks/README.md.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict

from benchmarks._common import cpu_seconds, machine, one_thread, table, write_section
from benchmarks.uncertainty import rows
from trustml.uncertainty import SPCRegressor


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    arguments = parser.parse_args()
    one_thread()
    warnings.simplefilter("ignore")
    X, y = rows(10_000)
    epochs = 20
    heads = SPCRegressor(
        LinearRegression(), batch_size=512, max_iter=epochs, n_iter_no_change=1000, calibration="none", random_state=0
    )
    whole, trees = SPCRegressor(HistGradientBoostingRegressor(), random_state=0), HistGradientBoostingRegressor()
    first, _ = cpu_seconds(whole.fit, X, y)
    heads.fit(X, y)
    many = rows(1_000_000)[0]
    cheap = SPCRegressor(LinearRegression(), random_state=0).fit(X, y)
    cheap.predict_interval(many)
    figures = []
    for _ in range(arguments.turns):
        # The same program for half the epochs: the difference is training alone.
        long = cpu_seconds(heads.fit, X, y)[0]
        short = cpu_seconds(SPCRegressor(**heads.get_params(deep=False) | {"max_iter": epochs // 2}).fit, X, y)[0]
        base = cpu_seconds(cross_val_predict, trees, X, y, cv=5)[0] + cpu_seconds(trees.fit, X, y)[0]
        fit = cpu_seconds(whole.fit, X, y)[0]
        began, cpu = time.perf_counter(), time.process_time()
        cheap.predict_interval(many)
        updates = (epochs - epochs // 2) * 4 / 5 * len(y) * 5
        figures.append(
            [(long - short) / updates * 1e6, fit - base, base, time.process_time() - cpu, time.perf_counter() - began]
        )
    names = [
        "training heads, µs per row and step (batches of 512, 8 features, 50 hidden)",
        "fit of 10,000 rows beyond the base model's own fits (gradient boosting), CPU s",
        "the base model's own fits (five folds and all rows), CPU s",
        "a million rows predicted, CPU s",
        "the same, wall s",
    ]
    lines = [
        [name, f"{np.median(column):.3g} ({min(column):.3g} to {max(column):.3g})"]
        for name, column in zip(names, np.transpose(figures), strict=True)
    ]
    text = table(["what", "median (range)"], lines)
    text += f"\n\n{arguments.turns} turns; the first fit of a process, compiled: {first:.1f} CPU s. "
    text += f"{time.strftime('%d %B %Y')}; {machine()}."
    print(text)
    if arguments.write:
        write_section("uncertainty speed", text)


if __name__ == "__main__":
    main()
