"""Losses by name, and the grids over which they have been compared."""

import difflib
import inspect
from collections.abc import Callable
from functools import partial

from trustml.losses import _hinge, _ldr, _softmax

LOSSES: dict[str, Callable] = {
    "aldr_kl": _ldr.aldr_kl,
    "ldr_kl": _ldr.ldr_kl,
    "ldr_topk_kl": _ldr.ldr_topk_kl,
    "cross_entropy": _softmax.cross_entropy,
    "crammer_singer": _hinge.crammer_singer,
    "weston_watkins": _hinge.weston_watkins,
    "gce": _softmax.gce,
    "tgce": _softmax.tgce,
    "sce": _softmax.sce,
    "js": _softmax.js,
    "rll": _softmax.rll,
    "nce": _softmax.nce,
    "rce": _softmax.rce,
    "agce": _softmax.agce,
    "aul": _softmax.aul,
    "nce_rce": partial(_softmax.nce_plus, passive="rce"),
    "nce_agce": partial(_softmax.nce_plus, passive="agce", a=3.0, q=1.5),
    "nce_aul": partial(_softmax.nce_plus, passive="aul", a=6.0, q=1.5),
    "mae": _softmax.mae,
    "mse": _softmax.mse,
    "focal": _softmax.focal,
}

_WEIGHTS = ({"alpha": 0.1, "beta": 9.9}, {"alpha": 5.0, "beta": 5.0}, {"alpha": 9.9, "beta": 0.1})
_MARGINS = ({"margin": 0.1}, {"margin": 1.0}, {"margin": 10.0})
_TEMPERATURES = ({"lam": 0.1}, {"lam": 1.0}, {"lam": 10.0})
# The grids of the authors' code for the ICML 2023 paper: 15 losses.
PAPER_GRIDS: dict[str, tuple[dict[str, float], ...]] = {
    "aldr_kl": _TEMPERATURES,
    "ldr_kl": _TEMPERATURES,
    "cross_entropy": ({},),
    "crammer_singer": _MARGINS,
    "weston_watkins": _MARGINS,
    "gce": ({"q": 0.05}, {"q": 0.7}, {"q": 0.95}),
    "tgce": ({"q": 0.05}, {"q": 0.7}, {"q": 0.95}),
    "sce": ({"alpha": 0.95, "beta": 0.05}, {"alpha": 0.5, "beta": 0.5}, {"alpha": 0.05, "beta": 0.95}),
    "js": ({"pi": 0.1}, {"pi": 0.5}, {"pi": 0.9}),
    "rll": ({"a": 0.1}, {"a": 1.0}, {"a": 10.0}),
    "nce_rce": _WEIGHTS,
    "nce_agce": _WEIGHTS,
    "nce_aul": _WEIGHTS,
    "mae": ({},),
    "mse": ({},),
}


def get_loss(name: str, **params) -> Callable:
    """A loss by name, with its parameters bound.

    Parameters
    ----------
    name : str
        A key of :data:`LOSSES`.
    **params
        Parameters of that loss.

    Returns
    -------
    loss : callable
        ``loss(logits, labels, *, where=None) -> losses`` of shape (...,).

    Raises
    ------
    ValueError
        If there is no loss of that name, or it has no such parameter.

    Examples
    --------
    >>> from trustml.losses import get_loss
    >>> round(float(get_loss("gce", q=0.7)([2.0, 1.0, 0.0, -1.0], 1)), 4)
    0.9073
    >>> get_loss("ldr-kl")
    Traceback (most recent call last):
        ...
    ValueError: There is no loss 'ldr-kl'. Did you mean 'ldr_kl'? ...
    """
    unknown = sorted(set(params) - set(loss_parameters(name)))
    if unknown:
        raise ValueError(
            f"The loss {name!r} has no parameter {unknown[0]!r}; it has {sorted(loss_parameters(name)) or 'none'}."
        )
    return partial(LOSSES[name], **params)


def loss_parameters(name: str) -> dict:
    """Parameters of a loss and their defaults."""
    if name not in LOSSES:
        close = difflib.get_close_matches(str(name), LOSSES, n=1, cutoff=0.4)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"There is no loss {name!r}.{hint} There are {sorted(LOSSES)}.")
    found = {
        parameter.name: parameter.default
        for parameter in inspect.signature(LOSSES[name]).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    bound = getattr(LOSSES[name], "keywords", {})
    return {key: default for key, default in (found | bound).items() if key not in ("where", "passive")}
