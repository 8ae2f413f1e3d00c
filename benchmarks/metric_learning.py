"""asv: metric learning. Pin BLAS to one thread: OPENBLAS_NUM_THREADS=1 asv run."""

import jax
import numpy as np

from trustml.datasets import make_open_world
from trustml.losses import multi_similarity_loss, tcm_loss
from trustml.metric_learning import TCMEmbedding
from trustml.metrics import map_at_r, open_world_report, opis_score


class Loss:
    params = ([tcm_loss, multi_similarity_loss], [128, 512, 1024])
    param_names = ("loss", "batch_size")

    def setup(self, loss, batch_size):
        rng = np.random.default_rng(0)
        self.labels = np.repeat(np.arange(batch_size // 4), 4)
        self.Z = jax.device_put((rng.normal(size=(batch_size, 64)) + 1).astype(np.float32))
        self.program = jax.jit(jax.value_and_grad(loss))
        self.time_value_and_gradient(loss, batch_size)

    def time_value_and_gradient(self, loss, batch_size):
        jax.block_until_ready(self.program(self.Z, self.labels))


class Fit:
    params = ([(), (256,)],)
    param_names = ("hidden_layer_sizes",)

    def setup(self, hidden_layer_sizes):
        self.X, self.y = make_open_world(200, 50, 128, random_state=0)
        self.model = TCMEmbedding(hidden_layer_sizes=hidden_layer_sizes, max_iter=10, random_state=0)
        self.model.fit(self.X, self.y)

    def time_fit(self, hidden_layer_sizes):
        self.model.fit(self.X, self.y)

    def peakmem_fit(self, hidden_layer_sizes):
        self.model.fit(self.X, self.y)

    def time_transform(self, hidden_layer_sizes):
        self.model.transform(self.X)


class Metrics:
    params = [2_000, 20_000]
    param_names = ("n_rows",)

    def setup(self, n_rows):
        X, self.y = make_open_world(n_rows // 20, 20, 64, random_state=0)
        self.X = X.astype(np.float32)

    def time_opis(self, n_rows):
        opis_score(self.X, self.y)

    def peakmem_opis(self, n_rows):
        opis_score(self.X, self.y)

    def time_map_at_r(self, n_rows):
        map_at_r(self.X, self.y)


class Quality:
    """Unseen classes: figures that a change should not make worse."""

    def setup(self):
        X, y = make_open_world(random_state=0)
        seen = y < 50
        Z = TCMEmbedding(random_state=0).fit(X[seen], y[seen]).transform(X[~seen])
        self.report = open_world_report(Z, y[~seen], n_resamples=0)

    def track_map_at_r(self):
        return self.report.map_at_r

    def track_opis(self):
        return self.report.opis

    def track_tar_at_one_percent_far(self):
        return self.report.tar
