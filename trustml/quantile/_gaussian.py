"""A network that predicts a normal distribution."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm
from sklearn.utils.validation import check_is_fitted

from trustml.metrics._quantile import check_quantile_levels
from trustml.quantile._base import DEFAULT_QUANTILES
from trustml.quantile._network_base import BaseNetworkRegressor

# In standard deviations of the target: the likelihood of a constant target has no maximum.
_LEAST_SCALE = 1e-3


def normal_loss(outputs, targets, numbers):
    """Minus the log-likelihood of each row, up to a constant; the outputs are its mean and scale before softplus."""
    scale = jax.nn.softplus(outputs[:, 1]) + _LEAST_SCALE
    return jnp.log(scale) + 0.5 * ((targets - outputs[:, 0]) / scale) ** 2


class GaussianQuantileRegressor(BaseNetworkRegressor):
    """A multilayer perceptron for the mean and the scale of a normal distribution; quantiles are those of it.

    Parameters
    ----------
    quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.1, ..., 0.95)
        Levels that ``predict_quantiles`` gives by default; any others can be asked for.
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

    Notes
    -----
    The scale is at least a thousandth of the standard deviation of the training targets.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from trustml.quantile import GaussianQuantileRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = GaussianQuantileRegressor(random_state=0).fit(X, y)
    >>> model.predict_quantiles(X[:2], [0.01, 0.5, 0.99]).shape
    (2, 3)
    """

    def __init__(
        self,
        *,
        quantiles=DEFAULT_QUANTILES,
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
        return 2

    def _loss(self):
        return normal_loss, ()

    def predict_quantiles(self, X, quantiles=None):
        """Predict quantiles at any levels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        quantiles : array-like of shape (n_quantiles,), default=None
            Levels, increasing, between 0 and 1. None: those of the constructor.

        Returns
        -------
        y_quantiles : ndarray of shape (n_samples, n_quantiles)
        """
        check_is_fitted(self)
        levels = self.quantiles_ if quantiles is None else check_quantile_levels(quantiles)
        outputs = self._outputs(X)
        scale = np.logaddexp(0, outputs[:, 1:]) + _LEAST_SCALE
        return self._y_mean + self._y_scale * (outputs[:, :1] + scale * norm.ppf(levels))

    def _fitted_quantiles(self, X):
        return self.predict_quantiles(X)
