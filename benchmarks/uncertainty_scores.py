"""What the self-consistency score finds: the toy problem of the method's authors, and digits that were never seen.

    python -m benchmarks.uncertainty_scores [--seeds 5] [--write]

The toy problem: y = x^3 plus noise of mean zero, 2,000 training rows on [-4, 4], 1,000 test rows on [-6, 6], three
kinds of noise; the rows beyond 4 are out of range. Digits: 0 to 7 are known, 8 and 9 are not; all scores are of
the same network. ``--write`` puts both tables into benchmarks/README.md.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._common import machine, one_thread, table, write_section
from trustml.metrics import aurc, calibration_error, interval_coverage, mean_interval_width, ood_auroc, side_coverage
from trustml.uncertainty import SPCClassifier, SPCRegressor


def noise(kind, n, rng):
    if kind == "log":
        e = rng.lognormal(1.5, 1, n)
    elif kind == "norm":
        e = rng.normal(0, 8, n)
    else:  # a mixture: nothing, 40 up or 10 down, each around the curve
        e = rng.normal(size=n) + rng.choice([0.0, 40.0, -10.0], size=n, p=[0.4, 0.3, 0.3])
    return e - e.mean()


def toy(kind, seed):
    """Coverage, by side, and width in range; coverage and AUROCs of SDS, relative SDS and width out of range."""
    rng = np.random.default_rng(seed)
    x, x_new = np.linspace(-4, 4, 2000), np.linspace(-6, 6, 1000)
    y, y_new = x**3 + noise(kind, 2000, rng), x_new**3 + noise(kind, 1000, rng)
    network = make_pipeline(
        StandardScaler(), MLPRegressor(hidden_layer_sizes=(64, 64), random_state=seed, max_iter=300)
    )
    base = TransformedTargetRegressor(network, transformer=StandardScaler())
    model = SPCRegressor(base, random_state=seed).fit(x[:, None], y)
    interval, u = model.predict_interval(x_new[:, None]), model.predict_uncertainty(x_new[:, None])
    known = np.abs(x_new) <= 4
    sides = side_coverage(y_new[known], model.predict(x_new[known, None]), interval[known])
    scores = [u.sds, u.sds_relative, interval[:, 1] - interval[:, 0]]
    return [
        interval_coverage(y_new[known], interval[known]),
        *sides,
        mean_interval_width(interval[known]),
        interval_coverage(y_new[~known], interval[~known]),
        *[ood_auroc(score[known], score[~known]) for score in scores],
    ]


def digits(seed):
    """For each score: AUROC of unknown digits, AUROC and AURC of errors; calibration errors of four ways."""
    X, y = load_digits(return_X_y=True)
    rows = np.random.default_rng(seed).permutation(len(y))
    X, y = X[rows] / 16, y[rows]
    known = y < 8
    X_known, y_known, X_out = X[known], y[known], X[~known]
    X_train, y_train, X_test, y_test = X_known[:700], y_known[:700], X_known[700:], y_known[700:]
    base = MLPClassifier((64,), random_state=seed, max_iter=60)
    model = SPCClassifier(base, random_state=seed).fit(X_train, y_train)
    spa = SPCClassifier(base, calibration="spa", random_state=seed).fit(X_train, y_train)
    tempered = SPCClassifier(base, calibration="temperature", random_state=seed).fit(X_train, y_train)
    library = CalibratedClassifierCV(base, method="temperature", cv=5).fit(X_train, y_train)
    members = [MLPClassifier((64,), random_state=100 * seed + i, max_iter=60).fit(X_train, y_train) for i in range(5)]

    def entropy(p):
        return -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)

    def ensemble(X):
        return np.mean([member.predict_proba(X) for member in members], axis=0)

    scores = {
        "SDS": lambda X: model.predict_uncertainty(X).sds,
        "entropy": lambda X: model.predict_uncertainty(X).entropy,
        "1 - largest probability": lambda X: 1 - model.predict_uncertainty(X).confidence,
        "entropy of an ensemble of 5": lambda X: entropy(ensemble(X)),
    }
    wrong = model.predict(X_test) != y_test
    found = {}
    for name, score in scores.items():
        inside = score(X_test)
        found[name] = [ood_auroc(inside, score(X_out)), ood_auroc(inside[~wrong], inside[wrong]), aurc(wrong, inside)]
    ways = {
        "the model": FrozenEstimator(model.estimator_).predict_proba,
        "spa": spa.predict_proba,
        "temperature": tempered.predict_proba,
        "CalibratedClassifierCV, temperature": library.predict_proba,
        "ensemble of 5": ensemble,
    }
    errors = {name: calibration_error(y_test, way(X_test), labels=model.classes_) for name, way in ways.items()}
    return found, errors


def spread(values, digits=3):
    return f"{np.mean(values):.{digits}f}±{np.std(values, ddof=1):.{digits}f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    arguments = parser.parse_args()
    one_thread()
    warnings.simplefilter("ignore")
    seeds = range(arguments.seeds)
    about = f"Mean ± standard deviation over {arguments.seeds} seeds. {time.strftime('%d %B %Y')}; {machine()}."

    header = ["noise", "coverage", "above", "below", "width", "coverage out of range"]
    header += [f"AUROC out of range: {score}" for score in ("SDS", "relative SDS", "width")]
    lines = []
    for kind in ("log", "norm", "tri"):
        columns = np.transpose([toy(kind, seed) for seed in seeds])
        lines.append([kind, *[spread(column, 1 if i == 3 else 3) for i, column in enumerate(columns)]])
    toys = table(header, lines) + "\n\n" + about
    print(toys)
    runs = [digits(seed) for seed in seeds]
    scores = [[name, *map(spread, np.transpose([found[name] for found, _ in runs]))] for name in runs[0][0]]
    errors = [[name, spread([errors[name] for _, errors in runs])] for name in runs[0][1]]
    text = table(["score", "AUROC of unknown digits", "AUROC of errors", "AURC"], scores)
    text += "\n\n" + table(["probabilities", "calibration error"], errors) + "\n\n" + about
    print(text)
    if arguments.write:
        write_section("uncertainty toy", toys)
        write_section("uncertainty digits", text)


if __name__ == "__main__":
    main()
