"""LInCo: how differently the groups would be judged."""

import warnings
from numbers import Integral, Real

import jax
import numpy as np
from scipy.stats import norm
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_array, check_consistent_length, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from trustml._jax import seed_from
from trustml._sklearn import HasMethods, Interval, StrOptions, check_sample_weight, fit_context, safe_indexing
from trustml._validation import check_magnitude
from trustml.fairness._debias import (
    as_vectors,
    interval_of_gap,
    linear_noise,
    mean_of_pairs,
    split_half_gaps,
    squared_gaps,
)
from trustml.fairness._disagreement import case_inconsistency, linear_pair_and_total, pair_and_total, pair_matrix
from trustml.fairness._from_judgments import ranked, resolve_disagreement
from trustml.fairness._groups import find_groups
from trustml.fairness._judges import Court, LinearJudges, judgments, make_judges

_ROWS_OF_BLOCK = 512


def _model_of(linco):
    return linco.estimators_[0] if hasattr(linco, "estimators_") else linco.estimator


def _gives_probabilities(linco):
    return getattr(linco, "response_", linco.response) in ("probability", "predict_proba", "auto") and hasattr(
        _model_of(linco) or LogisticRegression, "predict_proba"
    )


class LInCo(MetaEstimatorMixin, BaseEstimator):
    """How differently the groups would be judged: disagreement of one simulated judge per group.

    One model is trained on the cases of each group and stands for the judge of that group. All judges then judge the
    same cases. Judges trained on finite samples disagree even if nobody is treated differently, so that the raw mean
    disagreement ``linco_`` comes with its noise floor, with a p-value, and with a value from which that noise is
    removed.

    Parameters
    ----------
    estimator : estimator, default=None
        The model of every judge. None: :class:`~sklearn.linear_model.Ridge` for numbers and
        :class:`~sklearn.linear_model.LogisticRegression` for labels. These and
        :class:`~sklearn.linear_model.LinearRegression` run as compiled programs (two classes, array input), others
        through joblib.
    response : {"auto", "predict", "predict_proba"}, default="auto"
        What a judge says. "auto": probabilities where the model has them, else predictions.
    disagreement : str, default="auto"
        How far apart two judgments are, as in :func:`linco_from_judgments`.
    aggregate : {"pairs", "std", "cv", "range"}, default="pairs"
        From the judges of a case to its inconsistency, as in :func:`linco_from_judgments`.
    correction : {"split_half", "analytic"}, default="split_half"
        How noise is removed from the squared gap. "split_half": judges of random halves of each group, for any model.
        "analytic": the HC3 covariance of the coefficients, for the compiled models.
    n_splits : int, default=5
        Random halvings that "split_half" averages over.
    null : {"conditional", "permutation"}, default="conditional"
        What is simulated. "conditional": targets drawn from one model for all groups, given X and the groups (the sign
        of its residuals is drawn; labels are drawn from its probabilities). "permutation": shuffled groups, which also
        assumes that X is distributed alike in all groups.
    null_estimator : estimator, default=None
        The one model for all groups; None: a clone of ``estimator``. One that is not compiled predicts out of fold
        (unless a class has one row); a classifier without ``predict_proba`` is replaced by logistic regression.
    n_null : int, default=199
        Number of simulated data sets; 0: no null.
    confidence : float, default=0.95
        Coverage of the intervals.
    min_group_size : int, default=30
        Groups with fewer rows of positive weight get no judge; a warning names them.
    n_jobs : int, default=None
        Fits in parallel, for models that are not compiled.
    random_state : int, RandomState instance or None, default=None
        Halves and simulated data sets.

    Attributes
    ----------
    groups_ : ndarray of shape (n_groups,)
        Labels of the groups that have a judge.
    group_counts_ : ndarray of int of shape (n_groups,)
        Their rows of positive weight.
    skipped_groups_ : dict of str to str
        Groups without a judge, and why.
    estimators_ : list of estimators
        The judges.
    engine_ : {"jax:ridge", "jax:logistic", "joblib"}
        What fitted them.
    linco_ : float
        Mean inconsistency of the cases, noise included.
    linco_rms_ : float
        Root of the mean squared gap of two judges, noise included.
    squared_debiased_ : float
        Mean squared gap without noise; an unbiased estimate may be negative.
    linco_debiased_ : float
        Its root; 0 if it is negative. Comparable with ``linco_rms_``.
    interval_ : ndarray of shape (2,)
        Confidence interval of ``linco_debiased_``, given the cases; NaN for models that are not compiled.
    noise_floor_ : float
        Mean of ``null_distribution_``.
    null_distribution_ : ndarray of shape (n_null,)
        What ``linco_`` would be if the groups were judged alike.
    p_value_ : float
        Of that hypothesis; never 0.
    minimum_detectable_effect_ : float
        0.95 quantile of the null distribution.
    pairwise_, pairwise_debiased_ : ndarray of shape (n_groups, n_groups)
        Mean disagreement of two judges; root of their squared gap without noise.
    pairwise_interval_ : ndarray of shape (n_groups, n_groups, 2)
        Intervals of the latter.
    pairwise_signed_ : ndarray of shape (n_groups, n_groups) or (n_groups, n_groups, n_classes)
        Entry (a, b): mean judgment of judge b minus that of judge a, so who is harsher. Classifiers: probability or
        share of the second class, or of each of several.
    pairwise_pvalues_ : ndarray of shape (n_groups, n_groups)
        p-values of pairs, after Holm's correction.
    classes_ : ndarray of shape (n_classes,)
        Classifiers only.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    linco_from_judgments : For judgments that come from elsewhere.

    Notes
    -----
    The idea is that of the Legal Inconsistency Coefficient [1]_. Its exact normalisation could not be verified: the
    default here is the mean absolute disagreement over cases and pairs, in the unit of the target. Noise floor,
    corrections, intervals and p-values are ours. A debiased value of zero says that judges *of this model class* agree
    on these cases within what the sample can show; it does not say that the treatment is right, nor that X is innocent.

    References
    ----------
    .. [1] "Equality before the Law: Legal Judgment Consistency Analysis for Fairness", arXiv:2103.13868.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.fairness import LInCo
    >>> rng = np.random.default_rng(0)
    >>> X, group = rng.normal(size=(600, 3)), np.repeat(["a", "b"], 300)
    >>> y = X[:, 0] + 0.5 * (group == "b") + 0.3 * rng.normal(size=600)
    >>> audit = LInCo(random_state=0).fit(X, y, sensitive_features=group)
    >>> round(audit.linco_debiased_, 1), audit.p_value_
    (0.5, 0.005)
    >>> round(float(audit.pairwise_signed_[0, 1]), 1)  # the judge of b gives more
    0.5
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "response": [StrOptions({"auto", "predict", "predict_proba"})],
        "disagreement": [str],
        "aggregate": [StrOptions({"pairs", "std", "cv", "range"})],
        "correction": [StrOptions({"split_half", "analytic"})],
        "n_splits": [Interval(Integral, 1, None, closed="left")],
        "null": [StrOptions({"conditional", "permutation"})],
        "null_estimator": [HasMethods(["fit", "predict"]), None],
        "n_null": [Interval(Integral, 0, None, closed="left")],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "min_group_size": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        response="auto",
        disagreement="auto",
        aggregate="pairs",
        correction="split_half",
        n_splits=5,
        null="conditional",
        null_estimator=None,
        n_null=199,
        confidence=0.95,
        min_group_size=30,
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.response = response
        self.disagreement = disagreement
        self.aggregate = aggregate
        self.correction = correction
        self.n_splits = n_splits
        self.null = null
        self.null_estimator = null_estimator
        self.n_null = n_null
        self.confidence = confidence
        self.min_group_size = min_group_size
        self.n_jobs = n_jobs
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, sensitive_features=None, sample_weight=None, X_audit=None):
        """Train the judges and measure their disagreement.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases.
        y : array-like of shape (n_samples,)
            What was decided: numbers or labels.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Group of each case; of several columns, their intersections. Required.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, in training and in the means over cases.
        X_audit : array-like of shape (n_audit, n_features), default=None
            Cases that are judged, each of weight one; None: those of ``X`` whose group has a judge.

        Returns
        -------
        self : LInCo
            The fitted audit.
        """
        model, court, Z, v = self._check(X, y, sensitive_features, sample_weight, X_audit)
        seed = seed_from(self.random_state)
        judges = make_judges(model, court, self.n_jobs)
        if self.correction == "analytic" and not isinstance(judges, LinearJudges):
            raise ValueError(
                f"correction='analytic' found for estimator={type(model).__name__}; expected Ridge, "
                "LinearRegression or binary LogisticRegression on an array, or correction='split_half'."
            )
        self.engine_, self.response_, self.estimators_ = judges.name, court.response, judges.observed()
        n_classes = 0 if court.classes is None else len(court.classes)
        self.disagreement_ = resolve_disagreement(self.disagreement, self.aggregate, court.response, n_classes)
        J = judgments(self.estimators_, Z, court.classes, court.response)
        self.pairwise_, self.linco_ = self._coefficient(J, v, n_classes)
        vectors = as_vectors(J, court.response, n_classes)
        raw = squared_gaps(vectors, v)
        self.linco_rms_ = float(np.sqrt(max(mean_of_pairs(raw), 0)))
        said = np.eye(n_classes)[J] if court.response == "label" else J
        said = said[..., 1] if court.response == "label" and n_classes == 2 else said
        means = np.tensordot(v, said, axes=1)
        self.pairwise_signed_ = means[None] - means[:, None]
        self._debias(judges, court, J, raw, Z, v, seed)
        self._simulate(judges, court, Z, v, n_classes, np.random.default_rng([seed, 1]))
        return self

    def _check(self, X, y, sensitive_features, sample_weight, X_audit):
        if y is None:
            raise ValueError(
                "requires y to be passed, but the target y is None: LInCo compares judgments of the target."
            )
        y = column_or_1d(y, warn=True)
        kind = type_of_target(y, input_name="y")
        if self.estimator is None:
            labels = kind == "binary" or (kind == "multiclass" and np.asarray(y).dtype.kind != "f")
            model = LogisticRegression() if labels else Ridge()
        else:
            model = self.estimator
        as_labels = is_classifier(model)
        numeric = type(model) in (Ridge, LinearRegression, LogisticRegression) or not hasattr(X, "columns")
        if numeric:
            X = check_magnitude(validate_data(self, X, dtype=np.float64, accept_sparse=False), "X")
        else:
            validate_data(self, X, skip_check_array=True)
        if as_labels:
            check_classification_targets(y)
            self.classes_, y = np.unique(y, return_inverse=True)
        else:
            y = check_magnitude(check_array(y, ensure_2d=False, dtype=np.float64, input_name="y"), "y")
        check_consistent_length(X, y)
        n_samples = len(y)
        weight = check_sample_weight(
            sample_weight, np.empty((n_samples, 0)), dtype=np.float64, ensure_non_negative=True
        )
        check_magnitude(weight, "sample_weight")
        groups = find_groups(sensitive_features, n_samples)
        rows, kept = self._rows_with_judge(groups, weight)
        classes = self.classes_ if as_labels else None
        court = Court(
            safe_indexing(X, rows),
            y[rows],
            classes,
            np.searchsorted(np.flatnonzero(kept), groups.codes[rows]),
            len(self.groups_),
            weight[rows],
            self._kind_of_response(model, as_labels),
        )
        if X_audit is None:
            return model, court, court.X, court.weight / court.weight.sum()
        Z = validate_data(self, X_audit, reset=False, dtype=np.float64) if numeric else X_audit
        return model, court, Z, np.full(len(Z), 1 / len(Z))

    def _rows_with_judge(self, groups, weight):
        """Rows of positive weight whose group has a judge, and which groups have one."""
        counts = np.bincount(groups.codes, weights=weight > 0, minlength=len(groups.labels)).astype(int)
        kept = counts >= self.min_group_size
        names = [str(label) for label in groups.labels.tolist()]
        small = {
            n: f"{c} rows, min_group_size={self.min_group_size}"
            for n, c, k in zip(names, counts, kept, strict=True)
            if not k
        }
        self.skipped_groups_ = {**small, **dict.fromkeys(groups.empty, "no rows")}
        if kept.sum() < 2:
            sizes = dict(zip(names, counts.tolist(), strict=True))
            raise ValueError(
                f"sensitive_features leaves {kept.sum()} of the groups {sizes} "
                f"with min_group_size={self.min_group_size} rows or more; expected two (n_samples={len(weight)})."
            )
        if small:
            lost = counts[~kept].sum()
            warnings.warn(f"groups without a judge, with their {lost} rows: {small}", UserWarning, stacklevel=4)
        self.groups_, self.group_counts_ = groups.labels[kept], counts[kept]
        return np.flatnonzero(kept[groups.codes] & (weight > 0)), kept

    def _kind_of_response(self, model, as_labels):
        if not as_labels:
            if self.response == "predict_proba":
                raise ValueError("response='predict_proba' found for a regressor; expected 'predict' or 'auto'.")
            return "number"
        has = hasattr(model, "predict_proba")
        if self.response == "predict_proba" and not has:
            raise ValueError(
                f"response='predict_proba' found, but estimator={type(model).__name__} has no predict_proba; "
                "expected response='predict'."
            )
        return "probability" if has and self.response != "predict" else "label"

    def _coefficient(self, J, v, n_classes):
        with jax.enable_x64(True):
            prepared = ranked(J, self.disagreement_, n_classes)
            pairs, total = pair_and_total(prepared, v, rho=self.disagreement_, aggregate=self.aggregate)
            return pair_matrix(pairs), float(total)

    def _debias(self, judges, court, J, raw, Z, v, seed):
        analytic, noise = self.correction == "analytic", None
        if isinstance(judges, LinearJudges) and court.response != "label":
            slope = J * (1 - J) if judges.is_logistic else np.ones_like(J)
            splits = 0 if analytic else self.n_splits
            noise = linear_noise(J, slope, judges.augment(Z), v, judges.covariance(), splits)
        elif analytic:
            raise ValueError(
                "correction='analytic' found for labels; expected response='predict_proba' or 'split_half'."
            )
        rng = np.random.default_rng([seed, 0])
        gaps = raw - noise.bias if analytic else self._split_half(judges, court, Z, v, rng)
        self.squared_debiased_ = float(mean_of_pairs(gaps))
        self.linco_debiased_ = float(np.sqrt(max(self.squared_debiased_, 0)))
        self.pairwise_debiased_ = np.sqrt(np.maximum(gaps, 0))
        if noise is None:
            self.interval_ = np.full(2, np.nan)
            self.pairwise_interval_ = np.full((*gaps.shape, 2), np.nan)
            return
        z = norm.ppf(0.5 + self.confidence / 2)
        ends = interval_of_gap(self.squared_debiased_, mean_of_pairs(raw), *noise.total, z)
        self.interval_ = np.sqrt(np.maximum(ends, 0))
        self.pairwise_interval_ = np.sqrt(np.maximum(interval_of_gap(gaps, raw, *noise.pairs, z), 0))

    def _split_half(self, judges, court, Z, v, rng):
        """Squared gaps, averaged over random halvings of every group, class by class."""
        n = len(court.y)
        stratum = court.codes * (1 if court.classes is None else len(court.classes))
        stratum = stratum + (0 if court.classes is None else court.y)
        weights = []
        for _ in range(self.n_splits):
            order = np.lexsort((rng.random(n), stratum, court.codes))
            # Alternate within each group, so that halves differ by a row at most.
            first = np.cumsum(np.bincount(court.codes)) - np.bincount(court.codes)
            half = np.empty(n, int)
            half[order] = (np.arange(n) - first[court.codes[order]] + rng.integers(2)) % 2
            weights += [court.weight * (half == 0), court.weight * (half == 1)]
        weights = np.array(weights)
        smallest = np.bincount(court.codes).min()
        if smallest < 2:
            raise ValueError("a group has one row, which has no halves; expected min_group_size >= 2 for 'split_half'.")
        lanes = len(weights)
        rows = np.broadcast_to(np.arange(n), (lanes, n))
        panels = judges.panels(rows, np.broadcast_to(court.y, (lanes, n)), weights, Z)
        n_classes = 0 if court.classes is None else len(court.classes)
        vectors = [as_vectors(J, court.response, n_classes) for J in panels]
        return np.mean([split_half_gaps(a, b, v) for a, b in zip(vectors[::2], vectors[1::2], strict=True)], axis=0)

    def _simulate(self, judges, court, Z, v, n_classes, rng):
        n_pairs = court.n_groups * (court.n_groups - 1) // 2
        pairs, total = np.empty((self.n_null, n_pairs)), np.empty(self.n_null)
        if self.n_null and self.null == "permutation":
            orders = np.argsort(rng.random((self.n_null, len(court.y))), axis=1)
            panels = judges.panels(orders, court.y[orders], court.weight[orders], Z)
            pairs, total = self._of_panels(panels, v, n_classes)
        elif self.n_null:
            pairs, total = self._conditional(judges, court, Z, v, n_classes, rng)
        self.null_distribution_ = np.asarray(total)
        if not self.n_null:
            self.noise_floor_ = self.p_value_ = self.minimum_detectable_effect_ = np.nan
            self.pairwise_pvalues_ = np.full((court.n_groups, court.n_groups), np.nan)
            return
        self.noise_floor_ = float(np.mean(total))
        self.minimum_detectable_effect_ = float(np.quantile(total, 0.95))
        self.p_value_ = float((1 + np.sum(total >= self.linco_ - 1e-12)) / (1 + self.n_null))
        observed = self.pairwise_[np.triu_indices(court.n_groups, 1)]
        p = (1 + np.sum(pairs >= observed - 1e-12, axis=0)) / (1 + self.n_null)
        order = np.argsort(p, kind="stable")
        holm = np.empty(n_pairs)
        holm[order] = np.minimum(np.maximum.accumulate((n_pairs - np.arange(n_pairs)) * p[order]), 1)
        self.pairwise_pvalues_ = pair_matrix(holm)
        np.fill_diagonal(self.pairwise_pvalues_, 1.0)

    def _of_panels(self, panels, v, n_classes):
        found = [self._coefficient(J, v, n_classes) for J in panels]
        first, second = np.triu_indices(len(self.groups_), 1)
        return np.array([matrix[first, second] for matrix, _ in found]), np.array([total for _, total in found])

    def _conditional(self, judges, court, Z, v, n_classes, rng):
        pooled, freedom = judges.pooled(self.null_estimator, court.X)
        n = len(court.y)
        if court.classes is None:
            residual = (court.y - pooled) * np.sqrt(n / max(n - freedom, 1))
            bits = np.frombuffer(rng.bytes(-(-n * self.n_null // 8)), np.uint8)
            draws = (2 * np.unpackbits(bits)[: n * self.n_null].astype(np.int8) - 1).reshape(n, self.n_null)
            base = pooled
        else:
            threshold = np.cumsum(pooled, axis=1)[:, None, :-1]
            draws = (rng.random((n, self.n_null))[..., None] > threshold).sum(axis=2)
            base, residual = pooled[:, -1], None
        if not isinstance(judges, LinearJudges):
            y = draws.T if residual is None else (base[:, None] + residual[:, None] * draws).T
            shape = y.shape
            rows = np.broadcast_to(np.arange(n), shape)
            panels = judges.panels(rows, y, np.broadcast_to(court.weight, shape), Z)
            return self._of_panels(panels, v, n_classes)
        coef = judges.conditional_panels(base, residual, draws)
        cases = judges.augment(Z)
        if self.disagreement_ == "squared" and self.aggregate == "pairs" and not judges.is_logistic:
            first, second = np.triu_indices(court.n_groups, 1)
            S = (cases * v[:, None]).T @ cases
            gaps = coef[:, first] - coef[:, second]
            pairs = np.sum((S @ gaps.reshape(len(S), -1)).reshape(gaps.shape) * gaps, axis=0).T
            return pairs, pairs.mean(axis=1)
        n_blocks = -(-len(cases) // _ROWS_OF_BLOCK)
        padding = n_blocks * _ROWS_OF_BLOCK - len(cases)
        blocks = np.pad(cases, ((0, padding), (0, 0))).reshape(n_blocks, _ROWS_OF_BLOCK, -1)
        weights = np.pad(v, (0, padding)).reshape(n_blocks, -1)
        link = {"number": "identity", "probability": "sigmoid", "label": "label"}[court.response]
        with jax.enable_x64(True):
            pairs, total = linear_pair_and_total(
                blocks, weights, coef, link=link, rho=self.disagreement_, aggregate=self.aggregate
            )
            return np.asarray(pairs).T, np.asarray(total)

    def judge(self, X):
        """What each judge says about each case.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases.

        Returns
        -------
        judgments : ndarray of shape (n_samples, n_groups) or (n_samples, n_groups, n_classes)
            Numbers, labels, or probabilities in the order of ``classes_``, by group in the order of ``groups_``.
        """
        J = self._judgments(X)
        if self.response_ == "label":
            return self.classes_[J]
        if self.response_ == "probability" and J.ndim == 2:
            return np.stack([1 - J, J], axis=-1)
        return J

    def _judgments(self, X):
        check_is_fitted(self)
        if hasattr(X, "columns") and self.engine_ == "joblib":
            validate_data(self, X, reset=False, skip_check_array=True)
        else:
            X = validate_data(self, X, reset=False, dtype=np.float64)
        return judgments(self.estimators_, X, getattr(self, "classes_", None), self.response_)

    def predict_inconsistency(self, X):
        """How inconsistently each case would be judged, noise included.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases.

        Returns
        -------
        inconsistency : ndarray of shape (n_samples,)
            In the unit of ``linco_``, which is its weighted mean over the cases audited.
        """
        J = self._judgments(X)
        J = ranked(J, self.disagreement_, len(getattr(self, "classes_", ())))
        with jax.enable_x64(True):
            return np.asarray(case_inconsistency(J, rho=self.disagreement_, aggregate=self.aggregate))

    def predict(self, X):
        """The jury's decision: the mean of the judges' numbers or probabilities, or the vote on a label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Numbers, or labels; a tie goes to the first label.
        """
        J = self._judgments(X)
        if self.response_ == "number":
            return J.mean(axis=1)
        votes = np.eye(len(self.classes_))[J] if self.response_ == "label" else self.judge(X)
        return self.classes_[votes.mean(axis=1).argmax(axis=1)]

    @available_if(_gives_probabilities)
    def predict_proba(self, X):
        """Mean of the judges' probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self.judge(X).mean(axis=1)

    def score(self, X, y, sample_weight=None):
        """Score of the jury: accuracy, or R^2.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Cases.
        y : array-like of shape (n_samples,)
            What was decided.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            Accuracy for labels, R^2 for numbers.
        """
        measure = accuracy_score if hasattr(self, "classes_") else r2_score
        return measure(y, self.predict(X), sample_weight=sample_weight)

    def audit_predictor(self, predictor, X, sensitive_features, *, sample_weight=None, X_audit=None):
        """The same audit of a model's decisions instead of the decisions in the data.

        Parameters
        ----------
        predictor : estimator or callable
            Decides the cases: ``predictor.predict(X)``, or ``predictor(X)``.
        X, sensitive_features, sample_weight, X_audit : array-like
            As in :meth:`fit`.

        Returns
        -------
        audit : LInCo
            A new audit, fitted to the model's decisions.
        """
        decide = predictor.predict if hasattr(predictor, "predict") else predictor
        keywords = {"sensitive_features": sensitive_features, "sample_weight": sample_weight, "X_audit": X_audit}
        return clone(self).fit(X, decide(X), **keywords)

    def summary(self):
        """The audit in one table.

        Returns
        -------
        summary : dict
            Names and numbers: what was found, what noise explains, and how many rows the smallest group has.
        """
        check_is_fitted(self)
        return {
            "linco": self.linco_,
            "noise_floor": self.noise_floor_,
            "minimum_detectable_effect": self.minimum_detectable_effect_,
            "p_value": self.p_value_,
            "rms": self.linco_rms_,
            "rms_debiased": self.linco_debiased_,
            "interval_low": float(self.interval_[0]),
            "interval_high": float(self.interval_[1]),
            "smallest_group": int(self.group_counts_.min()),
            "skipped_groups": len(self.skipped_groups_),
        }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = False
        model = _model_of(self)
        if model is not None:
            of_model = get_tags(model)
            tags.estimator_type = of_model.estimator_type
            tags.classifier_tags, tags.regressor_tags = of_model.classifier_tags, of_model.regressor_tags
            if tags.classifier_tags is not None:
                tags.classifier_tags.multi_label = False
        return tags
