"""Linear quantile regression, all levels at once."""

from numbers import Real

import numpy as np
from sklearn.utils.validation import validate_data

from trustml._sklearn import Interval, StrOptions, check_sample_weight, fit_context
from trustml._validation import check_magnitude
from trustml.metrics._quantile import check_quantile_levels
from trustml.quantile._base import DEFAULT_QUANTILES, BaseQuantileRegressor
from trustml.quantile._linear_programme import Programme, minimise_pinball, warn_of_gap
from trustml.quantile._noncrossing import REPAIRS


class LinearQuantileRegressor(BaseQuantileRegressor):
    """Linear quantile regression at many levels, solved together and exactly.

    Parameters
    ----------
    quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.1, ..., 0.95)
        Levels, strictly increasing, between 0 and 1.
    alpha : float, default=0.0
        Adds ``alpha * sum(|coef_|)`` to the mean pinball loss of each level, as
        :class:`sklearn.linear_model.QuantileRegressor` does (with 1.0 as its default). The intercept is not penalised.
    fit_intercept : bool, default=True
        Whether to fit an intercept.
    noncrossing : {"sort", "isotonic", "sweep", None}, default="sort"
        How the quantiles of a row are put into order. None leaves them crossed.
    solver : {"auto", "highs"}, default="auto"
        "auto": a compiled interior-point method on the rows near the fit, all levels at once; as "highs" for 64 rows
        or fewer. "highs": SciPy's dual simplex on all rows, level by level.
    tol : float, default=1e-6
        Largest gap between the loss and its lower bound, relative to the loss.

    Attributes
    ----------
    coef_ : ndarray of shape (n_quantiles, n_features)
    intercept_ : ndarray of shape (n_quantiles,)
    quantiles_ : ndarray of shape (n_quantiles,)
        The levels.
    objective_gap_ : float
        Largest relative gap of a level.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    QuantileAggregator : Combines quantile models.

    Notes
    -----
    The solution of the linear programme need not be unique; the interior-point method ends near the centre of the
    solutions, HiGHS at a vertex.

    References
    ----------
    R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46, 1978.
    S. Portnoy and R. Koenker, "The Gaussian hare and the Laplacian tortoise", Statistical Science 12, 1997.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from trustml.quantile import LinearQuantileRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = LinearQuantileRegressor(quantiles=(0.1, 0.5, 0.9)).fit(X, y)
    >>> model.predict_quantiles(X[:1]).round().tolist()
    [[114.0, 204.0, 286.0]]
    """

    _parameter_constraints = {
        "quantiles": ["array-like"],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
        "noncrossing": [StrOptions({"sort", "isotonic", "sweep"}), None],
        "solver": [StrOptions({"auto", "highs"})],
        "tol": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        quantiles=DEFAULT_QUANTILES,
        alpha=0.0,
        fit_intercept=True,
        noncrossing="sort",
        solver="auto",
        tol=1e-6,
    ):
        self.quantiles = quantiles
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.noncrossing = noncrossing
        self.solver = solver
        self.tol = tol

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit all levels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; a row of weight zero changes nothing.

        Returns
        -------
        self : LinearQuantileRegressor
        """
        levels = check_quantile_levels(self.quantiles)
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        check_magnitude(X, "X")
        y = check_magnitude(y.astype(np.float64, copy=False), "y")
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        X, y, weight = X[weight > 0], y[weight > 0], weight[weight > 0] / weight.sum()
        centre = X.mean(axis=0) if self.fit_intercept else np.zeros(X.shape[1])
        design = np.column_stack([X - centre, np.ones(len(X))]) if self.fit_intercept else X
        upper, lower = levels[:, None] * weight, (1 - levels[:, None]) * weight
        if self.alpha > 0:
            # A penalty alpha |c| is the loss of a row that has the coefficient as its fit and 0 as its target.
            design = np.vstack([design, np.eye(X.shape[1], design.shape[1])])
            y = np.concatenate([y, np.zeros(X.shape[1])])
            penalty = np.full((len(levels), X.shape[1]), self.alpha)
            upper, lower = np.hstack([upper, penalty]), np.hstack([lower, penalty])
        programme = Programme(design[None], y[None], upper, lower, None, X.shape[1] if self.alpha > 0 else 0)
        solution = minimise_pinball(programme, self.tol, self.solver)
        self.quantiles_ = levels
        self.coef_ = solution.w[:, : X.shape[1]]
        self.intercept_ = solution.w[:, -1] - self.coef_ @ centre if self.fit_intercept else np.zeros(len(levels))
        self.objective_gap_ = warn_of_gap(solution, programme, self.tol)
        return self

    def _fitted_quantiles(self, X):
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return REPAIRS[self.noncrossing](X @ self.coef_.T + self.intercept_)
