"""Uncertainty of a model that is already fitted, or of any other."""

from trustml.uncertainty._classifier import SPCClassifier
from trustml.uncertainty._regressor import SPCRegressor

__all__ = ["SPCClassifier", "SPCRegressor"]
