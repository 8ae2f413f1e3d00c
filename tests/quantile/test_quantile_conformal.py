"""Conformal intervals: exact ranks, exact coverage, and what too few rows can say."""

import numpy as np
import pytest
from quantile_models import LEVELS, MODELS, Shifted, aggregator

from trustml.quantile._conformal import conformal_rank, cv_plus, scores, split_conformal


@pytest.mark.parametrize(("n", "rank"), [(9, 9), (19, 18), (99, 90), (100, 91), (8, 9), (29, 27)])
def test_ranks_are_exact(n, rank):
    """(29 + 1) * 0.9 is 27, although floating point may say a little more."""
    assert conformal_rank(n, 0.9) == rank


@pytest.mark.parametrize("n", [9, 50, 99])
def test_split_coverage_is_the_exact_one(n):
    """2,000 simulations of ceil((n + 1) 0.9) / (n + 1), without ties."""
    rng = np.random.default_rng(n)
    n_new, covered = 50, []
    for _ in range(2000):
        y, new = rng.standard_t(3, size=n), rng.standard_t(3, size=n_new)
        interval = np.tile([-1.0, 1.5], (n, 1))
        low, high = split_conformal(np.tile([-1.0, 1.5], (n_new, 1)), scores(interval, y), 0.9).T
        covered.append(np.mean((new >= low) & (new <= high)))
    exact = np.ceil((n + 1) * 0.9) / (n + 1)
    assert abs(np.mean(covered) - exact) <= 2 * np.std(covered) / np.sqrt(2000)


def test_too_few_rows_give_infinite_bounds():
    intervals = np.array([[0.0, 1.0]])
    np.testing.assert_array_equal(split_conformal(intervals, np.zeros(8), 0.9), [[-np.inf, np.inf]])
    np.testing.assert_array_equal(cv_plus(intervals[None], [np.zeros(8)], 0.9), [[-np.inf, np.inf]])
    assert np.isfinite(split_conformal(intervals, np.zeros(9), 0.9)).all()


def test_an_inverted_interval_becomes_its_middle():
    np.testing.assert_array_equal(split_conformal(np.array([[0.0, 1.0]]), np.full(20, -2.0), 0.9), [[0.5, 0.5]])


def test_cv_plus_by_its_definition():
    rng = np.random.default_rng(0)
    fold_intervals = np.sort(rng.normal(size=(3, 4, 2)), axis=2)
    fold_scores = [rng.random(7), rng.random(6), rng.random(8)]
    ours = cv_plus(fold_intervals, fold_scores, 0.8)
    for row in range(4):
        low = sorted(fold_intervals[k, row, 0] - s for k in range(3) for s in fold_scores[k])
        high = sorted(fold_intervals[k, row, 1] + s for k in range(3) for s in fold_scores[k])
        rank = int(np.ceil(22 * 0.8))
        np.testing.assert_allclose(ours[row], [low[21 - rank], high[rank - 1]])
    np.testing.assert_array_equal(cv_plus(fold_intervals, fold_scores, 0.8, chunk_bytes=200), ours)


def test_cqr_calibrates_on_rows_that_nothing_else_has_seen():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    y = 2 * X[:, 0] + rng.normal(size=80)
    fitted = aggregator(conformal="cqr", calibration_fraction=0.3).fit(X, y)
    calibrates = np.isnan(fitted.oof_predictions_).all(axis=(1, 2))
    assert calibrates.sum() == 24
    for model in fitted.estimators_:
        assert not model.seen_ & set(X[calibrates, 0].tolist())
    raw = fitted.predict_quantiles(X)[:, [0, -1]]
    margin = np.sort(scores(raw[calibrates], y[calibrates]))[conformal_rank(24, 0.8) - 1]
    np.testing.assert_allclose(fitted.predict_interval(X, 0.8), raw + [-margin, margin])


def test_cv_plus_uses_stacks_that_have_not_seen_the_fold():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = 2 * X[:, 0] + rng.normal(size=60)
    fitted = aggregator(conformal="cv+").fit(X, y)
    changed = y.copy()
    changed[:20] += 100.0  # the first fold: its own stack must not notice
    other = aggregator(conformal="cv+").fit(X, changed)
    for key in ("weights", "intercept"):
        np.testing.assert_array_equal(fitted._folds[0]["stack"][key], other._folds[0]["stack"][key])
    np.testing.assert_array_equal(fitted._folds[0]["values"], other._folds[0]["values"])
    assert np.any(fitted._folds[1]["values"] != other._folds[1]["values"])
    intervals = fitted.predict_interval(X, 0.8)
    assert np.mean((y >= intervals[:, 0]) & (y <= intervals[:, 1])) >= 0.75
    assert np.all(intervals[:, 1] >= intervals[:, 0])


@pytest.mark.slow
@pytest.mark.parametrize("conformal", ["cqr", "cv+"])
def test_coverage_of_whole_fits(conformal):
    """One table after the other: the mean coverage is the nominal one, or more."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(60):
        X = rng.normal(size=(110, 2))
        y = 2 * X[:, 0] + (0.2 + np.abs(X[:, 1])) * rng.normal(size=110)
        fitted = aggregator(MODELS[:2], conformal=conformal, calibration_fraction=0.5).fit(X[:60], y[:60])
        low, high = fitted.predict_interval(X[60:], 0.8).T
        covered.append(np.mean((y[60:] >= low) & (y[60:] <= high)))
    assert np.mean(covered) >= 0.8 - 2 * np.std(covered) / np.sqrt(60)
    assert np.mean(covered) <= 0.9


def test_levels_without_an_interval():
    with pytest.raises(ValueError, match="hold no interval"):
        aggregator([("a", Shifted())], quantiles=[0.6, 0.9], conformal="cqr").fit(np.zeros((30, 1)), np.arange(30.0))
    assert LEVELS[0] == 0.1
