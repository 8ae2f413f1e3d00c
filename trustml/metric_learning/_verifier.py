"""PairVerifier: a threshold on the similarity of pairs, around any transformer."""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from trustml._jax import seed_from
from trustml._sklearn import HasMethods, Interval, fit_context
from trustml.metric_learning._classes import check_classes, held_out_classes
from trustml.metric_learning._pairs import PairMixin


class PairVerifier(PairMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator):
    """Are two rows of one class? A threshold on the cosine of what any transformer makes of them.

    A share of the classes is held out; a clone of the transformer is fitted to the others, and the threshold is set so
    that a given share of the pairs of two held-out classes is accepted. So neighbourhood components, linear
    discriminants or a pipeline can be used, and compared, as :class:`TCMEmbedding` is.

    Parameters
    ----------
    estimator : transformer, default=None
        Fitted to the rows and labels of the training classes. None compares the rows as they are.
    target_far : float, default=0.01
        False-accept rate that the threshold is not to exceed on the classes held out.
    calibration_fraction : float, default=0.2
        Share of the classes that are held out for the threshold, at least two; 0 for none.
    random_state : int, RandomState instance or None, default=None
        Of the classes held out.

    Attributes
    ----------
    estimator_ : transformer or None
        The fitted clone.
    threshold_ : float or None
        Pairs with at least this cosine are accepted. None if no classes were held out and :meth:`calibrate` was not
        called.
    threshold_far_ : float or None
        False-accept rate at the threshold on the classes that it was set on.
    threshold_far_interval_ : ndarray of shape (2,) or None
        95 % interval of that rate over samples of as many classes: see :func:`trustml.metrics.threshold_at_far`.
    calibration_classes_ : ndarray or None
        The classes that the threshold was set on.
    classes_ : ndarray of shape (n_classes,)
        The classes that were trained on.
    n_features_in_ : int
        Features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if X had any.

    See Also
    --------
    TCMEmbedding : An embedding that is trained for one threshold.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    >>> from trustml.metric_learning import PairVerifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = PairVerifier(LinearDiscriminantAnalysis(), calibration_fraction=0.4, random_state=0).fit(X, y)
    >>> model.calibration_classes_
    array([0, 2, 3, 9])
    >>> bool(model.threshold_far_ <= 0.01)
    True
    """

    _parameter_constraints = {
        "estimator": [None, HasMethods(["fit", "transform"])],
        "target_far": [Interval(Real, 0, 1, closed="neither")],
        "calibration_fraction": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator=None, *, target_far=0.01, calibration_fraction=0.2, random_state=None):
        self.estimator = estimator
        self.target_far = target_far
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y):
        """Fit the transformer to some classes, and set the threshold on others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Class labels, at least 2.

        Returns
        -------
        self : PairVerifier
        """
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], ensure_min_samples=2)
        check_classification_targets(y)
        classes, labels, counts = np.unique(y, return_inverse=True, return_counts=True)
        check_classes(y, counts, classes)
        seed = seed_from(self.random_state)
        held_out = held_out_classes(counts, self.calibration_fraction, seed)
        rows = held_out[labels]
        self.estimator_ = None if self.estimator is None else clone(self.estimator).fit(X[~rows], y[~rows])
        self.classes_ = classes[~held_out]
        self._set_no_threshold()
        if held_out.any():
            self._set_threshold(self._embed(X[rows]), y[rows], self.target_far, seed)
        return self

    def transform(self, X):
        """Embed rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, of any classes.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            What the transformer makes of them, scaled to length one.
        """
        check_is_fitted(self)
        return self._embed(validate_data(self, X, reset=False, dtype=[np.float64, np.float32]))

    def _embed(self, X):
        Z = X if self.estimator_ is None else self.estimator_.transform(X)
        Z = check_array(Z, dtype=[np.float64, np.float32], input_name="the transformer's output")
        # A length whose squares overflow or vanish is found after scaling.
        largest = np.abs(Z).max(axis=1, keepdims=True)
        if not largest.all():
            zeros = np.flatnonzero(largest == 0)
            raise ValueError(
                f"{len(zeros)} rows of X are embedded at zero, the first of them row {zeros[0]}; they have no "
                "direction: remove them, or shift the features."
            )
        Z = Z / largest
        return Z / np.linalg.norm(Z, axis=1, keepdims=True)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
