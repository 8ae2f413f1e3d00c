"""Runs that stop, resume, are interrupted or watched; and intervals that cover what they say."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.tree import DecisionTreeRegressor

from trustml import DataBanzhaf, DataShapley, ExactShapley
from trustml.valuation._sampling import BaseSampledValuation

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:select=:UserWarning")


def make_table(n_rows=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows + 20, 2))
    y = X @ [1.0, -2.0] + rng.normal(size=n_rows + 20)
    return {"X": X[:n_rows], "y": y[:n_rows], "X_val": X[n_rows:], "y_val": y[n_rows:]}


def shapley(**parameters):
    return DataShapley(Ridge(), **{"random_state": 0, "tol": 0, "max_permutations": 60} | parameters)


@pytest.mark.parametrize("valuation", [shapley(), DataBanzhaf(Ridge(), tol=0, max_subsets=200, random_state=0)])
def test_a_resumed_run_ends_with_the_same_values(tmp_path, valuation):
    table = make_table()
    limit = valuation._draws_parameter
    whole = valuation.fit(**table)
    values, errors = whole.data_values_.copy(), whole.standard_errors_.copy()
    evaluations = whole.n_evaluations_
    path = tmp_path / "run.npz"
    # The first part ends inside a round of draws.
    valuation.set_params(checkpoint=path, **{limit: 46}).fit(**table)
    resumed = valuation.set_params(**{limit: 60 if limit == "max_permutations" else 200}).fit(**table)
    np.testing.assert_allclose(resumed.data_values_, values, rtol=1e-12)
    np.testing.assert_allclose(resumed.standard_errors_, errors, rtol=1e-9)
    assert resumed.n_evaluations_ == evaluations
    again = valuation.fit(**table)
    np.testing.assert_array_equal(again.data_values_, resumed.data_values_)


def test_a_run_resumed_between_rounds_is_the_same_to_the_bit(tmp_path):
    table, path = make_table(), tmp_path / "run.npz"
    values = shapley().fit(**table).data_values_
    shapley(max_permutations=40, checkpoint=path).fit(**table)
    np.testing.assert_array_equal(shapley(checkpoint=path).fit(**table).data_values_, values)


KILLED = """
import sys
import numpy as np
from sklearn.tree import DecisionTreeRegressor
from trustml import DataShapley
table = dict(np.load(sys.argv[1]))
DataShapley(DecisionTreeRegressor(random_state=0), tol=0, max_permutations=10**6, checkpoint=sys.argv[2],
            random_state=0).fit(**table)
