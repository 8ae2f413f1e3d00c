"""SPCRegressor beside MAPIE and crepes: the same base models, the same splits, nominal 95 %.

    python -m benchmarks.peers.uncertainty DATA_DIR RUNS.jsonl [--sets ...] [--bases ...] [--splits 10] [--most-rows N]
    python -m benchmarks.peers.uncertainty DATA_DIR RUNS.jsonl --write

DATA_DIR holds ``uci_{name}.npz`` with X and y. A split holds out 10 % of the rows, drawn by
``RandomState(split).permutation``. Every method gets an unfitted clone of the base model and its own defaults;
nothing is tuned. Split conformal and conformalised quantile regression (CQR) keep a quarter of the training rows for
calibration. Runs are appended to RUNS.jsonl, and those that it holds are not run again. ``--write`` puts the tables
of the runs so far into benchmarks/README.md.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._common import cpu_seconds, machine, one_thread, table, write_section
from trustml.metrics import interval_coverage, interval_score, mean_interval_width, side_coverage
from trustml.uncertainty import SPCRegressor

SETS = ("yacht", "boston", "concrete", "wine", "power", "naval", "protein")
LEVEL = 0.95


def bases(seed):
    network = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(50,), random_state=seed))
    return {
        "HGB": HistGradientBoostingRegressor(random_state=seed),
        "MLP": TransformedTargetRegressor(network, transformer=StandardScaler()),
    }


def ours(**parameters):
    def run(base, X, y, X_new, seed):
        model = SPCRegressor(base, coverage=LEVEL, random_state=seed, **parameters).fit(X, y)
        return model.predict_interval(X_new)

    return run


def calibrated(base, X, y, X_new, seed):
    X, X_held_out, y, y_held_out = train_test_split(X, y, test_size=0.25, random_state=seed)
    model = SPCRegressor(base, coverage=LEVEL, calibration="none", random_state=seed).fit(X, y)
    return model.calibrate(X_held_out, y_held_out).predict_interval(X_new)


def mapie_split(base, X, y, X_new, seed):
    from mapie.regression import SplitConformalRegressor

    X, X_held_out, y, y_held_out = train_test_split(X, y, test_size=0.25, random_state=seed)
    model = SplitConformalRegressor(base, confidence_level=LEVEL, prefit=False).fit(X, y)
    return model.conformalize(X_held_out, y_held_out).predict_interval(X_new)[1][:, :, 0]


def mapie_cv_plus(base, X, y, X_new, seed):
    from mapie.regression import CrossConformalRegressor

    model = CrossConformalRegressor(base, confidence_level=LEVEL, method="plus", cv=5, random_state=seed)
    return model.fit_conformalize(X, y).predict_interval(X_new)[1][:, :, 0]


def mapie_cqr(base, X, y, X_new, seed):
    from mapie.regression import ConformalizedQuantileRegressor

    if not isinstance(base, HistGradientBoostingRegressor):
        return None
    X, X_held_out, y, y_held_out = train_test_split(X, y, test_size=0.25, random_state=seed)
    base = clone(base).set_params(loss="quantile", quantile=0.5)
    model = ConformalizedQuantileRegressor(base, confidence_level=LEVEL).fit(X, y)
    return model.conformalize(X_held_out, y_held_out).predict_interval(X_new)[1][:, :, 0]


def mapie_bootstrap(base, X, y, X_new, seed):
    from mapie.regression import JackknifeAfterBootstrapRegressor

    if len(y) > 2000:
        return None
    model = JackknifeAfterBootstrapRegressor(base, confidence_level=LEVEL, resampling=20, random_state=seed)
    return model.fit_conformalize(X, y).predict_interval(X_new)[1][:, :, 0]


def crepes_normalised(base, X, y, X_new, seed):
    from crepes import ConformalRegressor
    from crepes.extras import DifficultyEstimator

    X, X_held_out, y, y_held_out = train_test_split(X, y, test_size=0.25, random_state=seed)
    scaler = StandardScaler().fit(X)
    model = clone(base).fit(X, y)
    difficulty = DifficultyEstimator().fit(X=scaler.transform(X), residuals=y - model.predict(X), scaler=True)
    X_held_out_scaled, X_new_scaled = scaler.transform(X_held_out), scaler.transform(X_new)
    residuals = y_held_out - model.predict(X_held_out)
    conformal = ConformalRegressor().fit(residuals=residuals, sigmas=difficulty.apply(X_held_out_scaled))
    return conformal.predict_int(y_hat=model.predict(X_new), sigmas=difficulty.apply(X_new_scaled), confidence=LEVEL)


METHODS = {
    "SPC": ours(),
    "SPC ridge heads": ours(head="ridge"),
    "SPC, training residuals": ours(residuals="train", calibration="none"),
    "SPC, calibrated": calibrated,
    "MAPIE CV+": mapie_cv_plus,
    "MAPIE split": mapie_split,
    "MAPIE CQR": mapie_cqr,
    "MAPIE J+aB (20)": mapie_bootstrap,
    "crepes, normalised": crepes_normalised,
}


def load(folder, name, most_rows):
    with np.load(folder / f"uci_{name}.npz") as file:
        X, y = file["X"].astype(float), file["y"].astype(float).ravel()
    rows = np.random.RandomState(0).permutation(len(y))[:most_rows]
    return X[rows], y[rows]


def one_run(method, base, X, y, split):
    order = np.random.RandomState(split).permutation(len(y))
    test, train = order[: len(y) // 10], order[len(y) // 10 :]
    seconds, interval = cpu_seconds(METHODS[method], base, X[train], y[train], X[test], split)
    if interval is None:
        return None
    interval = np.sort(interval, axis=1)  # ends of CQR may cross
    centre = interval.mean(axis=1)
    return {
        "coverage": interval_coverage(y[test], interval),
        "width": mean_interval_width(interval),
        "score": interval_score(y[test], interval, coverage=LEVEL),
        "sides": side_coverage(y[test], centre, interval).tolist(),
        "seconds": seconds,
        "rows": len(train),
    }


def run(arguments):
    found = [json.loads(line) for line in arguments.runs.read_text().splitlines()] if arguments.runs.exists() else []
    done = {(r["set"], r["base"], r["method"], r["split"]) for r in found}
    for name in arguments.sets:
        X, y = load(arguments.folder, name, arguments.most_rows)
        for split in range(arguments.splits):
            for base in arguments.bases:
                for method in arguments.methods:
                    if (name, base, method, split) in done:
                        continue
                    result = one_run(method, bases(split)[base], X, y, split)
                    if result is not None:
                        record = {"set": name, "base": base, "method": method, "split": split, **result}
                        with arguments.runs.open("a") as file:
                            file.write(json.dumps(record) + "\n")


def mean_and_error(values, digits=3):
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{np.mean(values):.{digits}f}±{error:.{digits}f}"


def report(runs):
    text = []
    for base in sorted({r["base"] for r in runs}):
        mine = [r for r in runs if r["base"] == base]
        sets = [name for name in SETS if any(r["set"] == name for r in mine)]
        lines = []
        for method in METHODS:
            cells, ratios = [], []
            for name in sets:
                by_split = {r["split"]: r for r in mine if (r["set"], r["method"]) == (name, method)}
                plus = {r["split"]: r for r in mine if (r["set"], r["method"]) == (name, "MAPIE CV+")}
                shared = sorted(by_split.keys() & plus.keys())
                if not shared:
                    cells.append("")
                    continue
                ratio = np.mean([by_split[s]["score"] for s in shared]) / np.mean([plus[s]["score"] for s in shared])
                ratios.append(ratio)
                coverage = mean_and_error([by_split[s]["coverage"] for s in shared])
                score = mean_and_error([by_split[s]["score"] for s in shared], 4 if name == "naval" else 2)
                cells.append(f"{coverage} / {score} ({ratio:.2f})")
            if ratios:
                lines.append([method, *cells, f"{np.mean(ratios):.2f} ({len(ratios)})"])
        counts = [len({r["split"] for r in mine if r["set"] == name}) for name in sets]
        rows = [max(r["rows"] for r in mine if r["set"] == name) for name in sets]
        header = [f"{base}", *[f"{n} ({r} rows, {c} splits)" for n, r, c in zip(sets, rows, counts, strict=True)]]
        text.append(table([*header, "mean ratio (sets)"], lines))
        seconds = []
        for method in METHODS:
            ratios = [
                r["seconds"] / p["seconds"]
                for r in mine
                for p in mine
                if r["method"] == method
                and p["method"] == "MAPIE CV+"
                and (r["set"], r["split"]) == (p["set"], p["split"])
            ]
            if ratios:
                seconds.append(f"{method} {np.median(ratios):.2f}")
        text.append(f"CPU seconds of fit and prediction over those of MAPIE CV+, median: {', '.join(seconds)}.")
    text.append(
        "Cells: coverage / mean interval score, each ± its standard error over splits (score over that of MAPIE CV+). "
        f"{time.strftime('%d %B %Y')}; {machine('MAPIE', 'crepes')}."
    )
    return "\n\n".join(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DATA_DIR")
    parser.add_argument("runs", type=Path, metavar="RUNS.jsonl")
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--bases", nargs="+", default=["HGB", "MLP"], choices=["HGB", "MLP"])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--most-rows", type=int, default=None)
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    arguments = parser.parse_args()
    if arguments.write:
        text = report([json.loads(line) for line in arguments.runs.read_text().splitlines()])
        print(text)
        write_section("uncertainty intervals", text)
        return
    one_thread()
    warnings.simplefilter("ignore")
    run(arguments)


if __name__ == "__main__":
    main()
