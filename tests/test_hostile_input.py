"""Tables that nobody thought of: every estimator answers, or says which argument is wrong.

A generated call ends in a finite answer or in a ``ValueError`` or ``TypeError`` that names what it refuses: never in
another exception, a NaN that was not in the input, or a changed input. ``pytest --hypothesis-profile=nightly`` runs
twenty-five times as many cases.
"""

import re
import traceback
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter
from test_contract import INSTANCES, answer, fit_parameters, label, takes_labels

SHORT = [phase for phase in Phase if phase is not Phase.explain]
settings.register_profile("ordinary", max_examples=60, derandomize=True, database=None, phases=SHORT)
settings.register_profile("nightly", max_examples=1500, phases=SHORT)
settings.load_profile("ordinary")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

N_ROWS, N_COLUMNS = 12, 3


def clean(rng):
    return rng.normal(size=(N_ROWS, N_COLUMNS))


def one_cell(value):
    def spoil(rng):
        X = clean(rng)
        X[rng.integers(N_ROWS), rng.integers(N_COLUMNS)] = value
        return X

    return spoil


def one_column(value):
    def spoil(rng):
        X = clean(rng)
        X[:, rng.integers(N_COLUMNS)] = value
        return X

    return spoil


def scaled(factor):
    return lambda rng: clean(rng) * factor


def read_only(rng):
    X = clean(rng)
    X.setflags(write=False)
    return X


def nullable_frame(missing):
    def frame(rng):
        columns = {name: pd.array(rng.integers(0, 9, N_ROWS), dtype="Int64") for name in "abc"}
        if missing:
            columns["b"][3] = pd.NA
        return pd.DataFrame(columns)

    return frame


