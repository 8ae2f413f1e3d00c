"""asv: split-point uncertainty. Pin BLAS to one thread: OPENBLAS_NUM_THREADS=1 asv run."""

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB

from trustml.uncertainty import SPCClassifier, SPCRegressor


def rows(n):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 8))
    return X, X[:, 0] + np.exp(X[:, 1] / 2) * rng.normal(size=n)


class Regressor:
    params = (["mlp", "ridge"], [1_000, 10_000])
    param_names = ("head", "n_rows")

    def setup(self, head, n_rows):
        self.X, self.y = rows(n_rows)
        self.model = SPCRegressor(LinearRegression(), head=head, random_state=0).fit(self.X, self.y)
        self.time_predict_interval(head, n_rows)

    def time_fit(self, head, n_rows):
        SPCRegressor(LinearRegression(), head=head, random_state=0).fit(self.X, self.y)

    def time_predict_interval(self, head, n_rows):
        self.model.predict_interval(self.X)

    def time_calibrate(self, head, n_rows):
        self.model.calibrate(self.X + 1e-3, self.y)


class Million:
    def setup(self):
        X, y = rows(1_000)
        self.model = SPCRegressor(LinearRegression(), random_state=0).fit(X, y)
        self.X = rows(1_000_000)[0]
        self.time_predict_interval()

    def time_predict_interval(self):
        self.model.predict_interval(self.X)


class Classifier:
    def setup(self):
        X, y = rows(2_000)
        self.X, self.y = X, np.digitize(y, [-1, 1])
        self.time_fit()

    def time_fit(self):
        SPCClassifier(GaussianNB(), calibration="spa", random_state=0).fit(self.X, self.y)
