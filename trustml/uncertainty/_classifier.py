"""Uncertainty and calibration of any classifier with probabilities, from heads on the residuals of its labels."""

import numpy as np
from sklearn.base import ClassifierMixin, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils import Bunch, check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from trustml._jax import seed_from
from trustml._sklearn import HasMethods, StrOptions, check_sample_weight, fit_context, safe_indexing
from trustml._validation import check_magnitude
from trustml.uncertainty._base import HeadsOnModel
from trustml.uncertainty._model import as_table, fit_model, fold_numbers, out_of_fold
from trustml.uncertainty._probabilities import (
    best_strength,
    best_temperature,
    correction,
    fit_heads,
    head_outputs,
    head_targets,
    project,
    sds,
    tempered,
)


class SPCClassifier(ClassifierMixin, HeadsOnModel):
    """Split-point uncertainty of probabilities: heads that predict how far one-hot labels lie from them.

    For each class the heads predict the mean absolute residual (MAR) of the label. Of a calibrated probability p it is
    2 p (1 - p); the sum over classes of the gap is the self-consistency discrepancy score (SDS), which says where the
    probabilities are wrong. From the two sides of the residual the heads also estimate by how much, which can calibrate
    them.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``, default=None
        The model. None is :class:`~sklearn.ensemble.HistGradientBoostingClassifier`.
    residuals : {"cv", "train", "prefit"}, default="cv"
        Of which rows: of folds that a clone was not fitted to, of the training rows, or of rows given to :meth:`fit`
        with a model that is fitted already, to others.
    cv : int, splitter or iterable, default=5
        Folds of "cv", and of the heads. A number means shuffled folds, stratified by class.
    features : {"auto", "X"}, transformer or callable, default="auto"
        What heads see. "auto" is X, after the steps of a pipeline, and the last hidden layer of scikit-learn's MLP.
    head : {"mlp", "ridge"}, default="mlp"
        A network, or ridge regression on a kernel map.
    hidden_layer_sizes : tuple of int, default=(50,)
        Of a head of "mlp".
    calibration : {"none", "spa", "temperature"}, default="none"
        Whether :meth:`predict_proba` is the model's; is corrected by the heads, by the share of their correction that
        lowers the log loss of out-of-fold rows the most; or is tempered by one number found the same way.
    delta : {"mean", "min"}, default="mean"
        Correction of "spa": the mean of its three equal estimates, or the least of them, which lowers confidence.
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
    classes_ : ndarray of shape (n_classes,)
        Labels.
    heads_ : tuple or estimator
        Arrays of the network, or a scikit-learn model.
    features_ : transformer, callable or str
        What gives the heads their features.
    feature_mean_, feature_scale_ : ndarray of shape (n_head_features,)
        By which features of the heads are standardised.
    temperature_ : float
        Of "temperature": above one where the model is too sure.
    strength_ : float
        Of "spa": share of the correction that is applied.
    n_iter_ : int
        Most epochs of any head.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    SPCRegressor : The same idea for numbers.
    sklearn.calibration.CalibratedClassifierCV : Calibration alone.

    Notes
    -----
    With the true probability :math:`\\pi_k`, SDS is :math:`\\sum_k |\\pi_k - p_k| |1 - 2 p_k|`: it is blind to an
    error at :math:`p_k = 1/2`. Neither entropy nor SDS is best everywhere; measure both on rows of your own.

    References
    ----------
    Zhao & Chen (2025), "Uncertainty quantification by split-point analysis", arXiv:2509.13262.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from trustml.metrics import calibration_error
    >>> from trustml.uncertainty import SPCClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = SPCClassifier(GaussianNB(), calibration="spa", head="ridge", random_state=0)
    >>> model = model.fit(X[:1000], y[:1000])
    >>> [round(calibration_error(y[1000:], m.predict_proba(X[1000:])), 2) for m in (model.estimator_, model)]
    [0.2, 0.16]
    """

    _parameter_constraints = {
        **HeadsOnModel._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "head": [StrOptions({"mlp", "ridge"})],
        "calibration": [StrOptions({"none", "spa", "temperature"})],
        "delta": [StrOptions({"mean", "min"})],
    }

    def __init__(
        self,
        estimator=None,
        *,
        residuals="cv",
        cv=5,
        features="auto",
        head="mlp",
        hidden_layer_sizes=(50,),
        calibration="none",
        delta="mean",
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
        self.residuals = residuals
        self.cv = cv
        self.features = features
        self.head = head
        self.hidden_layer_sizes = hidden_layer_sizes
        self.calibration = calibration
        self.delta = delta
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.n_jobs = n_jobs
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Fit the model and the heads; with ``residuals="prefit"`` the heads only.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. The model gets them as they are, data frames included.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, for the model as for the heads. A row of weight zero is as if it were absent.

        Returns
        -------
        self : SPCClassifier
        """
        X, y, weight = self._check_rows(X, y, sample_weight)
        seed = seed_from(self.random_state)
        estimator = HistGradientBoostingClassifier(random_state=seed) if self.estimator is None else self.estimator
        if not is_classifier(estimator) or not hasattr(estimator, "predict_proba"):
            raise ValueError(f"estimator={estimator!r}; expected a classifier with predict_proba.")
        given = None if sample_weight is None else weight
        model, classes, probabilities, folds = self._probabilities(estimator, X, y, given, seed)
        codes = np.searchsorted(classes, y)
        standard, described = self._learn_features(model, X, y)
        targets = head_targets(probabilities, np.eye(len(classes))[codes])
        settings = {**self.get_params(deep=False), "seed": seed}
        held_out, heads, n_iter = fit_heads(standard, targets, weight, folds, settings)

        self.estimator_, self.classes_, self.heads_, self.n_iter_ = model, classes, heads, n_iter
        for name, value in described.items():
            setattr(self, name, value)
        self._known = np.isin(np.arange(len(classes)), codes)
        self._calibrate(probabilities, np.split(np.clip(held_out, 0, 1), 3, axis=1), codes, weight)
        return self

    def calibrate(self, X, y, sample_weight=None):
        """Find the temperature, or the strength of the correction, anew on rows that nothing was fitted to.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Held-out rows.
        y : array-like of shape (n_samples,)
            Their labels, among ``classes_``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows.

        Returns
        -------
        self : SPCClassifier
        """
        check_is_fitted(self)
        if self.calibration == "none":
            raise ValueError("calibration='none' has nothing to calibrate; expected 'spa' or 'temperature'.")
        X, y, weight = self._check_rows(X, y, sample_weight, reset=False)
        _check_known(y, self.classes_)
        codes = np.searchsorted(self.classes_, y)
        self._calibrate(self.estimator_.predict_proba(X), head_outputs(self.heads_, self._features(X)), codes, weight)
        return self

    def predict_proba(self, X):
        """Probabilities of the classes: non-negative, of sum one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        X = as_table(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        probabilities = self.estimator_.predict_proba(X)
        if self._method == "temperature":
            return tempered(probabilities, self.temperature_)
        if self._method == "spa":
            outputs = head_outputs(self.heads_, self._features(X))
            return project(probabilities + self.strength_ * self._correction(outputs))
        return probabilities

    def predict(self, X):
        """The most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_uncertainty(self, X):
        """What probabilities and heads say of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        uncertainty : Bunch of ndarray of shape (n_samples,)
            ``sds`` of the model's own probabilities; ``mar`` of shape (n_samples, n_classes), the mean absolute
            residual of each label; ``entropy`` in nats, and ``confidence``, the largest probability, of
            :meth:`predict_proba`.
        """
        check_is_fitted(self)
        X = as_table(X)
        probabilities = self.predict_proba(X)
        mar, _, _ = head_outputs(self.heads_, self._features(X))
        logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
        return Bunch(
            sds=sds(self.estimator_.predict_proba(X), mar),
            mar=mar,
            entropy=np.maximum(-(probabilities * logs).sum(axis=1), 0.0),
            confidence=probabilities.max(axis=1),
        )

    def score_samples(self, X):
        """How ordinary each row is: minus its SDS.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            Low for outliers, as of scikit-learn's outlier detectors.
        """
        return -self.predict_uncertainty(X).sds

    # --- parts

    def _check_rows(self, X, y, sample_weight, *, reset=True):
        """X as it came, labels and weights, without the rows of weight zero."""
        X = as_table(X)
        validate_data(self, X, y, reset=reset, skip_check_array=True)
        y = column_or_1d(check_array(y, ensure_2d=False, dtype=None, input_name="y"), warn=True)
        check_classification_targets(y)
        check_consistent_length(X, y)
        if sample_weight is None:
            return X, y, np.ones(len(y))
        weight = check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
        check_magnitude(weight, "sample_weight")
        rows = np.flatnonzero(weight)
        return safe_indexing(X, rows), y[rows], weight[rows]

    def _probabilities(self, estimator, X, y, weight, seed):
        """The model, its classes, probabilities of the rows and the fold of each."""
        if self.residuals == "prefit":
            check_is_fitted(estimator)
            model, classes = estimator, np.asarray(estimator.classes_)
            _check_known(y, classes)
        else:
            try:
                classes = np.unique(y)
            except TypeError as error:
                raise ValueError("y mixes labels that cannot be sorted; expected labels of one type.") from error
            if len(classes) < 2:
                raise ValueError(f"y holds one class, {classes.tolist()[0]!r}; expected two or more classes.")
            model = fit_model(estimator, X, y, weight)
        folds = fold_numbers(self.cv, X, y, estimator, seed)
        if self.residuals != "cv":
            return model, classes, np.asarray(model.predict_proba(X), float), folds
        probabilities = np.zeros((len(y), len(classes)))
        held_out = out_of_fold(estimator, X, y, weight, folds, "predict_proba", self.n_jobs)
        for fold, (fold_model, predicted) in enumerate(held_out):
            # A class that is absent from a fold's training rows has no column there.
            columns = np.searchsorted(classes, fold_model.classes_)
            probabilities[np.ix_(folds == fold, columns)] = predicted
        return model, classes, probabilities, folds

    def _correction(self, outputs):
        """The correction of each probability; none for a class that the heads have never seen."""
        return correction(*outputs, self.delta) * self._known

    def _calibrate(self, probabilities, outputs, codes, weight):
        self._method, self.temperature_, self.strength_ = self.calibration, 1.0, 0.0
        if self.calibration == "temperature":
            self.temperature_ = best_temperature(probabilities, codes, weight)
        elif self.calibration == "spa":
            self.strength_ = best_strength(probabilities, self._correction(outputs), codes, weight)


def _check_known(y, classes):
    unknown = ~np.isin(y, classes)
    if unknown.any():
        raise ValueError(
            f"y holds the label {y[unknown].tolist()[0]!r}, unknown to the model; expected some of {classes.tolist()}."
        )
