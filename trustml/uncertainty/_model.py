"""The user's model: fitted to all rows and to folds, its weights, and the features on which heads are trained."""

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import has_fit_parameter

from trustml._networks import MLP
from trustml._networks import predict as network_outputs
from trustml._sklearn import safe_indexing
from trustml._validation import check_magnitude


def as_table(X):
    """X itself if it has a shape of two dimensions, an array otherwise, and scikit-learn's error if it is no table."""
    if issparse(X):
        return X.tocsr()
    return X if len(getattr(X, "shape", ())) == 2 else check_array(X, dtype=None, ensure_all_finite=False)


def _unfrozen(model):
    return model.estimator if isinstance(model, FrozenEstimator) else model


def weight_name(estimator):
    """Name under which ``fit`` of the model, or of the last step of a pipeline, takes weights of rows; None without."""
    if has_fit_parameter(_unfrozen(estimator), "sample_weight"):
        return "sample_weight"
    if isinstance(estimator, Pipeline) and has_fit_parameter(estimator[-1], "sample_weight"):
        return f"{estimator.steps[-1][0]}__sample_weight"
    return None


def fit_model(estimator, X, y, weight=None):
    """A clone fitted to the rows; with ``weight``, an error if the model takes none."""
    if weight is None:
        return clone(estimator).fit(X, y)
    name = weight_name(estimator)
    if name is None:
        raise ValueError(
            f"sample_weight was passed, and fit of estimator={estimator!r} takes none; expected a model with weights."
        )
    # The name says where the weights go, with or without metadata routing.
    with config_context(enable_metadata_routing=False):
        return clone(estimator).fit(X, y, **{name: weight})


def fold_numbers(cv, X, y, estimator, seed):
    """Number of the fold that holds each row out. A number of folds means shuffled ones, stratified by class."""
    if isinstance(cv, int | np.integer):
        kind = StratifiedKFold if is_classifier(estimator) else KFold
        cv = kind(int(cv), shuffle=True, random_state=seed)
    folds = np.full(len(y), -1)
    for number, (_, test) in enumerate(check_cv(cv, y, classifier=is_classifier(estimator)).split(X, y)):
        if (folds[test] >= 0).any():
            raise ValueError("cv holds some rows out more than once; expected folds that part the rows.")
        folds[test] = number
    if (folds < 0).any() or folds.max() == 0:
        raise ValueError(f"cv holds {(folds < 0).sum()} rows out of no fold; expected two or more that part the rows.")
    return folds


def _fit_and_call(estimator, X, y, weight, folds, fold, method):
    train, test = (np.flatnonzero(rows) for rows in (folds != fold, folds == fold))
    model = fit_model(estimator, safe_indexing(X, train), y[train], None if weight is None else weight[train])
    return model, getattr(model, method)(safe_indexing(X, test))


def out_of_fold(estimator, X, y, weight, folds, method, n_jobs):
    """For each fold, a model fitted to the other rows, and what its ``method`` says of the fold."""
    return Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_call)(estimator, X, y, weight, folds, fold, method) for fold in range(folds.max() + 1)
    )


def features_of(model, features, X):
    """The numbers (n_rows, n_features) that heads see.

    "auto" follows a fitted pipeline up to its last step, and a multilayer perceptron up to its last hidden layer.
    """
    if features == "auto":
        model = _unfrozen(model)
        if isinstance(model, Pipeline):
            X, model = model[:-1].transform(X), _unfrozen(model[-1])
        if isinstance(model, MLPRegressor | MLPClassifier):
            hidden = tuple(biases.size for biases in model.intercepts_[:-1])
            network = MLP(model.intercepts_[-1].size, hidden, model.activation)
            params = tuple(zip(model.coefs_, model.intercepts_, strict=True))
            X = check_array(X, dtype=np.float64, input_name="X")
            return network_outputs(network, params, X.astype(np.float32), method="features").astype(float)
    elif hasattr(features, "transform"):
        X = features.transform(X)
    elif callable(features):
        X = features(X)
    X = check_array(X, dtype=np.float64, ensure_all_finite=False, input_name="X")
    if np.isnan(X).any():
        raise ValueError(
            f"X holds {np.isnan(X).sum()} NaN, which heads cannot read even if the estimator does; expected finite "
            "features: pass a transformer that imputes them as `features`."
        )
    return check_magnitude(check_array(X, input_name="X"), "X")