TABLES = {
    "clean": clean,
    "NaN": one_cell(np.nan),
    "infinity": one_cell(np.inf),
    "minus infinity": one_cell(-np.inf),
    "one cell of 1e300": one_cell(1e300),
    "one cell of 1e39, beyond float32": one_cell(1e39),
    "one cell of 1e30": one_cell(1e30),
    "constant column": one_column(7.0),
    "column of 1e-300": one_column(1e-300),
    "column of 1e15": one_column(1e15),
    "all of 1e300": scaled(1e300),
    "all of 1e150": scaled(1e150),
    "all of 1e25": scaled(1e25),
    "all of 1e-300": scaled(1e-300),
    "all of 1e-25": scaled(1e-25),
    "subnormal": scaled(5e-324),
    "all zero": scaled(0.0),
    "equal rows": lambda rng: np.repeat(clean(rng)[:1], N_ROWS, axis=0),
    "rows in pairs": lambda rng: np.repeat(clean(rng)[: N_ROWS // 2], 2, axis=0),
    "one row": lambda rng: clean(rng)[:1],
    "two rows": lambda rng: clean(rng)[:2],
    "no row": lambda rng: clean(rng)[:0],
    "no column": lambda rng: clean(rng)[:, :0],
    "one column": lambda rng: clean(rng)[:, :1],
    "one dimension": lambda rng: clean(rng)[:, 0],
    "three dimensions": lambda rng: clean(rng)[:, :, None],
    "a number": lambda rng: 3.0,
    "nothing": lambda rng: None,
    "lists": lambda rng: clean(rng).tolist(),
    "ragged lists": lambda rng: [[1.0, 2.0], [3.0]] * (N_ROWS // 2),
    "booleans": lambda rng: rng.random((N_ROWS, N_COLUMNS)) < 0.5,
    "huge integers": lambda rng: rng.integers(2**61, 2**62, (N_ROWS, N_COLUMNS)),
    "bytes": lambda rng: rng.integers(0, 255, (N_ROWS, N_COLUMNS), dtype=np.uint8),
    "half precision": lambda rng: clean(rng).astype(np.float16),
    "long double": lambda rng: clean(rng).astype(np.longdouble),
    "complex": lambda rng: clean(rng) + 1j,
    "numbers as objects": lambda rng: clean(rng).astype(object),
    "strings": lambda rng: np.array(["a", "b", "c"])[rng.integers(0, 3, (N_ROWS, N_COLUMNS))],
    "numbers as strings": lambda rng: clean(rng).astype(str),
    "None among objects": lambda rng: np.where(rng.random((N_ROWS, N_COLUMNS)) < 0.1, None, clean(rng)),
    "dates": lambda rng: rng.integers(0, 10**9, (N_ROWS, N_COLUMNS)).astype("datetime64[s]"),
    "Fortran order": lambda rng: np.asfortranarray(clean(rng)),
    "strided": lambda rng: np.repeat(clean(rng), 2, axis=1)[:, ::2],
    "read-only": read_only,
    "single precision": lambda rng: clean(rng).astype(np.float32),
    "big-endian": lambda rng: clean(rng).astype(">f8"),
    "masked": lambda rng: np.ma.masked_greater(clean(rng), 2.0),
    "sparse": lambda rng: sp.csr_array(clean(rng)),
    "empty sparse": lambda rng: sp.csr_array((N_ROWS, N_COLUMNS)),
    "nullable integers": nullable_frame(missing=False),
    "nullable integers, one missing": nullable_frame(missing=True),
    "frame with a category": lambda rng: pd.DataFrame(clean(rng), columns=list("abc")).assign(
        c=pd.Categorical(["x", "y"] * (N_ROWS // 2))
    ),
    "frame with numbers as names": lambda rng: pd.DataFrame(clean(rng)),
    "frame with a name twice": lambda rng: pd.DataFrame(clean(rng), columns=["a", "a", "b"]),
    "polars with null": lambda rng: pl.DataFrame({"a": [None, *range(N_ROWS - 1)], "b": clean(rng)[:, 1]}),
}

LABELS = {
    "two classes": lambda rng, n: np.arange(n) % 2,
    "three classes": lambda rng, n: np.arange(n) % 3,
    "strings": lambda rng, n: np.array(["no", "yes"])[np.arange(n) % 2],
    "objects": lambda rng, n: np.array(["no", "yes"], dtype=object)[np.arange(n) % 2],
    "booleans": lambda rng, n: np.arange(n) % 2 == 0,
    "floats that are integers": lambda rng, n: (np.arange(n) % 2).astype(float),
    "a class per row": lambda rng, n: np.arange(n),
    "huge labels": lambda rng, n: 2**61 + np.arange(n) % 2,
    "one rare class": lambda rng, n: (np.arange(n) == 0).astype(int),
    "category": lambda rng, n: pd.Series(pd.Categorical(np.array(["no", "yes"])[np.arange(n) % 2])),
    "strings and numbers": lambda rng, n: np.array(["no", 1] * n, dtype=object)[:n],
}
NUMBERS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "integers": lambda rng, n: rng.integers(0, 9, n),
    "1e300": lambda rng, n: rng.normal(size=n) * 1e300,
    "1e30": lambda rng, n: rng.normal(size=n) * 1e30,
    "1e-300": lambda rng, n: rng.normal(size=n) * 1e-300,
    "far from zero": lambda rng, n: 1e9 + rng.normal(size=n),
    "polars": lambda rng, n: pl.Series(rng.normal(size=n)),
}
TARGETS = {
    "constant": lambda rng, n: np.zeros(n, dtype=int),
    "NaN": lambda rng, n: np.where(np.arange(n) == 0, np.nan, np.arange(n) % 2),
    "infinity": lambda rng, n: np.where(np.arange(n) == 0, np.inf, np.arange(n) % 2),
    "None among objects": lambda rng, n: np.array([None, *["yes"] * n], dtype=object)[:n],
    "one too many": lambda rng, n: np.arange(n + 1) % 2,
    "a column": lambda rng, n: (np.arange(n) % 2)[:, None],
    "two columns": lambda rng, n: np.stack([np.arange(n) % 2, np.arange(n) % 3], axis=1),
    "nothing": lambda rng, n: None,
    "a number": lambda rng, n: 1,
    "complex": lambda rng, n: 1j * np.arange(n),
}
WEIGHTS = {
    "none": lambda rng, n: None,
    "ones": lambda rng, n: np.ones(n),
    "a scalar": lambda rng, n: 2.0,
    "half of them zero": lambda rng, n: np.arange(n) % 4 < 2,
    "all zero": lambda rng, n: np.zeros(n),
    "negative": lambda rng, n: -np.ones(n),
    "NaN": lambda rng, n: np.full(n, np.nan),
    "infinity": lambda rng, n: np.where(np.arange(n) == 0, np.inf, 1.0),
    "1e300": lambda rng, n: np.full(n, 1e300),
    "1e-300": lambda rng, n: np.full(n, 1e-300),
    "one too few": lambda rng, n: np.ones(max(n - 1, 0)),
    "strings": lambda rng, n: np.full(n, "heavy"),
}
# Words by which a message says what it refuses, beside the parameters of the estimator.
ARGUMENTS = ("X", "y", "sample_weight", "sensitive_features", "classes", "class", "groups")
# Documented as not finite: before a window of changes is full, where no interval is known, of rows of weight zero.
NOT_ALWAYS_FINITE = {
    "interval_",
    "oof_predictions_",
    "pairwise_interval_",
    "relative_change_",
    "squared_standard_error_",
}


def n_rows(X):
    return X.shape[0] if hasattr(X, "shape") and len(X.shape) else len(X) if hasattr(X, "__len__") else N_ROWS


def frozen(value):
    """What a value holds, to compare with what it holds later."""
    if sp.issparse(value):
        return value.toarray().tobytes()
    if isinstance(value, pd.DataFrame | pd.Series | pl.DataFrame | pl.Series):
        return repr(value)
    return value.tobytes() if isinstance(value, np.ndarray) and value.dtype != object else repr(value)


def assert_finite(instance, name, value):
    value = np.asarray(value)
    if value.dtype.kind in "fc":
        assert np.isfinite(value).all(), f"{type(instance).__name__}.{name} holds {value}"


def said_by_scikit_learn(error):
    """Whether scikit-learn speaks, as validator or as the model that the user chose: its messages are its own."""
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    ours = max(place for place, name in enumerate(frames) if "trustml" in name or "test_hostile" in name)
    return any("/sklearn/" in name for name in frames[ours + 1 :])


def call(instance, X, y, weight):
    """Fit and predict: a finite answer, or an error that names its argument."""
    before = [frozen(value) for value in (X, y, weight)]
    more = fit_parameters(instance, n_rows(X))
    if weight is not None:
        more["sample_weight"] = weight
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            instance.fit(X, y, **more)
            predicted = answer(instance, X)
    except (ValueError, TypeError) as error:
        words = set(re.findall(r"\w+", str(error)))
        named = not words.isdisjoint([*ARGUMENTS, *instance.get_params()]) or said_by_scikit_learn(error)
        assert named, f"names no argument: {error}"  # noqa: PT017
    else:
        assert predicted.shape == (n_rows(X), *predicted.shape[1:])
        assert_finite(instance, "answer", predicted)
        for name in (name for name in vars(instance) if name.endswith("_") and not name.endswith("__")):
            if name not in NOT_ALWAYS_FINITE and isinstance(getattr(instance, name), np.ndarray | float):
                assert_finite(instance, name, getattr(instance, name))
    assert [frozen(value) for value in (X, y, weight)] == before, "the input was changed"


@pytest.mark.parametrize("instance", INSTANCES, ids=label)
def test_hostile_tables(instance):
    kinds = LABELS if takes_labels(instance) else NUMBERS
    ordinary = next(iter(kinds))

    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def run(data):
        # One thing is wrong at a time, or two: with everything wrong at once only the first check is ever tried.
        table, target, weight = "clean", ordinary, "none"
        for part in data.draw(st.lists(st.sampled_from(["X", "y", "w"]), min_size=1, max_size=2, unique=True)):
            if part == "X":
                table = data.draw(st.sampled_from(sorted(TABLES)), label="X")
            elif part == "y":
                target = data.draw(st.sampled_from(sorted(kinds | TARGETS)), label="y")
            elif has_fit_parameter(instance, "sample_weight"):
                weight = data.draw(st.sampled_from(sorted(WEIGHTS)), label="sample_weight")
        rng = np.random.default_rng(data.draw(st.integers(0, 2), label="seed"))
        X = TABLES[table](rng)
        call(clone(instance), X, (kinds | TARGETS)[target](rng, n_rows(X)), WEIGHTS[weight](rng, n_rows(X)))

    run()
