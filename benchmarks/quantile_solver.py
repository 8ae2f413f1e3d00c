"""Exact weights of six models at 99 levels: the compiled solver against HiGHS, level by level.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python -m benchmarks.quantile_solver --write

HiGHS is SciPy's, by its dual simplex on the dual programme, the fastest of its methods here. Both run in turns in one
process; seconds are CPU seconds, after compilation.
"""

import argparse
from datetime import date

import numpy as np
from scipy.stats import norm

from benchmarks._common import cpu_seconds, machine, one_thread, table, write_section
from trustml.quantile import LinearQuantileRegressor, QuantileAggregator
from trustml.quantile._global_weights import fit_global_weights

LEVELS = np.arange(1, 100) / 100


def forecasts(n, p=6, seed=0):
    """Quantiles of biased normal forecasts (n, p, 99) of a heteroscedastic target (n,)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    mean, scale = 2 * np.sin(2 * x), 0.5 + np.abs(x)
    y = mean + scale * rng.normal(size=n)
    models = [
        (mean * a + 0.3 * rng.normal(size=n))[:, None] + (0.5 + b * np.abs(x))[:, None] * norm.ppf(LEVELS) * c
        for a, b, c in zip(rng.uniform(0.5, 1.2, p), rng.uniform(0, 1, p), rng.uniform(0.5, 1.5, p), strict=True)
    ]
    return np.stack(models, axis=1), y


def solve(Q, y, resolution, solver):
    return fit_global_weights(
        Q, y, np.ones(len(y)), LEVELS, resolution=resolution, constraint="simplex", solver=solver, tol=1e-6
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=["medium-500", "medium-2000", "medium-10000", "coarse-2000"])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    one_thread()
    rows = []
    for case in arguments.cases:
        resolution, n = case.split("-")
        Q, y = forecasts(int(n))
        compiling, _ = cpu_seconds(solve, Q, y, resolution, "auto")
        ours, theirs = [], []
        for _ in range(arguments.turns):
            seconds, (w, _, gap) = cpu_seconds(solve, Q, y, resolution, "auto")
            ours.append(seconds)
            seconds, (w_highs, _, _) = cpu_seconds(solve, Q, y, resolution, "highs")
            theirs.append(seconds)
        ratios = np.divide(theirs, ours)
        rows.append(
            [
                resolution,
                n,
                f"{np.median(ours):.3f} ({min(ours):.3f}-{max(ours):.3f})",
                f"{np.median(theirs):.2f} ({min(theirs):.2f}-{max(theirs):.2f})",
                f"{np.median(ratios):.1f} ({ratios.min():.1f}-{ratios.max():.1f})",
                f"{gap:.0e}",
                f"{np.abs(w - w_highs).max():.0e}",
                f"{compiling:.1f}",
            ]
        )
        print(rows[-1], flush=True)
    X, y = np.random.default_rng(0).normal(size=(50, 6)), np.arange(50.0)
    models = [(name, LinearQuantileRegressor()) for name in "abcdef"]
    stack = QuantileAggregator(models, cv=2).fit(X, y)
    predict, _ = cpu_seconds(stack.aggregate, np.random.default_rng(0).normal(size=(1_000_000, 6, 19)))
    header = ["weights", "rows", "CPU s", "HiGHS", "ratio", "certified gap", "largest difference", "first call"]
    text = f"{table(header, rows)}\n\n10^6 rows x 19 levels of six models, quantiles given: {predict:.1f} CPU s.\n"
    text += f"\n{date.today():%-d %B %Y}; {machine('scipy')}. Median of {arguments.turns} turns (range)."
    print(text)
    if arguments.write:
        write_section("quantile solver", text)


if __name__ == "__main__":
    main()
