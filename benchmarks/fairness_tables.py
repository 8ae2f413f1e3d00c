"""Is the audit of group judges honest? Size of its test, coverage of its intervals, and real sentences.

python -m benchmarks.fairness_tables size coverage sentencing [--sets 300] [--data-dir DIR] [--write]
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, Ridge

from benchmarks._common import machine, one_thread, table, write_section
from trustml.fairness import LInCo


def simulated(n, n_features, bias=0.0, shift=0.0, minority=0.5, curved=False, seed=0):
    """X, y and groups: unit normal noise, ``bias`` for group 1, whose first feature is moved by ``shift``."""
    rng = np.random.default_rng(seed)
    group = (np.arange(n) < minority * n).astype(int)
    X = rng.normal(size=(n, n_features))
    X[:, 0] += shift * group
    y = X @ np.ones(n_features) + curved * X[:, 0] ** 2 + bias * group + rng.normal(size=n)
    return X, y, group


def size(n_sets, _):
    designs = {
        "no shift": {},
        "mean of one feature shifted by 1.5": {"shift": 1.5},
        "10 % minority": {"minority": 0.1},
        "shift 1.5, and the truth is curved: linear judges differ though nobody is treated differently": {
            "shift": 1.5,
            "curved": True,
        },
        "bias 0.2 (power)": {"bias": 0.2},
    }
    lines = []
    for name, design in designs.items():
        cells = [name]
        for null in ("conditional", "permutation"):
            audit = LInCo(LinearRegression(), null=null, n_null=99, correction="analytic")
            rejected = 0
            for seed in range(n_sets):
                X, y, group = simulated(400, 5, seed=seed, **design)
                audit.set_params(random_state=seed).fit(X, y, sensitive_features=group)
                rejected += audit.p_value_ <= 0.05
            share = rejected / n_sets
            cells.append(f"{share:.3f} ± {np.sqrt(share * (1 - share) / n_sets):.3f}")
        lines.append(cells)
    header = ["rejected at nominal 5 %; n=400, p=5, 99 simulated sets", "conditional null", "permutation null"]
    return table(header, lines) + f"\n\n{n_sets} data sets, share ± its standard error."


def coverage(n_sets, _):
    lines = []
    n_sets = min(n_sets, 200)
    for correction in ("split_half", "analytic"):
        for bias in (0.0, 0.1, 0.3):
            audit = LInCo(LinearRegression(), n_null=0, correction=correction, confidence=0.9)
            inside, found = 0, []
            for seed in range(n_sets):
                X, y, group = simulated(2000, 9, bias=bias, seed=seed)
                audit.set_params(random_state=seed).fit(X, y, sensitive_features=group)
                inside += audit.interval_[0] <= bias <= audit.interval_[1]
                found.append(audit.squared_debiased_)
            error = np.std(found) / np.sqrt(n_sets)
            lines.append(
                [correction, bias, f"{inside / n_sets:.1%}", f"{np.mean(found):.5f} ± {error:.5f}", f"{bias**2:.5f}"]
            )
    header = ["correction", "bias", "90 % intervals cover", "mean debiased square", "truth"]
    return table(header, lines) + f"\n\nn=2000, p=9, two groups, {n_sets} data sets."


FACTS = (
    "prior_criminal",
    "education_clean",
    "employed",
    "plea_guilty",
    "plea_agreement",
    "restitution_paid",
    "has_lawyer",
    "injury",
    "victim_minor",
    "intoxicated_at_crime",
)


def sentences(folder):
    """Sentences whose severity, sex of the defendant and article are known: the frame and its design matrix."""
    frame = pd.read_csv(folder / "sentencing_mongolia.csv.gz", dtype={"primary_article": str})
    frame = frame.dropna(subset=["severity_winsorized", "gender", "primary_article"]).reset_index(drop=True)
    frame["injury"] = frame["injury_severity"].where(frame["injury_severity"].isin(["light", "serious"]))
    counts = frame["primary_article"].map(frame["primary_article"].value_counts())
    facts = {"article": frame["primary_article"].where(counts >= 500, "other")}
    facts |= {name: frame[name].astype(object).where(frame[name].notna(), "unknown").astype(str) for name in FACTS}
    design = pd.get_dummies(pd.DataFrame(facts), dtype=float)
    design["age"], design["age_unknown"] = frame["age"].fillna(frame["age"].median()), frame["age"].isna().astype(float)
    return frame, design


def sentencing(_, folder):
    frame, design = sentences(folder)
    y = np.log1p(frame["severity_winsorized"].to_numpy())
    everybody = np.ones(len(frame), bool)
    of_size = frame["court_id"].map(frame["court_id"].value_counts()).to_numpy() >= 1500
    rng = np.random.default_rng(0)
    attributes = {
        "capital or elsewhere": (frame["is_ub"], everybody),
        "sex of the defendant": (frame["gender"], everybody),
        "year, 2020 to 2025": (frame["year"], frame["year"].to_numpy() < 2026),
        "court, 1500 cases or more": (frame["court_id"], of_size),
        "sex, shuffled": (rng.permutation(frame["gender"]), everybody),
    }
    shuffled = frame["court_id"].to_numpy(copy=True)
    shuffled[of_size] = rng.permutation(shuffled[of_size])
    attributes["court, shuffled"] = shuffled, of_size
    lines = []
    for name, (labels, rows) in attributes.items():
        labels = np.asarray(labels)[rows]
        X = design[rows]
        # A column that is constant in one group tells its judge nothing, and the judges of the others a lot.
        X = X.loc[:, (X.groupby(labels).nunique() > 1).all().to_numpy()].to_numpy()
        audit = LInCo(Ridge(1e-3), n_null=99, random_state=0).fit(X, y[rows], sensitive_features=labels)
        low, high = audit.interval_
        error = audit.squared_standard_error_
        lines.append(
            [
                name,
                f"{len(audit.groups_)}, {rows.sum():,}, {X.shape[1]}",
                f"{audit.linco_:.3f}",
                f"{audit.noise_floor_:.3f}",
                f"{audit.p_value_:.2f}",
                f"{audit.linco_rms_:.3f}",
                f"{audit.linco_debiased_:.3f} ({low:.3f} to {high:.3f})",
                f"{audit.squared_debiased_:+.4f} ± {error:.4f}",
            ]
        )
    header = ["groups", "G, n, p", "LInCo", "noise floor", "p", "rms", "rms debiased (95 %)", "square ± SE"]
    return table(header, lines) + "\n\nRidge judges, alpha 1e-3; log(1 + severity)."


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", choices=["size", "coverage", "sentencing"])
    parser.add_argument("--sets", type=int, default=300)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    arguments = parser.parse_args()
    one_thread()
    warnings.simplefilter("ignore")
    for name in arguments.tables:
        start = time.process_time()
        text = globals()[name](arguments.sets, arguments.data_dir)
        text += f" {time.process_time() - start:.0f} CPU seconds, {time.strftime('%-d %B %Y')}; {machine()}."
        print(text, end="\n\n", flush=True)
        if arguments.write:
            write_section(f"fairness {name}", text)


if __name__ == "__main__":
    main()
