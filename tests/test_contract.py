"""The contract of ARCHITECTURE: every public estimator, every rule.

Estimators are discovered, not listed. Each is built with parameters that keep it quick, chosen by their names.
"""

import importlib
import pkgutil
import subprocess
import sys
import warnings

import jax
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import skops.io
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.callback import ProgressBar
from sklearn.datasets import make_classification, make_regression
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import _num_samples, has_fit_parameter

import trustml
from trustml.valuation._base import BaseDataValuation

QUICK = {
    "augmentation": None,
    "cv": 2,
    "head": "ridge",
    "min_group_size": 2,
    "n_null": 9,
    "n_splits": 2,
    "max_permutations": 4,
    "max_subsets": 8,
    "n_estimators": 30,
}


def quick(estimator_class, **parameters):
    """An instance whose fit takes little time."""
    names = estimator_class().get_params()
    chosen = {name: value for name, value in QUICK.items() if name in names}
    if "random_state" in names:
        chosen["random_state"] = 0
    return estimator_class(**chosen | parameters)


def variants(estimator_class):
    """Instances for each kind of target that the class takes."""
    if issubclass(estimator_class, trustml.PairVerifier):
        return [quick(estimator_class, estimator=StandardScaler())]
    if "estimator" not in estimator_class().get_params():
        return [quick(estimator_class)]
    kind = sklearn.utils.get_tags(estimator_class()).estimator_type
    models = {"classifier": [LogisticRegression()], "regressor": [Ridge()]}.get(kind, [RidgeClassifier(), Ridge()])
    return [quick(estimator_class, estimator=model) for model in models]


def label(instance):
    inner = instance.get_params(deep=False).get("estimator")
    return type(instance).__name__ + (f"-{type(inner).__name__}" if inner is not None else "")


# Weights of targets and resamplers have nothing to predict.
ESTIMATORS = [e for _, e in trustml.all_estimators() if hasattr(e, "predict") or hasattr(e, "transform")]
INSTANCES = [instance for estimator_class in ESTIMATORS for instance in variants(estimator_class)]
every_instance = pytest.mark.parametrize("instance", INSTANCES, ids=label)


def expected_failures(estimator):
    """Checks that an estimator is right to fail, with the reason."""
    if isinstance(estimator, trustml.TCMEmbedding):
        reason = "batches draw rows at random: equal rows are pairs of each other, which one row of weight two is not"
        return {"check_sample_weight_equivalence_on_dense_data": reason}
    if isinstance(estimator, trustml.SPCRegressor | trustml.SPCClassifier):
        reason = "folds part rows, and a row of weight two is in one of them where two equal rows may be in two"
        return {"check_sample_weight_equivalence_on_dense_data": reason}
    if isinstance(estimator, trustml.ForestQuantileRegressor | trustml.QuantileAggregator):
        reason = (
            "a forest, one of the default models of the aggregator, draws rows into its bootstrap as if all weighed one"
        )
        return {"check_sample_weight_equivalence_on_dense_data": reason}
    if isinstance(estimator, trustml.NeuralQuantileRegressor | trustml.GaussianQuantileRegressor):
        reason = (
            "rows are held out and drawn into batches one by one: two equal rows may be parted, one of weight two not"
        )
        return {"check_sample_weight_equivalence_on_dense_data": reason}
    if isinstance(estimator, trustml.ConRRegressor):
        reason = "equal rows are pairs of each other in the penalty, which one row of weight two is not"
        return {"check_sample_weight_equivalence_on_dense_data": reason}
    if isinstance(estimator, trustml.LDRClassifier):
        reason = "single precision: sums over other rows differ by 3e-8, and the check asks for 1e-9"
        kinds = ("dense", "sparse")
        return {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in kinds}
    if not isinstance(estimator, BaseDataValuation):
        return {}
    reason = "a row of weight two is one player of the game, two equal rows are two players, which share its worth"
    checks = ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data")
    if isinstance(estimator, trustml.KNNShapley):
        return {
            "check_sample_weights_not_overwritten": "neighbours know no unequal weights, and fit refuses them",
            **dict.fromkeys(checks, reason),
        }
    return dict.fromkeys(checks, reason)


pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:select=:UserWarning"),
]


class ExactShapleyOfUnits(trustml.ExactShapley):
    """ExactShapley takes 16 units at most, and scikit-learn's checks pass more rows: here they form eight units."""

    def fit(self, X, y, *, sample_weight=None):
        units = None if y is None else np.arange(_num_samples(X)) % 8
        return super().fit(X, y, units=units, sample_weight=sample_weight)


class LInCoOfTwoGroups(trustml.LInCo):
    """LInCo audits groups, and scikit-learn's checks name none: here a row's first feature does.

    The group depends on nothing but the row: a check compares weights with rows that are repeated or left out.
    """

    def fit(self, X, y, *, sample_weight=None):
        rows, groups = np.asarray(X), np.zeros(0, int)
        if rows.ndim == 2 and rows.shape[1] and rows.dtype.kind in "fiu" and np.isfinite(rows[:, 0]).all():
            groups = np.floor(7 * rows[:, 0]).astype(int) % 2
        if len(groups) != _num_samples(X) or np.bincount(groups, minlength=2).min() < 2:
            groups = np.arange(_num_samples(X)) % 2
        return super().fit(X, y, sensitive_features=groups, sample_weight=sample_weight)


