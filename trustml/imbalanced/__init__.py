"""Regression where some targets are rare."""

from trustml.imbalanced._conr import ConRRegressor
from trustml.imbalanced._label_weights import DenseWeight, LabelDistributionSmoothing
from trustml.imbalanced._resampling import SMOGN, SMOTER
from trustml.imbalanced._reweighted import ReweightedRegressor
from trustml.imbalanced._split import BalancedTestSplit

__all__ = [
    "SMOGN",
    "SMOTER",
    "BalancedTestSplit",
    "ConRRegressor",
    "DenseWeight",
    "LabelDistributionSmoothing",
    "ReweightedRegressor",
]
