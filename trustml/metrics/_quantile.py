"""How good quantile forecasts are: losses, their decomposition, calibration and crossing."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_consistent_length, column_or_1d


def check_quantile_levels(quantiles) -> NDArray[np.float64]:
    """Strictly increasing levels between 0 and 1, both excluded, as float64."""
    levels = np.atleast_1d(np.asarray(quantiles, dtype=np.float64))
    if levels.ndim != 1 or not len(levels):
        raise ValueError(f"quantiles={quantiles!r} has shape {levels.shape}; expected a list of levels.")
    if not np.all((levels > 0) & (levels < 1)):
        raise ValueError(f"quantiles={levels.tolist()}; expected levels between 0 and 1, both excluded.")
    if np.any(np.diff(levels) <= 0):
        raise ValueError(f"quantiles={levels.tolist()}; expected strictly increasing levels.")
    return levels


def _is_symmetric(levels):
    return np.allclose(levels + levels[::-1], 1, rtol=0, atol=1e-9)


def check_symmetric_levels(levels):
    """Error unless every level has its counterpart."""
    if not _is_symmetric(levels):
        raise ValueError(f"quantiles={levels.tolist()}; expected symmetric levels: for each t, 1 - t as well.")


def _check(y_true, y_quantiles, quantiles, sample_weight):
    levels = check_quantile_levels(quantiles)
    y_true = column_or_1d(check_array(y_true, ensure_2d=False, dtype=np.float64, input_name="y_true"))
    y_quantiles = np.asarray(y_quantiles, dtype=np.float64)
    if y_quantiles.ndim == 1 and len(levels) == 1:
        y_quantiles = y_quantiles[:, None]
    if y_quantiles.shape != (len(y_true), len(levels)):
        raise ValueError(
            f"y_quantiles has shape {y_quantiles.shape}; expected ({len(y_true)}, {len(levels)}), "
            "for the rows of y_true and the levels of quantiles."
        )
    if np.isnan(y_quantiles).any():
        raise ValueError("y_quantiles holds NaN; expected numbers.")
    if sample_weight is not None:
        sample_weight = column_or_1d(check_array(sample_weight, ensure_2d=False, input_name="sample_weight"))
        check_consistent_length(y_true, sample_weight)
    return y_true, y_quantiles, levels, sample_weight


def _losses(y_true, y_quantiles, levels):
    residuals = y_true[:, None] - y_quantiles
    return np.maximum(levels * residuals, (levels - 1) * residuals)


def _mean(values, sample_weight):
    return np.average(values, axis=0, weights=sample_weight)


def mean_quantile_loss(
    y_true: ArrayLike,
    y_quantiles: ArrayLike,
    *,
    quantiles: ArrayLike,
    sample_weight: ArrayLike | None = None,
    multioutput: str = "uniform_average",
) -> float | NDArray:
    """Pinball loss of several quantiles.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Targets.
    y_quantiles : array-like of shape (n_samples, n_quantiles)
        Predicted quantiles; they may cross.
    quantiles : array-like of shape (n_quantiles,)
        Their levels, strictly increasing, between 0 and 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        The mean over the levels, or the loss of each.

    Returns
    -------
    loss : float or ndarray of shape (n_quantiles,)
        In the unit of the target; lower is better.

    See Also
    --------
    weighted_interval_score : Twice this mean, and what it is made of.
    sklearn.metrics.mean_pinball_loss : One level.

    Examples
    --------
    >>> from trustml.metrics import mean_quantile_loss
    >>> loss = mean_quantile_loss([3.0], [[1.0, 4.0]], quantiles=[0.25, 0.9], multioutput="raw_values")
    >>> loss.round(3).tolist()
    [0.5, 0.1]
    """
    y_true, y_quantiles, levels, sample_weight = _check(y_true, y_quantiles, quantiles, sample_weight)
    if multioutput not in ("uniform_average", "raw_values"):
        raise ValueError(f"multioutput={multioutput!r}; expected 'uniform_average' or 'raw_values'.")
    losses = _mean(_losses(y_true, y_quantiles, levels), sample_weight)
    return losses if multioutput == "raw_values" else float(losses.mean())


def weighted_interval_score(
    y_true: ArrayLike,
    y_quantiles: ArrayLike,
    *,
    quantiles: ArrayLike,
    sample_weight: ArrayLike | None = None,
    decompose: bool = False,
):
    r"""Weighted interval score: twice the mean pinball loss over the levels.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Targets.
    y_quantiles : array-like of shape (n_samples, n_quantiles)
        Predicted quantiles; they may cross.
    quantiles : array-like of shape (n_quantiles,)
        Their levels, strictly increasing, between 0 and 1. ``decompose`` needs symmetric ones.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    decompose : bool, default=False
        Also return the three parts.

    Returns
    -------
    score : float
        In the unit of the target; lower is better.
    parts : dict of str to float
        With ``decompose``: "sharpness" (width of the central intervals), "overprediction" (intervals, or a median,
        above the target) and "underprediction" (below it), whose sum is the score.

    Notes
    -----
    With m symmetric levels, central intervals (l, u) at level alpha = 2 tau and median q, the score is [1]_

    .. math::

        \frac1m \Big\{ |y - q| + \sum_{\tau < 1/2} \big[ \alpha (u - l) + 2 (l - y)_+ + 2 (y - u)_+ \big] \Big\}

    (without the first term if 1/2 is no level): that of [1]_ with its weights, divided by m/2 rather than K + 1/2,
    which is the same number if 1/2 is a level. It equals twice the mean pinball loss exactly, crossed quantiles
    included. Three scalings are in use; the sum over levels and the mean pinball loss are m times and half of this one.

    References
    ----------
    .. [1] J. Bracher, E. L. Ray, T. Gneiting and N. G. Reich, "Evaluating epidemic forecasts in an interval format",
       PLOS Computational Biology 17, 2021, equations 1 and 4.

    Examples
    --------
    >>> from trustml.metrics import weighted_interval_score
    >>> score, parts = weighted_interval_score([3.0], [[0.0, 1.0, 2.0]], quantiles=[0.25, 0.5, 0.75], decompose=True)
    >>> round(score, 3), {name: round(part, 3) for name, part in parts.items()}
    (1.667, {'sharpness': 0.333, 'overprediction': 0.0, 'underprediction': 1.333})
    """
    y_true, y_quantiles, levels, sample_weight = _check(y_true, y_quantiles, quantiles, sample_weight)
    score = 2 * float(_mean(_losses(y_true, y_quantiles, levels), sample_weight).mean())
    if not decompose:
        return score
    check_symmetric_levels(levels)
    m = len(levels)
    half = m // 2
    lower, upper = y_quantiles[:, :half], y_quantiles[:, ::-1][:, :half]
    width = (2 * levels[:half] * (upper - lower)).sum(axis=1)
    over = 2 * np.maximum(lower - y_true[:, None], 0).sum(axis=1)
    under = 2 * np.maximum(y_true[:, None] - upper, 0).sum(axis=1)
    if m % 2:
        over = over + np.maximum(y_quantiles[:, half] - y_true, 0)
        under = under + np.maximum(y_true - y_quantiles[:, half], 0)
    parts = {"sharpness": width, "overprediction": over, "underprediction": under}
    return score, {name: float(_mean(part, sample_weight)) / m for name, part in parts.items()}


def quantile_crps(
    y_true: ArrayLike, y_quantiles: ArrayLike, *, quantiles: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Continuous ranked probability score, from quantiles at any levels.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Targets.
    y_quantiles : array-like of shape (n_samples, n_quantiles)
        Predicted quantiles.
    quantiles : array-like of shape (n_quantiles,)
        Their levels, strictly increasing, between 0 and 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    crps : float
        In the unit of the target; lower is better.

    Notes
    -----
    The CRPS is twice the integral of the pinball loss over the levels. The integral is taken by giving each level the
    part of (0, 1) that is nearest to it, so that unequally spaced levels count for what they stand for. For levels
    ``(i - 1/2) / m`` this is :func:`weighted_interval_score`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import norm
    >>> from trustml.metrics import quantile_crps
    >>> levels = (np.arange(1000) + 0.5) / 1000
    >>> round(quantile_crps([0.0], norm.ppf(levels)[None], quantiles=levels), 4)  # exactly (sqrt(2) - 1) / sqrt(pi)
    0.2337
    """
    y_true, y_quantiles, levels, sample_weight = _check(y_true, y_quantiles, quantiles, sample_weight)
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    return 2 * float(_mean(_losses(y_true, y_quantiles, levels), sample_weight) @ np.diff(edges))


