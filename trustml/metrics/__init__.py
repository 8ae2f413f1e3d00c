"""Figures that papers and users report: NumPy in, float or ndarray out."""

from trustml.metrics._detection import detection_auroc, detection_recall
from trustml.metrics._intervals import (
    group_coverage,
    interval_calibration_error,
    interval_coverage,
    interval_score,
    mean_interval_width,
    side_coverage,
    size_stratified_coverage,
)
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
from trustml.metrics._selective import augrc, aurc, calibration_error, error_uncertainty_correlation, ood_auroc
from trustml.metrics._shots import balanced_mean_absolute_error, geometric_mean_absolute_error, shot_report
from trustml.metrics._split_point import split_point_stats
from trustml.metrics._verification import equal_error_rate, far_frr_curve, tar_at_far, threshold_at_far

__all__ = [
    "QuantileScorer",
    "augrc",
    "aurc",
    "balanced_mean_absolute_error",
    "calibration_error",
    "class_operating_curves",
    "detection_auroc",
    "detection_recall",
    "epsilon_opis_score",
    "equal_error_rate",
    "error_uncertainty_correlation",
    "far_frr_curve",
    "geometric_mean_absolute_error",
    "group_coverage",
    "interval_calibration_error",
    "interval_coverage",
    "interval_score",
    "map_at_r",
    "map_at_r_scorer",
    "mean_interval_width",
    "mean_quantile_loss",
    "neg_opis_scorer",
    "ood_auroc",
    "open_world_report",
    "opis_score",
    "quantile_coverage",
    "quantile_crossing_rate",
    "quantile_crps",
    "quantile_pit",
    "recall_at_k",
    "shot_report",
    "side_coverage",
    "size_stratified_coverage",
    "split_point_stats",
    "tar_at_far",
    "tar_at_far_scorer",
    "threshold_at_far",
    "weighted_interval_score",
]
