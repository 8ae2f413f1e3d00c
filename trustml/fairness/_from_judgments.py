"""Inconsistency of judgments that come from elsewhere: human raters, language models, one's own judges."""

import jax
import numpy as np
from sklearn.utils import Bunch, check_array

from trustml.fairness._disagreement import AGGREGATES, DISAGREEMENTS, case_inconsistency, pair_and_total, pair_matrix


def check_choice(name, value, allowed):
    if value not in allowed:
        raise ValueError(f"{name}={value!r} found; expected one of {list(allowed)}.")


def resolve_disagreement(disagreement, aggregate, response, n_classes):
    """The disagreement that "auto" means, after checking that it and the aggregate fit the judgments."""
    rho = DISAGREEMENTS[response][0] if disagreement == "auto" else disagreement
    if rho not in DISAGREEMENTS[response]:
        raise ValueError(
            f"disagreement={disagreement!r} found for judgments of the kind {response!r}; expected one of "
            f"{['auto', *DISAGREEMENTS[response]]}."
        )
    check_choice("aggregate", aggregate, AGGREGATES)
    scalar = response == "number" or rho == "ordinal" or (response == "probability" and n_classes == 2)
    if aggregate != "pairs" and not scalar:
        raise ValueError(f"aggregate={aggregate!r} found for judgments that are not numbers; expected 'pairs'.")
    return rho


def ranked(J, rho, n_classes):
    """Judgments as the kernels take them."""
    return J / max(n_classes - 1, 1) if rho == "ordinal" else J


def linco_from_judgments(judgments, *, disagreement="auto", aggregate="pairs", ddof=0, case_weight=None):
    """Inconsistency of judges who have all judged the same cases.

    Parameters
    ----------
    judgments : array-like of shape (n_cases, n_judges) or (n_cases, n_judges, n_classes)
        Numbers; strings, which are labels; or, with three axes, probabilities, which sum to one.
    disagreement : {"auto", "absolute", "squared", "relative", "log", "disagree", "ordinal", "tv", "hellinger", "js"}, \
            default="auto"
        How far apart two judgments are. Numbers: the first four, "absolute" being automatic. Labels: "disagree" (0 or
        1, automatic) or "ordinal" (distance of ranks of the sorted labels, divided by their number less one); numbers
        are taken as labels if one of these is asked for. Probabilities: "tv" (total variation, automatic), "hellinger",
        "js" (Jensen-Shannon divergence in bits) or "squared" (half the squared distance).
    aggregate : {"pairs", "std", "cv", "range"}, default="pairs"
        Mean over pairs of judges; or the standard deviation, the coefficient of variation or the range of the judges'
        numbers, which use no ``disagreement``.
    ddof : int, default=0
        Divisor ``n_judges - ddof`` of the standard deviation.
    case_weight : array-like of shape (n_cases,), default=None
        Weights of the cases.

    Returns
    -------
    result : Bunch
        ``linco`` (float), ``pairwise`` (n_judges, n_judges), ``pairwise_signed`` (n_judges, n_judges; entry (a, b) is
        the mean of judge b minus judge a; numbers only, else None) and ``case_inconsistency`` (n_cases,).

    Notes
    -----
    These numbers hold for the judges as they are. If the judges were trained on samples, part of their disagreement is
    the noise of these samples: :class:`LInCo` removes it.

    Examples
    --------
    >>> from trustml.fairness import linco_from_judgments
    >>> linco_from_judgments([[1, 2, 6], [2, 2, 2], [3, 5, 1]]).linco
    2.0
    """
    J = np.asarray(judgments)
    n_classes = 2
    if J.ndim == 3:
        response, n_classes = "probability", J.shape[2]
        J = check_array(J, allow_nd=True, dtype=np.float64, input_name="judgments")
        if (J < 0).any() or not np.allclose(J.sum(axis=2), 1, atol=1e-6):
            raise ValueError("judgments with three axes are probabilities; expected non-negative ones that sum to one.")
        J = J[:, :, 1] if n_classes == 2 else J
    elif J.ndim != 2:
        raise ValueError(
            f"judgments has shape {J.shape}; expected (n_cases, n_judges) or (n_cases, n_judges, n_classes)."
        )
    elif J.dtype.kind in "OUSb" or disagreement in DISAGREEMENTS["label"]:
        response = "label"
        labels, J = np.unique(J.astype(str) if J.dtype.kind == "O" else J, return_inverse=True)
        J, n_classes = J.reshape(np.shape(judgments)), len(labels)
    else:
        response, J = "number", check_array(J, dtype=np.float64, input_name="judgments")
    if J.shape[1] < 2:
        raise ValueError(f"judgments has {J.shape[1]} judge; expected two or more columns.")
    if not 0 <= ddof < J.shape[1]:
        raise ValueError(f"ddof={ddof!r} found; expected 0 <= ddof < {J.shape[1]}, the number of judges.")
    rho = resolve_disagreement(disagreement, aggregate, response, n_classes)
    v = check_case_weight(case_weight, len(J))
    options = {"rho": rho, "aggregate": aggregate, "ddof": ddof}
    with jax.enable_x64(True):
        prepared = ranked(J, rho, n_classes)
        pairs, total = pair_and_total(prepared, v, **options)
        cases = np.asarray(case_inconsistency(prepared, **options))
    signed = v @ J if response == "number" else None
    return Bunch(
        linco=float(total),
        pairwise=pair_matrix(pairs),
        pairwise_signed=None if signed is None else signed - signed[:, None],
        case_inconsistency=cases,
    )


def check_case_weight(weight, n_cases, name="case_weight"):
    """Weights that sum to one."""
    if weight is None:
        return np.full(n_cases, 1 / n_cases)
    weight = check_array(weight, ensure_2d=False, dtype=np.float64, input_name=name)
    if weight.shape != (n_cases,) or (weight < 0).any() or not weight.sum() > 0:
        raise ValueError(f"{name} has shape {weight.shape}; expected ({n_cases},), non-negative, not all zero.")
    return weight / weight.sum()
