"""LDRClassifier: a linear model or a multilayer perceptron that wrong labels mislead little."""

import warnings
from dataclasses import replace
from functools import partial
from numbers import Integral, Real

import jax
import numpy as np
from scipy import sparse
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from trustml._jax import seed_from
from trustml._networks import ACTIVATIONS, MLP, predict, sparse_rows
from trustml._sklearn import HasMethods, Interval, StrOptions, check_sample_weight, fit_context
from trustml._training import EpochTasks, Hyper, SampleLoss, train
from trustml._validation import check_magnitude
from trustml.classification._objective import (
    ROBUST,
    Accuracy,
    best_temperature,
    bind_loss,
    check_numbers,
    rows_losses,
    scores_of,
)


def step_schedule(epoch, max_iter):
    """A tenth of the rate from half of the epochs on, a hundredth from three quarters on."""
    return 10.0 ** -((epoch >= max_iter // 2) + (epoch >= 3 * max_iter // 4))


def cosine_schedule(epoch, max_iter):
    """Half a period of the cosine, from one to zero."""
    return 0.5 * (1 + np.cos(np.pi * epoch / max_iter))


SCHEDULES = {"constant": None, "step": step_schedule, "cosine": cosine_schedule}


def _takes_batches(estimator):
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs a solver of minibatches, 'adam' or 'sgd'; got solver='lbfgs'.")
    return True


class LDRClassifier(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Classifier for labels of which some are wrong: a linear model or a perceptron with a robust loss.

    Label distributionally robust (LDR) losses bound what a single label can do. One number, ``lam``, goes from
    ``lam=1``, close to the cross-entropy and best on nearly clean labels, to ``lam=10``, best if most labels are wrong.
    Every other loss of :mod:`trustml.losses` can be trained in the same way, to compare.

    Parameters
    ----------
    loss : str or callable, default="aldr_kl"
        Name of a loss, see :data:`trustml.losses.LOSSES`; "forward_correction" or "backward_correction", with the
        transition matrix in ``loss_params``; or a pure function of JAX from logits (n, n_classes) and integer labels
        (n,) to losses (n,), compiled once if it is a module-level function.
    lam : float, default=3.0
        Temperature in [0, inf] of the LDR losses: the larger, the more robust, and the less it learns from each row.
    alpha : float, default=2.0
        Of "aldr_kl": how much the rows' temperatures may fall below ``lam``, to ``lam * (1 - 1 / alpha)``. At least 1.
    margin : float or array of shape (n_classes,) or (n_classes, n_classes), default=0.1
        Of the LDR and hinge losses: by how much the label's score is to exceed the others.
    normalize : {"softplus", "l1", "l2", None}, default="softplus"
        How the LDR losses make scores of outputs: :func:`trustml.losses.normalize_scores`.
    loss_params : dict, default=None
        Further parameters of the loss: ``{"q": 0.7}`` of "gce", ``{"transition": matrix}`` of "forward_correction".
    hidden_layer_sizes : tuple of int, default=()
        Widths of the hidden layers. An empty tuple makes a linear model.
    activation : {"identity", "logistic", "relu", "tanh"}, default="relu"
        Of the hidden layers.
    network : object with ``init`` and ``apply``, default=None
        A network of your own in place of the perceptron: ``init(key, X)`` gives parameters and ``apply(params, X)``
        outputs (n, n_classes), as Flax modules do. Hashable by value, lest it be compiled in each fit.
    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        Minibatches with Adam or with momentum, or L-BFGS on all rows. Losses with normalised scores are not convex.
    l2 : float, default=1e-4
        Adds ``l2 / 2`` times the squared weights, without intercepts, to the mean loss.
    batch_size : int or "auto", default="auto"
        Rows in a minibatch; "auto" is 200, or all rows if there are fewer.
    learning_rate : {"constant", "step", "cosine"}, default="constant"
        Schedule: "step" divides the rate by ten at half and at three quarters of ``max_iter``.
    learning_rate_init : float, default=0.01
        Step size.
    max_iter : int, default=100
        Most epochs, or iterations of L-BFGS.
    shuffle : bool, default=True
        Whether epochs take the rows in a new order.
    tol : float, default=1e-4
        Least improvement that counts as one. Of L-BFGS the largest entry of the gradient.
    n_iter_no_change : int or None, default=10
        Epochs without improvement after which training stops; None never stops.
    momentum : float, default=0.9
        Of "sgd".
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the rows, stratified, and keep the epoch of best accuracy on them. Accuracy
        on rows whose labels are wrong at random still ranks models rightly.
    validation_fraction : float, default=0.1
        Share of the rows that ``early_stopping`` holds out.
    temperature_scaling : bool, default=True
        Whether a temperature is fitted after training, so that probabilities agree with how often labels occur: on
        the rows that were held out, if any, else on the training rows. Labels being noisy, so are the probabilities.
    class_weight : dict, "balanced" or None, default=None
        Weights of classes; "balanced" gives all classes the same total weight.
    warm_start : bool, default=False
        Let ``fit`` go on from the last one.
    random_state : int, RandomState instance or None, default=None
        Of the initial weights, the shuffles and the held-out rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer; not with a ``network``.
    params_ : pytree of ndarray
        Parameters of the network.
    temperature_ : float
        Scores over this are logarithms of probabilities, up to a constant.
    sample_loss_ : ndarray of shape (n_samples,)
        Loss of each training row and its label. The largest belong to labels that are likely wrong.
    temperatures_ : ndarray of shape (n_samples,)
        With "aldr_kl", the temperature of each training row. Low ones mark rows that the model is sure of, right or
        wrong.
    loss_curve_ : list of float
        Mean loss over each epoch.
    validation_scores_ : list of float or None
        Accuracy on held-out rows after each epoch.
    n_iter_ : int
        Epochs.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in,)

    See Also
    --------
    trustml.datasets.make_label_noise : Wrong labels, to try how many a model can take.

    Notes
    -----
    ``predict_proba`` is the softmax of ``decision_function``: of the scores that the loss sees, divided by
    ``temperature_``. Without temperature scaling that is the loss's own temperature.

    The default of ``lam`` lies between 1 and 10, each of which loses several points on one end: the user guide has the
    figures.

    References
    ----------
    D. Zhu, Y. Ying and T. Yang, "Label Distributionally Robust Losses for Multi-class Classification: Consistency,
    Robustness and Adaptivity", ICML 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from trustml.classification import LDRClassifier
    >>> from trustml.datasets import make_label_noise
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, y_train, X_test, y_test = X[:1200] / 16, y[:1200], X[1200:] / 16, y[1200:]
    >>> y_noisy, _ = make_label_noise(y_train, "uniform", 0.6, random_state=0)
    >>> robust = LDRClassifier(lam=10, random_state=0).fit(X_train, y_noisy)
    >>> plain = LogisticRegression(max_iter=1000).fit(X_train, y_noisy)
    >>> bool(robust.score(X_test, y_test) > plain.score(X_test, y_test) + 0.05)
    True
    """

    _parameter_constraints: dict = {
        "loss": [str, callable],
        "lam": [Interval(Real, 0, None, closed="both")],
        "alpha": [Interval(Real, 1, None, closed="left")],
        "margin": [Real, "array-like"],
        "normalize": [StrOptions({"softplus", "l1", "l2"}), None],
        "loss_params": [dict, None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "network": [HasMethods(["init", "apply"]), None],
        "solver": [StrOptions({"adam", "sgd", "lbfgs"})],
        "l2": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "temperature_scaling": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        loss="aldr_kl",
        lam=3.0,
        alpha=2.0,
        margin=0.1,
        normalize="softplus",
        loss_params=None,
        hidden_layer_sizes=(),
        activation="relu",
        network=None,
        solver="adam",
        l2=1e-4,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.01,
        max_iter=100,
        shuffle=True,
        tol=1e-4,
        n_iter_no_change=10,
        momentum=0.9,
        early_stopping=False,
        validation_fraction=0.1,
        temperature_scaling=True,
        class_weight=None,
        warm_start=False,
        random_state=None,
    ):
        self.loss = loss
        self.lam = lam
        self.alpha = alpha
        self.margin = margin
        self.normalize = normalize
        self.loss_params = loss_params
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.network = network
        self.solver = solver
        self.l2 = l2
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.momentum = momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.temperature_scaling = temperature_scaling
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows. Features should be of order one. A sparse X stays so.
        y : array-like of shape (n_samples,)
            Class labels, of which some may be wrong.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; a row of weight zero is no row.

        Returns
        -------
        self : LDRClassifier
        """
        goes_on = self.warm_start and hasattr(self, "params_")
        X, y = self._check_data(X, y, reset=not goes_on)
        classes = np.unique(y)
        if goes_on and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"warm_start: y has the classes {classes}; expected those of the fit before, {self.classes_}."
            )
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        labels, weight = self._labels_and_weights(X, y, sample_weight, classes)
        interrupt = self._learn(X, labels, weight, classes, self.max_iter, goes_on, context, y)
        if interrupt is not None:
            raise interrupt
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    @available_if(_takes_batches)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Take one epoch over more rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Their labels; any of ``classes`` may be absent.
        classes : array-like of shape (n_classes,), default=None
            All classes there will be; needed in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : LDRClassifier
        """
        goes_on = hasattr(self, "params_")
        if not goes_on and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        X, y = self._check_data(X, y, reset=not goes_on)
        if classes is not None:
            classes = np.unique(classes)
        if goes_on:
            if classes is not None and not np.array_equal(classes, self.classes_):
                raise ValueError(f"classes={classes} differ from those of the first call, {self.classes_}.")
            classes = self.classes_
        unknown = np.setdiff1d(y, classes)
        if len(unknown):
            raise ValueError(f"y has labels {unknown.tolist()} that are not among the classes {classes.tolist()}.")
        labels, weight = self._labels_and_weights(X, y, sample_weight, classes)
        self._learn(X, labels, weight, classes, None, goes_on)
        return self

    def decision_function(self, X):
        """Scores of the classes, whose softmax is :meth:`predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            For two classes, the score of the second one less that of the first.
        """
        scores = self._log_scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X):
        """Classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The class of the highest score.
        """
        best = np.argmax(self._log_scores(X), axis=1)
        return self.classes_[best]

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return softmax(self._log_scores(X), axis=1)

    def predict_log_proba(self, X):
        """Logarithms of :meth:`predict_proba`, exact for small probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
        """
        return log_softmax(self._log_scores(X), axis=1)

    def top_k_score(self, X, y, k=2, sample_weight=None):
        """Share of the rows whose label is among the k highest scores.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Labels. One that is not in ``classes_`` is never among them.
        k : int, default=2
            At least 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Of tied scores, the first in the order of ``classes_`` are taken.
        """
        if k < 1:
            raise ValueError(f"k={k!r}; expected an integer of at least 1.")
        best = np.argsort(-self._log_scores(X), axis=1, kind="stable")[:, :k]
        hits = (self.classes_[best] == column_or_1d(y)[:, None]).any(axis=1)
        return float(np.average(hits, weights=sample_weight))

    def label_quality(self, X, y, *, method="self_confidence"):
        """How much the model believes each label; low values belong to labels that are likely wrong.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Their labels, all of them in ``classes_``.
        method : {"self_confidence", "normalized_margin"}, default="self_confidence"
            The probability of the label; or the mean of one and its excess over the best other one.

        Returns
        -------
        quality : ndarray of shape (n_samples,)
            In [0, 1], as cleanlab's label quality scores.
        """
        p = self.predict_proba(X)
        y = column_or_1d(y)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has labels {unknown.tolist()} that are not among the classes {self.classes_.tolist()}."
            )
        rows, labels = np.arange(len(p)), np.searchsorted(self.classes_, y)
        own = p[rows, labels]
        if method == "self_confidence":
            return own
        if method != "normalized_margin":
            raise ValueError(f"method={method!r}; expected 'self_confidence' or 'normalized_margin'.")
        p[rows, labels] = -np.inf
        return (own - np.maximum(p.max(axis=1), 0) + 1) / 2

    # --- inside

    def _check_data(self, X, y, *, reset):
        X, y = validate_data(
            self, X, y, reset=reset, accept_sparse="csr", dtype=[np.float64, np.float32], multi_output=False
        )
        check_classification_targets(y)
        return check_magnitude(X, "X", np.float32), y

    def _labels_and_weights(self, X, y, sample_weight, classes):
        labels = np.searchsorted(classes, y).astype(np.int32)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if self.class_weight == "balanced":
            totals = np.bincount(labels, weight, minlength=len(classes))
            weight = weight * (weight.sum() / (len(classes) * np.where(totals > 0, totals, 1)))[labels]
        elif self.class_weight is not None:
            weight = weight * compute_class_weight(self.class_weight, classes=classes, y=y)[labels]
        return labels, weight

    def _row_loss(self):
        return bind_loss(
            self.loss,
            self.loss_params,
            lam=self.lam,
            alpha=self.alpha,
            margin=self.margin,
            normalize=self.normalize,
        )

    def _make_network(self, n_classes):
        if self.network is not None:
            return self.network
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, int)).tolist()
        if min(sizes, default=1) < 1:
            raise ValueError(f"hidden_layer_sizes={self.hidden_layer_sizes!r}; expected positive integers.")
        # A norm has no gradient at zero.
        at_zero = not sizes and not (self.loss in ROBUST and self.normalize in ("l1", "l2"))
        return MLP(n_classes, tuple(sizes), self.activation, zero_output=at_zero)

    def _hyper(self, numbers):
        return Hyper(learning_rate=self.learning_rate_init, alpha=self.l2, momentum=self.momentum, loss=numbers)

    def _options(self, max_iter, n_rows):
        schedule = SCHEDULES[self.learning_rate]
        return {
            "optimizer": self.solver,
            "batch_size": min(200, n_rows) if self.batch_size == "auto" else self.batch_size,
            "shuffle": self.shuffle,
            "max_iter": max_iter,
            "tol": self.tol,
            "n_iter_no_change": self.n_iter_no_change,
            "schedule": schedule and partial(schedule, max_iter=self.max_iter),
        }

    def _held_out(self, labels, weight, seed):
        """Weights of the rows that early stopping holds out."""
        rows = np.flatnonzero(weight > 0)
        _, held_out = train_test_split(
            rows, test_size=self.validation_fraction, stratify=labels[rows], random_state=seed
        )
        return np.where(np.isin(np.arange(len(labels)), held_out), weight, 0)

    def _network_input(self, X):
        if not sparse.issparse(X):
            return X
        if self.network is not None:
            raise ValueError("X is sparse, which a network of your own may not know; expected a dense array.")
        return sparse_rows(X)

    def _learn(self, X, labels, weight, classes, max_iter, goes_on, context=None, y=None):
        """Train, and set the fitted attributes; an interrupt or None. Without ``max_iter``, one epoch of a stream."""
        streams = max_iter is None
        row_loss, numbers = self._row_loss()
        check_numbers(row_loss, numbers, len(classes))
        network = self._make_network(len(classes))
        seed = seed_from(self.random_state)
        held_out = self._held_out(labels, weight, seed) if self.early_stopping and not streams else None
        rows = self._network_input(X)
        objective = SampleLoss(network, row_loss)
        options = self._options(max_iter or 1, int(np.count_nonzero(weight)))
        if streams:
            options |= {"n_iter_no_change": None}
        if held_out is not None:
            options |= {"score": Accuracy(objective), "validation_weight": held_out}
        start = self.params_ if goes_on else network.init(jax.random.key(seed), np.zeros((1, X.shape[1]), np.float32))
        state = self._state if goes_on else None
        attributes = partial(self._attributes, network, row_loss, numbers, classes)
        hooks = None
        if context is not None and getattr(self, "_skl_callbacks", None):
            hooks = EpochTasks(self, context, attributes, X=X, y=y)
        results = []
        for epochs, numbers_now in _phases(row_loss, numbers, options["max_iter"], goes_on):
            result = train(
                objective,
                start,
                (rows, labels),
                hyper=self._hyper(numbers_now),
                sample_weight=weight,
                seed=seed,
                state=state,
                hooks=hooks,
                **options | {"max_iter": epochs},
            )
            results.append(result)
            state = result.state
            if result.interrupt is not None:
                break
        whole = _joined(results)
        for name, value in attributes(whole, (rows, labels, weight if held_out is None else held_out), streams).items():
            setattr(self, name, value)
        never = self.n_iter_no_change is None or streams
        if not (whole.converged or never or whole.interrupt) and whole.n_iter == max_iter:
            warnings.warn(
                f"Training reached max_iter={max_iter} before it converged.", ConvergenceWarning, stacklevel=4
            )
        return whole.interrupt

    def _attributes(self, network, row_loss, numbers, classes, result, training=None, streams=False):
        """Fitted attributes; with training rows those about them too."""
        attributes = {
            "classes_": classes,
            "params_": result.params,
            "loss_curve_": result.loss_curve.tolist(),
            "validation_scores_": None if result.validation_scores is None else result.validation_scores.tolist(),
            "n_iter_": result.n_iter,
            "temperature_": self._own_temperature(),
            "_normalize": row_loss.normalize,
            "_state": result.state,
        }
        if self.network is None:
            attributes["coefs_"] = [weights for weights, _ in result.params]
            attributes["intercepts_"] = [biases for _, biases in result.params]
        if training is None:
            return attributes
        rows, labels, weight = training
        logits = predict(network, result.params, rows)
        attributes["sample_loss_"], temperatures = rows_losses(row_loss, logits, labels, numbers)
        if temperatures is not None:
            attributes["temperatures_"] = temperatures
        if self.temperature_scaling and len(classes) > 1:
            found = best_temperature(scores_of(row_loss.normalize, logits), labels, weight)
            attributes["_scaled_weight"] = float(weight.sum())
            if streams and hasattr(self, "_scaled_weight"):
                # A stream's temperature is the geometric mean over its batches: one batch may be too small to tell.
                before, now = self._scaled_weight, attributes["_scaled_weight"]
                logs = np.average(np.log([self.temperature_, found]), weights=[before, now])
                found, attributes["_scaled_weight"] = float(np.exp(logs)), before + now
            attributes["temperature_"] = found
        return attributes

    def _own_temperature(self):
        """That of the loss itself, if a softmax can have it."""
        lam = (self.loss_params or {}).get("lam", self.lam)
        return float(lam) if self.loss in ROBUST and 0 < lam < np.inf else 1.0

    def _log_scores(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32])
        check_magnitude(X, "X", np.float32)
        logits = predict(self._make_network(len(self.classes_)), self.params_, self._network_input(X))
        return scores_of(self._normalize, logits) / self.temperature_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _phases(row_loss, numbers, max_iter, goes_on):
    """Epochs and numbers of the loss, one after the other."""
    if row_loss.loss != "tgce" or goes_on or max_iter < 2:
        return [(max_iter, numbers)]
    # Truncation takes the gradient from every row of an untrained model: it begins at half time.
    return [(max_iter // 2, {**numbers, "threshold": np.float32(0)}), (max_iter - max_iter // 2, numbers)]


def _joined(results):
    """One result of training in phases."""
    scores = [result.validation_scores for result in results if result.validation_scores is not None]
    return replace(
        results[-1],
        loss_curve=np.concatenate([result.loss_curve for result in results]),
        validation_scores=np.concatenate(scores) if scores else None,
        n_iter=sum(result.n_iter for result in results),
    )
