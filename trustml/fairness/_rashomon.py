"""Predictive multiplicity of any classifier, estimated from refits."""

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.utils import Bunch, check_random_state, indexable
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import num_features

from trustml._sklearn import Interval, StrOptions, num_samples, safe_indexing, validate_params


def _seeds(estimator):
    return sorted(name for name in estimator.get_params() if name == "random_state" or name.endswith("__random_state"))


def _refit(estimator, X, y, rows, seed, X_judge, classes):
    model = clone(estimator).set_params(**dict.fromkeys(_seeds(estimator), seed))
    model.fit(X, y) if rows is None else model.fit(safe_indexing(X, rows), y[rows])
    judged = model.predict_proba(X_judge)
    aligned = np.zeros((len(judged), len(classes)))
    aligned[:, np.searchsorted(classes, model.classes_)] = judged
    return model, aligned


@validate_params(
    {
        "n_refits": ["integer"],
        "resample": [StrOptions({"bootstrap", "seed"})],
        "epsilon": ["real"],
        "delta": ["real"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def rashomon_ensemble(
    estimator,
    X,
    y,
    *,
    X_eval=None,
    y_eval=None,
    epsilon=0.01,
    delta=0.1,
    n_refits=100,
    resample="bootstrap",
    n_jobs=None,
    random_state=None,
):
    """Almost equally good models of any kind, found by refitting, and how they conflict."""
