"""Data valuation side by side with pyDVL: CPU time per model fit and score, and memory.

    python -m benchmarks.peers.valuation [--repeats 5] [--rows NAME ...] [--write]

Both libraries run in one process, one thread each, in turns; a figure is the median over the turns, a spread their
range. ``--write`` puts the table into benchmarks/README.md.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings

import numpy as np
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier

import trustml
from benchmarks._common import breast_cancer, cpu_seconds, machine, one_thread, table, write_section
from trustml.datasets import make_flipped_labels


def digits(n_train=1000, n_val=500):
    X, y = load_digits(return_X_y=True)
    rows = np.random.RandomState(0).permutation(len(y))
    X, y = X[rows] / 16, y[rows]
    y_train, _ = make_flipped_labels(y[:n_train], 0.2, random_state=0)
    end = n_train + n_val
    return X[:n_train], y_train, X[n_train:end], y[n_train:end]


def gaussian(n_train=10_000, n_val=1_000, n_features=50):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n_train + n_val, n_features))
    y = (X[:, 0] + 0.5 * rng.standard_normal(len(X)) > 0).astype(int)
    return X[:n_train], y[:n_train], X[n_train:], y[n_train:]


def ours_permutations(model, data, n_permutations):
    """CPU seconds per utility of trustml."""
    X, y, X_val, y_val = data
    valuation = trustml.DataShapley(model, max_permutations=n_permutations, tol=0, truncation_tol=None, random_state=0)
    seconds, fitted = cpu_seconds(valuation.fit, X, y, X_val=X_val, y_val=y_val)
    return seconds / fitted.n_evaluations_


def peer_utility(model, data):
    from pydvl.valuation import Dataset, ModelUtility, SupervisedScorer

    X, y, X_val, y_val = data
    scorer = SupervisedScorer("accuracy", Dataset(X_val, y_val), default=0.0, range=(0, 1))
    return ModelUtility(model, scorer, show_warnings=False), Dataset(X, y)


def peer_fit(valuation, train):
    with parallel_config(n_jobs=1):
        return cpu_seconds(valuation.fit, train)[0]


def peer_permutations(model, data, n_permutations):
    """CPU seconds per utility of pyDVL."""
    from pydvl.valuation import ShapleyValuation
    from pydvl.valuation.samplers import PermutationSampler
    from pydvl.valuation.stopping import MinUpdates

    utility, train = peer_utility(model, data)
    done = MinUpdates(n_permutations)
    valuation = ShapleyValuation(utility, PermutationSampler(seed=0), done, show_warnings=False, progress=False)
    return peer_fit(valuation, train) / (n_permutations * len(train))


def ours_banzhaf(model, data, n_subsets):
    X, y, X_val, y_val = data
    valuation = trustml.DataBanzhaf(model, max_subsets=n_subsets, tol=0, random_state=0)
    seconds, fitted = cpu_seconds(valuation.fit, X, y, X_val=X_val, y_val=y_val)
    return seconds / fitted.n_evaluations_


def peer_banzhaf(model, data, n_subsets):
    from pydvl.valuation import MSRBanzhafValuation
    from pydvl.valuation.stopping import MaxSamples

    utility, train = peer_utility(model, data)
    valuation = MSRBanzhafValuation(utility, is_done=None, seed=0, progress=False)
    # The rule counts what the valuation's own sampler has drawn.
    valuation.is_done = MaxSamples(valuation.sampler, n_subsets)
    return peer_fit(valuation, train) / n_subsets


def compare_knn(library):
    """CPU seconds and peak memory of this process, in MiB, of one run on ten thousand rows."""
    X, y, X_val, y_val = gaussian()
    if library == "trustml":
        # The first call compiles; a second table of the same size would not.
        valuation = trustml.KNNShapley(n_neighbors=5, select="all")
        seconds, _ = cpu_seconds(valuation.fit, X, y, X_val=X_val, y_val=y_val)
    else:
        from pydvl.valuation import Dataset, KNNShapleyValuation

        model = KNeighborsClassifier(n_neighbors=5)
        seconds = peer_fit(KNNShapleyValuation(model, Dataset(X_val, y_val), progress=False), Dataset(X, y))
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def first_fit():
    """CPU seconds per utility of the first fit of a process: 20 000 utilities, compilation included."""
    data = breast_cancer()[:4]
    return ours_permutations(LogisticRegression(), data, 200)


def in_a_fresh_process(*arguments):
    command = [sys.executable, "-m", "benchmarks.peers.valuation", *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def in_turns(ours, peer, repeats, unit=1e6):
    """Figures of both, in turns; ``ours`` is run once before, so that its programs are compiled."""
    ours()
    pairs = np.array([(ours(), peer()) for _ in range(repeats)])
    return pairs * unit


def logistic(repeats):
    data = breast_cancer()[:4]
    model = LogisticRegression()
    pairs = in_turns(lambda: ours_permutations(model, data, 200), lambda: peer_permutations(model, data, 10), repeats)
    return "permutation Shapley, logistic regression, n=100, d=30, m=200; µs per utility, warm", 100, pairs


def logistic_first(repeats):
    data = breast_cancer()[:4]
    peer = [peer_permutations(LogisticRegression(), data, 10) for _ in range(repeats)]
    ours = [in_a_fresh_process("--first-fit") for _ in range(repeats)]
    return "the same, 20 000 utilities in a fresh process, compilation included", 20, np.c_[ours, peer] * 1e6


def banzhaf(repeats):
    data = breast_cancer()[:4]
    model = LogisticRegression()
    pairs = in_turns(lambda: ours_banzhaf(model, data, 4000), lambda: peer_banzhaf(model, data, 300), repeats)
    return "Banzhaf (maximum sample reuse), logistic regression, same table; µs per utility, warm", 50, pairs


def ridge(repeats):
    data = breast_cancer()[:4]
    model = RidgeClassifier()
    pairs = in_turns(lambda: ours_permutations(model, data, 2000), lambda: peer_permutations(model, data, 10), repeats)
    return "permutation Shapley, ridge classifier, same table; µs per utility, warm", 500, pairs


def digits_multinomial(repeats):
    data = digits()
    model = LogisticRegression(max_iter=1000)
    pairs = in_turns(lambda: ours_permutations(model, data, 10), lambda: peer_permutations(model, data, 1), repeats)
    return "permutation Shapley, multinomial logistic, digits, n=1000, m=500; µs per utility, warm", 100, pairs


def knn(repeats):
    pairs = [[in_a_fresh_process("--knn", library) for library in ("trustml", "pydvl")] for _ in range(repeats)]
    seconds, memory = np.moveaxis(np.array(pairs), -1, 0)
    memory = np.median(memory, axis=0)
    what = (
        "KNN-Shapley, n=10 000, m=1 000, d=50; CPU s, first call of a process "
        f"(peak memory of the process: {memory[0]:.0f} MiB, pyDVL {memory[1]:.0f} MiB)"
    )
    return what, 15, seconds


ROWS = {f.__name__: f for f in (logistic, logistic_first, banzhaf, ridge, digits_multinomial, knn)}


def figures(column):
    median, low, high = (
        f"{x:,.0f}" if x >= 100 else f"{x:.3g}" for x in (np.median(column), column.min(), column.max())
    )
    return f"{median} ({low} to {high})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    parser.add_argument("--first-fit", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--knn", choices=("trustml", "pydvl"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    one_thread()
    warnings.simplefilter("ignore")
    if arguments.first_fit:
        print(json.dumps(first_fit()))
        return
    if arguments.knn:
        print(json.dumps(compare_knn(arguments.knn)))
        return
    lines = []
    for name in arguments.rows:
        what, reach, pairs = ROWS[name](arguments.repeats)
        ratio = pairs[:, 1] / pairs[:, 0]
        lines.append((what, figures(pairs[:, 0]), figures(pairs[:, 1]), figures(ratio), f">= {reach}"))
        print(*lines[-1], sep=" | ", flush=True)
    text = table(("what", "trustml", "pyDVL", "ratio", "to reach"), lines)
    text += f"\n\n{time.strftime('%d %B %Y')}; {machine('pyDVL')}. Median of {arguments.repeats} turns (range)."
    print(f"\n{text}")
    if arguments.write:
        write_section("peers", text)


if __name__ == "__main__":
    main()
