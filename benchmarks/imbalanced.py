"""Fits and losses for rare targets."""

import jax
import jax.numpy as jnp
import numpy as np

from trustml.imbalanced import SMOGN, ConRRegressor, DenseWeight, LabelDistributionSmoothing
from trustml.losses import conr_loss


class ConRLoss:
    """Value and gradient of a batch."""

    params = [128, 512, 2048]
    param_names = ["n_rows"]

    def setup(self, n_rows):
        rng = np.random.default_rng(0)
        y = rng.integers(0, 50, n_rows).astype(np.float32)
        self.arrays = jax.device_put(
            (rng.normal(size=(n_rows, 64)).astype(np.float32), y, y + 5 * rng.normal(size=n_rows))
        )
        self.loss = jax.jit(jax.value_and_grad(lambda z, y, p: jnp.mean(conr_loss(z, y, p, window=1.0, push=0.01))))
        jax.block_until_ready(self.loss(*self.arrays))

    def time_value_and_gradient(self, n_rows):
        jax.block_until_ready(self.loss(*self.arrays))


class Fit:
    """A warm fit of 10 epochs on 4,000 rows."""

    params = [None, "gaussian"]
    param_names = ["augmentation"]

    def setup(self, augmentation):
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(4000, 8))
        self.y = np.exp(self.X[:, 0]) + rng.normal(size=4000)
        self.model = ConRRegressor(augmentation=augmentation, max_iter=10, random_state=0).fit(self.X, self.y)

    def time_fit(self, augmentation):
        self.model.fit(self.X, self.y)


class Weights:
    """Weights and resampling of many rows."""

    def setup(self):
        rng = np.random.default_rng(0)
        self.y = rng.exponential(size=1_000_000)
        self.X = rng.normal(size=(4000, 10))

    def time_label_distribution_smoothing(self):
        LabelDistributionSmoothing().fit(self.y).weights(self.y)

    def time_dense_weight(self):
        DenseWeight().fit(self.y).weights(self.y)

    def time_smogn(self):
        SMOGN(random_state=0).fit_resample(self.X, self.y[:4000])
