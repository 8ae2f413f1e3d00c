"""Group judges and almost equally good models: beside scikit-learn's refits, cvxpy and fairlearn, in one process.

python -m benchmarks.peers.fairness speed ranges adult --data-dir DIR [--write]
"""

import argparse
import time
import warnings
from pathlib import Path

import cvxpy as cp
import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, demographic_parity_difference, false_positive_rate, selection_rate
from fairlearn.metrics import true_positive_rate as tpr
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.reductions import DemographicParity, ExponentiatedGradient
from scipy.special import logit
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score

from benchmarks._common import cpu_seconds, machine, one_thread, table, write_section
from trustml.fairness import LInCo, PredictiveMultiplicity, group_metric_frame
from trustml.fairness._judges import Court, LinearJudges
from trustml.fairness._null import Statistic, simulate

TURNS = 3


def spread(values, digits=3):
    return f"{np.median(values):.{digits}g} ({min(values):.{digits}g} to {max(values):.{digits}g})"


def turns(ours, theirs, name, lines, reach, units=(1, 1)):
    """CPU seconds per unit of both, by turns, and their ratio; ours is compiled before."""
    ours()
    pairs = [(cpu_seconds(ours)[0] / units[0], cpu_seconds(theirs)[0] / units[1]) for _ in range(TURNS)]
    mine, other = np.array(pairs).T * 1000
    lines.append([name, spread(mine), spread(other), spread(other / mine), reach])


def pair_means(J, squared):
    gaps = [J[:, a] - J[:, b] for a in range(J.shape[1]) for b in range(a)]
    return np.mean([np.mean(g**2) if squared else np.mean(np.abs(g)) for g in gaps])


def incomes(folder):
    """Adult: standardised facts that do not give the sex away, income above 50 000, sex, and the training rows."""
    frame = pd.read_csv(folder / "adult.csv.gz")
    income = next(name for name in frame.columns if name in ("income", "class", "target", "label"))
    y = frame[income].astype(str).str.contains(">").astype(int).to_numpy()
    sex, is_train = frame["sex"].to_numpy(), (frame["split"] == "train").to_numpy()
    # Columns that give the sex away, or nearly so, leave no cases that both sexes have.
    hidden = [income, "split", "sex", "race", "relationship", "native-country", "native_country", "fnlwgt"]
    hidden += [name for name in frame.columns if name.startswith("marital")]
    facts = pd.get_dummies(frame.drop(columns=[c for c in hidden if c in frame]).fillna("unknown"), dtype=float)
    facts = ((facts - facts.mean()) / facts.std()).to_numpy()
    return facts, y, sex, is_train


def logistic_refits(name, X, labels, codes, rng, lines, errors, n_null=100):
    """Refits of both groups to labels drawn from one model, in both libraries, and the difference of coefficients."""
    court = Court(X, labels, np.array([0, 1]), codes, 2, np.ones(len(X)), "probability")
    judges = LinearJudges(LogisticRegression(), court)
    probability = judges.pooled(None, X)[0][:, 1]
    draws = (rng.random((len(X), n_null)) < probability[:, None]).astype(int)
    refits = {}

    def ours():
        refits["coef"] = judges.conditional_panels(probability, None, draws)

    def theirs(n_sets=2, **options):
        sets = [(codes == g, b) for b in range(n_sets) for g in (0, 1)]
        return [LogisticRegression(**options).fit(X[rows], draws[rows, b]).coef_[0] for rows, b in sets]

    turns(ours, theirs, f"L2-logistic refits, 2 groups, {name}; ms per data set", lines, ">= 50", (n_null, 2))
    exact = theirs(solver="newton-cholesky", tol=1e-10)
    ours_alike = [refits["coef"][:-1, g, b] for b in range(2) for g in (0, 1)]  # centring leaves slopes as they are
    errors.append(np.abs(np.subtract(exact, ours_alike)).max())


