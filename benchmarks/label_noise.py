"""asv: losses for wrong labels and LDRClassifier."""

import jax
import numpy as np

from trustml.classification import LDRClassifier
from trustml.datasets import make_label_noise
from trustml.losses import get_loss


class Loss:
    params = (["cross_entropy", "ldr_kl", "aldr_kl", "js", "nce_rce"], [(65_536, 10), (4096, 100)])
    param_names = ("loss", "shape")

    def setup(self, name, shape):
        rng = np.random.default_rng(0)
        self.logits = jax.device_put(3 * rng.normal(size=shape).astype(np.float32))
        self.labels = jax.device_put(rng.integers(shape[1], size=shape[0]))
        loss = get_loss(name)
        self.function = jax.jit(jax.value_and_grad(lambda logits, labels: loss(logits, labels).mean()))
        self.time_value_and_gradient(name, shape)

    def time_value_and_gradient(self, name, shape):
        jax.block_until_ready(self.function(self.logits, self.labels))


class Fit:
    params = [(), (16, 16)]
    param_names = ("hidden_layer_sizes",)

    def setup(self, hidden):
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(10_000, 16)).astype(np.float32)
        self.y, _ = make_label_noise(np.argmax(self.X[:, :10], axis=1), "uniform", 0.5, random_state=0)
        self.model = LDRClassifier(hidden_layer_sizes=hidden, max_iter=5, n_iter_no_change=None, random_state=0)
        self.model.fit(self.X, self.y)

    def time_fit(self, hidden):
        self.model.fit(self.X, self.y)

    def time_predict_proba(self, hidden):
        self.model.predict_proba(self.X)

    def peakmem_fit(self, hidden):
        self.model.fit(self.X, self.y)
