"""TCMEmbedding: rows onto the unit sphere, so that one threshold on the cosine serves all classes."""

import warnings
from functools import partial
from numbers import Integral, Real

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from trustml._jax import seed_from
from trustml._networks import ACTIVATIONS, MLP, predict
from trustml._sklearn import Interval, StrOptions, check_sample_weight, fit_context
from trustml._training import EpochTasks, Hyper, train
from trustml._validation import check_magnitude
from trustml.metric_learning._classes import check_classes, held_out_classes
from trustml.metric_learning._objective import BASE_LOSSES, PROXY_LOSSES, EmbeddingObjective, bind_base_loss
from trustml.metric_learning._pairs import PairMixin
from trustml.metric_learning._sampler import ClassBalancedBatches
from trustml.metric_learning._start import linear_start, standardisation


def cosine_schedule(epoch, max_iter):
    """Half a period of the cosine, from one to zero."""
    return 0.5 * (1 + np.cos(np.pi * epoch / max_iter))


class TCMEmbedding(PairMixin, CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Embedding of rows on the unit sphere, trained so that one threshold on the cosine serves all classes.

    A base loss of metric learning brings rows of one class together; the threshold-consistent margin (TCM) added to it
    moves pairs that are hard to decide past two fixed margins, the same for all classes. A share of the classes is held
    out of training, and the threshold is set on these: on training classes the same threshold would accept several
    times too many pairs of new classes.

    Parameters
    ----------
    n_components : int, default=None
        Dimension of the embedding, at most the number of features if there are no hidden layers. None is the number
        of features, and at most 64.
    hidden_layer_sizes : tuple of int, default=()
        Widths of the hidden layers. None makes a linear embedding, which is better on a few thousand rows.
    activation : {"identity", "logistic", "relu", "tanh"}, default="relu"
        Of the hidden layers.
    base_loss : {"contrastive", "multi_similarity", "triplet", "smooth_ap", "recall_at_k", "proxy_anchor", "arcface", \
"cosface", "none"} or callable, default="multi_similarity"
        What TCM is added to, see :mod:`trustml.losses`. A callable is a pure function of JAX from embeddings
        (n, n_components), integer labels (n,) and weights (n,) to a scalar, compiled once if it is a module-level
        function.
    base_loss_params : dict, default=None
        Parameters of the base loss in place of its defaults, such as ``{"alpha": 4.0}``.
    tcm_weight : float, default=1.0
        Factor on TCM; 0 trains the base loss alone.
    margin_plus : float, default=0.9
        Cosine that pairs of one class are to exceed.
    margin_minus : float, default=0.5
        Cosine that pairs of two classes are to stay below.
    lambda_plus, lambda_minus : float, default=1.0
        Weights of the two parts of TCM.
    init : {"lda", "pca", "identity", "random"}, default="lda"
        Where a linear embedding starts: Fisher's discriminants (followed by principal directions, if more components
        are wanted than there are classes) or principal directions of the standardised rows, these themselves, or
        directions at random. Hidden layers always start at random.
    n_classes_per_batch : int, default=32
        Classes in a batch; all, if there are fewer.
    n_samples_per_class : int, default=4
        Rows of each class in a batch, at least 2.
    learning_rate : float, default=0.001
        Of Adam, at the start; it falls to zero along half a cosine.
    alpha : float, default=0.0
        Adds ``alpha / 2`` times the squared weights to the loss.
    max_iter : int, default=200
        Epochs: as many batches as hold the number of training rows.
    target_far : float, default=0.01
        False-accept rate that the threshold is not to exceed on the classes held out.
    calibration_fraction : float, default=0.2
        Share of the classes that are held out for the threshold, at least two; 0 for none.
    random_state : int, RandomState instance or None, default=None
        Of the classes held out, the start and the batches.

    Attributes
    ----------
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
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer, for rows as they come.
    components_ : ndarray of shape (n_components, n_features)
        The weights of a linear embedding; not with hidden layers.
    proxies_ : ndarray of shape (n_classes, n_components) or None
        Proxies of the training classes, of the losses that have them.
    loss_curve_ : list of float
        Mean loss over each epoch.
    n_iter_ : int
        Epochs.
    n_features_in_ : int
        Features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if X had any.

    See Also
    --------
    PairVerifier : The same threshold for any transformer.
    trustml.metrics.open_world_report : How good an embedding is on classes that it has not seen.

    Notes
    -----
    Rows are standardised column by column before anything else, and the scales are folded into the first layer.

    A batch holds pairs of the same few rows: the loss of repeated rows is close to, but not the same as, that of rows
    with weights.

    References
    ----------
    Q. Zhang et al., "Threshold-Consistent Margin Loss for Open-World Deep Metric Learning", ICLR 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.metric_learning import TCMEmbedding, train_test_class_split
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(np.arange(60), 8)
    >>> noise = rng.normal(size=(480, 12)) * np.repeat([0.3, 3.0], 6)
    >>> X = np.c_[rng.normal(size=(60, 6))[y], np.zeros((480, 6))] + noise
    >>> X, X_new, y, y_new = train_test_class_split(X, y=y, test_size=0.5, random_state=0)
    >>> model = TCMEmbedding(max_iter=50, random_state=0).fit(X, y)
    >>> round(model.score(X_new, y_new), 2)
    0.73
    >>> accepted = model.predict_pairs(X_new[:-1], X_new[1:])
    >>> bool(accepted[y_new[:-1] == y_new[1:]].mean() > 0.5 > 0.05 > accepted[y_new[:-1] != y_new[1:]].mean())
    True
    """

    _parameter_constraints = {
        "n_components": [None, Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "base_loss": [StrOptions(set(BASE_LOSSES)), callable],
        "base_loss_params": [None, dict],
        "tcm_weight": [Interval(Real, 0, None, closed="left")],
        "margin_plus": [Interval(Real, -1, 1, closed="both")],
        "margin_minus": [Interval(Real, -1, 1, closed="both")],
        "lambda_plus": [Interval(Real, 0, None, closed="left")],
        "lambda_minus": [Interval(Real, 0, None, closed="left")],
        "init": [StrOptions({"pca", "lda", "identity", "random"})],
        "n_classes_per_batch": [Interval(Integral, 2, None, closed="left")],
        "n_samples_per_class": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "target_far": [Interval(Real, 0, 1, closed="neither")],
        "calibration_fraction": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        n_components=None,
        hidden_layer_sizes=(),
        activation="relu",
        base_loss="multi_similarity",
        base_loss_params=None,
        tcm_weight=1.0,
        margin_plus=0.9,
        margin_minus=0.5,
        lambda_plus=1.0,
        lambda_minus=1.0,
        init="lda",
        n_classes_per_batch=32,
        n_samples_per_class=4,
        learning_rate=1e-3,
        alpha=0.0,
        max_iter=200,
        target_far=0.01,
        calibration_fraction=0.2,
        random_state=None,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.base_loss = base_loss
        self.base_loss_params = base_loss_params
        self.tcm_weight = tcm_weight
        self.margin_plus = margin_plus
        self.margin_minus = margin_minus
        self.lambda_plus = lambda_plus
        self.lambda_minus = lambda_minus
        self.init = init
        self.n_classes_per_batch = n_classes_per_batch
        self.n_samples_per_class = n_samples_per_class
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.max_iter = max_iter
        self.target_far = target_far
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the embedding, and set the threshold on classes held out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Class labels, at least 2. A class of one row takes part in pairs of two classes alone.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; a pair has the product of two. A row of weight zero is no row. The threshold knows no
            other weights.

        Returns
        -------
        self : TCMEmbedding
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        check_magnitude(X, "X")
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        sizes = self._layer_sizes(X.shape[1])
        numbers, options = bind_base_loss(self.base_loss, self.base_loss_params)
        if self.margin_minus >= self.margin_plus:
            warnings.warn(
                f"margin_minus={self.margin_minus:g} is not below margin_plus={self.margin_plus:g}: no threshold lies "
                "between them.",
                UserWarning,
                stacklevel=2,
            )
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)

        seed = seed_from(self.random_state)
        present = weight > 0
        classes, labels, counts = np.unique(y[present], return_inverse=True, return_counts=True)
        check_classes(y, counts, classes)
        held_out = held_out_classes(counts, self.calibration_fraction, seed)
        held_out_rows = np.zeros(len(y), bool)
        held_out_rows[present] = held_out[labels]
        rows = np.flatnonzero(present & ~held_out_rows)
        trained, labels = np.unique(y[rows], return_inverse=True)

        weight = weight[rows] / weight[rows].max()
        weight /= weight.mean()
        mean, scale = standardisation(X[rows], weight)
        standard = (X[rows] - mean) / scale
        network, start = self._start(standard, labels, weight, sizes, len(trained), seed)
        attributes = partial(self._attributes, network, trained, mean, scale)
        hooks = None
        if getattr(self, "_skl_callbacks", None):
            hooks = EpochTasks(self, context, lambda result: self._provisional(attributes(result)), X=X, y=y)
        result = train(
            EmbeddingObjective(network, self.base_loss, options),
            start,
            (standard, labels.astype(np.int32)),
            hyper=self._hyper(numbers),
            sample_weight=weight,
            sampler=ClassBalancedBatches(
                np.arange(len(rows)), labels, self.n_classes_per_batch, self.n_samples_per_class
            ),
            seed=seed,
            hooks=hooks,
            max_iter=self.max_iter,
            n_iter_no_change=None,
            schedule=partial(cosine_schedule, max_iter=self.max_iter),
        )
        for name, value in self._provisional(attributes(result)).items():
            setattr(self, name, value)
        if held_out.any():
            self._set_threshold(self._embed(X[held_out_rows]), y[held_out_rows], self.target_far, seed)
        if result.interrupt is not None:
            raise result.interrupt
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
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
            Rows of length one.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return self._embed(check_magnitude(X, "X"))

    # --- inside

    def _layer_sizes(self, n_features):
        """Widths of the hidden layers and of the embedding."""
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes, int)).tolist()
        if min(hidden, default=1) < 1:
            raise ValueError(f"hidden_layer_sizes={self.hidden_layer_sizes!r}; expected positive integers.")
        n_components = self.n_components
        if n_components is None:
            n_components = min(n_features, 64) if not hidden else 64
        if not hidden and n_components > n_features:
            raise ValueError(
                f"n_components={n_components} is more than the {n_features} features; expected at most as many, or "
                "hidden layers."
            )
        return tuple(hidden), n_components

    def _start(self, X, labels, weight, sizes, n_classes, seed):
        """The network, and where its training starts."""
        hidden, n_components = sizes
        network = MLP(n_components, hidden, self.activation)
        rng = np.random.default_rng(seed)
        if hidden:
            params = network.init(jax.random.key(seed), X[:1].astype(np.float32))
        else:
            directions = linear_start(X, labels, weight, self.init, n_components, rng)
            params = ((directions, np.zeros(n_components)),)
        start = {"network": params}
        if not callable(self.base_loss) and self.base_loss in PROXY_LOSSES:
            # Of small length, so that the proxies turn faster than the embedding.
            start["proxies"] = 0.1 / np.sqrt(n_components) * rng.normal(size=(n_classes, n_components))
        return network, start

    def _hyper(self, numbers):
        tcm = {
            "margin_plus": self.margin_plus,
            "margin_minus": self.margin_minus,
            "lambda_plus": self.tcm_weight * self.lambda_plus,
            "lambda_minus": self.tcm_weight * self.lambda_minus,
        }
        return Hyper(learning_rate=self.learning_rate, alpha=self.alpha, loss={"tcm": tcm, "base": numbers})

    def _attributes(self, network, classes, mean, scale, result):
        """Fitted attributes, but for the threshold; the first layer takes rows as they come."""
        layers = [(np.asarray(w, float), np.asarray(b, float)) for w, b in result.params["network"]]
        weights, biases = layers[0]
        weights = weights / scale[:, None]
        layers[0] = weights, biases - mean @ weights
        attributes = {
            "classes_": classes,
            "coefs_": [weights for weights, _ in layers],
            "intercepts_": [biases for _, biases in layers],
            "proxies_": np.asarray(result.params["proxies"], float) if "proxies" in result.params else None,
            "loss_curve_": result.loss_curve.tolist(),
            "n_iter_": result.n_iter,
            "_activation": network.activation,
            "_n_features_out": network.n_outputs,
        }
        if not network.hidden_layer_sizes:
            attributes["components_"] = layers[0][0].T.copy()
        return attributes

    def _provisional(self, attributes):
        none = ("threshold_", "threshold_far_", "threshold_far_interval_", "calibration_classes_")
        return dict.fromkeys(none) | attributes

    def _embed(self, X):
        params = tuple(zip(self.coefs_, self.intercepts_, strict=True))
        hidden = tuple(len(biases) for biases in self.intercepts_[:-1])
        network = MLP(self._n_features_out, hidden, self._activation)
        # In double precision: a pair at the threshold is decided the same, whichever rows it comes with.
        with jax.enable_x64(True):
            Z = predict(network, params, X)
        lengths = np.linalg.norm(Z, axis=1)
        if not lengths.all():
            raise ValueError(
                f"X has {np.count_nonzero(lengths == 0)} rows that are embedded at zero, the first at "
                f"{int(np.argmin(lengths))}; they have no direction."
            )
        return Z / lengths[:, None]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
