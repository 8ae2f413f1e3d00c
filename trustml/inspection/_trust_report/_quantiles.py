"""Whether quantile models foretell the spread of the target better than one spread for all rows."""

import numpy as np
from sklearn.model_selection import train_test_split

from trustml.inspection._trust_report._evidence import Evidence
from trustml.inspection._trust_report._figures import curves
from trustml.inspection._trust_report._intervals import mean_interval, share_interval
from trustml.inspection._trust_report._section import Number, Section, Table, not_applicable
from trustml.quantile import QuantileAggregator

QUESTION = "Which quantiles can it foretell?"
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
# Solving for the weights of more rows changes them little.
_MOST_ROWS = 5000


def quantiles_section(evidence: Evidence) -> Section:
    """Weighted interval score and coverage by level of a mixture of quantile models, on rows kept aside."""
    if evidence.classes is not None:
        return not_applicable("quantiles", QUESTION, "The target is a class: it has no quantiles.")
    train, test = train_test_split(np.arange(evidence.n_rows), test_size=0.25, random_state=evidence.seed)
    train, test = train[:_MOST_ROWS], test[:_MOST_ROWS]
    mixture = QuantileAggregator(quantiles=_LEVELS, n_jobs=evidence.n_jobs, random_state=evidence.seed)
    mixture.fit(evidence.features[train], evidence.codes[train])
    y = evidence.codes[test]
    foretold = mixture.predict_quantiles(evidence.features[test])
    same_for_all = np.broadcast_to(np.quantile(evidence.codes[train], _LEVELS), foretold.shape)
    score, plain = (_row_scores(y, quantiles) for quantiles in (foretold, same_for_all))
    saved, low, high = mean_interval(1 - score / plain.mean())
    below = y[:, None] <= foretold
    share = below.mean(axis=0)
    least, most = share_interval(below.sum(axis=0), len(y))
    off = [f"{level:.0%}" for level, a, b in zip(_LEVELS, least, most, strict=True) if not a <= level <= b]
    useful = low > 0
    verdict = (
        f"Quantiles given the features score {saved:.0%} better than the same quantiles for every row."
        if useful
        else "The features say nothing certain about the target: the same quantiles for every row do as well."
    )
    verdict += f" Those at {', '.join(off)} hold another share of the targets than they should." if off else ""
    rows = [
        [f"{level:.0%}", float(s), float(a), float(b)]
        for level, s, a, b in zip(_LEVELS, share, least, most, strict=True)
    ]
    return Section(
        "quantiles",
        QUESTION,
        verdict,
        "attention" if off or not useful else "good",
        "QuantileAggregator(conformal='cqr') gives its intervals a guarantee."
        if off
        else "Nothing to do. QuantileAggregator with models of your own may score better still."
        if useful
        else "Forecast one spread for all rows, or look for features that tell certain from uncertain rows.",
        "The mixture was fitted to three quarters of the rows, and checked on the other quarter"
        + (f" (at most {_MOST_ROWS:,} rows each)." if evidence.n_rows > _MOST_ROWS else "."),
        [
            Number("weighted interval score", float(score.mean())),
            Number("the same, one spread for all rows", float(plain.mean())),
            Number("share of the score saved", saved, low, high),
        ],
        [Table("Share of targets below each quantile", ["quantile", "share below", "95 % from", "to"], rows)],
        [curves({"mixture": (np.array(_LEVELS), share)}, "level of the quantile", "share of targets below it", True)],
    )


def _row_scores(y, quantiles):
    """Twice the mean pinball loss over the levels, of each row."""
    return 2 * np.mean(
        [np.maximum(t * (y - q), (t - 1) * (y - q)) for t, q in zip(_LEVELS, quantiles.T, strict=True)], axis=0
    )
