"""Losses as pure functions of JAX."""

from trustml.losses._proxies import arcface_loss, cosface_loss, proxy_anchor_loss
from trustml.losses._ranking import multi_similarity_loss, recall_at_k_loss, smooth_ap_loss, triplet_loss
from trustml.losses._tcm import contrastive_loss, tcm_loss

__all__ = [
    "arcface_loss",
    "contrastive_loss",
    "cosface_loss",
    "multi_similarity_loss",
    "proxy_anchor_loss",
    "recall_at_k_loss",
    "smooth_ap_loss",
    "tcm_loss",
    "triplet_loss",
]
