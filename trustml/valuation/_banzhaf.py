"""Banzhaf values of training rows by maximum sample reuse."""

import numpy as np

from trustml.valuation._sampling import DRAWS, BaseSampledValuation


class DataBanzhaf(BaseSampledValuation):
    """Banzhaf values of training rows: every subset that is scored informs every row.

    The Banzhaf value of a row is its mean marginal contribution to a uniformly random subset of the other rows. It
    ranks rows more stably than other semivalues when the score is noisy, and costs no permutations: a row's value
    is the mean score of the subsets with it, less that of the subsets without it.

    Parameters
    ----------
    estimator : estimator, default=None
        As in :class:`DataShapley`.
    scoring : str, callable or None, default=None
        Score of a fitted model on the validation rows.
    cv : int, cross-validation generator or iterable, default=5
        Folds on which the rows are valued when ``fit`` gets no validation set.
    max_subsets : int, default=2000
        Subsets at most, in each fold. They come in pairs, a subset and its complement, so an odd number is
        rounded up.
    tol : float, default=0.05
        The values have converged when their mean absolute change over the last 320 subsets is at most this fraction
        of their mean absolute value.
    select : {"positive", "nonnegative", "all"} or float, default="positive"
        Rows that ``estimator_`` is refitted on, as in :class:`DataShapley`.
    error_score : "raise" or float, default="raise"
        Score of a subset to which the model cannot be fitted.
    warm_start : bool, default=False
        Go on from the subsets of the last ``fit`` to the same data.
    checkpoint : str or path, default=None
        File that is replaced after every 64 subsets, to resume a run from.
    max_time : float or None, default=None
        Stop after this many seconds, at the end of a round of 64 subsets.
    n_jobs : int or None, default=None
        Parallel fits of a model that is not compiled.
    random_state : int, RandomState instance or None, default=None
        Seeds the subsets.

    Attributes
    ----------
    data_values_ : ndarray of shape (n_samples,)
        Value of each row.
    standard_errors_ : ndarray of shape (n_samples,)
        Their standard errors over pairs of subsets.
    n_subsets_ : int
        Subsets drawn in each fold.
    estimator_ : estimator
        Model refitted on the rows kept; other attributes are those of :class:`DataShapley`.

    Notes
    -----
    The values do not sum to the difference of the full and the empty score. Drawing each subset with its complement
    puts every row into exactly half of the subsets, so no value is undefined.

    References
    ----------
    .. [1] J. T. Wang, R. Jia. "Data Banzhaf: a robust data valuation framework for machine learning". AISTATS 2023,
       Section 4.2 (maximum sample reuse).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from trustml import DataBanzhaf
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:100:2], y[:100:2].copy()
    >>> y[[3, 40]] = 1 - y[[3, 40]]
    >>> valuation = DataBanzhaf(scoring="neg_log_loss", tol=0.2, random_state=0).fit(X, y)
    >>> np.sort(np.argsort(valuation.data_values_)[:2])
    array([ 3, 40])
    """

    _parameter_constraints: dict = {**BaseSampledValuation._parameter_constraints, "max_subsets": DRAWS}
    _draws_parameter = "max_subsets"
    _round_draws = 64

    def __init__(
        self,
        estimator=None,
        *,
        scoring=None,
        cv=5,
        max_subsets=2000,
        tol=0.05,
        select="positive",
        error_score="raise",
        warm_start=False,
        checkpoint=None,
        max_time=None,
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.scoring = scoring
        self.cv = cv
        self.max_subsets = max_subsets
        self.tol = tol
        self.select = select
        self.error_score = error_score
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _max_draws(self):
        return self.max_subsets + self.max_subsets % 2

    def _observe(self, game, rng, draws):
        half = rng.random((self._round_draws // 2, game.n_players)) < 0.5
        masks = np.stack([half, ~half], axis=1).reshape(-1, game.n_players)[draws]
        scores = game(masks)
        # Each row is in exactly one subset of a pair.
        return np.where(masks[::2], 1.0, -1.0) * (scores[::2] - scores[1::2])[:, None]
