"""Black-box models on a real cluster of worker processes, through joblib alone."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial

import joblib
import numpy as np
import pytest
from sklearn import config_context
from sklearn.ensemble import RandomForestClassifier
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


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers, each a process of its own: a client, and the worker processes by name."""
    distributed = pytest.importorskip("distributed")
    contact = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    common = ["--scheduler-file", contact, "--no-dashboard"]
    start = partial(subprocess.Popen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    scheduler = start([*dask, "scheduler", "--port", "0", *common])
    workers = {
        name: start([*dask, "worker", "--no-nanny", "--nthreads", "1", "--name", name, *common]) for name in ("a", "b")
    }
    try:
        with distributed.Client(scheduler_file=str(contact), timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
            yield client, workers
    finally:
        for process in [*workers.values(), scheduler]:
            process.kill()
            process.wait()


def working(client, name):
    """Whether the worker of this name is at a task."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(worker["name"] == name and worker["metrics"]["task_counts"].get("executing") for worker in workers)


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_nothing(table, cluster):
    client, workers = cluster
    forest = RandomForestClassifier(60, random_state=0)
    valuation = LeaveOneOut(forest, cv=4)
    here = valuation.fit(*table).data_values_.copy()
    killed_at = []

    def kill_when_working():
        while not working(client, "a"):
            time.sleep(0.02)
        workers["a"].kill()
        killed_at.append(time.monotonic())

    killer = threading.Thread(target=kill_when_working, daemon=True)
    with joblib.parallel_config(backend="dask"):
        killer.start()
        there = valuation.fit(*table).data_values_
        finished = time.monotonic()
    killer.join(60)
    assert killed_at
    assert killed_at[0] < finished
    assert workers["a"].wait(60) == -signal.SIGKILL
    np.testing.assert_array_equal(here, there)


ONE_OF_TWO_HOSTS = """
import sys
import jax
import numpy as np
host, port, path = sys.argv[1:]
if host != "alone":
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=int(host))
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from trustml import DataBanzhaf, DataShapley, GradientShapley
rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3)); target = X[:, 0] + rng.normal(size=40); y = (target > 0).astype(int)
values = [DataShapley(Ridge(), max_permutations=20, random_state=0).fit(X, target).data_values_]
values.append(GradientShapley(max_permutations=20, random_state=0, select="all").fit(X, y).data_values_)
for model in (RidgeClassifier(), LogisticRegression(), GaussianNB(), KNeighborsClassifier()):
    for valuation in (DataShapley(model, max_permutations=20), DataBanzhaf(model, max_subsets=100)):
        values.append(valuation.set_params(random_state=0, select="all").fit(X, y).data_values_)
np.save(path, values)
print(len(jax.devices()))
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_two_hosts_give_the_same_values(tmp_path):
    """Compiled engines over two processes of jax.distributed, each with one CPU device."""
    port = str(free_port())
    command = [sys.executable, "-W", "ignore", "-c", ONE_OF_TWO_HOSTS]
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    hosts = {
        host: subprocess.Popen(
            [*command, host, port, tmp_path / f"{host}.npy"], env=environment, stdout=subprocess.PIPE, text=True
        )
        for host in ("alone", "0", "1")
    }
    devices = {host: process.communicate(timeout=300)[0].split()[-1:] for host, process in hosts.items()}
    assert devices == {"alone": ["1"], "0": ["2"], "1": ["2"]}
    alone, first, second = (np.load(tmp_path / f"{host}.npy") for host in hosts)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, alone, atol=1e-6)


@pytest.mark.parametrize("valuation", [LeaveOneOut(RidgeClassifier()), DataBanzhaf(RidgeClassifier(), random_state=0)])
def test_values_do_not_depend_on_the_working_memory(table, valuation):
    whole = valuation.fit(*table).data_values_.copy()
    with config_context(working_memory=1e-4):
        np.testing.assert_allclose(valuation.fit(*table).data_values_, whole, atol=1e-12)
