"""GradientShapley against passes of gradient descent written in NumPy."""

import numpy as np
import pytest
import sklearn
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import r2_score, roc_auc_score

from trustml._jax import bucket_size, seed_from
from trustml.valuation._gradient import GradientShapley

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:select=:UserWarning")


def make_table(kind, n=24, seed=0):
    """Rows, targets, validation rows and targets, of a noisy problem in three features."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n + 40, 3)) * [1.0, 5.0, 0.2] + [0.0, 3.0, 1.0]
    signal = X @ [1.0, -0.4, 2.0] + rng.normal(size=n + 40)
    if kind == "regression":
        y = 50 * signal + 7
    else:
        cuts = np.quantile(signal, [0.5] if kind == "binary" else [0.3, 0.7])
        y = np.searchsorted(cuts, signal)
    return X[:n], y[:n], X[n:], y[n:]


def numpy_scores(table, order, rate, kind, units=None, weight=None, scoring=None):
    """Score before the first step, and after the step of each unit of ``order``; plain float64."""
    X, y, X_val, y_val = table
    units = np.arange(len(X)) if units is None else units
    weight = np.ones(len(X)) if weight is None else weight / weight[weight > 0].mean()

    def standardised(training, validation):
        mean = np.average(training, axis=0, weights=weight)
        scale = np.sqrt(np.average((training - mean) ** 2, axis=0, weights=weight))
        return (training - mean) / scale, (validation - mean) / scale

    X, X_val = standardised(X, X_val)
    if kind == "regression":
        targets = standardised(y, y_val)[0][:, None]
        back = np.sqrt(np.cov(y, aweights=weight, ddof=0)), np.average(y, weights=weight)
    elif kind == "binary":
        targets = y[:, None].astype(float)
    else:
        targets = np.eye(3)[y]
    W, b = np.zeros((3, targets.shape[1])), np.zeros(targets.shape[1])

    def score():
        outputs = X_val @ W + b
        if kind == "regression":
            return r2_score(y_val, outputs[:, 0] * back[0] + back[1])
        if kind == "binary":
            outputs = np.hstack([np.zeros_like(outputs), outputs])
        if scoring == "neg_log_loss":
            return log_softmax(outputs, axis=1)[np.arange(len(y_val)), y_val].mean()
        return np.mean(outputs.argmax(axis=1) == y_val)

    scores = [score()]
    for unit in order:
        rows = np.flatnonzero((units == unit) & (weight > 0))
        outputs = X[rows] @ W + b
        if kind == "binary":
            outputs = 1 / (1 + np.exp(-outputs))
        elif kind == "multinomial":
            outputs = softmax(outputs, axis=1)
        error = weight[rows, None] * (outputs - targets[rows]) / max(len(rows), 1)
        W, b = W - rate * X[rows].T @ error, b - rate * error.sum(axis=0)
        scores.append(score())
    return np.array(scores)


def drawn_orders(random_state, n_units, n_rounds=1):
    seed = seed_from(random_state)
    rngs = [np.random.default_rng([seed, 0, number]) for number in range(n_rounds)]
    return np.concatenate([rng.permuted(np.tile(np.arange(n_units), (20, 1)), axis=1) for rng in rngs])


def valued(table, **parameters):
    X, y, X_val, y_val = table
    fit_names = {"units", "sample_weight"}
    fit_parameters = {name: parameters.pop(name) for name in fit_names & parameters.keys()}
    parameters = {"random_state": 0, "tol": 0, "max_permutations": 20} | parameters
    return GradientShapley(**parameters).fit(X, y, X_val=X_val, y_val=y_val, **fit_parameters)


CASES = {
    "plain": {},
    "units": {"units": np.arange(24) % 7},
    "unequal units": {"units": np.where(np.arange(24) < 15, 0, np.arange(24) - 14)},
    "weights": {"sample_weight": np.where(np.arange(24) % 5 == 0, 0, np.linspace(0.5, 2, 24))},
}


@pytest.mark.parametrize("kind", ["binary", "multinomial", "regression"])
@pytest.mark.parametrize("case", CASES)
def test_values_are_mean_changes_along_passes_in_numpy(kind, case):
    table = make_table(kind)
    # A smooth score, so that a tie in float32 cannot turn a step.
    scoring = None if kind == "regression" else "neg_log_loss"
    units, weight = CASES[case].get("units"), CASES[case].get("sample_weight")
    valuation = valued(table, learning_rate=0.05, scoring=scoring, **CASES[case])
    n_units = 24 if units is None else len(np.unique(units))
    orders = drawn_orders(0, n_units)
    marginals = np.empty(orders.shape)
    for found, order in zip(marginals, orders, strict=True):
        found[order] = np.diff(numpy_scores(table, order, 0.05, kind, units, weight, scoring))
    np.testing.assert_allclose(valuation.unit_values_, marginals.mean(axis=0), rtol=1e-3, atol=2e-6)
    errors = marginals.std(axis=0, ddof=1) / np.sqrt(20)
    np.testing.assert_allclose(valuation.unit_standard_errors_, errors, rtol=1e-3, atol=2e-6)
    if units is not None:
        share = valuation.unit_values_ / np.bincount(units)
        np.testing.assert_allclose(valuation.data_values_, share[units], rtol=1e-12)
    if weight is not None:
        np.testing.assert_array_equal(valuation.data_values_[weight == 0], 0)
    before = numpy_scores(table, [], 0.05, kind, units, weight, scoring)[0]
    np.testing.assert_allclose(valuation.empty_score_, before, atol=1e-6)
    assert valuation.n_evaluations_ == 20 * n_units
    assert valuation.engine_ == "jax:gradient"


@pytest.mark.parametrize("hidden", [(), (6,)])
def test_the_changes_of_a_pass_sum_to_what_the_pass_changed(hidden):
    games = []

    class Watched(GradientShapley):
        def _observe(self, game, rng, draws):
            games.append(game)
            return super()._observe(game, rng, draws)

    X, y, X_val, y_val = make_table("multinomial")
    watched = Watched(max_permutations=1, hidden_layer_sizes=hidden, scoring="neg_log_loss", random_state=0)
    watched.fit(X, y, X_val=X_val, y_val=y_val)
    orders, seeds = drawn_orders(3, 24), np.arange(20, dtype=np.uint32)
    scores, _ = games[0].scores(orders, seeds, np.full(20, games[0].learning_rate))
    marginals = games[0].marginals(orders, seeds)
    np.testing.assert_allclose(marginals.sum(axis=1), scores[:, -1] - scores[:, 0], atol=1e-12)
    assert np.all(scores[:, 0] == scores[0, 0])
    assert scores[:, -1].std() > 0


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_steps_of_length_zero_are_worth_nothing(kind):
    valuation = valued(make_table(kind), learning_rate=0, select="all", max_permutations=500, tol=0.05)
    np.testing.assert_array_equal(valuation.data_values_, 0)
    np.testing.assert_array_equal(valuation.standard_errors_, 0)
    assert valuation.converged_
    assert valuation.full_score_ == valuation.empty_score_


@pytest.mark.parametrize("kind", ["multinomial", "regression"])
def test_the_rate_has_the_best_mean_less_deviation_after_a_pass(kind):
    table = make_table(kind, n=60, seed=1)
    scoring = None if kind == "regression" else "neg_log_loss"
    valuation = valued(table, max_permutations=1, scoring=scoring)
    rng = np.random.default_rng([seed_from(0), 0, 0, 1])
    orders = rng.permuted(np.tile(np.arange(60), (10, 1)), axis=1)
    rates = [10.0 ** (-1 - k / 2) for k in range(8)]
    final = np.array([[numpy_scores(table, o, rate, kind, scoring=scoring)[-1] for o in orders] for rate in rates])
    best = np.argmax(final.mean(axis=1) - final.std(axis=1))
    np.testing.assert_allclose(valuation.learning_rates_, rates[best])
    np.testing.assert_allclose(valuation.full_score_, final[best].mean(), atol=1e-5)


def test_a_rate_that_diverges_is_not_chosen():
    X, y, X_val, y_val = make_table("regression", n=400)
    X, X_val = (np.repeat(A, 60, axis=1) for A in (X, X_val))
    with pytest.raises(ValueError, match=r"learning_rate=0.1 makes gradient descent diverge"):
        valued((X, y, X_val, y_val), learning_rate=0.1)
    valuation = valued((X, y, X_val, y_val))
    assert valuation.learning_rates_ < 0.1
    assert np.isfinite(valuation.data_values_).all()


@pytest.mark.parametrize("scoring", ["r2", "neg_mean_squared_error", "neg_mean_absolute_error"])
def test_values_follow_the_units_of_y(scoring):
    X, y, X_val, y_val = make_table("regression")
    power = {"r2": 0, "neg_mean_squared_error": 2, "neg_mean_absolute_error": 1}[scoring]
    values = valued((X, y, X_val, y_val), scoring=scoring).data_values_
    changed = valued((X, 1e4 * y - 1e6, X_val, 1e4 * y_val - 1e6), scoring=scoring).data_values_
    np.testing.assert_allclose(changed, 1e4**power * values, rtol=1e-3, atol=1e-5 * np.abs(changed).max())


def test_values_do_not_depend_on_the_origin_or_the_scale_of_X():
    X, y, X_val, y_val = make_table("regression")
    values = valued((X, y, X_val, y_val)).data_values_
    moved = valued((X * [1e3, 1.0, 1e-3] + 5, y, X_val * [1e3, 1.0, 1e-3] + 5, y_val)).data_values_
    np.testing.assert_allclose(moved, values, atol=1e-6)


def test_a_constant_column_changes_nothing():
    X, y, X_val, y_val = make_table("regression")
    values = valued((X, y, X_val, y_val)).data_values_
    padded = (np.c_[X, np.full(len(X), 3.0)], y, np.c_[X_val, np.full(len(X_val), 3.0)], y_val)
    np.testing.assert_allclose(valued(padded).data_values_, values, atol=1e-6)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_padding_never_changes_a_value(kind, monkeypatch):
    table, units = make_table(kind), np.arange(24) % 9
    tight = valued(table, units=units, learning_rate=0.05).data_values_
    for module in ("valuation._gradient", "valuation._engines._task"):
        monkeypatch.setattr(f"trustml.{module}.bucket_size", lambda n, minimum=8: 2 * bucket_size(n, minimum=minimum))
    np.testing.assert_allclose(valued(table, units=units, learning_rate=0.05).data_values_, tight, atol=1e-6)


def test_a_small_working_memory_changes_no_value():
    table = make_table("regression")
    whole = valued(table).data_values_
    with sklearn.config_context(working_memory=0.01):
        np.testing.assert_allclose(valued(table).data_values_, whole, atol=1e-7)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_a_resumed_run_ends_with_the_same_values(tmp_path, hidden):
    table = make_table("regression")
    common = {"hidden_layer_sizes": hidden, "learning_rate": 0.02}
    whole = valued(table, max_permutations=60, **common)
    valued(table, max_permutations=33, checkpoint=tmp_path / "run.npz", **common)
    resumed = valued(table, max_permutations=60, checkpoint=tmp_path / "run.npz", **common)
    np.testing.assert_allclose(resumed.data_values_, whole.data_values_, rtol=1e-10)
    assert resumed.n_evaluations_ == whole.n_evaluations_ == 60 * 24
    with pytest.raises(ValueError, match=r"another run: learning_rate differ"):
        valued(table, checkpoint=tmp_path / "run.npz", **common | {"learning_rate": 0.03})


def test_the_seed_decides_the_values_and_the_hidden_layers():
    table = make_table("binary")
    one, same = (valued(table, hidden_layer_sizes=(4,), learning_rate=0.1, scoring="neg_log_loss") for _ in range(2))
    other = valued(table, hidden_layer_sizes=(4,), learning_rate=0.1, scoring="neg_log_loss", random_state=1)
    np.testing.assert_array_equal(one.data_values_, same.data_values_)
    assert not np.allclose(one.data_values_, other.data_values_)


def test_rates_seeds_and_tables_of_a_bucket_share_one_program(count_compilations):
    def fit(n, **parameters):
        X, y, X_val, y_val = make_table("binary", n=32)
        valued((X[:n], y[:n], X_val, y_val), **parameters)

    fit(32)
    with count_compilations() as found:
        fit(30, learning_rate=0.5, random_state=3)
        fit(31, max_permutations=45)
        fit(29, sample_weight=np.linspace(1, 2, 29))
    assert found.count == 0


@pytest.mark.parametrize("hidden", [(), (16,)])
def test_flipped_labels_have_the_lowest_values(hidden):
    X, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(y))
    train, validation = rows[:100], rows[100:300]
    flipped = rng.random(100) < 0.2
    noisy = np.where(flipped, 1 - y[train], y[train])
    valuation = GradientShapley(hidden_layer_sizes=hidden, random_state=0, max_permutations=200)
    valuation.fit(X[train], noisy, X_val=X[validation], y_val=y[validation])
    assert roc_auc_score(flipped, -valuation.data_values_) > 0.93


def test_without_a_validation_set_every_row_is_valued_and_any_estimator_is_refitted():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    forest = RandomForestClassifier(10, random_state=0)
    valuation = GradientShapley(forest, cv=3, max_permutations=20, select=0.8, random_state=0).fit(X, names)
    assert isinstance(valuation.estimator_, RandomForestClassifier)
    assert valuation.learning_rates_.shape == (3,)
    assert np.all(valuation.standard_errors_ > 0)
    assert valuation.score(X, names) > 0.9
    assert set(valuation.predict(X)) == set(names)


def test_a_fold_in_which_no_row_has_weight_gives_zeros():
    X, y, _, _ = make_table("regression")
    folds = [(np.arange(12), np.arange(12, 24)), (np.arange(12, 24), np.arange(12))]
    weight = np.repeat([0.0, 1.0], 12)
    valuation = GradientShapley(cv=folds, max_permutations=20, random_state=0).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(valuation.data_values_[:12], 0)
    assert np.any(valuation.data_values_[12:] != 0)


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("binary", {"scoring": "r2"}, r"scoring='r2', but y holds labels; expected one of \['accuracy'"),
        (
            "regression",
            {"scoring": "accuracy"},
            r"scoring='accuracy', but y holds numbers; expected one of \['neg_mean",
        ),
        ("binary", {"scoring": r2_score}, "scoring"),
        ("binary", {"hidden_layer_sizes": (5, 0)}, r"hidden_layer_sizes=\(5, 0\); expected positive integers"),
        ("binary", {"activation": "sine"}, "activation"),
        ("binary", {"learning_rate": -0.1}, "learning_rate"),
        ("binary", {"learning_rate": "fast"}, "learning_rate"),
        ("binary", {"max_permutations": 0}, "max_permutations"),
    ],
)
def test_bad_parameters_are_named(kind, parameters, message):
    with pytest.raises(ValueError, match=message):
        valued(make_table(kind), **parameters)
