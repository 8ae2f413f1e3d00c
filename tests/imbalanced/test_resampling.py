"""SMOTER, SMOGN and the balanced split."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_validate

from trustml.imbalanced import SMOGN, SMOTER, BalancedTestSplit
from trustml.imbalanced._relevance import boxplot_relevance

RNG = np.random.default_rng(0)
Y = RNG.exponential(size=300)
X = Y[:, None] + RNG.normal(size=(300, 3))


def test_relevance_is_zero_at_the_median_and_one_at_the_whisker():
    y = np.r_[np.arange(11.0), 100.0]
    relevance = boxplot_relevance(y)
    median = np.median(y)
    np.testing.assert_array_equal(relevance[y <= median], 0)
    np.testing.assert_array_equal(relevance[y >= 10], 1)
    middle = (median + 10) / 2
    assert boxplot_relevance(np.r_[y, middle, median - (middle - median)])[-2] == pytest.approx(0.5, abs=0.05)
    assert (np.diff(boxplot_relevance(np.sort(np.r_[y, -100]))[-6:]) >= 0).all()


@pytest.mark.parametrize("sampler", [SMOTER(random_state=0), SMOGN(random_state=0)], ids=["SMOTER", "SMOGN"])
def test_regions_are_balanced_and_given_rows_unchanged(sampler):
    X_new, y_new = clone(sampler).fit_resample(X, Y)
    model = clone(sampler)
    model.fit_resample(X, Y)
    rare = model.relevance_ >= 0.5
    given = ~model.synthetic_
    rows = model.sample_indices_
    np.testing.assert_array_equal(X_new[given], X[rows[given]])
    np.testing.assert_array_equal(y_new[given], Y[rows[given]])
    assert len(y_new) == 300
    assert np.sum(rare[rows]) == 150 == np.sum(~rare[rows])
    assert set(np.flatnonzero(rare)) <= set(rows)
    assert rare[rows[model.synthetic_]].all()
    assert np.isfinite(X_new).all()


def test_new_rows_lie_between_neighbours_of_their_region():
    model = SMOTER(random_state=0, n_neighbors=3)
    X_new, y_new = model.fit_resample(X, Y)
    rare = np.flatnonzero(model.relevance_ >= 0.5)
    scale = X[rare].std(axis=0)
    for row in np.flatnonzero(model.synthetic_)[:40]:
        seed = model.sample_indices_[row]
        others = rare[rare != seed]
        nearest = others[np.argsort(np.linalg.norm((X[others] - X[seed]) / scale, axis=1))[:3]]
        on_line = []
        for mate in nearest:
            share = (y_new[row] - Y[seed]) / (Y[mate] - Y[seed])
            on_line.append(
                np.allclose(X_new[row], X[seed] + share * (X[mate] - X[seed])) and -1e-9 <= share <= 1 + 1e-9
            )
        assert any(on_line)


def test_noise_is_small_and_none_at_all_without_perturbation():
    close, far = SMOGN(perturbation=0.0, random_state=0), SMOGN(perturbation=0.05, random_state=0)
    X_new, _ = close.fit_resample(X, Y)
    moved, _ = far.fit_resample(X, Y)
    gap = np.abs(X_new - moved)
    noisy = gap.max(axis=1) > 0
    assert 0 < noisy.sum() < close.synthetic_.sum()
    np.testing.assert_allclose(X_new[noisy], X[close.sample_indices_[noisy]])
    assert gap.max() < 0.05 * 6 * X.std()


def test_extreme_sampling_and_no_thinning():
    extreme = SMOTER(sampling="extreme", random_state=0)
    extreme.fit_resample(X, Y)
    rare = extreme.relevance_ >= 0.5
    share = np.mean(rare[extreme.sample_indices_])
    assert share == pytest.approx(1 - rare.mean(), abs=0.01)
    kept = SMOTER(under_sample=False, random_state=0)
    kept.fit_resample(X, Y)
    assert set(kept.sample_indices_) == set(range(300))


def frame_of(library):
    kinds = np.where(Y > 2, "rare", np.where(RNG.random(300) < 0.5, "a", "b"))
    flags = RNG.random(300) < 0.5
    if library == "pandas":
        return pd.DataFrame({"x": X[:, 0], "kind": pd.Categorical(kinds), "flag": flags, "count": np.arange(300)})
    return pl.DataFrame({"x": X[:, 0], "kind": kinds, "flag": flags, "count": np.arange(300)}).with_columns(
        pl.col("kind").cast(pl.Categorical)
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("sampler", [SMOTER, SMOGN])
def test_frames_keep_their_categories(library, sampler):
    frame = frame_of(library)
    new, y_new = sampler(random_state=0).fit_resample(frame, Y)
    assert type(new) is type(frame)
    assert list(new.columns) == ["x", "kind", "flag", "count"]
    assert len(new) == len(y_new) == 300
    assert str(new["kind"].dtype) == str(frame["kind"].dtype)
    assert set(new["kind"]) <= {"a", "b", "rare"}
    assert np.asarray(new["flag"]).dtype == bool
    assert not np.isnan(np.asarray(new["x"])).any()


def test_categories_of_arrays():
    mixed = np.column_stack([X[:, 0].astype(object), np.where(Y > 2, "rare", "usual").astype(object)])
    by_number, _ = SMOGN(categorical_features=[1], random_state=0).fit_resample(mixed, Y)
    by_mask, _ = SMOGN(categorical_features=[False, True], random_state=0).fit_resample(mixed, Y)
    np.testing.assert_array_equal(by_number, by_mask)
    assert set(by_number[:, 1]) == {"rare", "usual"}


def test_a_rare_row_alone():
    y = np.r_[np.arange(20.0), 200.0]
    for sampler_class in (SMOTER, SMOGN):
        sampler = sampler_class(relevance=lambda y: (y > 100).astype(float), random_state=0)
        X_new, y_new = sampler.fit_resample(y[:, None], y)
        np.testing.assert_array_equal(X_new[:, 0], y_new)
        assert np.sum(y_new == 200) == 10


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SMOTER().fit_resample(X, np.arange(300)), "relevance='boxplot': y has no outliers"),
        (lambda: SMOTER(relevance=lambda y: y).fit_resample(X, Y), "gave other than one number in"),
        (lambda: SMOTER(relevance=np.zeros_like).fit_resample(X, Y), "relevance_threshold=0.5: none of the targets"),
        (lambda: SMOTER(categorical_features=[7]).fit_resample(X, Y), r"categorical_features=\[7\]; expected columns"),
        (lambda: SMOTER().fit_resample(np.where(X > 3, np.nan, X), Y), "X contains NaN"),
        (lambda: SMOTER().fit_resample(X, np.where(Y > 3, np.nan, Y)), "y contains NaN"),
        (lambda: SMOTER().fit_resample(X[:9], Y), "inconsistent numbers"),
        (lambda: SMOGN(perturbation=-1).fit_resample(X, Y), "'perturbation' parameter"),
        (lambda: BalancedTestSplit(0), "n_splits=0; expected a positive integer"),
        (lambda: list(BalancedTestSplit().split(X, Y * 0 + np.arange(300))), "no bin has three targets"),
        (lambda: list(BalancedTestSplit().split(X, np.full(300, np.nan))), "y contains NaN"),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_balanced_split():
    y = np.repeat([0, 1, 2, 5], [900, 60, 6, 2])
    splits = list(BalancedTestSplit(3, random_state=0).split_with_validation(None, y))
    for train, validation, test in splits:
        assert np.bincount(y[test]).tolist() == np.bincount(y[validation]).tolist() == [30, 20, 2]
        assert sorted(np.concatenate([train, validation, test])) == list(range(len(y)))
    assert not np.array_equal(splits[0][2], splits[1][2])
    again = list(BalancedTestSplit(3, random_state=0).split(None, y))
    assert len(again) == BalancedTestSplit(3).get_n_splits()
    np.testing.assert_array_equal(again[0][1], splits[0][2])
    assert cross_validate(Ridge(), X, Y, cv=BalancedTestSplit(2, bins=8, max_per_bin=5))["test_score"].shape == (2,)
