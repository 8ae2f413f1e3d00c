"""What all sections share: the table, the model, and predictions for every row by models that did not see it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils.multiclass import type_of_target

from trustml._jax import seed_from
from trustml._sklearn import safe_indexing

# Rarer categories share one column.
_MOST_CATEGORIES = 30


@dataclass(frozen=True)
class Evidence:
    """A table and what is known about it out of sample.

    Attributes
    ----------
    X, y : as given
    classes : ndarray or None
        Sorted labels; None for numbers.
    codes : ndarray of int, or the target itself
        Number of each row's class.
    model : estimator
        Unfitted.
    fold : ndarray of int of shape (n_rows,)
        The fold in which a row was predicted.
    predicted : ndarray of shape (n_rows, n_classes) or (n_rows,)
        Probabilities, or numbers, by the model fitted to the other folds.
    features : ndarray of shape (n_rows, n_columns)
        Standardised numbers, for methods that need distances or coefficients.
    sensitive : dict of str to ndarray
        Group labels of every row, by column.
    seed : int
    n_jobs : int or None
    """

    X: Any
    y: NDArray
    classes: NDArray | None
    codes: NDArray
    model: Any
    fold: NDArray[np.intp]
    predicted: NDArray[np.float64]
    features: NDArray[np.float64]
    sensitive: dict[str, NDArray]
    seed: int
    n_jobs: int | None

    @property
    def n_rows(self) -> int:
        return len(self.y)

    def rows(self, index):
        """Rows of the table as the model takes them."""
        return safe_indexing(self.X, index)


def is_numeric(column) -> bool:
    """Whether a column holds numbers (or booleans), missing ones included."""
    return np.asarray(column).dtype.kind in "iufb"


def column_kinds(X) -> tuple[list, list]:
    """Positions or names of the columns with numbers, and of the others."""
    if not hasattr(X, "columns"):
        numeric = is_numeric(X)
        everything = list(range(np.asarray(X).shape[1]))
        return (everything, []) if numeric else ([], everything)
    names = list(X.columns)
    numeric = [name for name in names if is_numeric(X[name].to_numpy())]
    return numeric, [name for name in names if name not in numeric]


def default_model(X, classify: bool, seed: int):
    """Gradient boosting behind an encoding of the columns that are not numbers."""
    numeric, other = column_kinds(X)
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("numbers", "passthrough", numeric), ("categories", encode, other)])
    boosting = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    return make_pipeline(columns, boosting(random_state=seed))


def to_numbers(X):
    """A transformer to standardised numbers: medians for what is missing, indicators for categories."""
    numeric, other = column_kinds(X)
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    categories = OneHotEncoder(
        max_categories=_MOST_CATEGORIES, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    return ColumnTransformer([("numbers", numbers, numeric), ("categories", categories, other)])


def gather_evidence(estimator, X, y, *, task, sensitive, cv, random_state, n_jobs) -> Evidence:
    """Predict every row out of sample."""
    seed = seed_from(random_state)
    y = np.asarray(y)
    classify = decide_task(estimator, y, task)
    model = default_model(X, classify, seed) if estimator is None else clone(estimator)
    classes, codes = np.unique(y, return_inverse=True) if classify else (None, y.astype(float))
    check_enough(classes, codes, cv)
    splitter = (StratifiedKFold if classify else KFold)(cv, shuffle=True, random_state=seed)
    splits = list(splitter.split(np.zeros(len(y)), codes))
    method = "predict_proba" if classify else "predict"
    predicted = cross_val_predict(model, X, codes, cv=splits, method=method, n_jobs=n_jobs)
    fold = np.empty(len(y), np.intp)
    for number, (_, held_out) in enumerate(splits):
        fold[held_out] = number
    return Evidence(
        X,
        y,
        classes,
        codes,
        model,
        fold,
        predicted,
        np.asarray(to_numbers(X).fit_transform(X), float),
        sensitive,
        seed,
        n_jobs,
    )


def decide_task(estimator, y, task) -> bool:
    """Whether the target is a class."""
    if task != "auto":
        return task == "classification"
    if estimator is not None:
        return is_classifier(estimator)
    kind = type_of_target(y, input_name="y")
    # Many different whole numbers are counts or amounts rather than classes.
    return kind == "binary" or (kind == "multiclass" and (y.dtype.kind not in "iuf" or len(np.unique(y)) <= 20))


def check_enough(classes, codes, cv):
    """Refuse targets from which nothing can be learnt."""
    if classes is None:
        if np.ptp(codes) == 0:
            raise ValueError(f"y is constant ({codes[0]:g} in every row); expected a target that varies.")
        if len(codes) < 4 * cv:
            raise ValueError(f"y has {len(codes)} rows; expected at least {4 * cv}, four for each of cv={cv} folds.")
        return
    if len(classes) < 2:
        raise ValueError(f"y holds one class only, {str(classes[0])!r}; expected two or more.")
    counts = np.bincount(codes)
    rare = [str(label) for label, count in zip(classes.tolist(), counts, strict=True) if count < 2 * cv]
    if rare:
        raise ValueError(
            f"y has classes of fewer than {2 * cv} rows, two for each of cv={cv} folds: {', '.join(rare[:5])}. "
            "Merge or remove them, or lower cv."
        )
