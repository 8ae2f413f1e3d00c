"""Errors on frequent and on rare targets, of everything that trustml.imbalanced has, on tables with long tails.

    python -m benchmarks.imbalanced_tables --data-dir DIR [--tables abalone ...] [--seeds 5] [--steps 2000] [--write]

DIR holds dir_abalone.npz, dir_airfoil.npz, dir_bank8FM.npz, dir_fuelCons.npz and uci_concrete.npz. Of each bin of the
target a third, at most 30 rows, is held out for validation (unused here) and as much for the test. The seed is that of
the split and of the model. Networks: 64-64-64, Adam at 1e-3 with a cosine schedule, batches of 64.
"""

import argparse
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import jax
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from benchmarks._common import cpu_seconds, machine, table, write_section
from trustml._networks import MLP, predict
from trustml._training import Hyper, train
from trustml.imbalanced import BalancedTestSplit, ConRRegressor, ReweightedRegressor
from trustml.imbalanced._conr import cosine_schedule
from trustml.losses import ranksim
from trustml.metrics import balanced_mean_absolute_error, shot_report
from trustml.metrics._label_bins import label_bin_edges

FILES = {
    "abalone": "dir_abalone",
    "airfoil": "dir_airfoil",
    "bank8FM": "dir_bank8FM",
    "fuelCons": "dir_fuelCons",
    "concrete": "uci_concrete",
}


@dataclass(frozen=True)
class RankSimObjective:
    """Squared error of the batch, and RankSim of it times a number."""

    network: MLP

    def __call__(self, params, batch, weight, key, hyper):
        X, y = batch
        exists = weight > 0
        error = (self.network.apply(params, X)[:, 0] - y) ** 2
        rank = ranksim(self.network.features(params, X), y, where=exists)
        return (error * exists).sum() / exists.sum() + hyper["ranksim"] * rank.sum()


class RankSimRegressor:
    """The network of ConRRegressor with RankSim in place of ConR."""

    def __init__(self, max_iter, random_state):
        self.max_iter, self.random_state = max_iter, random_state

    def fit(self, X, y):
        self.mean, self.scale, self.X_mean, self.X_scale = y.mean(), y.std(), X.mean(axis=0), X.std(axis=0)
        self.network = MLP(1, (64, 64, 64), zero_output=True)
        rows = (X - self.X_mean) / np.where(self.X_scale > 0, self.X_scale, 1)
        self.params = train(
            RankSimObjective(self.network),
            self.network.init(jax.random.key(self.random_state), rows),
            (rows, (y - self.mean) / self.scale),
            hyper=Hyper(loss={"ranksim": 1.0}),
            seed=self.random_state,
            batch_size=64,
            max_iter=self.max_iter,
            n_iter_no_change=None,
            schedule=lambda epoch: cosine_schedule(epoch, self.max_iter),
        ).params
        return self

    def predict(self, X):
        rows = (X - self.X_mean) / np.where(self.X_scale > 0, self.X_scale, 1)
        return predict(self.network, self.params, rows)[:, 0] * self.scale + self.mean


def methods(max_iter, seed):
    def network(**parameters):
        return ConRRegressor(**{"max_iter": max_iter, "random_state": seed, "conr_weight": 0.0} | parameters)

    boosting = HistGradientBoostingRegressor(random_state=seed)
    return {
        "MLP": network(),
        "square root of the inverse": network(reweight="sqrt_inverse"),
        "LDS, inverse": network(reweight="lds"),
        "DenseWeight": network(reweight="dense"),
        "balanced MSE": network(loss="balanced_mse"),
        "RankSim": RankSimRegressor(max_iter, seed),
        "ConR": network(conr_weight=0.05),
        "ConR and LDS": network(conr_weight=0.05, reweight="lds"),
        "boosting": boosting,
        "boosting, LDS": ReweightedRegressor(boosting),
    }


def run(X, y, n_seeds, n_steps):
    """Errors of each method, (n_seeds, 5): all, many, median, few and balanced; and rows of the test by region."""
    edges = label_bin_edges(y)
    errors = {}
    for seed in range(n_seeds):
        splitter = BalancedTestSplit(1, bins=edges, random_state=seed)
        train_rows, _, test_rows = next(splitter.split_with_validation(X, y))
        max_iter = round(n_steps / -(-len(train_rows) // 64))
        for name, model in methods(max_iter, seed).items():
            predicted = model.fit(X[train_rows], y[train_rows]).predict(X[test_rows])
            report = shot_report(y[test_rows], predicted, y[train_rows], bins=edges, relative=True)
            balanced = balanced_mean_absolute_error(y[test_rows], predicted, bins=edges)
            errors.setdefault(name, []).append([*(region["mae"] for region in report.values()), balanced])
        rows = [report[region]["rows"] for region in ("many", "median", "few")]
    return {name: np.array(values) for name, values in errors.items()}, rows


def cell(values):
    mean, error = np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{mean:.4g} ± {error:.2g}"


def section(lines, arguments, seconds):
    header = ["table (test rows many/median/few)", "method", "all", "many", "median", "few", "balanced", "few, change"]
    return table(header, lines) + (
        f"\n\nMean absolute error ± standard error over {arguments.seeds} seeds, {arguments.steps} steps; the last "
        "column compares with the plain network, or with plain boosting. Thresholds of the regions are relative to the "
        "mean count of a bin. ConR: `conr_weight=0.05`, not searched, all else at its default. "
        f"{seconds:.0f} CPU seconds, on a shared machine. {date.today():%d %B %Y}; {machine()}."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", default=list(FILES), choices=list(FILES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    arguments = parser.parse_args()
    lines, seconds = [], 0.0
    for name in arguments.tables:
        data = np.load(arguments.data_dir / f"{FILES[name]}.npz", allow_pickle=False)
        X, y = np.asarray(data["X"], float), np.asarray(data["y"], float)
        taken, (errors, rows) = cpu_seconds(run, X, y, arguments.seeds, arguments.steps)
        seconds += taken
        few = {method: values[:, 3].mean() for method, values in errors.items()}
        for method, values in errors.items():
            change = f"{few[method] / few['boosting' if 'boosting' in method else 'MLP'] - 1:+.0%}"
            lines.append([name, method, *(cell(column) for column in values.T), change])
        print(name, rows, f"{taken:.0f} CPU s", flush=True)
        print(table(["", "", "all", "many", "median", "few", "balanced", ""], lines[-len(errors) :]), flush=True)
        lines[-len(errors)][0] = f"{name} ({'/'.join(map(str, rows))})"
        if arguments.write:  # after each table, since they take minutes
            write_section("imbalanced tables", section(lines, arguments, seconds))


if __name__ == "__main__":
    main()
