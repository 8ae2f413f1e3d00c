"""Losses as pure functions of JAX."""

from trustml.losses._balanced_mse import Buckets, Mixture, balanced_mse
from trustml.losses._conr import conr_loss, conr_pairs
from trustml.losses._correction import backward_correction, forward_correction
from trustml.losses._feature_smoothing import (
    FeatureStatistics,
    calibrate_features,
    feature_statistics,
    smooth_statistics,
)
from trustml.losses._focal_r import focal_r
from trustml.losses._hinge import crammer_singer, weston_watkins
from trustml.losses._ldr import aldr_kl, aldr_temperature, ldr_kl, ldr_topk_kl
from trustml.losses._normalize import normalize_scores
from trustml.losses._proxies import arcface_loss, cosface_loss, proxy_anchor_loss
from trustml.losses._quantile import crossing_penalty, pinball
from trustml.losses._ranking import multi_similarity_loss, recall_at_k_loss, smooth_ap_loss, triplet_loss
from trustml.losses._ranksim import ranksim
from trustml.losses._registry import LOSSES, PAPER_GRIDS, get_loss
from trustml.losses._softmax import (
    agce,
    aul,
    cross_entropy,
    focal,
    gce,
    js,
    mae,
    mse,
    nce,
    nce_plus,
    rce,
    rll,
    sce,
    tgce,
)
from trustml.losses._tcm import contrastive_loss, tcm_loss

__all__ = [
    "LOSSES",
    "PAPER_GRIDS",
    "Buckets",
    "FeatureStatistics",
    "Mixture",
    "agce",
    "aldr_kl",
    "aldr_temperature",
    "arcface_loss",
    "aul",
    "backward_correction",
    "balanced_mse",
    "calibrate_features",
    "conr_loss",
    "conr_pairs",
    "contrastive_loss",
    "cosface_loss",
    "crammer_singer",
    "cross_entropy",
    "crossing_penalty",
    "feature_statistics",
    "focal",
    "focal_r",
    "forward_correction",
    "gce",
    "get_loss",
    "js",
    "ldr_kl",
    "ldr_topk_kl",
    "mae",
    "mse",
    "multi_similarity_loss",
    "nce",
    "nce_plus",
    "normalize_scores",
    "pinball",
    "proxy_anchor_loss",
    "ranksim",
    "rce",
    "recall_at_k_loss",
    "rll",
    "sce",
    "smooth_ap_loss",
    "smooth_statistics",
    "tcm_loss",
    "tgce",
    "triplet_loss",
    "weston_watkins",
]
