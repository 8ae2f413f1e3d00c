"""How early do data values find wrong labels? Detection AUROC on the tables of the data-valuation literature.

    python -m benchmarks.valuation_detection --data-dir DIR [--seeds 5] [--write]
    python -m benchmarks.valuation_detection --openml [--seeds 5] [--write]

For each seed: 200 training rows and 500 validation rows drawn at random, standardised, 10 % of the training labels
flipped; the model is a logistic regression (C=1), the score its accuracy. DIR holds ``valuation_NAME.npz`` with arrays
X and y; ``--openml`` downloads the tables instead. ``--write`` puts the table into benchmarks/README.md.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import trustml
from benchmarks._common import cpu_seconds, machine, one_thread, table, write_section
from trustml.datasets import fetch_valuation_table, make_flipped_labels
from trustml.metrics import detection_auroc, detection_recall

TABLES = ("2dplanes", "click", "cpu_act", "default", "phoneme", "fraud")

# AUROC of a prototype with the same protocol, 5 seeds of its own (none for fraud).
PROTOTYPE = {
    "LOO": (0.472, 0.510, 0.631, 0.501, 0.549),
    "Shapley": (0.877, 0.668, 0.903, 0.683, 0.757),
    "Beta(16,1)": (0.879, 0.640, 0.868, 0.701, 0.775),
    "Beta(4,1)": (0.891, 0.657, 0.903, 0.707, 0.788),
    "Banzhaf": (0.738, 0.671, 0.786, 0.641, 0.596),
    "KNN5": (0.942, 0.667, 0.920, 0.717, 0.869),
    "G-Shapley": (0.883, 0.658, 0.954, 0.672, 0.782),
}


def methods(seed):
    model = LogisticRegression()
    permutations = {"max_permutations": 150, "tol": 0, "truncation_tol": None, "select": "all", "random_state": seed}
    return {
        "LOO": trustml.LeaveOneOut(model, select="all"),
        "Shapley": trustml.DataShapley(model, **permutations),
        "Beta(16,1)": trustml.BetaShapley(model, alpha=16, beta=1, **permutations),
        "Beta(4,1)": trustml.BetaShapley(model, alpha=4, beta=1, **permutations),
        "Banzhaf": trustml.DataBanzhaf(model, max_subsets=4000, tol=0, select="all", random_state=seed),
        "KNN5": trustml.KNNShapley(n_neighbors=5, select="all"),
        "G-Shapley": trustml.GradientShapley(max_permutations=1000, tol=0, select="all", random_state=seed),
    }


def load(name, data_dir):
    if data_dir is None:
        return fetch_valuation_table(name, return_X_y=True)
    with np.load(data_dir / f"valuation_{name}.npz") as arrays:
        return arrays["X"].astype(float), arrays["y"].astype(int)


def draw(X, y, seed, n_train=200, n_val=500, flip_fraction=0.1):
    rows = np.random.RandomState(seed).permutation(len(y))[: n_train + n_val]
    X, y = StandardScaler().fit_transform(X[rows]), y[rows]
    y_train, is_flipped = make_flipped_labels(y[:n_train], flip_fraction, random_state=seed)
    return X[:n_train], y_train, X[n_train:], y[n_train:], is_flipped


def measure(name, data_dir, n_seeds):
    """AUROC and recall at 10 %: arrays (n_methods, n_seeds, 2); CPU seconds."""
    X, y = load(name, data_dir)
    figures, seconds = [], 0.0
    for seed in range(n_seeds):
        X_train, y_train, X_val, y_val, is_flipped = draw(X, y, seed)
        row = []
        for valuation in methods(seed).values():
            taken, _ = cpu_seconds(valuation.fit, X_train, y_train, X_val=X_val, y_val=y_val)
            seconds += taken
            values = valuation.data_values_
            row.append((detection_auroc(values, is_flipped), detection_recall(values, is_flipped, 0.1)))
        figures.append(row)
    return np.moveaxis(np.array(figures), 0, 1), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data-dir", type=Path)
    source.add_argument("--openml", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    arguments = parser.parse_args()
    one_thread()
    warnings.simplefilter("ignore")
    names = list(methods(0))
    lines, distances, standardised = [], [], []
    for name in arguments.tables:
        figures, seconds = measure(name, arguments.data_dir, arguments.seeds)
        mean, spread = figures.mean(axis=1), figures[:, :, 0].std(axis=1, ddof=1)
        error = spread / np.sqrt(arguments.seeds)
        cells = []
        for method, (auroc, recall), deviation, standard_error in zip(names, mean, spread, error, strict=True):
            cell = f"{auroc:.3f} ± {standard_error:.3f} / {recall:.2f}"
            index = TABLES.index(name)
            if index < len(PROTOTYPE[method]):
                cell += f" ({PROTOTYPE[method][index]:.3f})"
                distances.append(abs(auroc - PROTOTYPE[method][index]))
                # The prototype's mean of five seeds of its own has a standard error too.
                standardised.append(distances[-1] / np.hypot(standard_error, deviation / np.sqrt(5)))
            cells.append(cell)
        lines.append((name, *cells, f"{seconds:.0f}"))
        print(*lines[-1], sep=" | ", flush=True)
    text = table(("", *names, "CPU s"), lines)
    text += (
        f"\n\nAUROC ± standard error over {arguments.seeds} seeds / recall at 10 %, and in brackets the prototype's "
        f"AUROC over five seeds of its own. {np.sum(np.array(distances) <= 0.03)} of {len(distances)} cells are within "
        f"0.03 of it; {np.mean(np.array(standardised) <= 2):.0%} are within two standard errors of the difference, the "
        f"furthest at {max(standardised):.1f}. CPU seconds: all methods, all seeds, compilation included. "
        f"{time.strftime('%d %B %Y')}; {machine()}."
    )
    print(f"\n{text}")
    if arguments.write:
        write_section("detection", text)


if __name__ == "__main__":
    main()