"""


def test_a_killed_process_resumes_to_the_same_values(tmp_path):
    table, path = make_table(), tmp_path / "run.npz"
    np.savez(tmp_path / "table.npz", **table)
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "table.npz", path])
    deadline = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with np.load(path) as state:
        drawn = int(state["n_draws"])
    assert drawn >= 20
    common = {"tol": 0, "max_permutations": drawn + 20, "random_state": 0}
    resumed = DataShapley(DecisionTreeRegressor(random_state=0), checkpoint=path, **common).fit(**table)
    whole = DataShapley(DecisionTreeRegressor(random_state=0), **common).fit(**table)
    np.testing.assert_array_equal(resumed.data_values_, whole.data_values_)
    np.testing.assert_array_equal(resumed.standard_errors_, whole.standard_errors_)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path, table = tmp_path / "run.npz", make_table()
    shapley(checkpoint=path).fit(**table)
    for changed, name in [
        ({"y": table["y"] + 1}, "y"),
        ({"X_val": table["X_val"] + 1}, "X_val and y_val"),
        ({"sample_weight": np.arange(1.0, 13)}, "sample_weight"),
        ({"units": np.arange(12) // 2}, "units"),
    ]:
        with pytest.raises(ValueError, match=rf"checkpoint=.*belongs to another run: .*{name}.* differ"):
            shapley(checkpoint=path).fit(**table | changed)
    for parameters, name in [
        ({"truncation_tol": None}, "truncation_tol"),
        ({"antithetic": True}, "antithetic"),
        ({"random_state": 1}, "random_state"),
        ({"scoring": "neg_mean_squared_error"}, "scoring"),
        ({"estimator": Ridge(2.0)}, "estimator"),
    ]:
        with pytest.raises(ValueError, match=rf"checkpoint=.*: {name} differ"):
            shapley(checkpoint=path).set_params(**parameters).fit(**table)
    with pytest.raises(ValueError, match=r"method.* differ"):
        DataBanzhaf(Ridge(), checkpoint=path).fit(**table)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    path.write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"checkpoint=.*run.npz' is not a checkpoint"):
        shapley(checkpoint=path).fit(**make_table())
    assert path.read_bytes() == b"half a file"


def test_warm_start_goes_on_from_the_last_fit():
    table = make_table()
    whole = shapley(max_permutations=60).fit(**table)
    warm = shapley(max_permutations=20, warm_start=True).fit(**table)
    warm.set_params(max_permutations=60).fit(**table)
    np.testing.assert_array_equal(warm.data_values_, whole.data_values_)
    assert warm.n_permutations_ == 60
    with pytest.raises(ValueError, match=r"warm_start=True: the last fit belongs to another run: y"):
        warm.fit(**table | {"y": table["y"] * 2})


def interrupt_after(monkeypatch, rounds):
    run = BaseSampledValuation._next_round
    count = iter(range(rounds))

    def next_round(self, *args):
        if next(count, None) is None:
            raise KeyboardInterrupt
        return run(self, *args)

    monkeypatch.setattr(BaseSampledValuation, "_next_round", next_round)


def test_an_interrupt_leaves_the_estimate_so_far(monkeypatch):
    table = make_table()
    expected = shapley(max_permutations=40).fit(**table)
    interrupted = shapley()
    interrupt_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(**table)
    np.testing.assert_array_equal(interrupted.data_values_, expected.data_values_)
    np.testing.assert_array_equal(interrupted.standard_errors_, expected.standard_errors_)
    assert not interrupted.converged_
    assert interrupted.predict(table["X"]).shape == (12,)


def test_an_interrupt_before_the_first_round_leaves_nothing(monkeypatch):
    interrupted = shapley()
    interrupt_after(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(**make_table())
    assert not hasattr(interrupted, "data_values_")


def test_an_interrupt_signal_in_a_callback():
    class Interrupt(StopAfter):
        def on_fit_task_end(self, estimator, context):
            if super().on_fit_task_end(estimator, context):
                signal.raise_signal(signal.SIGINT)

    interrupted = shapley().set_callbacks(Interrupt(2))
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(**make_table())
    assert interrupted.n_permutations_ == 40
    assert np.isfinite(interrupted.standard_errors_).all()


def test_max_time_stops_at_the_end_of_a_round():
    with pytest.warns(ConvergenceWarning, match=r"stopped after permutations=20 with a relative change of inf"):
        timed = shapley(max_permutations=10**6, max_time=1e-9).fit(**make_table())
    assert timed.n_permutations_ == 20
    assert not timed.converged_


def test_the_stopping_rule_is_true_when_it_says_so():
    """The change over the last 100 permutations is recomputed from two runs that end there."""
    table = make_table()
    converged = shapley(tol=0.05, max_permutations=10**5).fit(**table)
    assert converged.converged_
    last = converged.n_permutations_
    before = shapley(max_permutations=last - 100).fit(**table).data_values_
    now = shapley(max_permutations=last).fit(**table).data_values_
    change = np.abs(now - before).sum() / np.abs(now).sum()
    assert change <= 0.05
    assert change == pytest.approx(converged.relative_change_)
    earlier = shapley(max_permutations=last - 20).fit(**table).data_values_
    before = shapley(max_permutations=last - 120).fit(**table).data_values_
    assert np.abs(earlier - before).sum() / np.abs(earlier).sum() > 0.05


def test_convergence_warning_names_what_to_do():
    with pytest.warns(ConvergenceWarning, match=r"relative change of .* above tol=0.05: raise max_permutations"):
        shapley(tol=0.05, max_permutations=10).fit(**make_table())


def test_callbacks_see_every_round(capsys):
    monitor = ScoringMonitor(scoring="r2")
    shapley().set_callbacks(monitor, ProgressBar()).fit(**make_table())
    log = monitor.get_logs()
    rows = [row for run in (log if isinstance(log, list) else [log]) for row in run.data]
    assert len([row for row in rows if row["task_name"] == "round"]) == 3
    assert all(np.isfinite(row["r2"]) for row in rows if row["task_name"] == "round")
    assert "DataShapley" in capsys.readouterr().out


class StopAfter:
    """Callback that asks to stop after some rounds."""

    def __init__(self, rounds):
        self.rounds = rounds

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "round" and context.task_id + 1 == self.rounds


def test_a_callback_can_stop_the_run():
    assert shapley().set_callbacks(StopAfter(2)).fit(**make_table()).n_permutations_ == 40


@pytest.mark.slow
def test_values_do_not_depend_on_the_number_of_devices(tmp_path):
    script = """
import sys
import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
import jax
from trustml import DataBanzhaf, DataShapley
rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3)); target = X[:, 0] + rng.normal(size=40); y = (target > 0).astype(int)
values = [DataShapley(Ridge(), max_permutations=20, random_state=0).fit(X, target).data_values_]
for model in (RidgeClassifier(), LogisticRegression(), GaussianNB(), KNeighborsClassifier()):
    for valuation in (DataShapley(model, max_permutations=20), DataBanzhaf(model, max_subsets=100)):
        valuation.set_params(random_state=0, select="all").fit(X, y)
        assert valuation.engine_.startswith("jax:")
        values.append(valuation.data_values_)
np.save(sys.argv[1], values)
print(len(jax.devices()))
"""
    values = []
    for n_devices in (1, 2, 8):
        path = tmp_path / f"{n_devices}.npy"
        environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={n_devices}"}
        command = [sys.executable, "-W", "ignore", "-c", script, path]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.stdout.strip() == str(n_devices), done.stderr
        values.append(np.load(path))
    np.testing.assert_allclose(values[1], values[0], atol=1e-6)
    np.testing.assert_allclose(values[2], values[0], atol=1e-6)


@pytest.mark.slow
def test_intervals_cover_the_exact_values():
    """Nominal 95 % intervals around the values of 12 rows, over 200 seeds, for scores of labels and of numbers."""
    table = make_table()
    labelled = table | {"y": (table["y"] > 0).astype(int), "y_val": (table["y_val"] > 0).astype(int)}
    for model, data in [(Ridge(), table), (RidgeClassifier(), labelled)]:
        exact = ExactShapley(model).fit(**data).data_values_
        covered = []
        for seed in range(200):
            valuation = DataShapley(model, tol=0, max_permutations=100, truncation_tol=None, random_state=seed)
            lower, upper = valuation.fit(**data).confidence_interval(0.95).T
            covered.append((lower <= exact) & (exact <= upper))
        assert 0.90 <= np.mean(covered) <= 0.99
