"""Networks: a multilayer perceptron as pure functions on a plain pytree, and the protocol for a user's own.

A network is anything with ``init(key, X) -> params`` and ``apply(params, X) -> outputs`` (:class:`Network`), as a Flax
module has. Ours is :class:`MLP`, whose parameters are a tuple of ``(weights, biases)`` pairs, one per layer:

    network = MLP(n_outputs=3, hidden_layer_sizes=(50,))
    params = network.init(jax.random.key(0), X)
    outputs = network.apply(params, X)           # (n_rows, 3), the last layer is linear
    hidden = network.features(params, X)         # (n_rows, 50), what the last layer sees
    outputs = predict(network, params, X)        # the same as NumPy, by chunks of rows, for any number of rows

Without hidden layers it is the linear model. ``zero_output=True`` starts at outputs of zero, which is where a convex
problem is best started, and what a softmax over equal weights needs. Sparse rows come as :class:`SparseRows`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from trustml._jax import bucket_size

ACTIVATIONS: dict[str, Callable] = {
    "identity": lambda x: x,
    "logistic": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
}
_CHUNK_ROWS = 1 << 16


@runtime_checkable
class Network(Protocol):
    """What a user's own network must offer.

    It is a static argument of compiled functions, so it should be hashable by value, as a frozen dataclass or a Flax
    module is: an object that compares by identity is compiled anew for every clone of an estimator.
    """

    def init(self, key: jax.Array, X: Any) -> Any:
        """Parameters, a pytree of arrays, for rows like those of ``X``."""

    def apply(self, params: Any, X: Any) -> jax.Array:
        """Outputs of shape (n_rows, n_outputs); pure, and row by row."""


class SparseRows(NamedTuple):
    """Rows of a sparse matrix, each padded to the same number of entries.

    Attributes
    ----------
    columns : int32 array of shape (n_rows, width)
        Column of each entry; 0 for padding.
    entries : float array of shape (n_rows, width)
        The entries; 0 for padding.
    """

    columns: Any
    entries: Any


def sparse_rows(X) -> SparseRows:
    """The rows of a SciPy sparse matrix, padded to the bucket of its fullest row."""
    X = X.tocsr()
    filled = np.diff(X.indptr)
    width = bucket_size(filled.max(initial=1))
    slot = np.arange(X.nnz) - np.repeat(X.indptr[:-1], filled)
    row = np.repeat(np.arange(X.shape[0]), filled)
    columns, entries = np.zeros((X.shape[0], width), np.int32), np.zeros((X.shape[0], width), np.float32)
    columns[row, slot], entries[row, slot] = X.indices, X.data
    return SparseRows(columns, entries)


def init_mlp(key, n_features: int, hidden_layer_sizes: tuple, n_outputs: int, *, activation="relu", zero_output=False):
    """Weights and biases drawn as scikit-learn's MLP draws them (Glorot & Bengio 2010, equation 16).

    Returns a tuple of ``(weights, biases)`` in float32, of shapes (n_in, n_out) and (n_out,). The bound is smaller
    for the logistic activation. ``zero_output`` makes the last layer zero.
    """
    return _init_mlp(key, (n_features, *hidden_layer_sizes, n_outputs), activation, zero_output)


@partial(jax.jit, static_argnums=(1, 2, 3))
def _init_mlp(key, sizes, activation, zero_output):
    layers = []
    for n_in, n_out in pairwise(sizes):
        key, weight_key, bias_key = jax.random.split(key, 3)
        bound = ((2.0 if activation == "logistic" else 6.0) / (n_in + n_out)) ** 0.5
        weights = jax.random.uniform(weight_key, (n_in, n_out), jnp.float32, -bound, bound)
        biases = jax.random.uniform(bias_key, (n_out,), jnp.float32, -bound, bound)
        layers.append((weights, biases))
    if zero_output:
        layers[-1] = jax.tree.map(jnp.zeros_like, layers[-1])
    return tuple(layers)


def mlp_features(params, X, *, activation: str):
    """Activations of the last hidden layer; ``X`` itself if there is none."""
    for weights, biases in params[:-1]:
        X = ACTIVATIONS[activation](_times(X, weights) + biases)
    return X


def apply_mlp(params, X, *, activation: str):
    """Outputs of shape (n_rows, n_outputs); the last layer has no activation."""
    weights, biases = params[-1]
    return _times(mlp_features(params, X, activation=activation), weights) + biases


def _times(X, weights):
    if isinstance(X, SparseRows):
        return jnp.einsum("...k,...kh->...h", X.entries, weights[X.columns])
    return X @ weights


@dataclass(frozen=True)
class MLP:
    """Multilayer perceptron.

    Parameters
    ----------
    n_outputs : int
        Width of the last, linear layer.
    hidden_layer_sizes : tuple of int, default=()
        Widths of the hidden layers; none makes the linear model.
    activation : {"identity", "logistic", "relu", "tanh"}, default="relu"
        Of the hidden layers.
    zero_output : bool, default=False
        Start with a last layer of zeros.
    """

    n_outputs: int
    hidden_layer_sizes: tuple = ()
    activation: str = "relu"
    zero_output: bool = False

    def init(self, key, X):
        """Parameters for rows like those of ``X``, an array of shape (n_rows, n_features)."""
        return init_mlp(
            key,
            X.shape[-1],
            self.hidden_layer_sizes,
            self.n_outputs,
            activation=self.activation,
            zero_output=self.zero_output,
        )

    def apply(self, params, X):
        """Outputs of shape (n_rows, n_outputs)."""
        return apply_mlp(params, X, activation=self.activation)

    def features(self, params, X):
        """Activations of the last hidden layer, of shape (n_rows, hidden_layer_sizes[-1])."""
        return mlp_features(params, X, activation=self.activation)


@partial(jax.jit, static_argnames=("network", "method"))
def _outputs(params, X, *, network, method):
    return getattr(network, method)(params, X)


def predict(network: Network, params, X, *, method: str = "apply") -> NDArray:
    """Outputs of ``network`` for the rows of ``X``, as NumPy.

    Rows are padded to their bucket and taken in chunks of 65,536, so that any number of rows needs few programs and
    bounded memory. ``method`` names another pure method of the network, such as "features".
    """
    n_rows = len(jax.tree.leaves(X)[0])
    outputs = []
    for start in range(0, n_rows, _CHUNK_ROWS):
        size = min(_CHUNK_ROWS, n_rows - start)
        # Repeats of the last row fill the bucket, because a network may not be defined at zero.
        rows = np.minimum(np.arange(start, start + bucket_size(size)), n_rows - 1)
        chunk = jax.tree.map(lambda a, rows=rows: np.asarray(a)[rows], X)
        outputs.append(np.asarray(_outputs(params, chunk, network=network, method=method))[:size])
    return np.concatenate(outputs)
