"""One judge per group: compiled for ridge and binary logistic regression, through joblib for every other model."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import jax
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.utils.validation import has_fit_parameter

from trustml._jax import bucket_size
from trustml._sklearn import safe_indexing
from trustml.fairness import _logistic_kernels as logistic
from trustml.fairness import _ridge_kernels as ridge
from trustml.fairness._blocks import make_blocks

_TOL, _MAX_ITER = 1e-9, 100
_TOL_SIMULATED = 1e-7  # of the last step: errors are smaller, and far below the spread of simulated judges


@dataclass(frozen=True)
class Court:
    """The rows that train the judges.

    Attributes
    ----------
    X : array-like of shape (n, p)
    y : ndarray of shape (n,)
        float64, or class codes.
    classes : ndarray or None
    codes : ndarray of int of shape (n,)
        Group of each row.
    n_groups : int
    weight : ndarray of shape (n,)
    response : {"number", "probability", "label"}
    """

    X: Any
    y: NDArray
    classes: NDArray | None
    codes: NDArray
    n_groups: int
    weight: NDArray
    response: str


def judgments(estimators, X, classes, response):
    """What each judge says about each row: (m, G), or (m, G, K) for probabilities of more than two classes.

    Labels are class codes. A class that a judge never saw has probability zero.
    """
    if response == "number":
        return np.column_stack([np.asarray(judge.predict(X), float) for judge in estimators])
    if response == "label":
        return np.column_stack([np.searchsorted(classes, judge.predict(X)) for judge in estimators])
    aligned = []
    for judge in estimators:
        probability = np.zeros((len(judge.predict(X)), len(classes)))
        probability[:, np.searchsorted(classes, judge.classes_)] = judge.predict_proba(X)
        aligned.append(probability)
    J = np.stack(aligned, axis=1)
    return J[:, :, 1] if len(classes) == 2 else J


def _fit_judge(estimator, X, y, weight):
    model = clone(estimator)
    if np.ptp(weight) > 0:
        return model.fit(X, y, sample_weight=weight)
    return model.fit(X, y)


class BlackBoxJudges:
    """Judges of any scikit-learn estimator; one class in a group makes a constant judge."""

    name = "joblib"

    def __init__(self, estimator, court, n_jobs):
        self.estimator, self.court, self.n_jobs = estimator, court, n_jobs
        if np.ptp(court.weight) > 0 and not has_fit_parameter(estimator, "sample_weight"):
            raise ValueError(
                f"sample_weight was given, but estimator={type(estimator).__name__} takes none in fit; expected None."
            )

    def _one(self, rows, y, weight):
        court = self.court
        keep = weight > 0
        rows, y, weight = rows[keep], y[keep], weight[keep]
        target = y if court.classes is None else court.classes[y]
        constant = court.classes is not None and len(np.unique(y)) == 1
        model = DummyClassifier(strategy="most_frequent") if constant else self.estimator
        return _fit_judge(model, safe_indexing(court.X, rows), target, weight)

    def _panel(self, rows, y, weight):
        members = [np.flatnonzero((self.court.codes == g) & (weight > 0)) for g in range(self.court.n_groups)]
        return [self._one(rows[i], y[i], weight[i]) for i in members]

    def observed(self):
        court = self.court
        return self._panel(np.arange(len(court.y)), court.y, court.weight)

    def panels(self, rows, y, weight, Z):
        """Judgments on Z of panel after panel; row ``rows[l, i]`` takes place i of panel l, with ``y[l, i]``."""

        def one(rows, y, weight):
            return judgments(self._panel(rows, y, weight), Z, self.court.classes, self.court.response)

        return list(Parallel(self.n_jobs)(delayed(one)(*lane) for lane in zip(rows, y, weight, strict=True)))

    def pooled(self, null_estimator, X_given):
        """Out-of-fold predictions of one model for all groups: numbers, or probabilities (n, K)."""
        court = self.court
        model = self.estimator if null_estimator is None else null_estimator
        if court.classes is None:
            return np.asarray(cross_val_predict(clone(model), X_given, court.y), float), 0.0
        if not hasattr(model, "predict_proba"):
            model = LogisticRegression()
        present, counts = np.unique(court.y, return_counts=True)
        probability, labels = np.zeros((len(court.y), len(court.classes))), court.classes[court.y]
        if len(present) == 1:
            probability[:, present] = 1.0
        elif counts.min() == 1:
            # A class of one row is in one fold only; leaving it out would call it impossible.
            probability[:, present] = clone(model).fit(X_given, labels).predict_proba(X_given)
        else:
            folds = min(5, counts.min())
            probability[:, present] = cross_val_predict(clone(model), X_given, labels, cv=folds, method="predict_proba")
        return probability, 0.0


class LinearJudges:
    """Ridge or binary L2-logistic judges, all groups and all simulated panels in compiled programs, in float64."""

    @staticmethod
    def accepts(estimator, court):
        numeric = isinstance(court.X, np.ndarray) and court.X.dtype.kind == "f"
        if type(estimator) in (Ridge, LinearRegression) and court.classes is None:
            scalar = type(estimator) is LinearRegression or isinstance(estimator.alpha, Real)
            return numeric and scalar and not estimator.positive
        if type(estimator) is not LogisticRegression or court.classes is None or len(court.classes) != 2:
            return False
        l2 = estimator.penalty in ("l2", "deprecated") and estimator.l1_ratio in (0, None)
        smooth = l2 and not estimator.dual and estimator.solver != "liblinear" and estimator.class_weight is None
        return numeric and smooth and isinstance(estimator.C, Real) and 0 < estimator.C < np.inf

    def __init__(self, estimator, court):
        self.estimator, self.court = estimator, court
        self.is_logistic = isinstance(estimator, LogisticRegression)
        self.name = "jax:logistic" if self.is_logistic else "jax:ridge"
        self.fit_intercept = bool(estimator.fit_intercept)
        # Judgments do not depend on the origin, and the scatter matrix is more accurate near zero.
        centre = np.average(court.X, axis=0, weights=court.weight) if self.fit_intercept else np.zeros(court.X.shape[1])
        self.centre = centre
        self.X = self.augment(court.X)
        self.blocks = make_blocks(court.codes, court.n_groups)
        self.weight = self.blocks.take(court.weight)
        self.y = self.blocks.take(court.y.astype(float))
        self.X_blocks = self.blocks.take(self.X)
        self.static = {"n_groups": court.n_groups, "fit_intercept": self.fit_intercept}
        strength = 1 / estimator.C if self.is_logistic else getattr(estimator, "alpha", 0.0)
        self.alpha = float(strength)
        self.penalty = np.full(self.X.shape[1], self.alpha)
        if self.fit_intercept:
            self.penalty[-1] = 0.0
        self.start = np.zeros((court.n_groups, self.X.shape[1]))
        with jax.enable_x64(True):
            X = self.X_blocks
            if self.is_logistic:
                solved = logistic.fit(
                    X, self.blocks.group, self.y, self.weight, self.penalty, self.start, _MAX_ITER, _TOL, **self.static
                )
                self.coef, self.hessian = np.asarray(solved.coef), np.asarray(solved.hessian)
            else:
                fitted = ridge.fit(X, self.blocks.group, self.y, self.weight, self.alpha, **self.static)
                self.coef, self.gram, self.operator = map(np.asarray, fitted)

    def augment(self, X):
        """Rows as the kernels take them: centred, with a column of ones for the intercept."""
        centred = np.asarray(X, float) - self.centre
        return np.column_stack([centred, np.ones(len(centred))]) if self.fit_intercept else centred

    def observed(self):
        """The judges as fitted scikit-learn estimators."""
        estimators = []
        for coef in self.coef:
            model = clone(self.estimator)
            slope = coef[:-1] if self.fit_intercept else coef
            intercept = coef[-1] - self.centre @ slope if self.fit_intercept else 0.0
            model.n_features_in_ = len(slope)
            if self.is_logistic:
                model.classes_, model.coef_ = self.court.classes, slope[None].copy()
                model.intercept_ = np.array([intercept])
            else:
                model.coef_, model.intercept_ = slope.copy(), float(intercept)
            estimators.append(model)
        return estimators

    def _say(self, coef, Z):
        """Judgments (L, m, G) of panels (L, G, p)."""
        scores = np.einsum("mp,lgp->lmg", self.augment(Z), coef, optimize=True)
        if not self.is_logistic:
            return scores
        return expit(scores) if self.court.response == "probability" else (scores > 0).astype(int)

    def panels(self, rows, y, weight, Z):
        """As of :class:`BlackBoxJudges`."""
        end = np.full((len(rows), 1), len(self.X))
        rows = np.concatenate([rows, end], axis=1).astype(np.int32)
        X = np.concatenate([self.X, np.zeros((1, self.X.shape[1]))])
        y, weight = (np.pad(array.astype(float), ((0, 0), (0, 1))) for array in (y, weight))
        with jax.enable_x64(True):
            places = X, self.blocks.rows, self.blocks.group, rows, y, weight
            if self.is_logistic:
                options = {"batch_size": 4, **self.static}
                coef = logistic.fit_lanes(*places, self.penalty, self.start, _MAX_ITER, _TOL, **options).coef
            else:
                coef = ridge.fit_lanes(*places, self.alpha, batch_size=4, **self.static)
            coef = np.asarray(coef)
        return list(self._say(coef, Z))

    def pooled(self, null_estimator, X_given):
        """Predictions (n,) or (n, 2) of the model pooled over groups, and its degrees of freedom."""
        if null_estimator is not None:
            return BlackBoxJudges(self.estimator, self.court, None).pooled(null_estimator, X_given)
        court = self.court
        if not self.is_logistic:
            gram = self.gram.sum(axis=0)
            with jax.enable_x64(True):
                solve = np.asarray(ridge.operator(gram, self.alpha, fit_intercept=self.fit_intercept))
            return self.X @ (solve @ (self.X.T @ (court.weight * court.y))), float(np.trace(solve @ gram))
        one = Court(court.X, court.y, court.classes, np.zeros_like(court.codes), 1, court.weight, court.response)
        model = LinearJudges(self.estimator, one)
        p = expit(model.X @ model.coef[0])
        return np.column_stack([1 - p, p]), 0.0

    def second_moment(self, Z, v):
        """Weighted mean (p, p) of z z' over the cases: known already if these are the rows that trained the judges."""
        if (
            Z is self.court.X
            and not self.is_logistic
            and np.array_equal(v, self.court.weight / self.court.weight.sum())
        ):
            return self.gram.sum(axis=0) / self.court.weight.sum()
        cases = self.augment(Z)
        return (cases * v[:, None]).T @ cases

    def conditional_panels(self, base, residual, draws):
        """Coefficients (p, G, B) of the judges of simulated targets on the same rows.

        Regression: targets ``base + residual * draws``; classification: ``draws`` (n, B) of zeros and ones.
        """
        take, group, X = self.blocks.take, self.blocks.group, self.X_blocks
        with jax.enable_x64(True):
            if not self.is_logistic:
                return np.asarray(
                    ridge.fit_signed_residuals(
                        X,
                        group,
                        take(self.court.weight * base),
                        take(self.court.weight * residual),
                        take(draws),
                        self.operator,
                        n_groups=self.court.n_groups,
                    )
                )
            pool = logistic.fit(
                X, group, take(base), self.weight, self.penalty, self.start, _MAX_ITER, _TOL, **self.static
            )
            bare = np.asarray(pool.hessian) - np.diag(self.penalty)
            spectrum, basis = np.linalg.eigh(bare)
            solved = logistic.fit_near(
                X,
                group,
                take(draws.astype(float)),
                self.weight[..., None],
                self.penalty,
                pool.coef,
                basis,
                np.maximum(spectrum, 0),
                np.ones((self.court.n_groups, 1)),
                60,
                _TOL_SIMULATED,
                **self.static,
            )
            coef, converged = np.array(solved.coef), np.asarray(solved.converged)
            left = np.flatnonzero(~converged.all(axis=0))
            if len(left):
                left = np.resize(left, bucket_size(len(left)))  # solved twice rather than compiled anew
                n = len(self.X)
                targets = np.pad(draws.T[left].astype(float), ((0, 0), (0, 1)))
                again = logistic.fit_lanes(
                    np.concatenate([self.X, np.zeros((1, self.X.shape[1]))]),
                    self.blocks.rows,
                    group,
                    np.broadcast_to(np.arange(n + 1, dtype=np.int32), targets.shape),
                    targets,
                    np.broadcast_to(np.append(self.court.weight, 0.0), targets.shape),
                    self.penalty,
                    self.start,
                    _MAX_ITER,
                    _TOL,
                    batch_size=4,
                    **self.static,
                )
                coef[:, :, left] = np.moveaxis(np.asarray(again.coef), 0, 2).swapaxes(0, 1)
        return coef

    def covariance(self):
        """HC3 covariance (G, p, p) of the judges' coefficients."""
        take, group = self.blocks.take, self.blocks.group
        score = np.einsum("np,np->n", self.X, self.coef[self.court.codes])
        with jax.enable_x64(True):
            if self.is_logistic:
                p = expit(score)
                slope, residual, bread = p * (1 - p), self.court.y - p, np.linalg.inv(self.hessian)
            else:
                slope, residual, bread = np.ones(len(score)), self.court.y - score, self.operator
            return np.asarray(
                ridge.sandwich(
                    self.X_blocks, group, self.weight, take(slope), take(residual), bread, n_groups=self.court.n_groups
                )
            )


def make_judges(estimator, court, n_jobs):
    """The compiled judges where there are some for this estimator and data."""
    if LinearJudges.accepts(estimator, court):
        return LinearJudges(estimator, court)
    return BlackBoxJudges(estimator, court, n_jobs)
