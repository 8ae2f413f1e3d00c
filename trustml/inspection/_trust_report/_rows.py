"""Which rows to check first, and whether the model is better without them."""

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict, train_test_split

from trustml.inspection._trust_report._evidence import Evidence
from trustml.inspection._trust_report._figures import histogram
from trustml.inspection._trust_report._intervals import mean_interval
from trustml.inspection._trust_report._section import Number, Section, Table
from trustml.valuation import knn_shapley

QUESTION = "Which rows may be wrong?"
# Validation rows of the nearest-neighbour values: more of them change the ranking little.
_MOST_VALIDATION_ROWS = 2000
_N_SHOWN = 10
# A residual this many robust standard deviations wide stands out.
_FAR = 5.0


def label_quality(probabilities, codes):
    """Probability of each row's own label, by models that did not see the row (n_rows,)."""
    return probabilities[np.arange(len(codes)), codes]


def estimated_label_issues(probabilities, codes):
    """Rows that another class claims: its probability reaches the mean with which its own rows are recognised.

    The threshold of confident learning (Northcutt, Jiang & Chuang 2021, Equation 2).
    """
    n_classes = probabilities.shape[1]
    own = label_quality(probabilities, codes)
    threshold = np.array([own[codes == k].mean() for k in range(n_classes)])
    claims = np.where(probabilities >= threshold, probabilities, -np.inf)
    claimed = np.isfinite(claims).any(axis=1)
    return claimed & (claims.argmax(axis=1) != codes)


def robust_scores(residuals):
    """Absolute residuals in robust standard deviations."""
    spread = 1.4826 * np.median(np.abs(residuals - np.median(residuals)))
    return np.abs(residuals) / (spread if spread > 0 else max(residuals.std(), np.finfo(float).tiny))


def rows_section(evidence: Evidence) -> Section:
    """Suspects, helpful rows, and the effect of removal on rows kept aside."""
    quality, suspect, issue_share = _suspicion(evidence)
    values = _values(evidence)
    removal = _removal(evidence)
    order = np.argsort(quality, kind="stable")
    tables = [_suspects(evidence, order[:_N_SHOWN], quality, values)]
    helpful = np.argsort(-values, kind="stable")[:_N_SHOWN]
    tables.append(
        Table(
            "The ten rows that help a nearest-neighbour model most",
            ["row", "target", "value"],
            [[int(i), _plain(evidence.y[i]), float(values[i])] for i in helpful],
        )
    )
    n_suspect = int(suspect.sum())
    gain, low, high = removal["gain"]
    numbers = [
        Number("rows that stand out", n_suspect),
        Number("their share", issue_share),
        Number(f"{removal['loss']} before removal", removal["before"]),
        Number(f"{removal['loss']} after removal", removal["after"]),
        Number("gain by removal", gain, low, high),
    ]
    if n_suspect == 0:
        verdict, status = "No row stands out.", "good"
        next_step = "Nothing to do. The lowest rows of the table below are the ones to look at, if any."
    else:
        better = low > 0
        worse = high < 0
        effect = (
            "Without them the model is better on rows kept aside."
            if better
            else "Without them the model is worse on rows kept aside: they look odd, and are needed."
            if worse
            else "Without them the model is neither clearly better nor clearly worse on rows kept aside."
        )
        verdict = f"{n_suspect:,} of {evidence.n_rows:,} rows stand out ({issue_share:.1%}). {effect}"
        status = "attention"
        next_step = "Check the ten rows of the first table against their source, then the others in their order. " + (
            "Correct what is wrong; remove what cannot be corrected."
            if better
            else "Correct what is wrong; do not remove rows only because they are unusual."
        )
    if evidence.classes is None:
        shown, name = -quality, "residual, in robust standard deviations"
    else:
        shown, name = quality, "probability of the row's own label, by a model that did not see it"
    figures = [
        histogram(
            shown, name, mark=(shown[suspect].max() if evidence.classes is not None else _FAR) if n_suspect else None
        )
    ]
    return Section(
        "rows",
        QUESTION,
        verdict,
        status,
        next_step,
        "Every row is judged by models fitted to the other folds. For the effect of removal, a quarter of the rows "
        "was kept aside, and suspects were found among the others alone.",
        numbers,
        tables,
        figures,
    )


