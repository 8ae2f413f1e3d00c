"""Intervals, noise and self-contradiction of any regressor, from small heads on its residuals."""

import warnings
from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin, is_regressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.utils import Bunch, check_array, check_consistent_length, column_or_1d, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from trustml._jax import seed_from
from trustml._sklearn import HasMethods, Interval, StrOptions, check_sample_weight, fit_context, safe_indexing
from trustml._validation import check_magnitude
from trustml.metrics._split_point import discrepancy, widening
from trustml.uncertainty._base import HeadsOnModel
from trustml.uncertainty._heads import constants, fit_mlp_heads, fit_sklearn_heads, mlp_outputs, sklearn_outputs
from trustml.uncertainty._model import as_table, fit_model, fold_numbers, out_of_fold
from trustml.uncertainty._sides import mix, shrinkage, side_factors, warn_of_few_rows


class SPCRegressor(RegressorMixin, HeadsOnModel):
    """Split-point uncertainty: small heads that say how far above and below a model's prediction targets lie.

    The residuals of a model are split at zero. Heads predict, for each row, the mean absolute residual (MAR), that of
    the upper and of the lower side, and a quantile of each side. The quantiles are an asymmetric prediction interval.
    The three MARs obey an identity, the harmonic mean, wherever the model is unbiased and the heads know the data: by
    how much it fails is the self-consistency discrepancy score (SDS).

    Intervals have no guarantee until :meth:`calibrate` has seen rows that nothing was fitted to; then each side of the
    interval holds its share of exchangeable rows.

    Parameters
    ----------
    estimator : regressor, default=None
        The model. None is :class:`~sklearn.ensemble.HistGradientBoostingRegressor`.
    coverage : float or sequence of float, default=0.95
        Share of targets within the interval, in (0, 1); several levels for several intervals.
    residuals : {"cv", "train", "prefit"}, default="cv"
        Of which rows: of folds that a clone was not fitted to; of the training rows (flexible models are far too
        sure there); or of rows given to :meth:`fit` with a model that is fitted already, to others.
    cv : int, splitter or iterable, default=5
        Folds of "cv", and of the heads, each of which stops when it gets no better on its fold. A number means
        shuffled folds.
    features : {"auto", "X"}, transformer or callable, default="auto"
        What heads see. "auto" is X, after the steps of a pipeline, and the last hidden layer of scikit-learn's MLP.
    head : {"mlp", "ridge", "gradient_boosting"}, default="mlp"
        A network for all numbers, ridge regression on a kernel map (quantiles are then multiples of the MAR), or
        gradient boosting. The last two level off far from the data, where SDS then says nothing.
    hidden_layer_sizes : tuple of int, default=(50,)
        Of a head of "mlp".
    quantile_loss : {"pinball", "coverage"}, default="pinball"
        Of "mlp": the proper loss, or the penalty on the coverage of a batch that the method's authors use.
    calibration : {"side", "sds", "none"}, default="side"
        How quantiles are widened in :meth:`fit`: by one factor for each side, so that it holds its share of
        out-of-fold rows; where MARs contradict each other; or not.
    max_widening : float, default=2.0
        Largest factor of "sds".
    batch_size : int or "auto", default="auto"
        Rows in a step of "mlp"; "auto" is near a sixteenth of them, between 32 and 1024.
    learning_rate : float, default=5e-3
        Of "mlp".
    alpha : float, default=1e-4
        Weight of the squared coefficients of "mlp".
    max_iter : int, default=200
        Most epochs of "mlp".
    tol : float, default=1e-4
        Least improvement that counts as one.
    n_iter_no_change : int, default=10
        Epochs without improvement on a head's fold before it stops.
    n_jobs : int, default=None
        Models fitted to folds at a time.
    random_state : int, RandomState instance or None, default=None
        Of folds and heads.

    Attributes
    ----------
    estimator_ : estimator
        The model fitted to all rows, or the one given.
    levels_ : ndarray of shape (n_levels,)
        Levels of coverage, rising.
    heads_ : tuple or list
        Arrays of the networks, or scikit-learn models.
    features_ : transformer, callable or str
        What gives the heads their features.
    feature_mean_, feature_scale_ : ndarray of shape (n_head_features,)
        By which features of the heads are standardised.
    residual_scale_ : ndarray of shape (n_targets,)
        Mean absolute residual of each target.
    constant_quantiles_ : ndarray of shape (n_targets, 2, n_levels)
        Quantiles of the sides of all residuals, in units of ``residual_scale_``.
    shrinkage_ : ndarray of shape (n_targets, 2, n_levels)
        Weight of these constants in the quantiles, the one that serves out-of-fold rows best: 0 is the heads alone.
    side_factors_ : ndarray of shape (n_targets, 2, n_levels)
        Factors of the upper and the lower quantiles.
    side_counts_ : ndarray of shape (n_targets, 2)
        Rows above and not above the prediction that these factors come from.
    n_iter_ : int
        Most epochs of any head.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    SPCClassifier : The same idea for probabilities.
    trustml.metrics.split_point_stats : Bias and asymmetry of the residuals of groups.
    UncertaintyDisplay : Pictures of intervals and scores.

    Notes
    -----
    With the MARs :math:`M, M_u, M_d`, :math:`D = 2 M_u M_d - M (M_u + M_d)` and :math:`\\mathrm{SDS} = \\sqrt{|D|}`, in
    units of y. Of the true MARs, :math:`D = b (M_d - M_u)` with the bias b: SDS is blind to a bias where the noise is
    symmetric. It also rises where heads, away from their data, disagree. Intervals there are not valid.

    References
    ----------
    Zhao & Chen (2025), "Uncertainty quantification by split-point analysis", arXiv:2509.13262.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from trustml.uncertainty import SPCRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(0, 4, size=(2000, 1))
    >>> y = 3 * X[:, 0] + rng.exponential(1 + X[:, 0])  # skewed, and noisier to the right
    >>> model = SPCRegressor(LinearRegression(), coverage=0.9, random_state=0).fit(X[:1000], y[:1000])
    >>> model.calibrate(X[1000:], y[1000:]).predict_interval([[1.0], [3.0]]).round(0)
    array([[ 3., 10.],
           [ 9., 22.]])
    """

    _parameter_constraints = {
        **HeadsOnModel._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "coverage": [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "head": [StrOptions({"mlp", "ridge", "gradient_boosting"})],
        "quantile_loss": [StrOptions({"pinball", "coverage"})],
        "calibration": [StrOptions({"side", "sds", "none"})],
        "max_widening": [Interval(Real, 1, None, closed="left")],
    }

    def __init__(
        self,
        estimator=None,
        *,
        coverage=0.95,
        residuals="cv",
        cv=5,
        features="auto",
        head="mlp",
        hidden_layer_sizes=(50,),
        quantile_loss="pinball",
        calibration="side",
        max_widening=2.0,
        batch_size="auto",
        learning_rate=5e-3,
        alpha=1e-4,
        max_iter=200,
        tol=1e-4,
        n_iter_no_change=10,
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.coverage = coverage
        self.residuals = residuals
        self.cv = cv
        self.features = features
        self.head = head
        self.hidden_layer_sizes = hidden_layer_sizes
        self.quantile_loss = quantile_loss
        self.calibration = calibration
        self.max_widening = max_widening
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.estimator is not None:
            inner = get_tags(self.estimator).target_tags
            tags.target_tags.multi_output = inner.multi_output
            tags.target_tags.single_output = inner.single_output
        return tags

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Fit the model and the heads; with ``residuals="prefit"`` the heads only.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. The model gets them as they are, data frames included.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, for the model as for the heads. A row of weight zero is as if it were absent.

        Returns
        -------
        self : SPCRegressor
        """
        levels = _check_levels(self.coverage)
        X, y, weight = self._check_rows(X, y, sample_weight)
        seed = seed_from(self.random_state)
        estimator = HistGradientBoostingRegressor(random_state=seed) if self.estimator is None else self.estimator
        if not is_regressor(estimator):
            raise ValueError(
                f"estimator={estimator!r} is no regressor; expected one, or SPCClassifier for a classifier."
            )
        given = None if sample_weight is None else weight
        model, residuals, folds = self._residuals(estimator, X, y, given, seed)
        standard, described = self._learn_features(model, X, y)
        scale = np.average(np.abs(residuals), axis=0, weights=weight)
        # Residuals that are nothing but rounding have no sides to learn.
        scale = np.where(scale > 1e-13 * np.abs(y.reshape(len(y), -1)).max(axis=0), scale, 0.0)
        standardised = np.where(scale > 0, residuals / np.where(scale > 0, scale, 1.0), 0.0)
        fit_heads = fit_mlp_heads if self.head == "mlp" else fit_sklearn_heads
        settings = {**self.get_params(deep=False), "seed": seed}
        held_out, heads, n_iter = fit_heads(standard, standardised, weight, folds, levels, settings)

        self.estimator_, self.heads_, self.n_iter_ = model, heads, n_iter
        self.levels_, self.residual_scale_ = levels, scale
        for name, value in described.items():
            setattr(self, name, value)
        self.constant_quantiles_ = np.stack([constants(e, weight, levels)[3:].reshape(2, -1) for e in standardised.T])
        sides = _sides(held_out)
        parts = zip(standardised.T, np.moveaxis(sides, 1, 0), self.constant_quantiles_, strict=True)
        self.shrinkage_ = np.stack([shrinkage(e, q, c, weight, levels) for e, q, c in parts])
        self._row_marks, self._one_target, self._kind = _row_marks(standard), y.ndim == 1, self.head
        self._widening = self.max_widening if self.calibration == "sds" else 1.0
        counts = [(((e > 0) & (weight > 0)).sum(), ((e <= 0) & (weight > 0)).sum()) for e in residuals.T]
        self.side_counts_, self.side_factors_ = np.array(counts), np.ones((len(scale), 2, len(levels)))
        if self.calibration == "side":
            self._set_factors(standardised, held_out, weight, guarantee=False)
        warn_of_few_rows(self.side_counts_, levels, "its quantile is the largest residual there, and too small")
        return self

    def calibrate(self, X, y, sample_weight=None):
        """Stretch the intervals by rows that neither model nor heads have seen: split conformal, side by side.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Held-out rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows.

        Returns
        -------
        self : SPCRegressor
            For rows exchangeable with these, the interval holds a target above the prediction with a probability of
            at least ``coverage``, and one below it too, on average over such calibrations.
        """
        check_is_fitted(self)
        X, y, weight = self._check_rows(X, y, sample_weight, reset=False)
        features = self._features(X)
        seen = np.isin(_row_marks(features), self._row_marks).mean()
        if seen > 0.5:
            warnings.warn(
                f"X of calibrate holds {seen:.0%} rows that fit has seen; expected held-out rows, without which there "
                "is no guarantee.",
                UserWarning,
                stacklevel=2,
            )
        n_targets = y.size // len(y)
        if n_targets != len(self.residual_scale_):
            raise ValueError(f"y has {n_targets} targets; expected {len(self.residual_scale_)} as in fit.")
        residuals = _residual_table(y, self.estimator_.predict(X))
        scale = np.where(self.residual_scale_ > 0, self.residual_scale_, 1.0)
        self._set_factors(residuals / scale, self._outputs(features), weight, guarantee=True)
        warn_of_few_rows(self.side_counts_, self.levels_, "that side of the interval is infinite")
        return self

    def predict(self, X):
        """Predictions of the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        check_is_fitted(self)
        X = as_table(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        return self.estimator_.predict(X)

    def predict_interval(self, X, coverage=None):
        """Lower and upper ends of prediction intervals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        coverage : float or sequence of float, default=None
            Levels among those of the constructor; None is the constructor's ``coverage``.

        Returns
        -------
        ndarray of shape (n_samples, 2), (n_samples, 2, n_levels) for a sequence of levels
            With several targets (n_samples, n_targets, 2[, n_levels]). Intervals of a higher level contain those of
            a lower one.
        """
        check_is_fitted(self)
        X = as_table(X)
        coverage = self.coverage if coverage is None else coverage
        wanted = np.atleast_1d(np.asarray(coverage, float))
        chosen = np.abs(self.levels_ - wanted[:, None]).argmin(axis=1)
        if not np.allclose(self.levels_[chosen], wanted, rtol=0, atol=1e-9):
            raise ValueError(f"coverage={coverage!r} was not fitted; expected some of {self.levels_.tolist()}.")
        sides = (
            self._side_quantiles(self._outputs(self._features(X)))[..., chosen] * self.residual_scale_[:, None, None]
        )
        predicted = self.estimator_.predict(X).reshape(len(sides), -1, 1)
        interval = np.stack([predicted - sides[:, :, 1], predicted + sides[:, :, 0]], axis=2)
        interval = interval[..., 0] if np.ndim(coverage) == 0 else interval
        return interval[:, 0] if self._one_target else interval

    def predict_quantiles(self, X):
        """Ends of all intervals as one rising row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, 2 n_levels) or (n_samples, n_targets, 2 n_levels)
            Lower ends from the highest level to the lowest, then upper ends from the lowest to the highest. They are
            quantiles within the sides of the prediction: the k-th lower one is a target's quantile of level
            ``p_down (1 - coverage)``, and not of ``(1 - coverage) / 2`` unless the sides are equally likely.
        """
        interval = self.predict_interval(X, coverage=self.levels_)
        return np.concatenate([interval[..., 0, ::-1], interval[..., 1, :]], axis=-1)

    def predict_uncertainty(self, X):
        """What the heads say of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        uncertainty : Bunch of ndarray of shape (n_samples,) or (n_samples, n_targets)
            ``mar``, ``mar_up``, ``mar_down``: mean absolute residuals, in all, above and below the prediction.
            ``p_up = mar / (2 mar_up)``, ``p_down = mar / (2 mar_down)``: shares of the sides under an unbiased model;
            they sum to one where the heads agree. ``sds``, in units of y, and ``sds_relative``,
            ``abs(1 - p_up - p_down)``.
            ``aleatoric = mar_up + mar_down``, ``epistemic = sds`` and ``total``, their sum.
        """
        check_is_fitted(self)
        outputs = self._outputs(self._features(as_table(X)))
        mar, up, down = (outputs[:, :, i] for i in range(3))
        p_up, p_down = mar / (2 * up), mar / (2 * down)
        sds = np.sqrt(np.abs(discrepancy(mar, up, down))) * self.residual_scale_
        mar, up, down = (part * self.residual_scale_ for part in (mar, up, down))
        found = Bunch(
            mar=mar,
            mar_up=up,
            mar_down=down,
            p_up=p_up,
            p_down=p_down,
            sds=sds,
            sds_relative=np.abs(1 - p_up - p_down),
            aleatoric=up + down,
            epistemic=sds,
            total=up + down + sds,
        )
        return Bunch(**{name: values[:, 0] for name, values in found.items()}) if self._one_target else found

    def score_samples(self, X):
        """How ordinary each row is: minus its SDS, in units of the MAR, averaged over targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            Low for outliers, as of scikit-learn's outlier detectors.
        """
        check_is_fitted(self)
        outputs = self._outputs(self._features(as_table(X)))
        return -np.sqrt(np.abs(discrepancy(*(outputs[:, :, i] for i in range(3))))).mean(axis=1)

    # --- parts

    def _check_rows(self, X, y, sample_weight, *, reset=True):
        """X as it came, y as float64 and weights, without the rows of weight zero."""
        X = as_table(X)
        validate_data(self, X, y, reset=reset, skip_check_array=True)
        y = check_magnitude(check_array(y, ensure_2d=False, dtype=np.float64, input_name="y"), "y")
        if y.ndim == 2 and y.shape[1] == 1 and not get_tags(self).target_tags.multi_output:
            y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        if sample_weight is None:
            return X, y, np.ones(len(y))
        weight = check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
        check_magnitude(weight, "sample_weight")
        rows = np.flatnonzero(weight)
        return safe_indexing(X, rows), y[rows], weight[rows]

    def _residuals(self, estimator, X, y, weight, seed):
        """The model, residuals (n_rows, n_targets) and the fold of each row."""
        if self.residuals == "prefit":
            check_is_fitted(estimator)
            model = estimator
        else:
            model = fit_model(estimator, X, y, weight)
        folds = fold_numbers(self.cv, X, y, estimator, seed)
        if self.residuals == "cv":
            predicted = np.empty_like(y)
            for fold, (_, held_out) in enumerate(out_of_fold(estimator, X, y, weight, folds, "predict", self.n_jobs)):
                predicted[folds == fold] = np.reshape(held_out, (-1, *y.shape[1:]))
        else:
            predicted = model.predict(X)
        residuals = _residual_table(y, predicted)
        exact = (np.abs(residuals) <= 1e-6 * y.std(axis=0)).all(axis=1).mean()
        if self.residuals == "prefit" and exact > 0.5 and np.ptp(y, axis=0).max() > 0:
            warnings.warn(
                f"The model predicts {exact:.0%} of y exactly. Was it fitted to these rows? residuals='prefit' expects "
                "others.",
                UserWarning,
                stacklevel=4,
            )
        return model, residuals, folds

    def _outputs(self, features):
        outputs = mlp_outputs if self._kind == "mlp" else sklearn_outputs
        return outputs(self.heads_, features).astype(np.float64)

    def _widened(self, outputs):
        """Quantiles (n_rows, n_targets, 2, n_levels), in units of the residual scale."""
        sides = mix(_sides(outputs), self.constant_quantiles_, self.shrinkage_)
        if self._widening == 1.0:
            return sides
        factors = widening(*(outputs[:, :, i] for i in range(3)), self._widening)
        return sides * np.stack(factors, axis=2)[..., None]

    def _side_quantiles(self, outputs):
        sides = self._widened(outputs)
        return np.maximum.accumulate(sides * self.side_factors_, axis=3)

    def _set_factors(self, residuals, outputs, weight, *, guarantee):
        sides = self._widened(outputs)
        parts = [
            side_factors(e, sides[:, t, 0], sides[:, t, 1], weight, self.levels_, guarantee=guarantee)
            for t, e in enumerate(residuals.T)
        ]
        self.side_factors_ = np.stack([factors for factors, _ in parts])
        self.side_counts_ = np.stack([counts for _, counts in parts])


def _sides(outputs):
    return outputs[:, :, 3:].reshape(*outputs.shape[:2], 2, -1)


def _check_levels(coverage):
    levels = np.asarray(coverage)
    if levels.dtype.kind not in "fiu" or levels.ndim > 1 or levels.size == 0 or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"coverage={coverage!r}; expected a number, or several, between 0 and 1, both excluded.")
    return np.unique(levels.astype(float))


def _residual_table(y, predicted):
    return (y - np.asarray(predicted, float).reshape(y.shape)).reshape(len(y), -1)


def _row_marks(features):
    """One number for each row, by which it is known again."""
    return np.sum(features * np.cos(np.arange(1, features.shape[1] + 1)), axis=1)