def quantile_coverage(
    y_true: ArrayLike, y_quantiles: ArrayLike, *, quantiles: ArrayLike, sample_weight: ArrayLike | None = None
) -> NDArray:
    """Share of the targets at or below each predicted quantile; calibrated if it equals the level.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Targets.
    y_quantiles : array-like of shape (n_samples, n_quantiles)
        Predicted quantiles.
    quantiles : array-like of shape (n_quantiles,)
        Their levels, strictly increasing, between 0 and 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    coverage : ndarray of shape (n_quantiles,)

    Examples
    --------
    >>> from trustml.metrics import quantile_coverage
    >>> quantile_coverage([1.0, 2.0], [[0.0, 1.5], [0.0, 1.5]], quantiles=[0.1, 0.5]).tolist()
    [0.0, 0.5]
    """
    y_true, y_quantiles, _, sample_weight = _check(y_true, y_quantiles, quantiles, sample_weight)
    return _mean(y_true[:, None] <= y_quantiles, sample_weight)


def quantile_crossing_rate(y_quantiles: ArrayLike) -> float:
    """Share of the rows in which some quantile is below that of a lower level.

    Parameters
    ----------
    y_quantiles : array-like of shape (n_samples, n_quantiles)
        Predicted quantiles, by increasing level.

    Returns
    -------
    rate : float

    Examples
    --------
    >>> from trustml.metrics import quantile_crossing_rate
    >>> quantile_crossing_rate([[0.0, 1.0, 2.0], [0.0, 2.0, 1.0]])
    0.5
    """
    y_quantiles = np.asarray(y_quantiles, dtype=np.float64)
    if y_quantiles.ndim != 2 or not len(y_quantiles):
        raise ValueError(f"y_quantiles has shape {y_quantiles.shape}; expected (n_samples, n_quantiles).")
    if np.isnan(y_quantiles).any():
        raise ValueError("y_quantiles holds NaN; expected numbers.")
    return float((y_quantiles[:, 1:] < y_quantiles[:, :-1]).any(axis=1).mean())


