"""ConRRegressor: a perceptron whose features keep rows with different targets apart."""

import warnings
from functools import partial
from math import hypot
from numbers import Integral, Real

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, RegressorMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.validation import check_is_fitted, validate_data

from trustml._jax import bucket_size, pad_rows, seed_from
from trustml._networks import ACTIVATIONS, MLP, predict
from trustml._sklearn import HasMethods, Interval, StrOptions, check_sample_weight, fit_context
from trustml._training import EpochTasks, Hyper, ShuffledBatches, train
from trustml._validation import check_magnitude
from trustml.imbalanced._label_weights import NAMED_WEIGHTS, row_weights
from trustml.imbalanced._objective import AUGMENTATIONS, LOSS_NUMBERS, BalancedScore, ConRObjective, active_anchors
from trustml.imbalanced._standardise import balance_of_bins, draw_held_out, mean_and_scale
from trustml.metrics._label_bins import label_bin_edges


def cosine_schedule(epoch, max_iter):
    """Half a period of the cosine, from one to zero."""
    return 0.5 * (1 + np.cos(np.pi * epoch / max_iter))


_WEIGHTS = [StrOptions(set(NAMED_WEIGHTS)), HasMethods(["fit", "weights"]), None]


class ConRRegressor(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, RegressorMixin, BaseEstimator
):
    """Multilayer perceptron for targets of which some are rare, with contrastive regularisation (ConR).

    A network trained on a long-tailed target gives rare rows the features, and so the predictions, of common ones.
    ConR penalises that: it pushes the features of two rows apart if their targets differ but their predictions do not,
    and pulls rows of like targets together. It composes with weights of rare targets (``reweight``) and with any base
    loss. On tables, weights are what lowers errors on rare targets most; ConR alone is often neutral: see the user
    guide, and measure both with :func:`trustml.metrics.shot_report`.

    Features and targets are standardised inside.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(64, 64, 64)
        Widths of the hidden layers. The last one's activations are the features.
    activation : {"identity", "logistic", "relu", "tanh"}, default="relu"
        Of the hidden layers.
    loss : {"squared_error", "absolute_error", "huber", "focal_r", "balanced_mse"}, default="squared_error"
        Base loss, of the standardised target.
    loss_params : dict, default=None
        Numbers of the base loss, in standard deviations of the target: ``{"delta": 1.0}`` of "huber", ``{"beta": 1.0,
        "gamma": 1.0}`` of "focal_r", ``{"noise_scale": 0.3}`` of "balanced_mse".
    reweight : {"inverse", "sqrt_inverse", "lds", "dense"}, estimator of weights or None, default=None
        Weights of the rows in the base loss, from how rare their targets are: see :class:`ReweightedRegressor`.
    conr_weight : float, default=0.05
        Factor on the penalty, which means the same whatever the unit of the target. 0 is a plain perceptron.
    window : float, default=None
        Rows whose targets are at most this far apart are alike, in units of the target. None is the width of a bin.
        Distances of several outputs are Euclidean.
    push : float, default=None
        How much the more a pair is pushed apart the farther its targets are, per unit of the target: ``exp(push *
        distance)``. None is one over the range of the target.
    temperature : float, default=0.2
        Of the cosine similarities.
    push_form : {"exp", "product"}, default="exp"
        "product" is ``push * distance``.
    anchor_weight : {"inverse", "sqrt_inverse", "lds", "dense"}, estimator of weights or None, default=None
        Weights of the rows in the penalty, from how rare their targets are.
    denominator : {"paper", "reference"}, default="paper"
        "reference" repeats the authors' code, see :func:`trustml.losses.conr_loss`.
    augmentation : {"gaussian", "corrupt"}, callable or None, default="gaussian"
        Makes the two views of each row that enter the penalty: noise of ``augmentation_scale`` standard deviations,
        or entries of other rows with that probability. A callable ``(key, X, scale) -> X`` is a pure JAX function of
        the standardised features, compiled once if it is module-level. With None the rows themselves enter, once.
    augmentation_scale : float, default=0.1
        Strength of the augmentation.
    bins : "auto", int or array-like of edges, default="auto"
        Bins of the target, for ``window`` and the balanced score. "auto" is one for each integer if all targets are
        integers that span no more than 1,000, else 20 of equal width for fewer than 2,000 rows and 50 for more.
    alpha : float, default=0.0
        Adds ``alpha / 2`` times the squared weights to the mean loss.
    batch_size : int, default=64
        Rows in a minibatch, at least 2. Pairs are of one minibatch.
    learning_rate : {"cosine", "constant"}, default="cosine"
        Schedule; "cosine" ends at zero after ``max_iter`` epochs.
    learning_rate_init : float, default=0.001
        Step size of Adam.
    max_iter : int, default=100
        Most epochs.
    tol : float, default=1e-4
        Least improvement that counts as one, of the loss, or of the balanced score with ``early_stopping``.
    n_iter_no_change : int or None, default=None
        Epochs without improvement after which training stops; None never stops.
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the rows, spread over the range of targets, and keep the epoch of the least
        balanced mean absolute error on them.
    validation_fraction : float, default=0.1
        Share of the rows that ``early_stopping`` holds out.
    random_state : int, RandomState instance or None, default=None
        Of the initial weights, the shuffles, the views and the held-out rows.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer.
    feature_mean_, feature_scale_ : ndarray of shape (n_features_in,)
        Of the training rows; a constant feature has scale 1.
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
    window_, push_ : float
        In units of the target.
    bin_edges_ : ndarray of shape (n_bins + 1,), or list of them for several outputs
    active_anchor_fraction_ : float
        Share of the rows that, after training, still have a row in their minibatch with a like prediction and an
        unlike target. If it is near zero the penalty has nothing to do. NaN without penalty.
    loss_curve_ : list of float
        Mean loss over each epoch, penalty included, of the standardised target.
    validation_scores_ : list of float or None
        Minus the balanced mean absolute error on held-out rows after each epoch, in standard deviations of the target.
    n_iter_ : int
        Epochs.
    n_outputs_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in,)

    See Also
    --------
    ReweightedRegressor : Any regressor, with weights of rare targets.
    SMOGN : Resampling in place of weights.
    trustml.losses.conr_loss : The penalty as a function.

    References
    ----------
    M. Keramati, L. Meng and R. D. Evans, "ConR: Contrastive Regularizer for Deep Imbalanced Regression", ICLR 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.imbalanced import ConRRegressor
    >>> from trustml.metrics import balanced_mean_absolute_error
    >>> rng = np.random.default_rng(0)
    >>> y = rng.exponential(size=600)
    >>> X = y[:, None] + rng.normal(size=(600, 3))
    >>> for reweight in (None, "lds"):
    ...     model = ConRRegressor(hidden_layer_sizes=16, reweight=reweight, random_state=0)
    ...     print(round(balanced_mean_absolute_error(y, model.fit(X, y).predict(X), bins=20), 2))
    0.51
    0.45
    """

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "loss": [StrOptions(set(LOSS_NUMBERS))],
        "loss_params": [dict, None],
        "reweight": _WEIGHTS,
        "conr_weight": [Interval(Real, 0, None, closed="left")],
        "window": [Interval(Real, 0, None, closed="left"), None],
        "push": [Interval(Real, 0, None, closed="left"), None],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "push_form": [StrOptions({"exp", "product"})],
        "anchor_weight": _WEIGHTS,
        "denominator": [StrOptions({"paper", "reference"})],
        "augmentation": [StrOptions(set(AUGMENTATIONS)), callable, None],
        "augmentation_scale": [Interval(Real, 0, None, closed="left")],
        "bins": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), "array-like"],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [StrOptions({"cosine", "constant"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        hidden_layer_sizes=(64, 64, 64),
        activation="relu",
        loss="squared_error",
        loss_params=None,
        reweight=None,
        conr_weight=0.05,
        window=None,
        push=None,
        temperature=0.2,
        push_form="exp",
        anchor_weight=None,
        denominator="paper",
        augmentation="gaussian",
        augmentation_scale=0.1,
        bins="auto",
        alpha=0.0,
        batch_size=64,
        learning_rate="cosine",
        learning_rate_init=0.001,
        max_iter=100,
        tol=1e-4,
        n_iter_no_change=None,
        early_stopping=False,
        validation_fraction=0.1,
        random_state=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.loss_params = loss_params
        self.reweight = reweight
        self.conr_weight = conr_weight
        self.window = window
        self.push = push
        self.temperature = temperature
        self.push_form = push_form
        self.anchor_weight = anchor_weight
        self.denominator = denominator
        self.augmentation = augmentation
        self.augmentation_scale = augmentation_scale
        self.bins = bins
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in the base loss and as anchors. A row of weight zero is no row.

        Returns
        -------
        self : ConRRegressor
        """
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, multi_output=True)
        check_magnitude(X, "X")
        check_magnitude(y, "y")
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        hooks = None
        if getattr(self, "_skl_callbacks", None):
            hooks = EpochTasks(self, context, self._attributes, X=X, y=y)
        interrupt = self._learn(X, y, weight / weight.max(), hooks)
        if interrupt is not None:
            raise interrupt
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def predict(self, X):
        """Predict targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._of_network(X, "apply") * self.target_scale_ + self.target_mean_
        return outputs[:, 0] if self._one_axis else outputs

    def transform(self, X):
        """The features that the network has learned.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        features : ndarray of shape (n_samples, hidden_layer_sizes[-1])
            What the last layer sees, and the penalty acts on.
        """
        return self._of_network(X, "features")

    @property
    def _n_features_out(self):
        return len(self.coefs_[-1])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    # --- inside

    def _of_network(self, X, method):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        layers = zip(self.coefs_, self.intercepts_, strict=True)
        params = tuple((weights.astype(np.float64), biases.astype(np.float64)) for weights, biases in layers)
        rows = (X - self.feature_mean_) / self.feature_scale_
        # In float32 a row's features would depend, in the last digit, on the rows beside it.
        with jax.enable_x64(True):
            return predict(self._network(self.n_outputs_), params, rows, method=method)

    def _network(self, n_outputs):
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, int)).tolist()
        if min(sizes, default=0) < 1:
            raise ValueError(f"hidden_layer_sizes={self.hidden_layer_sizes!r}; expected one or more positive integers.")
        return MLP(n_outputs, tuple(sizes), self.activation, zero_output=True)

    def _loss_numbers(self):
        known, given = LOSS_NUMBERS[self.loss], self.loss_params or {}
        for name, value in given.items():
            if name not in known:
                raise ValueError(
                    f"loss_params: {self.loss!r} has no number {name!r}; it has {sorted(known) or 'none'}."
                )
            if not (isinstance(value, Real) and np.isfinite(value) and (value > 0 or (name == "gamma" and value == 0))):
                raise ValueError(f"loss_params: {name}={value!r}; expected a positive number.")
        return {name: np.float32(value) for name, value in (known | given).items()}

    def _learn(self, X, y, weight, hooks):
        """Train, and set the fitted attributes; an interrupt or None."""
        seed, numbers = seed_from(self.random_state), self._loss_numbers()
        self._one_axis, y = y.ndim == 1, y.reshape(len(y), -1)
        self.n_outputs_ = y.shape[1]
        network = self._network(self.n_outputs_)
        held_out = None
        if self.early_stopping:
            held_out = draw_held_out(y, weight, self.validation_fraction, np.random.default_rng(seed))
        learned = weight if held_out is None else np.where(held_out, 0, weight)
        edges = [label_bin_edges(column[weight > 0], self.bins) for column in y.T]
        self.bin_edges_ = edges[0] if self.n_outputs_ == 1 else edges
        self.window_ = self.window
        if self.window is None:
            self.window_ = hypot(*(float(np.median(np.diff(e))) for e in edges))
        self.push_ = self.push
        if self.push is None:
            self.push_ = 1 / hypot(*(float(e[-1] - e[0]) for e in edges))
        self.feature_mean_, self.feature_scale_ = mean_and_scale(X, learned)
        self.target_mean_, self.target_scale_ = mean_and_scale(y, learned)
        importance = [self._weights(name, y, learned) for name in ("reweight", "anchor_weight")]
        rows = (X - self.feature_mean_) / self.feature_scale_
        targets = (y - self.target_mean_) / self.target_scale_
        balance = np.zeros_like(y) if held_out is None else balance_of_bins(y, edges, weight * held_out)
        unit = hypot(*self.target_scale_.tolist())
        hyper = {
            "loss": numbers,
            "units": self.target_scale_ / unit,
            "window": self.window_ / unit,
            "push": self.push_ * unit,
            "temperature": self.temperature,
            "conr_weight": self.conr_weight,
            "augmentation_scale": self.augmentation_scale,
        }
        contrastive = self.conr_weight > 0
        if contrastive:
            self._warn_of_few_positives(y[learned > 0])
        objective = ConRObjective(
            network=network,
            loss=self.loss,
            augmentation=AUGMENTATIONS.get(self.augmentation, self.augmentation) if contrastive else None,
            contrastive=contrastive,
            push_form=self.push_form if contrastive else "exp",
            denominator=self.denominator if contrastive else "paper",
        )
        result = train(
            objective,
            network.init(jax.random.key(seed), np.zeros((1, X.shape[1]), np.float32)),
            (rows, targets, *importance, balance),
            hyper=Hyper(learning_rate=self.learning_rate_init, alpha=self.alpha, loss=hyper),
            sample_weight=learned,
            validation_weight=None if held_out is None else held_out * weight,
            seed=seed,
            hooks=hooks,
            batch_size=self.batch_size,
            max_iter=self.max_iter,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            score=None if held_out is None else BalancedScore(network),
            schedule=partial(cosine_schedule, max_iter=self.max_iter) if self.learning_rate == "cosine" else None,
        )
        for name, value in self._attributes(result).items():
            setattr(self, name, value)
        self.active_anchor_fraction_ = np.nan
        if contrastive and result.interrupt is None:
            self.active_anchor_fraction_ = self._active_fraction(network, result.params, rows, targets, learned, hyper)
        return result.interrupt

    def _attributes(self, result):
        """What a callback may ask for after each epoch."""
        return {
            "coefs_": [weights for weights, _ in result.params],
            "intercepts_": [biases for _, biases in result.params],
            "loss_curve_": result.loss_curve.tolist(),
            "validation_scores_": None if result.validation_scores is None else result.validation_scores.tolist(),
            "n_iter_": result.n_iter,
        }

    def _weights(self, name, y, weight):
        """Weights of all rows, of mean one over the training rows."""
        kind = getattr(self, name)
        if kind is None:
            return np.ones(len(y))
        if y.shape[1] > 1:
            raise ValueError(f"{name}={kind!r} is for one output; y has {y.shape[1]}. Expected {name}=None.")
        return row_weights(kind, y[:, 0], weight, name)

    def _warn_of_few_positives(self, y):
        if self.n_outputs_ > 1:
            return
        distinct = np.unique(y)
        narrow = len(distinct) > 1 and self.window_ < np.diff(distinct).min()
        if not narrow:
            return
        if self.augmentation is None and len(distinct) == len(y):
            warnings.warn(
                f"window={self.window_:.6g}: no two rows have targets so close, so that no row has a positive and the "
                "penalty is zero; expected a wider window, or an augmentation.",
                stacklevel=4,
            )
        elif self.window_ > 0:
            warnings.warn(
                f"window={self.window_:.6g} is narrower than the least distance of two targets, "
                f"{np.diff(distinct).min():.6g}: only rows of equal targets are alike.",
                stacklevel=4,
            )

    def _active_fraction(self, network, params, rows, targets, weight, hyper):
        batches = ShuffledBatches(np.flatnonzero(weight), self.batch_size)(np.random.default_rng(0))
        n_rows, n_batches = bucket_size(len(rows)), bucket_size(len(batches), minimum=2)
        arrays = pad_rows(rows, n_rows), pad_rows(targets, n_rows), pad_rows(batches, n_batches, -1)
        rows, targets = (a.astype(np.float32) for a in arrays[:2])
        units, window = hyper["units"].astype(np.float32), np.float32(hyper["window"])
        active, total = active_anchors(network, params, rows, targets, arrays[2], units, window)
        fraction = float(active) / float(total)
        if fraction < 0.05:
            warnings.warn(
                f"After training, {fraction:.1%} of the rows have a row with a like prediction and an unlike target in "
                f"their batch: the penalty has next to nothing to do with window={self.window_:.6g}.",
                stacklevel=4,
            )
        return fraction
