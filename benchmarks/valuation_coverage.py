"""Do 95 % intervals cover the exact values? Twelve rows, all 4096 subsets, many seeds.

python -m benchmarks.valuation_coverage [--seeds 200] [--write]
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.base import is_classifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier

import trustml
from benchmarks._common import breast_cancer, machine, one_thread, table, write_section
from trustml.valuation import semivalue
from trustml.valuation._engines import BlackBoxEngine, Task

N_ROWS = 12


def games():
    """Name, model, scoring, data."""
    data = breast_cancer(N_ROWS, 200, flip_fraction=0.25)[:4]
    yield "logistic regression, accuracy", LogisticRegression(), "accuracy", data
    yield "logistic regression, log loss", LogisticRegression(), "neg_log_loss", data
    yield "ridge classifier, accuracy", RidgeClassifier(), "accuracy", data
    X, y, X_val, y_val = data
    target, target_val = X[:, 0] + 0.3 * y, X_val[:, 0] + 0.3 * y_val
    yield "ridge, R²", Ridge(), "r2", (X[:, 1:], target, X_val[:, 1:], target_val)


def scikit_learn_game(model, scoring, data):
    """The game as scikit-learn's own fits play it, from masks of rows to scores."""
    X, y, X_val, y_val = data
    empty_score = trustml.ExactShapley(model, scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val).empty_score_
    classes = np.unique(y) if is_classifier(model) else None
    task = Task(X, y, np.ones(len(y)), X_val, y_val, classes, scoring, empty_score)
    return BlackBoxEngine(model, task, n_jobs=None, error_score="raise").score_subsets


def covered(valuation, exact, data, n_seeds):
    """Share of intervals that hold the exact value, and the mean standard error against the error made."""
    X, y, X_val, y_val = data
    inside, errors, claimed = [], [], []
    for seed in range(n_seeds):
        valuation.set_params(random_state=seed).fit(X, y, X_val=X_val, y_val=y_val)
        lower, upper = valuation.confidence_interval(0.95).T
        inside.append((lower <= exact) & (exact <= upper))
        errors.append(valuation.data_values_ - exact)
        claimed.append(valuation.standard_errors_**2)
    return np.mean(inside), np.sqrt(np.mean(claimed) / np.mean(np.square(errors)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    arguments = parser.parse_args()
    one_thread()
    warnings.simplefilter("ignore")
    lines = []
    for name, model, scoring, data in games():
        play = memoized(scikit_learn_game(model, scoring, data))
        common = {"scoring": scoring, "tol": 0, "select": "all"}
        permutations = common | {"max_permutations": 500, "truncation_tol": None}
        for method, valuation, kind in (
            ("Shapley, 500 permutations", trustml.DataShapley(model, **permutations), {"kind": "shapley"}),
            (
                "the same, antithetic",
                trustml.DataShapley(model, antithetic=True, **permutations),
                {"kind": "shapley"},
            ),
            (
                "Beta(4, 1), 500 permutations",
                trustml.BetaShapley(model, alpha=4, beta=1, **permutations),
                {"kind": "beta", "alpha": 4, "beta": 1},
            ),
            (
                "Banzhaf, 2000 subsets",
                trustml.DataBanzhaf(model, max_subsets=2000, **common),
                {"kind": "banzhaf"},
            ),
        ):
            exact = semivalue(play, N_ROWS, **kind).values
            share, ratio = covered(valuation, exact, data, arguments.seeds)
            lines.append((name, method, f"{share:.1%}", f"{ratio:.2f}"))
            print(*lines[-1], sep=" | ", flush=True)
    text = table(("game of 12 rows", "values", "95 % intervals cover", "claimed / made error"), lines)
    text += f"\n\n{arguments.seeds} seeds; {time.strftime('%d %B %Y')}; {machine()}."
    print(f"\n{text}")
    if arguments.write:
        write_section("coverage", text)


def memoized(game):
    """``game``, every coalition of it scored once."""
    scores = {}

    def play(masks):
        fresh = [mask for mask in masks if mask.tobytes() not in scores]
        if fresh:
            scores.update(zip((mask.tobytes() for mask in fresh), game(np.array(fresh)), strict=True))
        return np.array([scores[mask.tobytes()] for mask in masks])

    return play


if __name__ == "__main__":
    main()
