"""Rows per second of CPU time: GroupwiseRegressor against river's Bayesian ridge per group, same aggregator.

    pip install . -r benchmarks/peers/online-requirements.txt
    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 XLA_FLAGS=--xla_cpu_multi_thread_eigen=false \\
        python benchmarks/peers/online.py --data-dir DIR

Both learn the same rows of Adult in the same order, one expert per group and AdaNormalHedge over those awake, and
must end with the same cumulative loss. river has no aggregator for experts that sleep: the one in NumPy below is
what its users would write. river runs on a prefix, in slices between the runs of ours, so that both meet the same
machine.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from river.linear_model import BayesianLinearRegression

from trustml.datasets._groupwise import adult_stream
from trustml.online import PAPER_SEEDS, GroupwiseRegressor, shuffled_orders


class RiverGroups:
    """One BayesianLinearRegression per group and a hand-written AdaNormalHedge."""

    def __init__(self, n_groups):
        self.models = [BayesianLinearRegression(alpha=1, beta=1) for _ in range(n_groups)]
        self.R, self.C, self.losses = np.zeros(n_groups), np.zeros(n_groups), []

    def learn(self, rows, targets, awake):
        for x, y, groups in zip(rows, targets, awake, strict=True):
            R, C = self.R[groups], self.C[groups]
            w = np.exp(np.maximum(R + 1, 0) ** 2 / (3 * C + 3)) - np.exp(np.maximum(R - 1, 0) ** 2 / (3 * C + 3))
            p = w / w.sum() if w.sum() > 0 else np.full(len(w), 1 / len(w))
            loss = np.empty(len(groups))
            for i, g in enumerate(groups):
                loss[i] = (self.models[g].predict_one(x) - y) ** 2
                self.models[g].learn_one(x, y)
            expected = p @ loss
            self.losses.append(expected)
            self.R[groups] += expected - loss
            self.C[groups] += abs(expected - loss)


def cpu_seconds(function):
    start = time.process_time()
    function()
    return time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--river-rows", type=int, default=4000)
    parser.add_argument("--slices", type=int, default=4)
    arguments = parser.parse_args()

    data = adult_stream(pd.read_csv(arguments.data_dir / "adult.csv.gz"))
    order = next(shuffled_orders(len(data.target), PAPER_SEEDS[:1]))
    X = np.ascontiguousarray(data.data.to_numpy(dtype=float)[order])
    y, membership = data.target.to_numpy()[order], data.membership.to_numpy()[order]
    awake = [np.append(np.flatnonzero(row), membership.shape[1]) for row in membership]
    rows = [dict(enumerate(row)) for row in X[: arguments.river_rows].tolist()]  # not counted against river

    model = GroupwiseRegressor(fit_intercept=False, clip=False)
    single = GroupwiseRegressor(fit_intercept=False, clip=False, dtype="float32").fit(X, y, membership)
    print(f"first fit, with compilation: {cpu_seconds(lambda: model.fit(X, y, membership)):.2f} CPU seconds")
    river, theirs, ours, float32 = RiverGroups(membership.shape[1] + 1), [], [], []
    for part in np.array_split(np.arange(arguments.river_rows), arguments.slices):
        part = slice(part[0], part[-1] + 1)
        theirs.append(cpu_seconds(lambda part=part: river.learn(rows[part], y[part], awake[part])) / len(rows[part]))
        ours.append(cpu_seconds(lambda: model.fit(X, y, membership)) / len(y))
        float32.append(cpu_seconds(lambda: single.fit(X, y, membership)) / len(y))
    for name, seconds in (("river", theirs), ("trustml", ours), ("trustml, float32", float32)):
        print(f"{name}: {1 / np.median(seconds):,.0f} rows per CPU second (best {1 / min(seconds):,.0f})")
    ratios = [np.median(theirs) / np.median(seconds) for seconds in (ours, float32)]
    print("ratio of medians: {:.1f}, float32 {:.1f}".format(*ratios))
    total, total32 = (np.sum(fitted.expected_losses_) for fitted in (model, single))
    print(f"cumulative loss of all rows: {total:.6f}, float32 {total32:.6f}")
    print(
        f"cumulative loss of the first {arguments.river_rows} rows: river {sum(river.losses):.6f}, "
        f"trustml {model.expected_losses_[: arguments.river_rows].sum():.6f}"
    )


if __name__ == "__main__":
    main()
