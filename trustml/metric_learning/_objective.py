"""What TCMEmbedding minimises: a base loss plus the threshold-consistent margin."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trustml import losses
from trustml._networks import Network

PAIR_LOSSES: dict[str, Callable] = {
    "contrastive": losses.contrastive_loss,
    "multi_similarity": losses.multi_similarity_loss,
    "triplet": losses.triplet_loss,
    "smooth_ap": losses.smooth_ap_loss,
    "recall_at_k": losses.recall_at_k_loss,
}
PROXY_LOSSES: dict[str, Callable] = {
    "proxy_anchor": losses.proxy_anchor_loss,
    "arcface": losses.arcface_loss,
    "cosface": losses.cosface_loss,
}
BASE_LOSSES = ("none", *PAIR_LOSSES, *PROXY_LOSSES)


@dataclass(frozen=True)
class EmbeddingObjective:
    """Base loss plus threshold-consistent margin of a batch ``(X, labels)``; compared by value.

    Parameters
    ----------
    network : Network
    base_loss : str or callable
    options : tuple of (name, value)
        Parameters of the base loss that are compiled in.
    """

    network: Network
    base_loss: str | Callable
    options: tuple = ()

    def __call__(self, params, batch, weight, key, hyper):
        X, labels = batch
        embeddings = self.network.apply(params["network"], X)
        total = losses.tcm_loss(embeddings, labels, **hyper["tcm"], sample_weight=weight)
        if callable(self.base_loss):
            return total + self.base_loss(embeddings, labels, weight)
        numbers = {**hyper["base"], **dict(self.options), "sample_weight": weight}
        if self.base_loss in PAIR_LOSSES:
            return total + PAIR_LOSSES[self.base_loss](embeddings, labels, **numbers)
        if self.base_loss in PROXY_LOSSES:
            return total + PROXY_LOSSES[self.base_loss](embeddings, labels, params["proxies"], **numbers)
        return total


def bind_base_loss(base_loss, parameters):
    """Numbers, traced, and options, compiled in, of a base loss."""
    given = dict(parameters or {})
    if callable(base_loss) or base_loss == "none":
        if given:
            raise ValueError(f"base_loss_params={given!r} has no meaning for base_loss={base_loss!r}; expected None.")
        return {}, ()
    signature = inspect.signature((PAIR_LOSSES | PROXY_LOSSES)[base_loss]).parameters
    known = {name: p.default for name, p in signature.items() if p.kind is p.KEYWORD_ONLY and p.default is not None}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"base_loss_params: {base_loss!r} has no parameter {unknown[0]!r}; it has {sorted(known)}.")
    values = known | given
    options = tuple(sorted((name, value) for name, value in values.items() if isinstance(value, bool)))
    numbers = {name: np.asarray(value, np.float32) for name, value in values.items() if not isinstance(value, bool)}
    return numbers, options
