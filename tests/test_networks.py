"""The MLP against NumPy and scikit-learn, and the protocol for a user's own network."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse
from sklearn.neural_network import MLPRegressor

from trustml._networks import MLP, Network, SparseRows, apply_mlp, init_mlp, mlp_features, predict, sparse_rows

ACTIVATIONS = ["identity", "logistic", "relu", "tanh"]


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_outputs_equal_those_of_scikit_learn_with_the_same_weights(X, activation):
    rng = np.random.default_rng(1)
    params = [(rng.normal(size=shape), rng.normal(size=shape[1])) for shape in ((4, 6), (6, 5), (5, 2))]
    peer = MLPRegressor(hidden_layer_sizes=(6, 5), activation=activation, max_iter=1).partial_fit(X, X[:, :2])
    peer.coefs_, peer.intercepts_ = [weights for weights, _ in params], [biases for _, biases in params]
    np.testing.assert_allclose(apply_mlp(params, X, activation=activation), peer.predict(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ["logistic", "relu"])
def test_weights_and_biases_are_uniform_within_the_bound_of_glorot(activation):
    params = init_mlp(jax.random.key(1), 200, (300,), 100, activation=activation)
    factor = 2 if activation == "logistic" else 6
    for (weights, biases), n_in, n_out in zip(params, (200, 300), (300, 100), strict=True):
        bound = np.sqrt(factor / (n_in + n_out))
        assert weights.shape == (n_in, n_out)
        assert biases.shape == (n_out,)
        assert weights.dtype == biases.dtype == np.float32
        for drawn in (np.ravel(weights), np.asarray(biases)):
            assert np.abs(drawn).max() <= bound
            np.testing.assert_allclose(drawn.std(), bound / np.sqrt(3), rtol=0.15)


def test_no_hidden_layer_is_the_linear_model(X):
    network = MLP(n_outputs=3)
    ((weights, biases),) = params = network.init(jax.random.key(0), X)
    np.testing.assert_allclose(network.apply(params, X), X @ np.asarray(weights) + np.asarray(biases), rtol=1e-5)
    np.testing.assert_array_equal(network.features(params, X), X)


@pytest.mark.parametrize("hidden", [(), (7,)])
def test_zero_output_starts_at_zero(X, hidden):
    network = MLP(n_outputs=3, hidden_layer_sizes=hidden, zero_output=True)
    params = network.init(jax.random.key(0), X)
    np.testing.assert_array_equal(network.apply(params, X), np.zeros((30, 3)))
    assert all(np.any(np.asarray(weights) != 0) for weights, _ in params[:-1])


def test_features_are_what_the_last_layer_sees(X):
    params = init_mlp(jax.random.key(0), 4, (6, 5), 2, activation="tanh")
    hidden = np.tanh(np.tanh(X @ params[0][0] + params[0][1]) @ params[1][0] + params[1][1])
    np.testing.assert_allclose(mlp_features(params, X, activation="tanh"), hidden, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        apply_mlp(params, X, activation="tanh"), hidden @ params[2][0] + params[2][1], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_sparse_rows_give_the_outputs_and_gradients_of_dense_ones(X, hidden):
    X = np.where(np.abs(X) > 1, X, 0)
    X[3] = 0
    rows = sparse_rows(sparse.csc_array(X))
    network = MLP(n_outputs=2, hidden_layer_sizes=hidden)
    params = network.init(jax.random.key(0), X)

    @jax.jit
    @jax.grad
    def gradient(params, X):
        return jnp.sum(jnp.sin(network.apply(params, X)))

    np.testing.assert_allclose(network.apply(params, rows), network.apply(params, X), rtol=1e-5, atol=1e-6)
    for ours, dense in zip(*(jax.tree.leaves(gradient(params, given)) for given in (rows, X)), strict=True):
        np.testing.assert_allclose(ours, dense, rtol=1e-5, atol=1e-5)


def test_sparse_rows_of_an_empty_matrix():
    rows = sparse_rows(sparse.csr_array((3, 4)))
    assert isinstance(rows, SparseRows)
    np.testing.assert_array_equal(rows.entries, np.zeros_like(rows.entries))


@pytest.mark.parametrize("n_rows", [1, 7, 8, 30])
def test_predict_equals_apply_whatever_the_number_of_rows(X, n_rows):
    network = MLP(n_outputs=2, hidden_layer_sizes=(5,))
    params = network.init(jax.random.key(0), X)
    np.testing.assert_allclose(predict(network, params, X[:n_rows]), network.apply(params, X[:n_rows]), rtol=1e-6)
    features = predict(network, params, X[:n_rows], method="features")
    np.testing.assert_allclose(features, network.features(params, X[:n_rows]), rtol=1e-6)


def test_predict_by_chunks(X, monkeypatch):
    network = MLP(n_outputs=2, hidden_layer_sizes=(5,))
    params = network.init(jax.random.key(0), X)
    whole = predict(network, params, X)
    monkeypatch.setattr("trustml._networks._CHUNK_ROWS", 11)
    assert isinstance(whole, np.ndarray)
    np.testing.assert_allclose(predict(network, params, X), whole, rtol=1e-6)


def test_predict_compiles_once_for_row_counts_of_a_bucket(X, count_compilations):
    params = MLP(n_outputs=2).init(jax.random.key(0), X)
    predict(MLP(n_outputs=2), params, X[:29])
    with count_compilations() as found:
        predict(MLP(n_outputs=2), params, X[:30])
        predict(MLP(n_outputs=2), params, X[:32])
    assert found.count == 0


@dataclass(frozen=True)
class Bilinear:
    """A user's own network: not a tuple of layers, and its outputs are quadratic in X."""

    rank: int

    def init(self, key, X):
        return {"factors": jax.random.normal(key, (X.shape[1], self.rank)), "scale": jnp.float32(1.0)}

    def apply(self, params, X):
        return params["scale"] * jnp.sum(jnp.square(X @ params["factors"]), axis=1, keepdims=True)


def test_a_users_network_follows_the_protocol(X):
    network = Bilinear(rank=3)
    assert isinstance(network, Network)
    assert isinstance(MLP(n_outputs=1), Network)
    params = network.init(jax.random.key(0), X)
    expected = np.square(X @ np.asarray(params["factors"])).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict(network, params, X), expected, rtol=1e-5)
