"""Judgments with a known bias."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def biased():
    """A function that makes X, y and groups "a" and "b", of which b gets ``bias`` more in unit noise."""

    def make(n=200, bias=0.0, shift=0.0, seed=0, p=3):
        rng = np.random.default_rng(seed)
        group = np.arange(n) % 2
        X = rng.normal(size=(n, p))
        X[:, 0] += shift * group
        y = X @ np.ones(p) + bias * group + rng.normal(size=n)
        return X, y, np.array(["a", "b"])[group]

    return make
