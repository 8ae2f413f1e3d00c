"""What the estimators of this folder share: their parameters, and the features that their heads see."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils.validation import validate_data

from trustml._sklearn import HasMethods, Interval, StrOptions
from trustml.uncertainty._model import features_of


class HeadsOnModel(MetaEstimatorMixin, BaseEstimator):
    """Base of the estimators that train heads beside a model."""

    _parameter_constraints: dict = {
        "residuals": [StrOptions({"cv", "train", "prefit"})],
        "cv": ["cv_object"],
        "features": [StrOptions({"auto", "X"}), HasMethods(["fit", "transform"]), callable],
        "hidden_layer_sizes": ["array-like"],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def _learn_features(self, model, X, y):
        """Standardised features of the heads, and the fitted attributes that give those of other rows."""
        transform = clone(self.features).fit(X, y) if hasattr(self.features, "transform") else self.features
        features = features_of(model, transform, X)
        mean, deviation = features.mean(axis=0), features.std(axis=0)
        # A column that is constant up to rounding is left as it is.
        scale = np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)
        return (features - mean) / scale, {"features_": transform, "feature_mean_": mean, "feature_scale_": scale}

    def _features(self, X):
        validate_data(self, X, reset=False, skip_check_array=True)
        return (features_of(self.estimator_, self.features_, X) - self.feature_mean_) / self.feature_scale_