def fit_parameters(instance, n_samples):
    """What fit needs beyond X and y."""
    if has_fit_parameter(instance, "sensitive_features"):
        return {"sensitive_features": np.arange(n_samples) % 2}
    return {}


def fit_to(instance, X, y, **parameters):
    """The instance, fitted to X, y and what it needs beyond."""
    return instance.fit(X, y, **fit_parameters(instance, len(y)), **parameters)


def checked(instance):
    """The instance that scikit-learn's checks run on."""
    if type(instance) is trustml.LInCo:
        return LInCoOfTwoGroups(**instance.get_params(deep=False))
    if type(instance) is trustml.ExactShapley:
        return ExactShapleyOfUnits(**instance.get_params(deep=False))
    return instance


@pytest.mark.slow
@parametrize_with_checks([checked(instance) for instance in INSTANCES], expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def answer(fitted, X):
    """What a fitted estimator makes of rows."""
    return fitted.predict(X) if hasattr(fitted, "predict") else fitted.transform(X)


def takes_labels(instance):
    """Whether the instance is a classifier, or decides by its target whether to be one."""
    return is_classifier(instance) or sklearn.utils.get_tags(instance).estimator_type is None


def table(instance, n_samples=16):
    """Data of the kind that the instance takes: few rows, since ExactShapley takes no more."""
    if takes_labels(instance):
        return make_classification(n_samples, n_features=4, n_informative=3, n_redundant=0, random_state=0)
    return make_regression(n_samples, n_features=4, noise=1.0, random_state=0)


def fitted_arrays(estimator):
    """Fitted attributes that are numbers, by name."""
    return {
        name: value
        for name, value in vars(estimator).items()
        if name.endswith("_") and name != "feature_names_in_" and isinstance(value, np.ndarray | float | int)
    }


def assert_same_fit(left, right, rtol=0.0):
    ours, theirs = fitted_arrays(left), fitted_arrays(right)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        if rtol and np.asarray(value).dtype.kind == "f":
            np.testing.assert_allclose(value, theirs[name], rtol=rtol, atol=rtol, err_msg=name)
        else:
            np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def test_every_estimator_of_a_folder_is_discovered():
    found = dict(trustml.all_estimators())
    assert {"DataShapley", "LeaveOneOut"} <= found.keys()
    for folder in pkgutil.iter_modules(trustml.__path__):
        namespace = importlib.import_module(f"trustml.{folder.name}")
        for name in [] if folder.name.startswith("_") or folder.name == "inspection" else namespace.__all__:
            value = getattr(namespace, name)
            if isinstance(value, type) and issubclass(value, BaseEstimator):
                assert found[name] is value


@every_instance
def test_constructor_is_keyword_only_but_for_the_model(instance):
    code = type(instance).__init__.__code__
    positional = code.co_varnames[1 : code.co_argcount]
    assert positional in ((), ("estimator",), ("estimators",), ("expert",))


@every_instance
def test_fitted_attributes_hold_no_jax_arrays(instance):
    fitted = fit_to(clone(instance), *table(instance))
    for name, value in vars(fitted).items():
        assert not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(value)), name


@every_instance
def test_fit_leaves_its_input_and_the_global_state_alone(instance):
    X, y = table(instance)
    before = X.copy(), y.copy(), dict(jax.config.values)
    X.setflags(write=False)
    y.setflags(write=False)
    fit_to(clone(instance), X, y)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])
    assert dict(jax.config.values) == before[2]


READ_PICKLE = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    fits, X = pickle.load(file)
assert "jax" not in sys.modules or not sys.modules["jax"]._src.xla_bridge._backends, "reading started a backend"
answers = {name: (e.predict if hasattr(e, "predict") else e.transform)(X[name]) for name, e in fits.items()}
np.savez(sys.argv[2], **answers)
"""

FIT_AGAIN = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
with open(sys.argv[1], "rb") as file:
    instances, tables = pickle.load(file)
fits = {}
for name, instance in instances.items():
    X, y, more = tables[name]
    fits[name] = instance.fit(X, y, **more)
with open(sys.argv[2], "wb") as file:
    pickle.dump(fits, file)
"""


def in_another_process(script, *arguments):
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_pickle_opens_in_another_process(tmp_path):
    import pickle

    fits = {label(instance): fit_to(clone(instance), *table(instance)) for instance in INSTANCES}
    X = {label(instance): table(instance)[0] for instance in INSTANCES}
    (tmp_path / "fits.pkl").write_bytes(pickle.dumps((fits, X)))
    in_another_process(READ_PICKLE, tmp_path / "fits.pkl", tmp_path / "predictions.npz")
    with np.load(tmp_path / "predictions.npz") as predictions:
        for name, fitted in fits.items():
            np.testing.assert_array_equal(predictions[name], answer(fitted, X[name]), err_msg=name)