def _suspicion(evidence):
    if evidence.classes is None:
        scores = robust_scores(evidence.codes - evidence.predicted)
        suspect = scores > _FAR
        return -scores, suspect, float(suspect.mean())
    suspect = estimated_label_issues(evidence.predicted, evidence.codes)
    return label_quality(evidence.predicted, evidence.codes), suspect, float(suspect.mean())


def _values(evidence):
    """Shapley values of a nearest-neighbour model, each row on validation rows of other folds."""
    rng = np.random.default_rng(evidence.seed)
    variant = "regression" if evidence.classes is None else "classification"
    values = np.zeros(evidence.n_rows)
    n_folds = evidence.fold.max() + 1
    share = max(_MOST_VALIDATION_ROWS // n_folds, 1)
    for number in range(n_folds):
        held_out = np.flatnonzero(evidence.fold == number)
        train = np.flatnonzero(evidence.fold != number)
        check = rng.permutation(held_out)[:share]
        values[train] += knn_shapley(
            evidence.features[train],
            evidence.codes[train],
            evidence.features[check],
            evidence.codes[check],
            n_neighbors=10,
            **({"variant": variant} if evidence.classes is None else {}),
        ) / (n_folds - 1)
    return values


def _removal(evidence):
    """Error on a quarter of the rows, of the model fitted to the others with and without suspects."""
    classify = evidence.classes is not None
    everything = np.arange(evidence.n_rows)
    train, test = train_test_split(
        everything, test_size=0.25, random_state=evidence.seed, stratify=evidence.codes if classify else None
    )
    splitter = (StratifiedKFold if classify else KFold)(3, shuffle=True, random_state=evidence.seed)
    y = evidence.codes
    X_train = evidence.rows(train)
    method = "predict_proba" if classify else "predict"
    inner = cross_val_predict(evidence.model, X_train, y[train], cv=splitter, method=method, n_jobs=evidence.n_jobs)
    if classify:
        suspect = estimated_label_issues(inner, y[train])
        # A class must keep rows to be learnt from.
        for k in range(len(evidence.classes)):
            if suspect[y[train] == k].all():
                suspect[y[train] == k] = False
    else:
        suspect = robust_scores(y[train] - inner) > _FAR
    losses = []
    for kept in (train, train[~suspect]):
        fitted = clone(evidence.model).fit(evidence.rows(kept), y[kept])
        if classify:
            own = label_quality(fitted.predict_proba(evidence.rows(test)), y[test])
            # Labels of the rows kept aside may be wrong too. Of the usual losses only this one ranks models as right
            # labels would, if wrong ones are as frequent in every class (Ghosh, Kumar & Sastry 2017).
            losses.append(1 - own)
        else:
            losses.append(np.abs(y[test] - fitted.predict(evidence.rows(test))))
    return {
        "loss": "probability of another label" if classify else "mean absolute error",
        "before": float(losses[0].mean()),
        "after": float(losses[1].mean()),
        "gain": mean_interval(losses[0] - losses[1]),
    }


def _suspects(evidence, rows, quality, values):
    if evidence.classes is None:
        return Table(
            "The ten rows to check first",
            ["row", "target", "predicted", "residual / spread", "value"],
            [
                [int(i), float(evidence.y[i]), float(evidence.predicted[i]), float(-quality[i]), float(values[i])]
                for i in rows
            ],
        )
    best = evidence.predicted.argmax(axis=1)
    return Table(
        "The ten rows to check first",
        ["row", "label", "probability of it", "the models would say", "value"],
        [
            [int(i), _plain(evidence.y[i]), float(quality[i]), _plain(evidence.classes[best[i]]), float(values[i])]
            for i in rows
        ],
    )


def _plain(value):
    return value.item() if hasattr(value, "item") else value
