"""asv: groupwise online regression. Pin BLAS to one thread: OPENBLAS_NUM_THREADS=1 asv run."""

import numpy as np

from trustml.datasets._groupwise import make_groupwise_regression
from trustml.online import AdaNormalHedge, GroupwiseRegressor, OnlineRidge


class GroupwiseStream:
    params = ([10_000], [25, 96])
    param_names = ("n_rows", "n_features")

    def setup(self, n_rows, n_features):
        self.X, self.y, self.membership = make_groupwise_regression(n_rows, n_features - 5, random_state=0)
        self.model = GroupwiseRegressor().fit(self.X, self.y, self.membership)
        self.row = slice(0, 1)

    def time_fit(self, n_rows, n_features):
        GroupwiseRegressor().fit(self.X, self.y, self.membership)

    def time_single_row_partial_fit(self, n_rows, n_features):
        self.model.partial_fit(self.X[self.row], self.y[self.row], self.membership[self.row])

    def time_predict(self, n_rows, n_features):
        self.model.predict(self.X, self.membership)

    def time_regret_report(self, n_rows, n_features):
        self.model.regret_report()

    def peakmem_fit(self, n_rows, n_features):
        GroupwiseRegressor(record=None).fit(self.X, self.y, self.membership)


class Hedge:
    params = [13, 256]
    param_names = ("n_experts",)

    def setup(self, n_experts):
        rng = np.random.default_rng(0)
        self.losses, self.awake = rng.random((10_000, n_experts)), rng.random((10_000, n_experts)) < 0.4
        self.time_update(n_experts)

    def time_update(self, n_experts):
        AdaNormalHedge(n_experts).update(self.losses, self.awake)


class Ridge:
    def setup(self):
        rng = np.random.default_rng(0)
        self.X, self.y = rng.normal(size=(20_000, 50)), rng.normal(size=20_000)
        self.time_partial_fit()

    def time_partial_fit(self):
        OnlineRidge().partial_fit(self.X, self.y)
