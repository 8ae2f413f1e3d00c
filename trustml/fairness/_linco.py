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
from trustml.fairness._debias import as_vectors, interval_of_gap, linear_noise, mean_of_pairs, squared_gaps
from trustml.fairness._disagreement import case_inconsistency, pair_matrix
from trustml.fairness._from_judgments import ranked, resolve_disagreement
from trustml.fairness._groups import find_groups, groups_with_judge
from trustml.fairness._halves import bootstrap_gaps, draw_halves, gaps_of_halves
from trustml.fairness._judges import Court, LinearJudges, judgments, make_judges
from trustml.fairness._null import Statistic, holm, p_values, simulate
from trustml.fairness._overlap import LEAST_OVERLAP, overlap, overlap_weights, propensities
from trustml.fairness._scale import rescale, scale_of


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
    normalize : {"target_std", "target_iqr", "noise_floor"}, default=None
        Unit of the results. None: that of the judgments. "target_std" and "target_iqr": standard deviation or
        interquartile range of ``y``, for numbers. "noise_floor": mean of the null distribution, for ``linco_``,
        ``pairwise_`` and the null.
    correction : {"split_half", "analytic", "null_mean"}, default="split_half"
        How noise is removed from the squared gap. "split_half": judges of random halves of each group, for any model.
        "analytic": the HC3 covariance of the coefficients, for the compiled models. "null_mean": the mean of the null
        is subtracted, which takes away too much or too little where the groups do differ.
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
    n_boot : int, default=0
        Bootstrap samples of the rows of each group for the standard error of the squared gap, for any model; 0: the
        delta method, for the compiled models only.
    confidence : float, default=0.95
        Coverage of the intervals.
    overlap : {"report", "trim", "weight"}, default="report"
        What becomes of cases that hardly occur in some group, whose judge extrapolates. "report": they count, and
        ``overlap_share_`` says how many others there are. "trim": only cases count whose ``overlap_`` is 0.1 or more.
        "weight": cases count by the harmonic mean of the probabilities of the groups.
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
    squared_debiased_, squared_standard_error_ : float
        Mean squared gap without noise, which may be negative, and its standard error given the cases (NaN where
        ``interval_`` is).
    linco_debiased_ : float
        Its root; 0 if it is negative. Comparable with ``linco_rms_``.
    interval_ : ndarray of shape (2,)
        Confidence interval of ``linco_debiased_``, given the cases; NaN for models that are not compiled, unless
        ``n_boot`` is positive.
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
    overlap_ : ndarray of shape (n_audited,)
        From 0, no such case in some group, to 1, as many in all: the smallest probability of a group given X, by
        logistic regression, for groups of equal size, times their number.
    overlap_share_ : float
        Share of the cases whose ``overlap_`` is 0.1 or more; for two groups, of equal size, that is 5 to 95 % in each.
    scale_ : float
        What ``normalize`` divided by.
    strata_ : dict of str to LInCo
        The audit of every stratum, if ``strata`` were given.
    skipped_strata_ : dict of str to str
        Strata without an audit, and why.
    linco_within_strata_, linco_debiased_within_strata_ : float
        Mean over strata of ``linco_``, and root of that of ``squared_debiased_``, by the weight of their cases.
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
        "normalize": [StrOptions({"target_std", "target_iqr", "noise_floor"}), None],
        "correction": [StrOptions({"split_half", "analytic", "null_mean"})],
        "n_splits": [Interval(Integral, 1, None, closed="left")],
        "null": [StrOptions({"conditional", "permutation"})],
        "null_estimator": [HasMethods(["fit", "predict"]), None],
        "n_null": [Interval(Integral, 0, None, closed="left")],
        "n_boot": [Interval(Integral, 0, None, closed="left")],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "overlap": [StrOptions({"report", "trim", "weight"})],
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
        normalize=None,
        correction="split_half",
        n_splits=5,
        null="conditional",
        null_estimator=None,
        n_null=199,
        n_boot=0,
        confidence=0.95,
        overlap="report",
        min_group_size=30,
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.response = response
        self.disagreement = disagreement
        self.aggregate = aggregate
        self.normalize = normalize
        self.correction = correction
        self.n_splits = n_splits
        self.null = null
        self.null_estimator = null_estimator
        self.n_null = n_null
        self.n_boot = n_boot
        self.confidence = confidence
        self.overlap = overlap
        self.min_group_size = min_group_size
        self.n_jobs = n_jobs
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, sensitive_features=None, sample_weight=None, X_audit=None, strata=None):
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
        strata : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            Kinds of cases, such as charges, each of which is also audited on its own, by judges of its own.

        Returns
        -------
        self : LInCo
            The fitted audit.
        """
        if strata is not None and X_audit is not None:
            raise ValueError("X_audit and strata were both given; expected one: the strata of X_audit are not known.")
        model, court, Z, v = self._check(X, y, sensitive_features, sample_weight, X_audit)
        seed = seed_from(self.random_state)
        judges = make_judges(model, court, self.n_jobs)
        self._check_correction(judges, court, model)
        self.engine_, self.response_, self.estimators_ = judges.name, court.response, judges.observed()
        n_classes = 0 if court.classes is None else len(court.classes)
        self.disagreement_ = resolve_disagreement(self.disagreement, self.aggregate, court.response, n_classes)
        power = 2 if (self.disagreement_, self.aggregate) == ("squared", "pairs") else 1
        self.scale_ = scale_of(self.normalize, court, self.disagreement_, self.aggregate)
        v = self._weigh_by_overlap(court, Z, v)
        J = judgments(self.estimators_, Z, court.classes, court.response)
        statistic = Statistic(self.disagreement_, self.aggregate, court.response, n_classes)
        pairs, self.linco_ = statistic(J, v)
        self.pairwise_ = pair_matrix(pairs)
        raw = squared_gaps(as_vectors(J, court.response, n_classes), v)
        self.linco_rms_ = float(np.sqrt(max(mean_of_pairs(raw), 0)))
        said = np.eye(n_classes)[J] if court.response == "label" else J
        said = said[..., 1] if court.response == "label" and n_classes == 2 else said
        means = np.tensordot(v, said, axes=1)
        self.pairwise_signed_ = means[None] - means[:, None]
        squares = self._simulate(judges, court, Z, v, statistic, pairs, np.random.default_rng([seed, 1]))
        self._debias(judges, court, J, raw, squares, Z, v, seed)
        rescale(self, power)
        if strata is not None:
            self._audit_strata(X, y, sensitive_features, sample_weight, strata)
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
        kept, counts, self.skipped_groups_ = groups_with_judge(groups, weight, self.min_group_size)
        rows = np.flatnonzero(kept[groups.codes] & (weight > 0))
        self.groups_, self.group_counts_ = groups.labels[kept], counts[kept]
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
        Z = X_audit
        if numeric:
            Z = check_magnitude(validate_data(self, X_audit, reset=False, dtype=np.float64), "X_audit")
        else:
            validate_data(self, X_audit, reset=False, skip_check_array=True)
        return model, court, Z, np.full(len(Z), 1 / len(Z))

    def _check_correction(self, judges, court, model):
        if self.correction == "null_mean" and not self.n_null:
            raise ValueError("correction='null_mean' found with n_null=0; expected a null to take the mean of.")
        if self.normalize == "noise_floor" and not self.n_null:
            raise ValueError("normalize='noise_floor' found with n_null=0; expected a null to take the mean of.")
        if self.correction == "analytic" and not isinstance(judges, LinearJudges):
            raise ValueError(
                f"correction='analytic' found for estimator={type(model).__name__}; expected Ridge, "
                "LinearRegression or binary LogisticRegression on an array, or correction='split_half'."
            )
        if self.correction == "analytic" and court.response == "label":
            raise ValueError(
                "correction='analytic' found for labels; expected response='predict_proba' or 'split_half'."
            )

    def _weigh_by_overlap(self, court, Z, v):
        probability = propensities(court.X, court.codes, court.n_groups, court.weight, Z)
        self.overlap_ = overlap(probability)
        common = self.overlap_ >= LEAST_OVERLAP
        self.overlap_share_ = float(v @ common)
        if self.overlap_share_ == 0:
            trouble = "no case is like the cases of every group, so that judges of some group extrapolate"
            if self.overlap == "trim":
                raise ValueError(f"overlap='trim' leaves no case: {trouble}.")
            warnings.warn(f"{trouble}; see overlap_.", UserWarning, stacklevel=4)
        if self.overlap == "report":
            return v
        v = v * (common if self.overlap == "trim" else overlap_weights(probability))
        return v / v.sum()

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

    def _simulate(self, judges, court, Z, v, statistic, observed, rng):
        """The null distribution and p-values; returns its mean squared gaps (G, G) if they correct."""
        if not self.n_null:
            self.null_distribution_ = np.empty(0)
            self.noise_floor_ = self.p_value_ = self.minimum_detectable_effect_ = np.nan
            self.pairwise_pvalues_ = np.full((court.n_groups, court.n_groups), np.nan)
            return None
        options = {"null": self.null, "null_estimator": self.null_estimator, "n_null": self.n_null, "rng": rng}
        wanted = self.correction == "null_mean"
        simulated = simulate(judges, court, Z, v, statistic, with_squares=wanted, **options)
        self.null_distribution_ = simulated.total
        self.noise_floor_ = float(np.mean(simulated.total))
        self.minimum_detectable_effect_ = float(np.quantile(simulated.total, 0.95))
        self.p_value_ = float(p_values(self.linco_, simulated.total))
        self.pairwise_pvalues_ = pair_matrix(holm(p_values(observed, simulated.pairs)))
        np.fill_diagonal(self.pairwise_pvalues_, 1.0)
        return pair_matrix(simulated.squares.mean(axis=0)) if wanted else None

    def _debias(self, judges, court, J, raw, squares, Z, v, seed):
        rng, halves, noise, spread = np.random.default_rng([seed, 0]), None, None, None
        if self.correction == "split_half":
            halves = draw_halves(court, self.n_splits, rng)
        linear = isinstance(judges, LinearJudges) and court.response != "label"
        if linear and (self.correction == "analytic" or not self.n_boot):
            slope = J * (1 - J) if judges.is_logistic else np.ones_like(J)
            splits = self.n_splits if self.correction == "split_half" else 0
            noise = linear_noise(J, slope, judges.augment(Z), v, judges.covariance(), splits)
        if self.correction == "split_half":
            gaps = gaps_of_halves(judges, court, halves, Z, v)
        else:
            gaps = raw - (noise.bias if self.correction == "analytic" else squares)
        self.squared_debiased_ = float(mean_of_pairs(gaps))
        self.linco_debiased_ = float(np.sqrt(max(self.squared_debiased_, 0)))
        self.pairwise_debiased_ = np.sqrt(np.maximum(gaps, 0))
        if self.n_boot:
            rng = np.random.default_rng([seed, 2])
            spread = bootstrap_gaps(judges, court, halves, Z, v, self.n_boot, rng)
        self._intervals(gaps, raw, noise, spread)

    def _intervals(self, gaps, raw, noise, spread):
        z, total = norm.ppf(0.5 + self.confidence / 2), self.squared_debiased_
        if spread is not None:
            error, errors = np.std(mean_of_pairs(spread)), np.std(spread, axis=0)
            ends = np.array([total - z * error, total + z * error])
            pairs = np.stack([gaps - z * errors, gaps + z * errors], axis=-1)
        elif noise is not None:
            growth, inflation, constant = noise.total
            error = np.sqrt(max(growth - inflation, 0) + constant)
            ends = interval_of_gap(total, mean_of_pairs(raw), *noise.total, z)
            pairs = interval_of_gap(gaps, raw, *noise.pairs, z)
        else:
            error, ends, pairs = np.nan, np.full(2, np.nan), np.full((*gaps.shape, 2), np.nan)
        self.squared_standard_error_ = float(error)
        self.interval_, self.pairwise_interval_ = np.sqrt(np.maximum(ends, 0)), np.sqrt(np.maximum(pairs, 0))

    def _audit_strata(self, X, y, sensitive_features, sample_weight, strata):
        y = column_or_1d(y)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
        kinds = find_groups(strata, len(y), name="strata")
        members = find_groups(sensitive_features, len(y)).codes
        self.strata_, self.skipped_strata_, shares = {}, {}, []
        for code, label in enumerate(kinds.labels.tolist()):
            rows = np.flatnonzero(kinds.codes == code)
            judged = np.bincount(members[rows], weights=weight[rows] > 0) >= self.min_group_size
            if judged.sum() < 2:
                self.skipped_strata_[str(label)] = f"{len(rows)} rows, {judged.sum()} groups with a judge"
                continue
            audit = clone(self).fit(
                safe_indexing(X, rows),
                y[rows],
                sensitive_features=safe_indexing(sensitive_features, rows),
                sample_weight=None if sample_weight is None else weight[rows],
            )
            self.strata_[str(label)] = audit
            shares.append(weight[rows][judged[members[rows]]].sum())
        if self.skipped_strata_:
            warnings.warn(f"strata without an audit: {self.skipped_strata_}", UserWarning, stacklevel=4)
        shares = np.array(shares) / np.sum(shares) if shares else np.array([np.nan])
        audits = list(self.strata_.values())
        self.linco_within_strata_ = float(shares @ [a.linco_ for a in audits]) if audits else np.nan
        square = float(shares @ [a.squared_debiased_ for a in audits]) if audits else np.nan
        self.linco_debiased_within_strata_ = float(np.sqrt(np.maximum(square, 0)))

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
            cases = np.asarray(case_inconsistency(J, rho=self.disagreement_, aggregate=self.aggregate))
        power = 2 if (self.disagreement_, self.aggregate) == ("squared", "pairs") else 1
        return cases / self.scale_**power

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
            "overlap_share": self.overlap_share_,
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
