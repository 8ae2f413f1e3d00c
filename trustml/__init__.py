"""Classical trustworthy-ML components in the manner of scikit-learn.

Every public name can be imported from here. Names are resolved on first use (PEP 562), so that
``import trustml`` costs nothing and does not import JAX.
"""

from importlib import import_module as _import_module

__version__ = "0.1.0"

_SUBMODULE_OF = {
    "AdaNormalHedge": "online",
    "BalancedTestSplit": "imbalanced",
    "BetaShapley": "valuation",
    "ClassDisjointKFold": "metric_learning",
    "ConRRegressor": "imbalanced",
    "DataBanzhaf": "valuation",
    "DataOOB": "valuation",
    "DataShapley": "valuation",
    "DataValueDisplay": "inspection",
    "DenseWeight": "imbalanced",
    "ExactShapley": "valuation",
    "FollowPerturbedLeader": "online",
    "ForestQuantileRegressor": "quantile",
    "GaussianQuantileRegressor": "quantile",
    "GradientShapley": "valuation",
    "GroupRegretDisplay": "inspection",
    "GroupwiseRegressor": "online",
    "KNNShapley": "valuation",
    "LDRClassifier": "classification",
    "LInCo": "fairness",
    "LInCoDisplay": "inspection",
    "LabelDistributionSmoothing": "imbalanced",
    "LeaveOneOut": "valuation",
    "LinearQuantileRegressor": "quantile",
    "MultiplicityDisplay": "inspection",
    "NeuralQuantileRegressor": "quantile",
    "OnlineRidge": "online",
    "OperatingCurveDisplay": "inspection",
    "PairVerifier": "metric_learning",
    "PredictiveMultiplicity": "fairness",
    "QuantileAggregator": "quantile",
    "QuantileDisplay": "inspection",
    "ReweightedRegressor": "imbalanced",
    "SMOGN": "imbalanced",
    "SMOTER": "imbalanced",
    "SPCClassifier": "uncertainty",
    "SPCRegressor": "uncertainty",
    "ShotDisplay": "inspection",
    "Specialists": "online",
    "TCMEmbedding": "metric_learning",
    "UncertaintyDisplay": "inspection",
    "TrustReport": "inspection",
    "all_estimators": "_discovery",
}
_SUBMODULES = (
    "classification",
    "datasets",
    "fairness",
    "imbalanced",
    "inspection",
    "losses",
    "metric_learning",
    "metrics",
    "online",
    "quantile",
    "uncertainty",
    "valuation",
)

__all__ = [*_SUBMODULE_OF, *_SUBMODULES, "__version__"]


def __getattr__(name):
    if name in _SUBMODULES:
        return _import_module(f"trustml.{name}")
    if name in _SUBMODULE_OF:
        return getattr(_import_module(f"trustml.{_SUBMODULE_OF[name]}"), name)
    raise AttributeError(f"module 'trustml' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
