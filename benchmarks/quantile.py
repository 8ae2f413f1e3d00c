"""asv: quantile models and their weights. Pin BLAS to one thread: OPENBLAS_NUM_THREADS=1 asv run."""

import numpy as np

from benchmarks.quantile_solver import forecasts, solve
from trustml.quantile import ForestQuantileRegressor, LinearQuantileRegressor, isotonic_quantiles, sort_quantiles


class GlobalWeights:
    params = (["coarse", "medium"], [500, 2000, 10_000])
    param_names = ("resolution", "n_rows")

    def setup(self, resolution, n_rows):
        self.Q, self.y = forecasts(n_rows)
        self.time_solve(resolution, n_rows)

    def time_solve(self, resolution, n_rows):
        solve(self.Q, self.y, resolution, "auto")


class Models:
    def setup(self):
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(2000, 10))
        self.y = self.X[:, 0] + (1 + np.abs(self.X[:, 1])) * rng.normal(size=2000)
        self.forest = ForestQuantileRegressor(random_state=0).fit(self.X, self.y)
        self.time_linear()

    def time_linear(self):
        LinearQuantileRegressor().fit(self.X, self.y)

    def time_forest_predict(self):
        self.forest.predict_quantiles(self.X)


class Order:
    def setup(self):
        self.q = np.random.default_rng(0).normal(size=(10_000, 99))

    def time_sort(self):
        sort_quantiles(self.q)

    def time_isotonic(self):
        isotonic_quantiles(self.q)
