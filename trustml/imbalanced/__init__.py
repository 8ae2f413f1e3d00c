"""Regression where some targets are rare."""

from trustml.imbalanced._conr import ConRRegressor
from trustml.imbalanced._label_weights import DenseWeight, LabelDistributionSmoothing
from trustml.imbalanced._reweighted import ReweightedRegressor

__all__ = ["ConRRegressor", "DenseWeight", "LabelDistributionSmoothing", "ReweightedRegressor"]