def speed(folder):
    rng, n, p, n_null = np.random.default_rng(0), 20_000, 50, 100
    X, lines = rng.normal(size=(n, p)), []
    score = X @ rng.normal(size=p) / np.sqrt(p)
    for n_groups, reach in ((2, ">= 100, >= 20"), (9, ">= 60, >= 10")):
        codes = np.arange(n) % n_groups
        y = score + rng.normal(size=n)
        court = Court(X, y, None, codes, n_groups, np.ones(n), "number")
        judges, v = LinearJudges(Ridge(), court), np.full(n, 1 / n)
        fitted = Ridge().fit(X, y).predict(X)
        for rho, wanted in zip(("squared", "absolute"), reach.split(", "), strict=True):

            def ours(rho=rho, judges=judges, court=court, v=v):
                simulate(
                    judges,
                    court,
                    X,
                    v,
                    Statistic(rho, "pairs", "number", 0),
                    null="conditional",
                    null_estimator=None,
                    n_null=n_null,
                    rng=np.random.default_rng(0),
                )

            def theirs(rho=rho, codes=codes, y=y, fitted=fitted, n_groups=n_groups):
                for _ in range(5):
                    drawn = fitted + (y - fitted) * rng.choice([-1, 1], size=n)
                    groups = [codes == g for g in range(n_groups)]
                    J = np.column_stack([Ridge().fit(X[rows], drawn[rows]).predict(X) for rows in groups])
                    pair_means(J, rho == "squared")

            name = f"ridge, conditional null, {n_groups} groups, {rho}; ms per simulated data set"
            turns(ours, theirs, name, lines, wanted, (n_null, 5))

    errors = []
    labels = (score + rng.logistic(size=n) > 0).astype(int)
    logistic_refits("normal features", X, labels, np.arange(n) % 2, rng, lines, errors)
    facts, y, sex, is_train = incomes(folder)
    logistic_refits("Adult", facts[is_train], y[is_train], (sex[is_train] == "Male").astype(int), rng, lines, errors)
    header = ["what", "trustml", "scikit-learn", "ratio", "to reach"]
    text = table(header, lines)
    return (
        text
        + "\n\nn=20,000, p=50, equal groups; Adult: 32,561 rows, 45 columns, women and men. scikit-learn's defaults. "
        + f"Largest difference of logistic coefficients from newton-cholesky's, tol=1e-10: {max(errors):.1e}; "
        + "ours stop when a step is below 1e-7 of the largest coefficient."
    )


def compas(folder):
    """Two-year arrests on a few binned facts, so that many rows are equal."""
    frame = pd.read_csv(folder / "compas.csv.gz")
    facts = pd.DataFrame(
        {
            "age": pd.cut(frame["age"], [0, 20, 23, 25, 30, 40, 50, 200]).astype(str),
            "priors": pd.cut(frame["priors_count"], [-1, 0, 1, 3, 6, 10, 100]).astype(str),
            "felony": frame["c_charge_degree"],
            "sex": frame["sex"],
        }
    )
    return pd.get_dummies(facts, dtype=float).to_numpy(), frame["two_year_recid"].to_numpy()


def ranges(folder):
    X, y = compas(folder)
    distinct, inverse = np.unique(X, axis=0, return_inverse=True)
    total = np.bincount(inverse.reshape(-1)) / len(y)
    ones = np.bincount(inverse.reshape(-1), weights=y) / len(y)
    C = 1 / (2 * 5e-5 * len(y))  # mean log loss + 5e-5 |w|^2
    lines, checked = [], np.linspace(0, len(distinct) - 1, 10).astype(int)
    for epsilon in (0.001, 0.01, 0.05):
        model = PredictiveMultiplicity(C=C, epsilon=epsilon).fit(X, y)
        ends = model.viable_range(X)
        mine = [cpu_seconds(model.viable_range, X)[0] / (2 * len(distinct)) for _ in range(TURNS)]
        w, b = cp.Variable(X.shape[1]), cp.Variable()
        score = distinct @ w + b
        penalised = total @ cp.logistic(score) - ones @ score + 5e-5 * cp.sum_squares(w)
        gaps, theirs = [], []
        for row in checked:
            for end, goal in ((0, cp.Minimize), (1, cp.Maximize)):
                problem = cp.Problem(goal(distinct[row] @ w + b), [penalised <= model.level_])
                theirs.append(cpu_seconds(problem.solve, solver=cp.CLARABEL)[0])
                ours = logit(ends[np.flatnonzero(inverse.reshape(-1) == row)[0], end])
                gaps.append(abs(problem.value - ours))
        low, high = model.discrepancy(X, [0.1, 0.2])
        lines.append(
            [
                epsilon,
                f"{np.mean(np.diff(ends)):.4f}",
                ", ".join(f"{a:.3f}" for a in model.ambiguity(X, [0.1, 0.2])),
                ", ".join(f"{a:.3f} to {b:.3f}" for a, b in zip(low, high, strict=True)),
                f"{1000 * np.median(mine):.2f}",
                f"{1000 * np.median(theirs):.0f}",
                f"{np.median(theirs) / np.median(mine):.0f}",
                f"{max(gaps):.1e}",
            ]
        )
    header = [
        "epsilon",
        "mean width",
        "ambiguity at .1, .2",
        "discrepancy at .1, .2",
        "ms an end",
        "cvxpy",
        "ratio",
        "largest logit gap",
    ]
    size = f"COMPAS, {len(X):,} rows, {len(distinct)} distinct, {X.shape[1]} columns; cvxpy with Clarabel"
    return table(header, lines) + f"\n\n{size}, 20 ends each. To reach: ratio 50, gap 1e-5."


