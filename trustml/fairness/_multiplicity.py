"""Predictive multiplicity: how far almost equally good logistic regressions differ about each case."""

from numbers import Integral, Real

import jax
import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from trustml._sklearn import Interval, check_sample_weight, fit_context
from trustml._validation import check_magnitude
from trustml.fairness import _logistic_kernels as logistic
from trustml.fairness._level_set import LevelSet, distinct_rows
from trustml.fairness._level_set_kernels import Rows, objective


class PredictiveMultiplicity(ClassifierMixin, BaseEstimator):
    """How differently almost equally good models would judge each case, exactly, for logistic regression.

    All models whose objective is within a factor ``1 + epsilon`` of the smallest fit the data about as well as the best
    one. For each case this gives the range of their probabilities, and for all cases the share about which they
    conflict.

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the L2 penalty, as in :class:`~sklearn.linear_model.LogisticRegression`. Finite: without a
        penalty, the set of good models can be unbounded.
    epsilon : float, default=0.01
        How much larger the objective of a good model may be, as a share of the smallest.
    delta : float, default=0.1
        A change of probability of this much is a conflict.
    fit_intercept : bool, default=True
        Whether the models have an intercept, which is not penalised.
    max_iter : int, default=50
        Newton steps for each extreme, and for the fit.
    tol : float, default=1e-9
        Relative size of the step at which both stop.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    coef_ : ndarray of shape (1, n_features)
        Of the best model, that of scikit-learn's LogisticRegression.
    intercept_ : ndarray of shape (1,)
    objective_ : float
        Its objective: mean log loss plus ``|coef_|^2 / (2 C n)``, with n the sum of weights, in nats.
    level_ : float
        Largest objective of a good model, ``(1 + epsilon) objective_``.
    hessian_ : ndarray of shape (n_features + 1, n_features + 1)
        Of the objective at the best model, for centred features, the intercept last.
    n_iter_ : int
        Newton steps of the fit.
    n_features_in_ : int

    See Also
    --------
    rashomon_ensemble : Estimates from refits, for any model.
    LInCo : How differently the groups would be judged.

    Notes
    -----
    With h the probability of ``classes_[1]``, h0 that of the best model and S the set of good models, for cases
    x_1 ... x_n: the viable prediction range of x is the interval from min h(x) to max h(x) over S; ambiguity is the
    share of cases for which some model in S has ``|h(x_i) - h0(x_i)| >= delta``; discrepancy is the largest share of
    cases for which one and the same model has [1]_. S is convex, so ranges and ambiguity are exact: each end is the
    solution of a convex problem, found by Newton's method to the last digits. Discrepancy is the maximum of a count; it
    is given as two bounds. The penalty is part of the objective and so of what "as good" means.

    References
    ----------
    .. [1] J. Watson-Daniels, D. C. Parkes and B. Ustun, "Predictive Multiplicity in Probabilistic Classification",
       AAAI 2023, arXiv:2206.01131, definitions 2 to 4.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from trustml.fairness import PredictiveMultiplicity
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X = scale(X[:, :5])
    >>> model = PredictiveMultiplicity(epsilon=0.05).fit(X, y)
    >>> model.viable_range(X[18:20]).round(2)
    array([[0.  , 0.  ],
           [0.89, 0.99]])
    >>> round(model.ambiguity(X), 2)
    0.3
    """

    _parameter_constraints: dict = {
        "C": [Interval(Real, 0, None, closed="neither")],
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "delta": [Interval(Real, 0, 1, closed="right")],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, *, C=1.0, epsilon=0.01, delta=0.1, fit_intercept=True, max_iter=50, tol=1e-9):
        self.C = C
        self.epsilon = epsilon
        self.delta = delta
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases.
        y : array-like of shape (n_samples,)
            Labels of two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        self : PredictiveMultiplicity
            The fitted model.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_magnitude(X, "X")
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind == "multiclass":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}: y.")
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        check_magnitude(weight, "sample_weight")
        self.classes_, code = np.unique(y, return_inverse=True)
        if len(np.unique(code[weight > 0])) < 2:
            raise ValueError(
                f"y has one class among rows of positive weight, of {self.classes_.tolist()}; expected two classes."
            )
        self._centre = np.average(X, axis=0, weights=weight) if self.fit_intercept else np.zeros(X.shape[1])
        penalty = np.full(X.shape[1] + bool(self.fit_intercept), 1 / (self.C * weight.sum()))
        if self.fit_intercept:
            penalty[-1] = 0.0
        rows = distinct_rows(self._augment(X), code, weight, penalty)
        with jax.enable_x64(True):
            solved = logistic.fit(
                rows.X[None],
                np.zeros(1, np.int32),
                rows.y[None],
                rows.s[None],
                penalty,
                np.zeros((1, len(penalty))),
                self.max_iter,
                self.tol,
                n_groups=1,
                fit_intercept=bool(self.fit_intercept),
            )
            best, self.hessian_ = np.array(solved.coef[0]), np.array(solved.hessian[0])
            self.objective_, self.n_iter_ = float(objective(rows, best)), int(solved.n_iter)
        self.level_ = (1 + self.epsilon) * self.objective_
        self._rows, self._best = tuple(rows), best
        slope = best[: X.shape[1]]
        self.coef_ = slope[None].copy()
        self.intercept_ = np.array([best[-1] - self._centre @ slope if self.fit_intercept else 0.0])
        return self

    def _augment(self, X):
        """Rows as the kernels take them: centred, which changes no range, with a one for the intercept."""
        centred = X - self._centre
        return np.column_stack([centred, np.ones(len(X))]) if self.fit_intercept else centred

    def _good_models(self):
        rows = Rows(*self._rows)
        return LevelSet(rows, self._best, self.hessian_, self.objective_, self.level_, self.max_iter, self.tol)

    def _checked(self, X):
        check_is_fitted(self)
        return check_magnitude(validate_data(self, X, dtype=np.float64, reset=False), "X")

    def _extremes(self, X):
        """Distinct cases, which of them each case is, and the models (2, m, p) that judge them lowest and highest."""
        distinct, inverse = np.unique(self._augment(self._checked(X)), axis=0, return_inverse=True)
        models = self._good_models().extremes(np.concatenate([-distinct, distinct]))
        return distinct, inverse.reshape(-1), models.reshape(2, *distinct.shape)

    def viable_range(self, X):
        """Smallest and largest probability that a good model gives each case.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases; equal ones are solved once.

        Returns
        -------
        ends : ndarray of shape (n_samples, 2)
            Lowest and highest probability of ``classes_[1]``. NaN, with a warning, where the solver stopped early.
        """
        distinct, inverse, models = self._extremes(X)
        return expit(np.einsum("mp,emp->me", distinct, models))[inverse]

    def ambiguity(self, X, delta=None):
        """Share of cases about which some good model conflicts with the best one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases.
        delta : float or sequence of floats, default=None
            Changes of probability that count as a conflict; None: the parameter ``delta``.

        Returns
        -------
        ambiguity : float or ndarray of floats
            For each ``delta``.
        """
        thresholds = self._thresholds(delta)
        distinct, inverse, models = self._extremes(X)
        shares = self._ambiguity(distinct, inverse, models, np.atleast_1d(thresholds))
        return shares if np.ndim(thresholds) else float(shares[0])

    def _ambiguity(self, distinct, inverse, models, thresholds):
        moved = np.abs(expit(np.einsum("mp,emp->em", distinct, models)) - expit(distinct @ self._best)).max(axis=0)
        return (moved[inverse, None] >= thresholds).mean(axis=0)

    def discrepancy(self, X, delta=None):
        """Bounds on the largest share of cases about which one good model conflicts with the best one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases.
        delta : float or sequence of floats, default=None
            Changes of probability that count as a conflict; None: the parameter ``delta``.

        Returns
        -------
        lower : float or ndarray of floats
            What the worst good model found reaches, for each ``delta``.
        upper : float or ndarray of floats
            The ambiguity: no model conflicts about more.
        """
        thresholds = self._thresholds(delta)
        distinct, inverse, models = self._extremes(X)
        each = np.atleast_1d(thresholds)
        upper = self._ambiguity(distinct, inverse, models, each)
        good, cases = self._good_models(), distinct[inverse]
        members = models.reshape(-1, distinct.shape[1])
        members = members[np.isfinite(members).all(axis=1)]
        shares = good.conflicts(cases, members, each)
        lower = np.array([good.search_conflict(cases, members, s, d) for s, d in zip(shares.T, each, strict=True)])
        return (lower, upper) if np.ndim(thresholds) else (float(lower[0]), float(upper[0]))

    def _thresholds(self, delta):
        delta = self.delta if delta is None else delta
        values = np.asarray(delta, float)
        if values.ndim > 1 or values.size == 0 or not ((values > 0) & (values <= 1)).all():
            raise ValueError(f"delta={delta!r} found; expected numbers above 0, at most 1.")
        return values

    def decision_function(self, X):
        """Log-odds of ``classes_[1]`` by the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases.

        Returns
        -------
        score : ndarray of shape (n_samples,)
            Log-odds.
        """
        return self._checked(X) @ self.coef_[0] + self.intercept_[0]

    def predict_proba(self, X):
        """Probabilities by the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, 2)
            In the order of ``classes_``.
        """
        p = expit(self.decision_function(X))
        return np.column_stack([1 - p, p])

    def predict(self, X):
        """Labels by the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Labels.
        """
        score = self.decision_function(X)
        return self.classes_[(score > 0).astype(int)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
