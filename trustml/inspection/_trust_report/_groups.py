"""Whom the model serves worse, and how differently the groups would be judged."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_predict

from trustml.fairness import LInCo
from trustml.inspection._trust_report._evidence import Evidence
from trustml.inspection._trust_report._figures import intervals
from trustml.inspection._trust_report._intervals import mean_interval, share_interval
from trustml.inspection._trust_report._section import Number, Section, Table, not_applicable

QUESTION = "Whom does the model treat differently?"
# Judges of smaller groups are mostly noise.
_FEWEST_ROWS = 30
_MOST_GROUPS = 12


def row_losses(evidence):
    """Zero or one for a wrong class, absolute error for a number; and what it is called."""
    if evidence.classes is None:
        return np.abs(evidence.codes - evidence.predicted), "mean absolute error"
    return (evidence.predicted.argmax(axis=1) != evidence.codes).astype(float), "share of errors"


def groups_section(evidence: Evidence) -> Section:
    """Errors of each group, the group's own model beside the common one, and LInCo."""
    if not evidence.sensitive:
        return not_applicable(
            "groups", QUESTION, "No column was named in sensitive_features, so no groups were compared."
        )
    losses, loss_name = row_losses(evidence)
    tables, figures, numbers, findings, worst = [], [], [], [], []
    for column, labels in evidence.sensitive.items():
        names, member = _largest_groups(labels)
        if len(names) < 2:
            findings.append(f"{column} has fewer than two groups of {_FEWEST_ROWS} rows and was left out.")
            continue
        centre, low, high = _interval_by_group(losses, member, evidence.classes is not None)
        own = [_loss_of_own_model(evidence, losses, m) for m in member]
        tables.append(_table(column, names, member, (centre, low, high), own, loss_name))
        figures.append(intervals(names, centre, low, high, f"{loss_name} by {column}", float(losses.mean())))
        most, least = int(np.argmax(centre)), int(np.argmin(centre))
        apart = low[most] > high[least]
        if apart:
            worst.append(
                (centre[most] / max(centre[least], 1e-12), column, names[most], names[least], most, least, centre)
            )
        audit = _judges(evidence, labels, names)
        if isinstance(audit, str):
            findings.append(f"Judges of the groups of {column} could not be compared: {audit}")
        else:
            numbers += [
                Number(
                    f"{column}: disagreement of the groups' judges", audit.linco_debiased_, *_known(audit.interval_)
                ),
                Number(f"{column}: p-value of no difference", audit.p_value_),
            ]
            if audit.p_value_ < 0.05:
                findings.append(
                    f"Models trained on one group of {column} alone judge the same rows differently "
                    f"(p = {audit.p_value_:.3f})."
                )
    if not tables:
        return not_applicable("groups", QUESTION, " ".join(findings))
    if worst:
        _, column, most_name, least_name, most, least, centre = max(worst, key=lambda found: found[0])
        verdict = (
            f"{column} = {most_name} is served worst: {loss_name} {centre[most]:.3g}, against {centre[least]:.3g} for "
            f"{least_name}. " + " ".join(findings)
        )
        next_step = (
            "Look at the column 'gain of its own model' below: where it is above zero, the group needs other weights, "
            "or a model of its own; where it is not, it needs more rows or other features."
        )
    else:
        verdict = "No group is clearly served worse than another. " + " ".join(findings)
        next_step = "Nothing to do for errors." + (
            " Ask whether the differences between the groups' own models are wanted." if findings else ""
        )
    return Section(
        "groups",
        QUESTION,
        verdict.strip(),
        "attention" if worst or findings else "good",
        next_step,
        "Errors are those of models that did not see the row. A group's own model was fitted to rows of the group in "
        "other folds. The judges are linear models of all columns, trained on one group each.",
        numbers,
        tables,
        figures,
    )


def _known(interval):
    return (None, None) if np.isnan(interval).any() else (float(interval[0]), float(interval[1]))


def _largest_groups(labels):
    """Names of the largest groups with enough rows, and their masks."""
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    chosen = [g for g in np.argsort(-counts, kind="stable")[:_MOST_GROUPS] if counts[g] >= _FEWEST_ROWS]
    return [str(names[g]) for g in chosen], [codes == g for g in chosen]


def _interval_by_group(losses, member, is_share):
    if is_share:
        counts = np.array([[losses[m].sum(), m.sum()] for m in member]).T
        low, high = share_interval(*counts)
        return counts[0] / counts[1], low, high
    found = np.array([mean_interval(losses[m]) for m in member]).T
    return found[0], found[1], found[2]


def _loss_of_own_model(evidence, losses, member):
    """What a model fitted to the group alone gains over the common one on its rows: mean and interval, or None."""
    rows = np.flatnonzero(member)
    y = evidence.codes[rows]
    if evidence.classes is not None and np.bincount(y, minlength=len(evidence.classes))[np.unique(y)].min() < 10:
        return None
    splitter = KFold(3, shuffle=True, random_state=evidence.seed)
    own = cross_val_predict(clone(evidence.model), evidence.rows(rows), y, cv=splitter, n_jobs=evidence.n_jobs)
    own_losses = np.abs(y - own) if evidence.classes is None else (own != y).astype(float)
    return mean_interval(losses[rows] - own_losses)


def _table(column, names, member, errors, own, loss_name):
    header = [column, "rows", loss_name, "95 % from", "to", "gain of its own model", "95 % from ", "to "]
    rows = []
    for name, m, centre, low, high, gain in zip(names, member, *errors, own, strict=True):
        rows.append(
            [name, int(m.sum()), float(centre), float(low), float(high), *(gain or ("too few of a class", "", ""))]
        )
    return Table(f"Errors by {column}", header, rows)


def _judges(evidence, labels, names):
    """LInCo over the largest groups, or the reason why there is none."""
    rows = np.flatnonzero(np.isin(labels.astype(str), names))
    if evidence.classes is not None and len(evidence.classes) > 2:
        return "that needs a number or two classes as the target."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return LInCo(random_state=evidence.seed, min_group_size=_FEWEST_ROWS).fit(
                evidence.features[rows], evidence.codes[rows], sensitive_features=labels[rows]
            )
        except ValueError as error:
            return str(error)
