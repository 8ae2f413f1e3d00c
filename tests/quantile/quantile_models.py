"""Models of quantiles that remember what they saw."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from trustml.quantile import QuantileAggregator

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


class Shifted(RegressorMixin, BaseEstimator):
    """Quantiles of the training targets, plus a slope of the first feature."""

    def __init__(self, slope=0.0, quantiles=LEVELS, flaw=None):
        self.slope, self.quantiles, self.flaw = slope, quantiles, flaw

    def fit(self, X, y, sample_weight=None):
        self.seen_ = set(np.asarray(X)[:, 0].tolist())
        self.residuals_ = y - self.slope * np.asarray(X)[:, 0]
        return self

    def predict_quantiles(self, X, quantiles):
        q = self.slope * np.asarray(X)[:, :1] + np.quantile(self.residuals_, quantiles)
        if self.flaw == "crossed":
            return q[:, ::-1]
        if self.flaw == "nan":
            return np.where(np.arange(len(q))[:, None] == 0, np.nan, q)
        return q[:, 1:] if self.flaw == "few" else q


MODELS = [("flat", Shifted(0.0)), ("steep", Shifted(3.0)), ("right", Shifted(2.0))]


def aggregator(estimators=MODELS, **parameters):
    """Three folds of the models above."""
    return QuantileAggregator(estimators, **{"quantiles": LEVELS, "cv": 3, "random_state": 0} | parameters)
