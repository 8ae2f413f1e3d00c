"""Which values of the target the model gets wrong."""

import numpy as np

from trustml.inspection._trust_report._evidence import Evidence
from trustml.inspection._trust_report._figures import intervals
from trustml.inspection._trust_report._intervals import mean_interval, share_interval
from trustml.inspection._trust_report._section import Number, Section, Table

QUESTION = "Which targets does it get wrong?"
_N_REGIONS = 10
_MOST_CLASSES = 20


def targets_section(evidence: Evidence) -> Section:
    """Recall of each class, or the error in each region of the target."""
    return _of_numbers(evidence) if evidence.classes is None else _of_classes(evidence)


def _of_classes(evidence):
    codes, predicted = evidence.codes, evidence.predicted.argmax(axis=1)
    n = np.bincount(codes, minlength=len(evidence.classes))
    found = np.bincount(codes[predicted == codes], minlength=len(n))
    claimed = np.bincount(predicted, minlength=len(n))
    recall = found / n
    precision = np.where(claimed > 0, found / np.maximum(claimed, 1), np.nan)
    low, high = share_interval(found, n)
    shown = np.argsort(recall, kind="stable")[:_MOST_CLASSES]
    names = [str(label) for label in evidence.classes.tolist()]
    worst, best = int(recall.argmin()), int(recall.argmax())
    uneven = high[worst] < low[best] and recall[worst] < 0.8 * recall[best]
    verdict = (
        f"Rows of class {names[worst]} are recognised in {recall[worst]:.0%} of cases, those of {names[best]} in "
        f"{recall[best]:.0%}."
        if uneven
        else "Every class is recognised about equally well."
    )
    rows = [
        [
            names[k],
            int(n[k]),
            float(recall[k]),
            float(low[k]),
            float(high[k]),
            "" if np.isnan(precision[k]) else float(precision[k]),
        ]
        for k in shown
    ]
    return Section(
        "targets",
        QUESTION,
        verdict,
        "attention" if uneven else "good",
        f"If missing a row of {names[worst]} is costly, lower its threshold (TunedThresholdClassifierCV), or weigh it."
        if uneven
        else "Nothing to do.",
        "Every row is predicted by a model fitted to the other folds.",
        [Number("balanced accuracy", float(recall.mean()))],
        [
            Table(
                "Share recognised, worst classes first",
                ["class", "rows", "recall", "95 % from", "to", "precision"],
                rows,
            )
        ],
        [intervals([names[k] for k in shown], recall[shown], low[shown], high[shown], "recall")],
    )


def _of_numbers(evidence):
    y, error = evidence.codes, np.abs(evidence.codes - evidence.predicted)
    edges = np.unique(np.linspace(y.min(), y.max(), _N_REGIONS + 1))
    region = np.clip(np.searchsorted(edges, y, side="right") - 1, 0, len(edges) - 2)
    filled = np.unique(region)
    names = [f"{edges[r]:.4g} to {edges[r + 1]:.4g}" for r in filled]
    found = np.array([mean_interval(error[region == r]) for r in filled]).T
    counts = np.bincount(region, minlength=len(edges) - 1)[filled]
    bias = np.array([(evidence.predicted - y)[region == r].mean() for r in filled])
    balanced, plain = float(found[0].mean()), float(error.mean())
    many = int(counts.argmax())
    enough = counts >= 5
    worst = int(np.flatnonzero(enough)[found[0][enough].argmax()])
    uneven = found[1][worst] > found[2][many] and found[0][worst] > 2 * found[0][many]
    verdict = (
        f"Targets from {names[worst]} ({counts[worst]:,} rows) are missed by {found[0][worst]:.3g} on average, the "
        f"most frequent ones ({names[many]}) by {found[0][many]:.3g}."
        if uneven
        else "The error is about the same wherever the target lies."
    )
    rows = [
        [name, int(n), *(float(value) if np.isfinite(value) else "" for value in column), float(b)]
        for name, n, *column, b in zip(names, counts, *found, bias, strict=True)
    ]
    finite = np.isfinite(found).all(axis=0)
    return Section(
        "targets",
        QUESTION,
        verdict,
        "attention" if uneven else "good",
        "Rare targets are predicted like common ones: weigh them by label-distribution smoothing."
        if uneven
        else "Nothing to do.",
        "Every row is predicted by a model fitted to the other folds. Regions are equal parts of the target's range.",
        [Number("mean absolute error", plain), Number("the same, every region counting equally", balanced)],
        [
            Table(
                "Error by region of the target",
                ["target", "rows", "mean absolute error", "95 % from", "to", "bias"],
                rows,
            )
        ],
        [
            intervals(
                [name for name, known in zip(names, finite, strict=True) if known],
                *(column[finite] for column in found),
                "mean absolute error",
                plain,
            )
        ],
    )
