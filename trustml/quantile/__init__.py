"""Conditional quantiles: models of them, and the best mixture of any such models."""

from trustml.quantile._aggregator import QuantileAggregator
from trustml.quantile._forest import ForestQuantileRegressor
from trustml.quantile._gaussian import GaussianQuantileRegressor
from trustml.quantile._linear import LinearQuantileRegressor
from trustml.quantile._neural import NeuralQuantileRegressor
from trustml.quantile._noncrossing import isotonic_quantiles, sort_quantiles

__all__ = [
    "ForestQuantileRegressor",
    "GaussianQuantileRegressor",
    "LinearQuantileRegressor",
    "NeuralQuantileRegressor",
    "QuantileAggregator",
    "isotonic_quantiles",
    "sort_quantiles",
]
