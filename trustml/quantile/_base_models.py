"""One interface to every kind of model that predicts quantiles: fit for given levels, predict an array of them.

=============================================  ================================================================
kind of model                                  how its quantiles are had
=============================================  ================================================================
``predict_quantiles(X, quantiles)``            asked for them (all models of this package)
``predict(X, quantiles=)``                     asked for them (quantile-forest)
``pred_dist(X)``                               its distribution's ``ppf`` (NGBoost)
``predict(X, return_std=True)``                those of the normal distribution (Gaussian processes, Bayesian ridge)
CatBoost                                       fitted once with ``loss_function="MultiQuantile:alpha=..."``
LightGBM                                       one clone for each level with ``objective="quantile", alpha=level``
gradient boosting of scikit-learn              one clone for each level with ``loss="quantile"``
a parameter ``quantile``                       one clone for each level (QuantileRegressor)
=============================================  ================================================================

The last step of a :class:`~sklearn.pipeline.Pipeline` decides. A fitted model is the estimator itself, or a list of
estimators, one for each level.
"""

import inspect

import numpy as np
from scipy.stats import norm
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

_HOW = (
    "expected one that has predict_quantiles(X, quantiles), predict(X, quantiles=), predict(X, return_std=True), "
    "pred_dist(X), or a parameter for the level of its quantile loss"
)


def _last(model):
    """The step that predicts, the prefix of its parameters, and what turns X into its input."""
    if not isinstance(model, Pipeline):
        return model, "", lambda X: X
    last, prefix, _ = _last(model.steps[-1][1])
    return last, f"{model.steps[-1][0]}__{prefix}", model[:-1].transform if len(model.steps) > 1 else lambda X: X


def _level_parameters(last):
    """Function from a level to the parameters of a clone for it; None for a model of all levels."""
    names = last.get_params(deep=False)
    package = type(last).__module__.partition(".")[0]
    if package == "lightgbm":
        return lambda level: {"objective": "quantile", "alpha": level}
    if "quantile" in names:
        return lambda level: {"quantile": level} | ({"loss": "quantile"} if "loss" in names else {})
    if package == "sklearn" and "loss" in names and "alpha" in names and "n_estimators" in names:
        return lambda level: {"loss": "quantile", "alpha": level}
    return None


def _predict_takes(last, name):
    return hasattr(last, "predict") and name in inspect.signature(last.predict).parameters


def _is_catboost(last):
    return type(last).__module__.partition(".")[0] == "catboost"


def kind_of(model) -> str:
    """How the quantiles of a model are had; an error if they cannot be."""
    last = _last(model)[0]
    if hasattr(last, "predict_quantiles"):
        return "predict_quantiles"
    if _predict_takes(last, "quantiles"):
        return "quantiles"
    if hasattr(last, "pred_dist"):
        return "distribution"
    if _is_catboost(last):
        return "multi"
    if hasattr(last, "get_params") and _level_parameters(last) is not None:
        return "levels"
    if _predict_takes(last, "return_std"):
        return "std"
    raise ValueError(f"{type(last).__name__} is no model of quantiles; {_HOW}.")


def fit_model(model, X, y, sample_weight, levels):
    """A fitted clone, or a list of one for each level."""
    kind = kind_of(model)
    last, prefix, _ = _last(model)
    weight = {}
    if sample_weight is not None:
        if not has_fit_parameter(last, "sample_weight"):
            raise ValueError(f"sample_weight is given, and {type(last).__name__} has none; expected a model that does.")
        weight = {f"{prefix}sample_weight": sample_weight}

    def fitted(**parameters):
        return clone(model).set_params(**{prefix + k: v for k, v in parameters.items()}).fit(X, y, **weight)

    if kind == "levels":
        of_level = _level_parameters(last)
        return [fitted(**of_level(float(level))) for level in levels]
    if kind == "multi":
        return fitted(loss_function="MultiQuantile:alpha=" + ",".join(repr(float(level)) for level in levels))
    own = {"quantiles": levels} if kind == "predict_quantiles" and "quantiles" in last.get_params(deep=False) else {}
    return fitted(**own)


def model_quantiles(name, fitted, X, levels):
    """Quantiles (n_rows, n_levels) of a fitted model, checked."""
    if isinstance(fitted, list):
        predicted = np.column_stack([model.predict(X) for model in fitted])
    else:
        predicted = _predicted(fitted, X, levels)
    predicted = np.asarray(predicted, dtype=np.float64)
    if predicted.ndim != 2 or predicted.shape[1] != len(levels):
        raise ValueError(
            f"Model {name!r} predicted an array of shape {predicted.shape}; expected (n_samples, {len(levels)}), "
            "one column for each level."
        )
    if not np.isfinite(predicted).all():
        rows = (~np.isfinite(predicted)).any(axis=1).sum()
        raise ValueError(f"Model {name!r} predicted NaN or infinite quantiles in {rows} rows; expected finite ones.")
    return predicted


def _predicted(model, X, levels):
    kind = kind_of(model)
    last, _, transform = _last(model)
    X = transform(X)
    if kind == "predict_quantiles":
        return last.predict_quantiles(X, levels)
    if kind == "quantiles":
        predicted = np.asarray(last.predict(X, quantiles=[float(level) for level in levels]))
        return predicted[:, None] if predicted.ndim == 1 else predicted
    if kind == "distribution":
        return np.asarray(last.pred_dist(X).ppf(np.asarray(levels)[:, None])).T
    if kind == "std":
        mean, std = last.predict(X, return_std=True)
        return mean[:, None] + std[:, None] * norm.ppf(levels)
    predicted = np.asarray(last.predict(X))
    return predicted[:, None] if predicted.ndim == 1 else predicted
