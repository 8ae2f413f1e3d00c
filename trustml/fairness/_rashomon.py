"""Predictive multiplicity of any classifier, estimated from refits."""

from numbers import Integral, Real

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.utils import Bunch, check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from trustml._sklearn import HasMethods, Interval, StrOptions, num_samples, safe_indexing, validate_params


def _refit(estimator, X, y, rows, seed, X_eval, classes):
    seeds = [name for name in estimator.get_params() if name.split("__")[-1] == "random_state"]
    model = clone(estimator).set_params(**dict.fromkeys(seeds, seed))
    model.fit(safe_indexing(X, rows), y[rows])
    aligned = np.zeros((num_samples(X_eval), len(classes)))
    aligned[:, np.searchsorted(classes, model.classes_)] = model.predict_proba(X_eval)
    return model, aligned


@validate_params(
    {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "delta": [Interval(Real, 0, 1, closed="right")],
        "n_refits": [Interval(Integral, 1, None, closed="left")],
        "resample": [StrOptions({"bootstrap", "seed"})],
        "n_jobs": [Integral, None],
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
    """Almost equally good models of any kind, found by refits, and how they conflict.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``
        The model; it is cloned.
    X : array-like of shape (n_samples, n_features)
        Rows to fit to.
    y : array-like of shape (n_samples,)
        Labels.
    X_eval, y_eval : array-like, default=None
        Cases that are judged, and that say how good a model is; None: ``X`` and ``y``. Models that can learn rows by
        heart need other rows than those they were fitted to.
    epsilon : float, default=0.01
        How much larger the log loss of a good model may be than that of the reference, as a share of it.
    delta : float, default=0.1
        A change of probability (total variation) of this much is a conflict.
    n_refits : int, default=100
        Refits besides the reference, which is fitted to all rows.
    resample : {"bootstrap", "seed"}, default="bootstrap"
        What differs: the rows, drawn with replacement, and every ``random_state`` in the model; or the latter only.
    n_jobs : int, default=None
        Fits in parallel, through joblib.
    random_state : int, RandomState instance or None, default=None
        Rows and seeds.

    Returns
    -------
    result : Bunch
        ``estimators`` (list; the reference first), ``losses`` (n_refits + 1,), ``is_good`` (n_refits + 1,),
        ``classes`` (n_classes,), ``probabilities`` of the good models (n_good, n_eval, n_classes),
        ``viable_range`` (n_eval, 2) of the probability of the second of two classes, else (n_eval, n_classes, 2),
        ``ambiguity`` and ``discrepancy`` (floats).

    See Also
    --------
    PredictiveMultiplicity : The same without sampling, for logistic regression.

    Notes
    -----
    Only models that were drawn are seen: ranges, ambiguity and discrepancy are lower bounds of those of the set of all
    good models, and grow with ``n_refits``.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.model_selection import train_test_split
    >>> from trustml.fairness import rashomon_ensemble
    >>> X, X_eval, y, y_eval = train_test_split(*load_breast_cancer(return_X_y=True), random_state=0)
    >>> forest = RandomForestClassifier(10, min_samples_leaf=5)
    >>> found = rashomon_ensemble(
    ...     forest, X, y, X_eval=X_eval, y_eval=y_eval, n_refits=10, resample="seed", epsilon=0.1, random_state=0)
    >>> int(found.is_good.sum()), bool(found.discrepancy <= found.ambiguity)
    (10, True)
    """
    check_classification_targets(y)
    if (X_eval is None) != (y_eval is None):
        raise ValueError("one of X_eval and y_eval is None; expected both or neither.")
    y = column_or_1d(y)
    X_eval, y_eval = (X, y) if X_eval is None else (X_eval, column_or_1d(y_eval))
    check_consistent_length(X, y)
    check_consistent_length(X_eval, y_eval)
    classes = np.unique(y)
    unknown = np.setdiff1d(y_eval, classes)
    if len(classes) < 2 or len(unknown):
        raise ValueError(
            f"y has the classes {classes.tolist()}, y_eval also {unknown.tolist()}; "
            "expected two or more in y, and no other."
        )
    rng = check_random_state(random_state)
    n = len(y)
    rows = [np.arange(n)] + [
        rng.randint(n, size=n) if resample == "bootstrap" else np.arange(n) for _ in range(n_refits)
    ]
    seeds = rng.randint(np.iinfo(np.int32).max, size=n_refits + 1)
    fitted = Parallel(n_jobs)(
        delayed(_refit)(estimator, X, y, r, int(s), X_eval, classes) for r, s in zip(rows, seeds, strict=True)
    )
    estimators, probabilities = zip(*fitted, strict=True)
    probabilities = np.stack(probabilities)
    losses = np.array([log_loss(y_eval, p, labels=classes) for p in probabilities])
    is_good = losses <= (1 + epsilon) * losses[0]
    good = probabilities[is_good]
    conflict = np.abs(good - good[0]).sum(axis=2) / 2 >= delta
    ends = np.stack([good.min(axis=0), good.max(axis=0)], axis=-1)
    return Bunch(
        estimators=list(estimators),
        losses=losses,
        is_good=is_good,
        classes=classes,
        probabilities=good,
        viable_range=ends[:, 1] if len(classes) == 2 else ends,
        ambiguity=float(conflict.any(axis=0).mean()),
        discrepancy=float(conflict.mean(axis=1).max()),
    )
