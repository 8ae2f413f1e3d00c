"""SMOTER and SMOGN: rows with rare targets are multiplied, those with frequent ones thinned out."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length

from trustml._sklearn import Interval, StrOptions, fit_context
from trustml.imbalanced._label_weights import check_targets
from trustml.imbalanced._mixed_columns import MixedColumns
from trustml.imbalanced._relevance import RELEVANCE


class SMOTER(BaseEstimator):
    """Resampling for regression: new rows between neighbours whose targets are rare, fewer rows of frequent targets.

    The sorted targets are cut into regions of rare and of ordinary ones, by their relevance. Rare regions grow with
    rows interpolated between neighbours of the same region, ordinary ones are thinned out at random.

    Weights do much the same without new rows, for regressors that take them: :class:`ReweightedRegressor`.

    Parameters
    ----------
    relevance : {"boxplot", "density"} or callable, default="boxplot"
        From targets (n_samples,) to their relevance in [0, 1]. "boxplot" rises from the median to the whiskers of a
        box plot, on sides that have outliers; "density" is one less the density, scaled to [0, 1].
    relevance_threshold : float, default=0.5
        Targets of at least this relevance are rare.
    sampling : {"balance", "extreme"}, default="balance"
        "balance" gives all regions the same number of rows; "extreme" inverts their shares.
    n_neighbors : int, default=5
        How many nearest rows of a region one may be interpolated with.
    under_sample : bool, default=True
        Whether ordinary regions are thinned out.
    categorical_features : array-like of int, str or bool, default=None
        Columns whose values are taken from one of the two rows. None: the columns of a data frame that do not hold
        numbers, and no column of an array.
    random_state : int, RandomState instance or None, default=None
        Of what is drawn.

    Attributes
    ----------
    relevance_ : ndarray of shape (n_samples,)
        Of the given targets.
    sample_indices_ : ndarray of shape (n_new_samples,)
        The given row that each new row is, or was made from.
    synthetic_ : bool ndarray of shape (n_new_samples,)
        Which rows were made.

    See Also
    --------
    SMOGN : Adds noise where neighbours are far.

    Notes
    -----
    A row that is alone in its region is repeated.

    References
    ----------
    L. Torgo, R. P. Ribeiro, B. Pfahringer and P. Branco, "SMOTE for Regression", EPIA 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.imbalanced import SMOTER
    >>> rng = np.random.default_rng(0)
    >>> y = rng.exponential(size=500)
    >>> X = y[:, None] + rng.normal(size=(500, 2))
    >>> X_new, y_new = SMOTER(random_state=0).fit_resample(X, y)
    >>> print(X_new.shape, (y > 2).mean().round(2), (y_new > 2).mean().round(2))
    (500, 2) 0.16 0.5
    """

    _parameter_constraints: dict = {
        "relevance": [StrOptions(set(RELEVANCE)), callable],
        "relevance_threshold": [Interval(Real, 0, 1, closed="right")],
        "sampling": [StrOptions({"balance", "extreme"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "under_sample": ["boolean"],
        "categorical_features": ["array-like", None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        relevance="boxplot",
        relevance_threshold=0.5,
        sampling="balance",
        n_neighbors=5,
        under_sample=True,
        categorical_features=None,
        random_state=None,
    ):
        self.relevance = relevance
        self.relevance_threshold = relevance_threshold
        self.sampling = sampling
        self.n_neighbors = n_neighbors
        self.under_sample = under_sample
        self.categorical_features = categorical_features
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit_resample(self, X, y):
        """Resample.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows. Missing values are an error.
        y : array-like of shape (n_samples,)
            Targets.

        Returns
        -------
        X_new : ndarray or data frame of shape (n_new_samples, n_features)
            Of the kind of ``X``. Columns of numbers become floats; categories keep their type.
        y_new : ndarray of shape (n_new_samples,)
        """
        y, _ = check_targets(y)
        check_consistent_length(X, y)
        columns = MixedColumns(X, self.categorical_features)
        rng = check_random_state(self.random_state)
        self.relevance_ = self._relevance_of(y)
        kept, made = [], []
        for rows, rare, size in self._regions(y):
            if rare or not self.under_sample or size >= len(rows):
                kept.append(rows)
            else:
                kept.append(np.sort(rng.choice(rows, size, replace=False)))
            if rare and size > len(rows):
                made.append(self._make(columns, y, rows, size - len(rows), rng))
        kept = np.sort(np.concatenate(kept))
        parts = [(kept, columns.numbers[kept], np.tile(kept, (columns.n_categorical, 1)), y[kept]), *made]
        seeds, numbers, sources, targets = (
            np.concatenate(arrays, axis=axis)
            for arrays, axis in zip(zip(*parts, strict=True), (0, 0, 1, 0), strict=True)
        )
        self.sample_indices_ = seeds
        self.synthetic_ = np.arange(len(seeds)) >= len(kept)
        return columns.build(numbers, sources), targets

    # --- inside

    def _relevance_of(self, y):
        relevance = RELEVANCE.get(self.relevance, self.relevance) if isinstance(self.relevance, str) else self.relevance
        values = np.asarray(relevance(y), float)
        if values.shape != y.shape or not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"relevance={self.relevance!r} gave other than one number in [0, 1] for each target.")
        return values

    def _regions(self, y):
        """Rows of each region, whether it is rare, and how many rows it is to have."""
        order = np.argsort(y, kind="stable")
        rare = self.relevance_[order] >= self.relevance_threshold
        if rare.all() or not rare.any():
            found = "all" if rare.all() else "none"
            raise ValueError(
                f"relevance_threshold={self.relevance_threshold}: {found} of the targets are rare; expected some."
            )
        cuts = np.flatnonzero(np.diff(rare)) + 1
        regions = np.split(order, cuts)
        sizes = np.array([len(rows) for rows in regions])
        wanted = np.full(len(regions), len(y) / len(regions))
        if self.sampling == "extreme":
            wanted = len(y) * (1 / sizes) / np.sum(1 / sizes)
        wanted = np.maximum(np.round(wanted).astype(int), 1)
        return list(zip(regions, rare[np.r_[0, cuts]].tolist(), wanted.tolist(), strict=True))

    def _make(self, columns, y, rows, n_new, rng):
        """New rows of a region: their seeds, numbers, sources of categories (n_categorical, n_new) and targets."""
        seeds = np.concatenate([np.tile(np.arange(len(rows)), n_new // len(rows)), rng.permutation(len(rows))])[:n_new]
        places = columns.distances_in(rows)
        mates, distance = seeds, np.zeros(n_new)
        if len(rows) > 1:
            n_neighbors = min(self.n_neighbors, len(rows) - 1)
            distances, neighbors = NearestNeighbors(n_neighbors=n_neighbors).fit(places).kneighbors()
            choice = rng.randint(n_neighbors, size=n_new)
            mates, distance = neighbors[seeds, choice], distances[seeds, choice]
        share = rng.uniform(size=n_new)
        one, other = rows[seeds], rows[mates]
        numbers = columns.numbers[one] + share[:, None] * (columns.numbers[other] - columns.numbers[one])
        sources = np.where(rng.uniform(size=(columns.n_categorical, n_new)) < 0.5, one, other)
        made = (one, numbers, sources, y[one] + share * (y[other] - y[one]))
        return self._disturb(made, columns, y, rows, seeds, places, distance, rng)

    def _disturb(self, made, columns, y, rows, seeds, places, distance, rng):
        return made


class SMOGN(SMOTER):
    """SMOTER, with noise in place of interpolation where a neighbour is too far.

    A neighbour is too far if it is more than half the median distance within the region away: the line to it may cross
    rows of other targets. The new row is then the row itself with normal noise, of ``perturbation`` standard
    deviations of the region; its categories are drawn from the region.

    Parameters
    ----------
    perturbation : float, default=0.02
        Standard deviation of the noise, in those of the region's columns and targets. Less if half the median
        distance is.
    relevance, relevance_threshold, sampling, n_neighbors, under_sample, categorical_features, random_state
        As in :class:`SMOTER`.

    Attributes
    ----------
    relevance_ : ndarray of shape (n_samples,)
        Of the given targets.
    sample_indices_ : ndarray of shape (n_new_samples,)
        The given row that each new row is, or was made from.
    synthetic_ : bool ndarray of shape (n_new_samples,)
        Which rows were made.

    References
    ----------
    P. Branco, L. Torgo and R. P. Ribeiro, "SMOGN: a Pre-processing Approach for Imbalanced Regression", PMLR 74, 2017.

    Examples
    --------
    Numbers and categories of a data frame:

    >>> import numpy as np, pandas as pd
    >>> from trustml.imbalanced import SMOGN
    >>> rng = np.random.default_rng(0)
    >>> y = rng.exponential(size=500)
    >>> X = pd.DataFrame({"size": y + rng.normal(size=500), "kind": pd.Categorical(np.where(y > 2, "rare", "usual"))})
    >>> X_new, y_new = SMOGN(random_state=0).fit_resample(X, y)
    >>> X_new["kind"].value_counts().to_dict()
    {'rare': 250, 'usual': 250}
    """

    _parameter_constraints: dict = {
        **SMOTER._parameter_constraints,
        "perturbation": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        perturbation=0.02,
        relevance="boxplot",
        relevance_threshold=0.5,
        sampling="balance",
        n_neighbors=5,
        under_sample=True,
        categorical_features=None,
        random_state=None,
    ):
        super().__init__(
            relevance=relevance,
            relevance_threshold=relevance_threshold,
            sampling=sampling,
            n_neighbors=n_neighbors,
            under_sample=under_sample,
            categorical_features=categorical_features,
            random_state=random_state,
        )
        self.perturbation = perturbation

    def _disturb(self, made, columns, y, rows, seeds, places, distance, rng):
        one, numbers, sources, targets = made
        chunks = pairwise_distances_chunked(places, reduce_func=lambda block, start: np.median(block, axis=1))
        reach = np.concatenate(list(chunks))[seeds] / 2
        far = (distance >= reach)[:, None]
        scale = np.minimum(self.perturbation, reach)[:, None]
        noise = rng.standard_normal((len(one), columns.numbers.shape[1] + 1)) * scale
        numbers = np.where(far, columns.numbers[one] + noise[:, :-1] * columns.numbers[rows].std(axis=0), numbers)
        targets = np.where(far[:, 0], y[one] + noise[:, -1] * y[rows].std(), targets)
        drawn = rng.choice(rows, size=sources.shape)
        return one, numbers, np.where(far[:, 0], drawn, sources), targets
