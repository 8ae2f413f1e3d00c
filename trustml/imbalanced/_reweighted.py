"""Any regressor, fitted with weights of rare targets."""

from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.linear_model import Ridge
from sklearn.utils import get_tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted, has_fit_parameter, validate_data

from trustml._sklearn import HasMethods, StrOptions, fit_context
from trustml.imbalanced._label_weights import NAMED_WEIGHTS, check_targets, fit_weights


class ReweightedRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """Fits a regressor with greater weights for rows whose targets are rare.

    Works with every regressor of scikit-learn that takes ``sample_weight``: linear models, forests, boosting. Errors
    on rare targets fall, and those on frequent ones rise: look at both with :func:`trustml.metrics.shot_report`.

    Parameters
    ----------
    estimator : regressor, default=None
        Fitted on a clone; ``Ridge()`` if None. Its ``fit`` must take ``sample_weight``.
    weights : {"lds", "inverse", "sqrt_inverse", "dense"} or estimator of weights, default="lds"
        An object with ``fit(y, sample_weight)`` and ``weights(y)``, such as :class:`LabelDistributionSmoothing` or
        :class:`DenseWeight`; the names stand for these with their defaults, "inverse" and "sqrt_inverse" without
        smoothing.

    Attributes
    ----------
    estimator_ : regressor
        The fitted clone.
    weights_ : estimator of weights
        Fitted on the training targets.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in,)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from trustml.imbalanced import ReweightedRegressor
    >>> rng = np.random.default_rng(0)
    >>> y = rng.exponential(size=3000)
    >>> X = y[:, None] + rng.normal(size=(3000, 1))
    >>> rare = y > 3
    >>> for model in (LinearRegression(), ReweightedRegressor(LinearRegression())):
    ...     residual = abs(model.fit(X, y).predict(X) - y)
    ...     print(f"rare {residual[rare].mean():.1f}, others {residual[~rare].mean():.1f}")
    rare 1.5, others 0.5
    rare 0.7, others 0.7
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "weights": [StrOptions(set(NAMED_WEIGHTS)), HasMethods(["fit", "weights"])],
    }

    def __init__(self, estimator=None, *, weights="lds"):
        self.estimator = estimator
        self.weights = weights

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Fit the weights on ``y``, and a clone of the regressor with them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Whatever the regressor takes.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Multiplied with the weights.

        Returns
        -------
        self : ReweightedRegressor
        """
        estimator = Ridge() if self.estimator is None else self.estimator
        if not has_fit_parameter(estimator, "sample_weight"):
            raise ValueError(
                f"estimator={estimator!r} takes no sample_weight in fit; expected a regressor that does. "
                "SMOGN and SMOTER change the rows instead."
            )
        validate_data(self, X, y, skip_check_array=True)
        y, weight = check_targets(y, sample_weight)
        check_consistent_length(X, y)
        self.weights_ = fit_weights(self.weights, y, weight)
        self.estimator_ = clone(estimator).fit(X, y, sample_weight=weight * self.weights_.weights(y))
        return self

    def predict(self, X):
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(Ridge() if self.estimator is None else self.estimator).input_tags
        tags.target_tags.multi_output = False
        return tags
