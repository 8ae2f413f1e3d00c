"""asv suite of data valuation: what a user waits for, compiled and warm, and what it takes of memory."""

import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from benchmarks._common import breast_cancer
from trustml import DataBanzhaf, DataShapley, KNNShapley, LeaveOneOut

MODELS = {
    "logistic": LogisticRegression(),
    "ridge": RidgeClassifier(),
    "neighbors": KNeighborsClassifier(),
    "naive_bayes": GaussianNB(),
}


class Permutations:
    """20 000 utilities of permutation Shapley."""

    params = list(MODELS)
    param_names = ("model",)

    def setup(self, model):
        warnings.simplefilter("ignore")
        self.data = breast_cancer()[:4]
        self.valuation = DataShapley(
            MODELS[model], max_permutations=200, tol=0, truncation_tol=None, select="all", random_state=0
        )
        self.time_fit(model)  # compiles

    def time_fit(self, model):
        X, y, X_val, y_val = self.data
        self.valuation.fit(X, y, X_val=X_val, y_val=y_val)


class Subsets:
    """Banzhaf values and leave-one-out of a logistic regression."""

    params = ("banzhaf", "leave_one_out")
    param_names = ("values",)

    def setup(self, values):
        warnings.simplefilter("ignore")
        self.data = breast_cancer()[:4]
        self.valuation = {
            "banzhaf": DataBanzhaf(LogisticRegression(), max_subsets=2000, tol=0, random_state=0),
            "leave_one_out": LeaveOneOut(LogisticRegression()),
        }[values]
        self.time_fit(values)  # compiles

    def time_fit(self, values):
        X, y, X_val, y_val = self.data
        self.valuation.fit(X, y, X_val=X_val, y_val=y_val)


class Neighbours:
    """Exact KNN-Shapley of a larger table."""

    params = (1_000, 10_000)
    param_names = ("n_samples",)

    def setup(self, n_samples):
        rng = np.random.RandomState(0)
        self.X, self.X_val = rng.standard_normal((n_samples, 50)), rng.standard_normal((500, 50))
        self.y, self.y_val = (self.X[:, 0] > 0).astype(int), (self.X_val[:, 0] > 0).astype(int)
        self.valuation = KNNShapley(select="all")

    def time_fit(self, n_samples):
        self.valuation.fit(self.X, self.y, X_val=self.X_val, y_val=self.y_val)

    def peakmem_fit(self, n_samples):
        self.time_fit(n_samples)