def quantile_pit(y_true: ArrayLike, y_quantiles: ArrayLike, *, quantiles: ArrayLike) -> NDArray:
    """Probability integral transform: the level at which each target lies, between the predicted quantiles.

    Calibrated forecasts give values that are uniform between 0 and 1.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Targets.
    y_quantiles : array-like of shape (n_samples, n_quantiles)
        Predicted quantiles, which do not cross.
    quantiles : array-like of shape (n_quantiles,)
        Their levels, strictly increasing, between 0 and 1.

    Returns
    -------
    pit : ndarray of shape (n_samples,)
        Interpolated between the levels. A target that lies outside all quantiles has half the level of the lowest, or
        half way from the level of the highest to 1, since nothing more is known about it; one on several equal
        quantiles has their mean level.

    Examples
    --------
    >>> from trustml.metrics import quantile_pit
    >>> quantile_pit([1.0, 9.0], [[0.0, 2.0], [0.0, 2.0]], quantiles=[0.2, 0.8]).tolist()
    [0.5, 0.9]
    """
    y_true, y_quantiles, levels, _ = _check(y_true, y_quantiles, quantiles, None)
    if np.any(y_quantiles[:, 1:] < y_quantiles[:, :-1]):
        raise ValueError("y_quantiles cross; expected ordered ones: sort them with trustml.quantile.sort_quantiles.")
    y = y_true[:, None]
    padded = np.concatenate([[levels[0] / 2], levels, [(levels[-1] + 1) / 2]])
    rows = np.arange(len(y_true))

    def level_at(n_below):
        """The level after ``n_below`` quantiles, and where it ends."""
        inside = (n_below > 0) & (n_below < len(levels))
        left = np.clip(n_below - 1, 0, len(levels) - 1)
        right = np.clip(n_below, 0, len(levels) - 1)
        low, high = y_quantiles[rows, left], y_quantiles[rows, right]
        width = np.where(high > low, high - low, 1.0)
        with np.errstate(invalid="ignore"):
            part = np.where(inside & (high > low), (y_true - low) / width, 0.0)
        step = np.where(inside, levels[right] - levels[left], 0.0)
        outside = np.where(n_below == 0, padded[0], padded[-1])
        return np.where(inside, levels[left] + part * step, outside)

    below, at_most = (y_quantiles < y).sum(axis=1), (y_quantiles <= y).sum(axis=1)
    touched = at_most > below
    first = levels[np.minimum(below, len(levels) - 1)]
    last = levels[np.maximum(at_most - 1, 0)]
    return np.where(touched, (first + last) / 2, level_at(below))


class QuantileScorer:
    """A scorer of quantile forecasts, for ``cross_validate``, ``GridSearchCV`` and the like.

    Parameters
    ----------
    score_func : callable
        Of this module: ``score_func(y_true, y_quantiles, quantiles=..., sample_weight=...)``, lower is better.
    quantiles : array-like of shape (n_quantiles,), default=None
        Levels to predict; None: those that the estimator was fitted for.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from trustml.metrics import QuantileScorer, weighted_interval_score
    >>> from trustml.quantile import LinearQuantileRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> scorer = QuantileScorer(weighted_interval_score)
    >>> cross_val_score(LinearQuantileRegressor(), X, y, scoring=scorer, cv=3).shape
    (3,)
    """

    def __init__(self, score_func, *, quantiles=None):
        self.score_func, self.quantiles = score_func, quantiles

    def __call__(self, estimator, X, y, sample_weight: ArrayLike | None = None) -> float:
        """Minus the score of ``estimator.predict_quantiles(X)``, so that greater is better."""
        levels = estimator.quantiles_ if self.quantiles is None else self.quantiles
        predicted = estimator.predict_quantiles(X, levels)
        return -self.score_func(y, predicted, quantiles=levels, sample_weight=sample_weight)

    def __repr__(self):
        return f"QuantileScorer({self.score_func.__name__})"
