"""Black-box models on a real cluster of worker processes, through joblib alone."""

import joblib
import numpy as np
import pytest
from sklearn import config_context
from sklearn.linear_model import RidgeClassifier
from sklearn.tree import DecisionTreeClassifier

from trustml import DataBanzhaf, DataOOB, DataShapley, LeaveOneOut

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:select=:UserWarning")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 3))
    return X, (X[:, 0] > 0).astype(int)


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_values(table):
    distributed = pytest.importorskip("distributed")
    tree = DecisionTreeClassifier(random_state=0)
    valuations = [
        DataShapley(tree, cv=2, max_permutations=6, random_state=0),
        DataBanzhaf(tree, cv=2, max_subsets=16, random_state=0),
        LeaveOneOut(tree, cv=2),
        DataOOB(tree, n_estimators=30, random_state=0),
    ]
    here = [valuation.fit(*table).data_values_.copy() for valuation in valuations]
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        there = [valuation.fit(*table).data_values_.copy() for valuation in valuations]
    for ours, theirs in zip(here, there, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("valuation", [LeaveOneOut(RidgeClassifier()), DataBanzhaf(RidgeClassifier(), random_state=0)])
def test_values_do_not_depend_on_the_working_memory(table, valuation):
    whole = valuation.fit(*table).data_values_.copy()
    with config_context(working_memory=1e-4):
        np.testing.assert_allclose(valuation.fit(*table).data_values_, whole, atol=1e-12)
