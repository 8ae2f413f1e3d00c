"""Whether the model's probabilities can be taken at their word."""

import numpy as np
from scipy.optimize import minimize_scalar

from trustml.inspection._trust_report._evidence import Evidence
from trustml.inspection._trust_report._figures import curves
from trustml.inspection._trust_report._intervals import mean_interval
from trustml.inspection._trust_report._section import Number, Section, not_applicable

QUESTION = "Can its probabilities be taken at their word?"
_N_BINS = 10
_FLOOR = 1e-12


def calibration_bins(confidence, hit, n_bins=_N_BINS):
    """Mean confidence, share of hits and number of rows in bins of equally many rows."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, n_bins) if len(part)]
    return np.array([[confidence[part].mean(), hit[part].mean(), len(part)] for part in parts]).T


def expected_calibration_error(confidence, hit, n_bins=_N_BINS):
    """Mean gap between claimed confidence and share of hits, weighted by rows."""
    claimed, happened, n = calibration_bins(confidence, hit, n_bins)
    return float(np.sum(n * np.abs(claimed - happened)) / n.sum())


def tempered(probabilities, temperature):
    """Probabilities whose logarithms are divided by ``temperature``."""
    logits = np.log(np.maximum(probabilities, _FLOOR)) / temperature
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
    return scaled / scaled.sum(axis=1, keepdims=True)


def log_losses(probabilities, codes):
    """Log loss of each row."""
    return -np.log(np.maximum(probabilities[np.arange(len(codes)), codes], _FLOOR))


def best_temperature(probabilities, codes):
    """The temperature with the smallest log loss (Guo et al. 2017)."""
    found = minimize_scalar(
        lambda log_t: log_losses(tempered(probabilities, np.exp(log_t)), codes).mean(), bounds=(-3, 3), method="bounded"
    )
    return float(np.exp(found.x))


def probabilities_section(evidence: Evidence) -> Section:
    """Calibration before and after a temperature that was fitted to the other folds."""
    if evidence.classes is None:
        return not_applicable("probabilities", QUESTION, "The target is a number: see its intervals instead.")
    before = np.maximum(evidence.predicted, 0)
    after = np.empty_like(before)
    for number in range(evidence.fold.max() + 1):
        held_out = evidence.fold == number
        temperature = best_temperature(before[~held_out], evidence.codes[~held_out])
        after[held_out] = tempered(before[held_out], temperature)
    hit = before.argmax(axis=1) == evidence.codes
    confidence, softened = before.max(axis=1), after.max(axis=1)
    ece, ece_after = (expected_calibration_error(c, hit) for c in (confidence, softened))
    gap, low, high = mean_interval(confidence - hit)
    loss, loss_after = log_losses(before, evidence.codes), log_losses(after, evidence.codes)
    gain = mean_interval(loss - loss_after)
    trusted = ece < 0.02 or (low <= 0 <= high and ece < 0.05)
    leaning = "too sure of itself" if low > 0 else "less sure than it could be" if high < 0 else "right on average"
    verdict = (
        f"Yes: when it says 80 %, expect between {0.8 - ece:.0%} and {0.8 + ece:.0%}."
        if trusted
        else f"Not as they stand: the model is {leaning}; its probabilities are off by {ece:.1%} on average."
    )
    helps = gain[1] > 0
    next_step = (
        "Nothing to do."
        if trusted and not helps
        else "Put the model into CalibratedClassifierCV(method='temperature'): it lowers the log loss on held-out rows."
        if helps
        else "A temperature does not help; with 1,000 rows or more try CalibratedClassifierCV(method='isotonic')."
    )
    happened = [calibration_bins(c, hit) for c in (confidence, softened)]
    figure = curves(
        {"as it stands": happened[0][:2], "after temperature scaling": happened[1][:2]},
        "probability that the model gives its choice",
        "share of right choices",
        diagonal=True,
    )
    numbers = [
        Number("accuracy", float(hit.mean()), *mean_interval(hit)[1:]),
        Number("confidence minus accuracy", gap, low, high),
        Number("calibration error", ece),
        Number("calibration error after scaling", ece_after),
        Number("log loss", float(loss.mean())),
        Number("gain in log loss by scaling", *gain),
        Number("Brier score", float(((before - np.eye(before.shape[1])[evidence.codes]) ** 2).sum(axis=1).mean())),
    ]
    return Section(
        "probabilities",
        QUESTION,
        verdict,
        "good" if trusted else "attention",
        next_step,
        "Every row's probabilities come from a model fitted to the other folds, and so does their temperature.",
        numbers,
        figures=[figure],
    )
