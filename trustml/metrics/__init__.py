"""Figures that papers and users report: NumPy in, float or ndarray out."""

from trustml.metrics._detection import detection_auroc, detection_recall
from trustml.metrics._open_world import map_at_r_scorer, neg_opis_scorer, open_world_report, tar_at_far_scorer
from trustml.metrics._operating_curves import class_operating_curves, epsilon_opis_score, opis_score
from trustml.metrics._quantile import (
    QuantileScorer,
    mean_quantile_loss,
    quantile_coverage,
    quantile_crossing_rate,
    quantile_crps,
    quantile_pit,
    weighted_interval_score,
)
from trustml.metrics._retrieval import map_at_r, recall_at_k
from trustml.metrics._shots import balanced_mean_absolute_error, geometric_mean_absolute_error, shot_report
from trustml.metrics._split_point import split_point_stats
from trustml.metrics._verification import equal_error_rate, far_frr_curve, tar_at_far, threshold_at_far

__all__ = [
    "QuantileScorer",
    "balanced_mean_absolute_error",
    "class_operating_curves",
    "detection_auroc",
    "detection_recall",
    "epsilon_opis_score",
    "equal_error_rate",
    "far_frr_curve",
    "geometric_mean_absolute_error",
    "map_at_r",
    "map_at_r_scorer",
    "mean_quantile_loss",
    "neg_opis_scorer",
    "open_world_report",
    "opis_score",
    "quantile_coverage",
    "quantile_crossing_rate",
    "quantile_crps",
    "quantile_pit",
    "recall_at_k",
    "shot_report",
    "split_point_stats",
    "tar_at_far",
    "tar_at_far_scorer",
    "threshold_at_far",
    "weighted_interval_score",
]
