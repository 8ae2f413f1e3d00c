"""asv: audits of groups and of good models. Pin BLAS to one thread: OPENBLAS_NUM_THREADS=1 asv run."""

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from trustml.fairness import LInCo, PredictiveMultiplicity, group_metric_frame


def audited(n_rows=20_000, n_features=50, n_groups=2):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_features))
    return X, X[:, 0] + rng.normal(size=n_rows), np.arange(n_rows) % n_groups


class Audit:
    params = (["ridge", "logistic"], ["absolute", "squared"], [2, 9])
    param_names = ("judges", "disagreement", "n_groups")

    def setup(self, judges, disagreement, n_groups):
        self.X, y, self.groups = audited(n_groups=n_groups)
        self.y = y > 0 if judges == "logistic" else y
        disagreement = "tv" if (judges, disagreement) == ("logistic", "absolute") else disagreement
        model = LogisticRegression() if judges == "logistic" else Ridge()
        self.audit = LInCo(model, disagreement=disagreement, n_null=99, random_state=0)
        self.time_fit(judges, disagreement, n_groups)

    def time_fit(self, judges, disagreement, n_groups):
        self.audit.fit(self.X, self.y, sensitive_features=self.groups)


class Multiplicity:
    def setup(self):
        X, y, _ = audited(2000, 20)
        self.X, self.y = np.round(X[:300]).repeat(10, axis=0), y[:300].repeat(10) > 0
        self.model = PredictiveMultiplicity().fit(self.X, self.y)
        self.time_viable_range()

    def time_fit(self):
        PredictiveMultiplicity().fit(self.X, self.y)

    def time_viable_range(self):
        self.model.viable_range(self.X)


class GroupRates:
    def setup(self):
        rng = np.random.default_rng(0)
        self.labels, self.predicted, self.groups = rng.integers(0, 2, size=(3, 100_000))

    def time_bootstrap(self):
        group_metric_frame(self.labels, self.predicted, self.groups)