def adult(folder):
    facts, y, sex, is_train = incomes(folder)
    rows, audited = np.flatnonzero(is_train)[:15_000], np.flatnonzero(~is_train)[:8000]
    blind, sighted = facts, np.column_stack([facts, sex == "Male"])
    model = LogisticRegression(max_iter=1000)
    lines, base = [], {"sensitive_features": sex[rows]}
    plain = model.fit(blind[rows], y[rows]).predict(blind[audited])
    with_sex = LogisticRegression(max_iter=1000).fit(sighted[rows], y[rows]).predict(sighted[audited])
    reduction = ExponentiatedGradient(LogisticRegression(max_iter=1000), DemographicParity(), eps=0.02, max_iter=20)
    thresholds = ThresholdOptimizer(
        estimator=LogisticRegression(max_iter=1000), constraints="demographic_parity", predict_method="predict_proba"
    )
    reduction.fit(blind[rows], y[rows], **base)
    thresholds.fit(blind[rows], y[rows], **base)
    decisions = {
        "the labels": y[audited],
        "logistic regression with sex": with_sex,
        "logistic regression without sex": plain,
        "ExponentiatedGradient, parity": reduction.predict(blind[audited], random_state=0),
        "ThresholdOptimizer, parity": thresholds.predict(
            blind[audited], sensitive_features=sex[audited], random_state=0
        ),
    }
    for name, decided in decisions.items():
        decided = np.asarray(decided).astype(int)
        audit = LInCo(LogisticRegression(), n_null=99, random_state=0)
        audit.fit(blind[audited], decided, sensitive_features=sex[audited])
        low, high = audit.interval_
        lines.append(
            [
                name,
                f"{accuracy_score(y[audited], decided):.3f}",
                f"{demographic_parity_difference(y[audited], decided, sensitive_features=sex[audited]):.3f}",
                f"{audit.linco_:.3f} (floor {audit.noise_floor_:.3f}, p {audit.p_value_:.2f})",
                f"{audit.linco_debiased_:.3f} ({low:.3f} to {high:.3f})",
                f"{audit.pairwise_signed_[0, 1]:+.3f}",
            ]
        )
    header = ["decisions", "accuracy", "parity difference", "LInCo", "rms debiased (95 %)", "men minus women"]
    metrics = {
        "selection_rate": selection_rate,
        "accuracy": accuracy_score,
        "true_positive_rate": tpr,
        "false_positive_rate": false_positive_rate,
    }
    everyone = np.flatnonzero(~is_train)
    truth, predicted = y[everyone], model.predict(blind[everyone])
    common = {"y_true": truth, "y_pred": predicted, "sensitive_features": sex[everyone]}
    theirs, frame = cpu_seconds(MetricFrame, metrics=metrics, n_boot=4, ci_quantiles=[0.025, 0.975], **common)
    mine, ours = cpu_seconds(group_metric_frame, **common, metrics=list(metrics), n_boot=100)
    gap = np.abs(ours.by_group - frame.by_group[ours.metrics].to_numpy(float)).max()
    return (
        table(header, lines)
        + f"\n\n8,000 test rows, {blind.shape[1]} columns, overlap {audit.overlap_share_:.0%}; "
        + f"models fitted to 15,000 rows. Four rates of both sexes on {len(everyone):,} rows: fairlearn's MetricFrame "
        + f"{theirs / 4:.2f} CPU s a bootstrap sample (four drawn), group_metric_frame {10 * mine:.2g} ms (a hundred "
        + "drawn, everything included); "
        + f"rates agree to {gap:.0e}."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", choices=["speed", "ranges", "adult"])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    arguments = parser.parse_args()
    one_thread()
    warnings.simplefilter("ignore")
    for name in arguments.tables:
        start = time.process_time()
        text = globals()[name](arguments.data_dir)
        text += f" {time.process_time() - start:.0f} CPU seconds in all, {time.strftime('%-d %B %Y')}; "
        text += machine("fairlearn", "cvxpy") + "."
        print(text, end="\n\n", flush=True)
        if arguments.write:
            write_section(f"fairness {name}", text)


if __name__ == "__main__":
    main()
