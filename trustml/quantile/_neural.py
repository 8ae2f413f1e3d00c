"""A network that predicts all quantiles at once."""

import jax.numpy as jnp

from trustml._sklearn import StrOptions
from trustml.losses._quantile import pinball
from trustml.quantile._base import DEFAULT_QUANTILES
from trustml.quantile._network_base import BaseNetworkRegressor
from trustml.quantile._noncrossing import REPAIRS


def mean_pinball(outputs, targets, levels):
    """Mean pinball loss of each row over the levels."""
    return jnp.mean(pinball(outputs, targets[:, None], levels), axis=-1)


class NeuralQuantileRegressor(BaseNetworkRegressor):
    """A multilayer perceptron with one output for each quantile, trained on their mean pinball loss.

    Parameters
    ----------
    quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.1, ..., 0.95)
        Levels, strictly increasing, between 0 and 1.
    noncrossing : {"sort", "isotonic", "sweep", None}, default="sort"
        How the quantiles of a row are put into order. None leaves them crossed.
    hidden_layer_sizes : array-like of int, default=(64,)
        Widths of the hidden layers.
    activation : {"identity", "logistic", "relu", "tanh"}, default="relu"
        Of the hidden layers.
    alpha : float, default=0.0
        Adds ``alpha / 2`` times the sum of squares of the weights to the mean loss.
    learning_rate : float, default=1e-3
        Of Adam.
    batch_size : int, default=64
        Rows in a step.
    max_iter : int, default=500
        Most epochs.
    tol : float, default=1e-4
        Least gain of an epoch that counts, in the loss of standardised targets.
    early_stopping : bool, default=True
        Hold out rows, stop when their loss no longer falls, and keep the parameters that were best on them. Otherwise
        the training loss decides.
    validation_fraction : float, default=0.1
        Of the rows, held out.
    n_iter_no_change : int, default=10
        Epochs without a gain after which training stops.
    random_state : int, RandomState instance or None, default=None
        Of the initial weights, the batches and the rows held out.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights and biases of the layers, for standardised rows and targets.
    loss_curve_ : ndarray of shape (n_iter,)
        Mean loss of each epoch.
    n_iter_ : int
        Epochs.
    quantiles_ : ndarray of shape (n_quantiles,)
        The levels.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    QuantileAggregator : Combines quantile models.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from trustml.quantile import NeuralQuantileRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = NeuralQuantileRegressor(quantiles=(0.1, 0.5, 0.9), random_state=0).fit(X, y)
    >>> model.predict_quantiles(X[:2]).shape
    (2, 3)
    """

    _parameter_constraints = BaseNetworkRegressor._parameter_constraints | {
        "noncrossing": [StrOptions({"sort", "isotonic", "sweep"}), None],
    }

    def __init__(
        self,
        *,
        quantiles=DEFAULT_QUANTILES,
        noncrossing="sort",
        hidden_layer_sizes=(64,),
        activation="relu",
        alpha=0.0,
        learning_rate=1e-3,
        batch_size=64,
        max_iter=500,
        tol=1e-4,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=10,
        random_state=None,
    ):
        self.quantiles = quantiles
        self.noncrossing = noncrossing
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    def _n_outputs(self):
        return len(self.quantiles_)

    def _loss(self):
        return mean_pinball, self.quantiles_

    def _fitted_quantiles(self, X):
        return REPAIRS[self.noncrossing](self._y_mean + self._y_scale * self._outputs(X))
