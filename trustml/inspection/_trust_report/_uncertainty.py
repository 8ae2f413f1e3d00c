"""How far off a predicted number may be, and where the model does not know."""

import numpy as np
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from trustml.inspection._trust_report._evidence import Evidence, to_numbers
from trustml.inspection._trust_report._figures import curves
from trustml.inspection._trust_report._intervals import share_interval
from trustml.inspection._trust_report._section import Number, Section, Table, not_applicable
from trustml.uncertainty import SPCRegressor

QUESTION = "How far off may a prediction be?"
_LEVELS = (0.5, 0.8, 0.9, 0.95)
_SHOWN = 0.9
_N_SHOWN = 10


def uncertainty_section(evidence: Evidence) -> Section:
    """Coverage and width of intervals on rows kept aside, and the rows of which least is known."""
    if evidence.classes is not None:
        return not_applicable("uncertainty", QUESTION, "The target is a class: see the probabilities instead.")
    train, test = train_test_split(np.arange(evidence.n_rows), test_size=0.25, random_state=evidence.seed)
    model = SPCRegressor(
        clone(evidence.model),
        coverage=_LEVELS,
        features=to_numbers(evidence.X),
        n_jobs=evidence.n_jobs,
        random_state=evidence.seed,
    ).fit(evidence.rows(train), evidence.codes[train])
    X, y = evidence.rows(test), evidence.codes[test]
    predicted, ends = model.predict(X), model.predict_interval(X)
    known = model.predict_uncertainty(X)
    inside = (ends[:, 0] <= y[:, None]) & (y[:, None] <= ends[:, 1])
    low, high = share_interval(inside.sum(axis=0), len(y))
    shown = _LEVELS.index(_SHOWN)
    held = inside[:, shown].mean()
    kept = low[shown] <= _SHOWN <= high[shown]
    width = float(np.mean(ends[:, 1, shown] - ends[:, 0, shown]))
    rank = float(spearmanr(known.total, np.abs(y - predicted)).statistic)
    verdict = (
        f"An interval that should hold {_SHOWN:.0%} of the targets holds {held:.0%} of those kept aside; it is "
        f"{width:.3g} wide on average."
    )
    if rank > 0.2:
        verdict += " Rows that it calls uncertain are indeed predicted worse."
    order = np.argsort(-known.total)[:_N_SHOWN]
    rows = [
        [
            int(test[i]),
            float(predicted[i]),
            float(ends[i, 0, shown]),
            float(ends[i, 1, shown]),
            float(known.sds_relative[i]),
        ]
        for i in order
    ]
    return Section(
        "uncertainty",
        QUESTION,
        verdict,
        "good" if kept else "attention",
        "Nothing to do. For intervals with a guarantee, call SPCRegressor.calibrate with rows kept aside."
        if kept
        else "Call SPCRegressor.calibrate with rows that nothing was fitted to: its intervals then have a guarantee.",
        "Models and intervals were fitted to three quarters of the rows, and checked on the other quarter.",
        [
            *(
                Number(f"targets within the {level:.0%} interval", float(share), float(a), float(b))
                for level, share, a, b in zip(_LEVELS, inside.mean(axis=0), low, high, strict=True)
            ),
            Number(f"mean width of the {_SHOWN:.0%} interval", width),
            Number("rank correlation of uncertainty and error", rank),
        ],
        [
            Table(
                "The ten rows kept aside of which least is known",
                ["row", "predicted", f"{_SHOWN:.0%} from", "to", "self-contradiction"],
                rows,
            )
        ],
        [
            curves(
                {"intervals": (np.array(_LEVELS), inside.mean(axis=0))},
                "share of targets that an interval should hold",
                "share that it holds",
                diagonal=True,
            )
        ],
    )