def test_the_same_seed_gives_the_same_fit_in_another_process(tmp_path):
    import pickle

    instances = {label(instance): clone(instance) for instance in INSTANCES}
    tables = {label(i): (*table(i), fit_parameters(i, len(table(i)[1]))) for i in INSTANCES}
    (tmp_path / "instances.pkl").write_bytes(pickle.dumps((instances, tables)))
    in_another_process(FIT_AGAIN, tmp_path / "instances.pkl", tmp_path / "fits.pkl")
    elsewhere = pickle.loads((tmp_path / "fits.pkl").read_bytes())
    for name, instance in instances.items():
        X, y, more = tables[name]
        assert_same_fit(instance.fit(X, y, **more), elsewhere[name])


@every_instance
def test_skops_needs_no_trust_beyond_the_estimator(instance):
    X, y = table(instance)
    fitted = fit_to(clone(instance), X, y)
    stored = skops.io.dumps(fitted)
    untrusted = skops.io.get_untrusted_types(data=stored)
    public = {f"{e.__module__}.{e.__qualname__}" for _, e in trustml.all_estimators()}
    # skops does not trust every type of scikit-learn itself: the trees of a nearest-neighbour model, for one.
    assert {name for name in untrusted if not name.startswith("sklearn.")} <= public
    np.testing.assert_array_equal(answer(skops.io.loads(stored, trusted=untrusted), X), answer(fitted, X))


@every_instance
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_are_as_good_as_arrays(instance, library):
    X, y = table(instance)
    names = ["a", "b", "c", "d"]
    frame = pd.DataFrame(X, columns=names) if library == "pandas" else pl.DataFrame(X, schema=names)
    target = pd.Series(y) if library == "pandas" else pl.Series(y)
    from_frame, from_array = fit_to(clone(instance), frame, target), fit_to(clone(instance), X, y)
    # A frame holds its columns one after the other, which changes the order of sums.
    assert_same_fit(from_frame, from_array, rtol=1e-9)
    np.testing.assert_array_equal(from_frame.feature_names_in_, names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(answer(from_frame, frame), answer(from_array, X), rtol=1e-9)


@pytest.mark.parametrize("instance", [instance for instance in INSTANCES if takes_labels(instance)], ids=label)
def test_strings_as_labels(instance):
    X, y = table(instance)
    names = np.array(["no", "yes"])[y]
    fitted = fit_to(clone(instance), X, names)
    if hasattr(fitted, "predict"):
        assert set(fitted.predict(X)) <= {"no", "yes"}
    np.testing.assert_array_equal(fitted.classes_, ["no", "yes"])


@every_instance
def test_cross_validation_and_pipeline(instance):
    X, y = table(instance)
    pipeline = make_pipeline(StandardScaler(), clone(instance))
    params = {f"{pipeline.steps[-1][0]}__{name}": value for name, value in fit_parameters(instance, len(y)).items()}
    scores = cross_validate(pipeline, X, y, cv=2, params=params, error_score="raise")
    assert np.isfinite(scores["test_score"]).all()


@pytest.mark.parametrize("instance", [i for i in INSTANCES if hasattr(i, "set_callbacks")], ids=label)
def test_progress_bar(instance, capsys):
    clone(instance).set_callbacks(ProgressBar()).fit(*table(instance))
    assert type(instance).__name__ in capsys.readouterr().out


@pytest.mark.parametrize("instance", [i for i in INSTANCES if has_fit_parameter(i, "sample_weight")], ids=label)
def test_sample_weight_travels_by_metadata_routing(instance):
    X, y = table(instance)
    weight = np.ones(len(y))
    weight[:4] = 0
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        more = fit_parameters(instance, len(y))
        requests = dict.fromkeys(["sample_weight", *more], True)
        routed = make_pipeline(scaler, clone(instance).set_fit_request(**requests))
        routed.fit(X, y, sample_weight=weight, **more)
    direct = fit_to(clone(instance), StandardScaler().fit_transform(X), y, sample_weight=weight)
    assert_same_fit(routed[-1], direct)


COMPILED_MODELS = [(RidgeClassifier(), "alpha"), (LogisticRegression(), "C"), (Ridge(), "alpha")]


@pytest.mark.parametrize(("model", "parameter"), COMPILED_MODELS, ids=str)
def test_a_grid_search_compiles_once(model, parameter, count_compilations):
    """One fit warms up; a grid of values over folds whose sizes differ by a row compiles nothing more."""
    valuation = quick(trustml.DataShapley, estimator=model)
    X, y = table(valuation, n_samples=61)
    grid = {f"estimator__{parameter}": [0.1, 1.0, 10.0]}
    GridSearchCV(valuation, grid, cv=3).fit(X, y)
    with count_compilations() as compilations:
        wider = {f"estimator__{parameter}": [0.3, 3.0, 30.0, 300.0]}
        GridSearchCV(valuation, wider, cv=3).fit(X, y)
    assert compilations.count == 0
