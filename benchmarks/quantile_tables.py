"""Weighted interval scores of base models and of the ways to combine them, on held-out rows of real tables.

    python -m benchmarks.quantile_tables --data-dir DIR --write

Base models have fixed settings, and each aggregator one setting, chosen beforehand. "Best on validation" is the model
of the best out-of-fold score. All aggregators share the out-of-fold predictions and the fitted models.
"""

import argparse
from datetime import date
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split

from benchmarks._common import cpu_seconds, machine, one_thread, table, write_section
from trustml.metrics import quantile_crossing_rate, weighted_interval_score
from trustml.quantile import (
    ForestQuantileRegressor,
    GaussianQuantileRegressor,
    LinearQuantileRegressor,
    NeuralQuantileRegressor,
    QuantileAggregator,
)

WAYS = {
    "average": {"weights": "average"},
    "median": {"weights": "median"},
    "global coarse": {"resolution": "coarse"},
    "global medium": {},
    "local coarse": {"weights": "local", "resolution": "coarse"},
    "local medium": {"weights": "local"},
    "local fine": {"weights": "local", "resolution": "fine"},
}


def models(seed):
    extra = ExtraTreesRegressor(min_samples_leaf=5)
    return [
        ("linear", LinearQuantileRegressor()),
        ("gaussian network", GaussianQuantileRegressor(random_state=seed)),
        ("network", NeuralQuantileRegressor(random_state=seed)),
        ("random forest", ForestQuantileRegressor(random_state=seed)),
        ("extra trees", ForestQuantileRegressor(forest=extra, random_state=seed)),
        ("gradient boosting", HistGradientBoostingRegressor(max_iter=50, min_samples_leaf=10)),
    ]


def load(folder, name, n_rows):
    if name == "diabetes":
        X, y = load_diabetes(return_X_y=True)
    else:
        with np.load(folder / f"uci_{name}.npz") as data:
            X, y = data["X"], data["y"].ravel()
    rows = np.random.default_rng(0).permutation(len(y))[:n_rows]
    return X[rows], y[rows] / y.std()


def scores_of(X, y, seed, ways, levels):
    """Score of every model and way, seconds of the whole fit, and the share of crossed rows."""
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, random_state=seed)
    seconds, stack = cpu_seconds(QuantileAggregator(models(seed), quantiles=levels, random_state=seed).fit, X, y)

    def score(q):
        return weighted_interval_score(y_test, q, quantiles=levels)

    Q = stack._base_quantiles(stack.estimators_, X_test)
    found = {name: score(Q[:, j]) for j, name in enumerate(stack.estimator_names_)}
    found["best on validation"] = score(Q[:, stack.validation_scores_.argmin()])
    for way in ways:
        # Models that are "fitted" and known by their out-of-fold predictions: nothing is fitted twice.
        known = [(name, Known(stack.oof_predictions_[:, j])) for j, name in enumerate(stack.estimator_names_)]
        other = QuantileAggregator(known, quantiles=levels, cv="prefit", random_state=seed, **WAYS[way]).fit(X, y)
        q = other.aggregate(Q, X_test)
        assert quantile_crossing_rate(q) == 0
        found[way] = score(q)
    return found, seconds


class Known(BaseEstimator):
    """A model whose predictions for the training rows are given."""

    def __init__(self, values):
        self.values = values

    def predict_quantiles(self, X, quantiles):
        return self.values


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["yacht", "boston", "diabetes", "concrete", "wine"])
    parser.add_argument("--rows", type=int, default=10_000, help="at most so many of a table")
    parser.add_argument("--levels", type=int, default=19)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    one_thread()
    levels = np.arange(1, arguments.levels + 1) / (arguments.levels + 1)
    columns, header = [], [""]
    for name in arguments.sets:
        X, y = load(arguments.data_dir, name, arguments.rows)
        runs = [scores_of(X, y, seed, arguments.ways, levels) for seed in range(arguments.splits)]
        columns.append({way: [run[way] for run, _ in runs] for way in runs[0][0]})
        header.append(f"{name} ({len(y)})")
        print(name, {way: np.mean(values).round(4) for way, values in columns[-1].items()}, flush=True)
        columns[-1]["CPU s of a fit"] = [seconds for _, seconds in runs]
    ways = list(columns[0])
    ranks = np.mean([np.argsort(np.argsort([np.mean(c[way]) for way in ways[:-1]])) + 1 for c in columns], axis=0)
    rows = []
    for way in ways:
        cells = [f"{np.mean(c[way]):.4f} ± {np.std(c[way], ddof=1) / np.sqrt(arguments.splits):.4f}" for c in columns]
        if way == ways[-1]:
            cells = [f"{np.mean(c[way]):.0f}" for c in columns]
        rows.append([way, *cells, f"{ranks[ways.index(way)]:.1f}" if way != ways[-1] else ""])
    text = table([*header, "mean rank"], rows)
    text += (
        f"\n\nTest WIS in standard deviations of the target, ± standard error over {arguments.splits} random splits, "
        f"{arguments.levels} levels. {date.today():%-d %B %Y}; {machine('scipy')}."
    )
    print(text)
    if arguments.write:
        write_section("quantile tables", text)


if __name__ == "__main__":
    main()
