"""Values from random permutations of the rows: Data Shapley and Beta Shapley."""

from numbers import Integral, Real

import numpy as np

from trustml._sklearn import Interval
from trustml.valuation._sampling import DRAWS, BaseSampledValuation
from trustml.valuation._semivalue import size_probabilities


class _BasePermutationValuation(BaseSampledValuation):
    """Weighted marginal contributions along permutations of the units."""

    _parameter_constraints: dict = {
        **BaseSampledValuation._parameter_constraints,
        "max_permutations": DRAWS,
        "truncation_tol": [Interval(Real, 0, None, closed="left"), None],
        "truncation_patience": [Interval(Integral, 1, None, closed="left")],
        "antithetic": ["boolean"],
    }
    _draws_parameter = "max_permutations"
    _identity_parameters = (
        *BaseSampledValuation._identity_parameters,
        "truncation_tol",
        "truncation_patience",
        "antithetic",
    )

    def _max_draws(self):
        # Antithetic permutations come in pairs.
        return self.max_permutations + (self.max_permutations % 2 if self.antithetic else 0)

    def _position_weights(self, n_players):
        """Weight of the marginal contribution at each position, mean one."""
        return np.ones(n_players)

    def _observe(self, game, rng, draws):
        n_players = game.n_players
        if self.antithetic:
            half = rng.permuted(np.tile(np.arange(n_players), (self._round_draws // 2, 1)), axis=1)
            orders = np.stack([half, half[:, ::-1]], axis=1).reshape(-1, n_players)
        else:
            orders = rng.permuted(np.tile(np.arange(n_players), (self._round_draws, 1)), axis=1)
        orders = orders[draws]
        marginals = game.marginals(orders, self.truncation_tol, self.truncation_patience)
        observations = np.empty_like(marginals)
        np.put_along_axis(observations, orders, marginals * self._position_weights(n_players), axis=1)
        if self.antithetic:
            # A permutation and its reverse depend on each other: their mean is one observation.
            observations = observations.reshape(-1, 2, n_players).mean(axis=1)
        return observations


class DataShapley(_BasePermutationValuation):
    """Shapley values of training rows by truncated Monte Carlo permutations.

    The Shapley value of a row is its marginal contribution to the validation score, averaged over all orders in
    which the rows could arrive. Rows that hurt have negative values; mislabelled rows are found among the lowest.

    Parameters
    ----------
    estimator : estimator, default=None
        Model that the rows train. None is ``LogisticRegression()`` if y holds labels (strings, booleans, integers, or
        any two values), and ``Ridge()`` if it holds floats. Logistic
        regression, ridge, least squares, nearest neighbours and Gaussian naive Bayes run as compiled programs, any
        other model through joblib; ``engine_`` says which.
    scoring : str, callable or None, default=None
        Score of a fitted model on the validation rows, as in scikit-learn. None is the model's own ``score``.
    cv : int, cross-validation generator or iterable, default=5
        Folds on which the rows are valued when ``fit`` gets no validation set. An int keeps units together and, for
        a classifier, the classes balanced.
    max_permutations : int, default=500
        Permutations at most, in each fold.
    tol : float, default=0.05
        The values have converged when their mean absolute change over the last 100 permutations is at most this
        fraction of their mean absolute value.
    truncation_tol : float or None, default=0.01
        A permutation ends early, its remaining rows contributing nothing, once the score has been within this
        fraction of the full score for ``truncation_patience`` units in a row. None never truncates.
    truncation_patience : int, default=6
        See ``truncation_tol``.
    antithetic : bool, default=False
        Draw each permutation together with its reverse, which often lowers the variance. An odd
        ``max_permutations`` is then rounded up.
    select : {"positive", "nonnegative", "all"} or float, default="positive"
        Rows that ``estimator_`` is refitted on: those with a positive value, those without a negative one, all, or
        this fraction of the rows with the highest values. The best row of each class is always kept, with a warning if
        it would not be.
    error_score : "raise" or float, default="raise"
        Score of a subset to which the model cannot be fitted.
    warm_start : bool, default=False
        Go on from the permutations of the last ``fit`` to the same data.
    checkpoint : str or path, default=None
        File that is replaced after every 20 permutations. If it exists, the run goes on from it and ends with exactly
        the values of a run that was never stopped; one of other data or parameters is refused.
    max_time : float or None, default=None
        Stop after this many seconds, at the end of a round of 20 permutations.
    n_jobs : int or None, default=None
        Parallel fits of a model that is not compiled.
    random_state : int, RandomState instance or None, default=None
        Seeds the permutations. The same seed gives the same values whatever the number of jobs or devices.

    Attributes
    ----------
    data_values_ : ndarray of shape (n_samples,)
        Value of each row, in units of the score.
    standard_errors_ : ndarray of shape (n_samples,)
        Their standard errors over permutations; infinite after a single one.
    unit_values_ : ndarray of shape (n_units,)
        Value of each unit.
    unit_standard_errors_ : ndarray of shape (n_units,)
        Their standard errors.
    units_ : ndarray of shape (n_units,)
        Labels of the units; row numbers without ``units``.
    n_permutations_ : int
        Permutations drawn in each fold.
    n_evaluations_ : int
        Scores looked at.
    converged_ : bool
        Whether the stopping rule was met.
    relative_change_ : float
        What the rule saw last.
    full_score_, empty_score_ : float
        Scores of the model of all rows, and of no row (the best constant prediction), mean over folds. The values
        sum to their difference, as far as permutations are not truncated.
    engine_ : str
        What fitted the models.
    support_ : ndarray of bool of shape (n_samples,)
        Rows kept.
    estimator_ : estimator
        Model refitted on them.
    classes_ : ndarray of shape (n_classes,)
        Labels; classifiers only.

    See Also
    --------
    KNNShapley : Exact and fast, for the nearest-neighbour score.
    BetaShapley : Weighs small subsets more.
    DataBanzhaf : Robust to a noisy score.

    Notes
    -----
    The stopping rule is that of Ghorbani & Zou with a ratio of means in place of the mean of ratios, which has no
    bound when a single value is near zero. Rows of one class make the constant model; a class that no row has
    is never predicted.

    References
    ----------
    .. [1] A. Ghorbani, J. Zou. "Data Shapley: equitable valuation of data for machine learning". ICML 2019,
       Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from trustml import DataShapley
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:100:2], y[:100:2].copy()
    >>> y[[3, 40]] = 1 - y[[3, 40]]
    >>> valuation = DataShapley(tol=0.2, random_state=0).fit(X, y)
    >>> np.argsort(valuation.data_values_)[:2]
    array([ 3, 40])
    """

    def __init__(
        self,
        estimator=None,
        *,
        scoring=None,
        cv=5,
        max_permutations=500,
        tol=0.05,
        truncation_tol=0.01,
        truncation_patience=6,
        antithetic=False,
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
        self.max_permutations = max_permutations
        self.tol = tol
        self.truncation_tol = truncation_tol
        self.truncation_patience = truncation_patience
        self.antithetic = antithetic
        self.select = select
        self.error_score = error_score
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.random_state = random_state


class BetaShapley(_BasePermutationValuation):
    """Beta Shapley values of training rows: semivalues that can favour small subsets.

    The marginal contribution of a row to a subset of k others is weighted by the beta-binomial probability of k
    instead of uniformly. With the default (16, 1), contributions to small subsets, where a row matters most, carry
    nearly all the weight, which often separates mislabelled rows better than the Shapley value does.

    Parameters
    ----------
    estimator : estimator, default=None
        As in :class:`DataShapley`.
    alpha : float, default=16
        Weight on small subsets, in the convention of the paper: (16, 1) favours small ones, (1, 16) large ones,
        (1, 1) is the Shapley value. (Other libraries, and the authors' own script, swap the two.)
    beta : float, default=1
        Weight on large subsets.
    scoring, cv, max_permutations, tol, truncation_tol, truncation_patience, antithetic, select, error_score, \
warm_start, checkpoint, max_time, n_jobs, random_state
        As in :class:`DataShapley`. Truncation is off by default.

    Attributes
    ----------
    data_values_ : ndarray of shape (n_samples,)
        Value of each row.
    standard_errors_ : ndarray of shape (n_samples,)
        Their standard errors over permutations.
    n_permutations_ : int
        Permutations drawn in each fold.
    estimator_ : estimator
        Model refitted on the rows kept; other attributes are those of :class:`DataShapley`.

    Notes
    -----
    The values do not sum to the difference of the full and the empty score unless alpha = beta = 1.

    References
    ----------
    .. [1] Y. Kwon, J. Zou. "Beta Shapley: a unified and noise-reduced data valuation framework for machine
       learning". AISTATS 2022, Equation 5.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from trustml import BetaShapley
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:100:2], y[:100:2].copy()
    >>> y[[3, 40]] = 1 - y[[3, 40]]
    >>> valuation = BetaShapley(tol=0.3, random_state=0).fit(X, y)
    >>> np.argsort(valuation.data_values_)[:2]
    array([ 3, 40])
    """

    _parameter_constraints: dict = {
        **_BasePermutationValuation._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "beta": [Interval(Real, 0, None, closed="neither")],
    }
    _identity_parameters = (*_BasePermutationValuation._identity_parameters, "alpha", "beta")

    def __init__(
        self,
        estimator=None,
        *,
        alpha=16.0,
        beta=1.0,
        scoring=None,
        cv=5,
        max_permutations=500,
        tol=0.05,
        truncation_tol=None,
        truncation_patience=6,
        antithetic=False,
        select="positive",
        error_score="raise",
        warm_start=False,
        checkpoint=None,
        max_time=None,
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.alpha = alpha
        self.beta = beta
        self.scoring = scoring
        self.cv = cv
        self.max_permutations = max_permutations
        self.tol = tol
        self.truncation_tol = truncation_tol
        self.truncation_patience = truncation_patience
        self.antithetic = antithetic
        self.select = select
        self.error_score = error_score
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _position_weights(self, n_players):
        return n_players * size_probabilities(n_players, "beta", self.alpha, self.beta)
