"""Weights of rows from how rare their targets are."""

from numbers import Integral, Real

import numpy as np
from scipy.ndimage import correlate1d, gaussian_filter1d
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from trustml._sklearn import Interval, StrOptions, check_sample_weight, fit_context
from trustml._validation import check_magnitude
from trustml.metrics._label_bins import bin_numbers, bin_totals, label_bin_edges

_GRID_SIZE = 4096


def smoothing_kernel(kernel, size, sigma):
    """Weights of neighbouring bins, 1 in the middle."""
    offsets = np.abs(np.arange(size) - size // 2)
    if kernel == "triangular":
        return 1 - offsets / (size // 2 + 1)
    if kernel == "laplace":
        return np.exp(-offsets / sigma)
    if kernel == "gaussian":
        return np.exp(-0.5 * (offsets / sigma) ** 2)
    # The authors' code filters a spike within a window that reflects, which makes small windows nearly flat.
    spike = (offsets == 0).astype(float)
    filtered = gaussian_filter1d(spike, sigma)
    return filtered / filtered.max()


class LabelDistributionSmoothing(BaseEstimator):
    """Weights of rows by the inverse frequency of their targets, smoothed over neighbouring targets.

    A numeric target that occurs rarely is still well learned if its neighbours are frequent. Counts of bins are
    therefore smoothed before their inverse becomes a weight.

    Parameters
    ----------
    weighting : {"inverse", "sqrt_inverse"}, default="inverse"
        Inverse of the counts, or of their square roots, which are then what is smoothed: milder.
    kernel : {"gaussian", "gaussian_reflected", "triangular", "laplace"} or None, default="gaussian"
        Weights of neighbouring bins, 1 for the bin itself. "gaussian_reflected" is the kernel of the authors' code,
        which is much flatter than a Gaussian for ``kernel_size`` below ``4 * sigma``. None smooths nothing.
    kernel_size : int, default=5
        Odd number of bins that the kernel covers.
    sigma : float, default=2.0
        Width in bins of the Gaussian and the Laplace kernel.
    boundary : {"constant", "reflect"}, default="constant"
        Beyond the first and the last bin there is nothing, or the bins reflected.
    clip : (low, high), default=(5, 1000)
        Bounds of the counts with "inverse", so that a single row cannot outweigh hundreds.
    bins : "auto", int or array-like of edges, default="auto"
        "auto" is one bin for each integer if all targets are integers that span no more than 1,000, else 20 bins of
        equal width for fewer than 2,000 rows and 50 for more.

    Attributes
    ----------
    bin_edges_ : ndarray of shape (n_bins + 1,)
    counts_ : ndarray of shape (n_bins,)
        Rows in each bin, or their weight.
    density_ : ndarray of shape (n_bins,)
        What the weights are the inverse of.
    scale_ : float
        Makes the mean weight of the training rows 1.

    See Also
    --------
    DenseWeight : Needs no bins.
    ReweightedRegressor : Fits any regressor with such weights.

    References
    ----------
    Y. Yang, K. Zha, Y. Chen, H. Wang and D. Katabi, "Delving into Deep Imbalanced Regression", ICML 2021, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.imbalanced import LabelDistributionSmoothing
    >>> y = np.repeat([0, 1, 2, 4], [100, 40, 10, 20])
    >>> LabelDistributionSmoothing().fit(y).weights([0, 1, 2, 4]).round(2).tolist()
    [0.69, 0.7, 0.8, 3.22]
    """

    _parameter_constraints: dict = {
        "weighting": [StrOptions({"inverse", "sqrt_inverse"})],
        "kernel": [StrOptions({"gaussian", "gaussian_reflected", "triangular", "laplace"}), None],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "sigma": [Interval(Real, 0, None, closed="neither")],
        "boundary": [StrOptions({"constant", "reflect"})],
        "clip": [tuple, list],
        "bins": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), "array-like"],
    }

    def __init__(
        self,
        *,
        weighting="inverse",
        kernel="gaussian",
        kernel_size=5,
        sigma=2.0,
        boundary="constant",
        clip=(5, 1000),
        bins="auto",
    ):
        self.weighting = weighting
        self.kernel = kernel
        self.kernel_size = kernel_size
        self.sigma = sigma
        self.boundary = boundary
        self.clip = clip
        self.bins = bins

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, y, sample_weight=None):
        """Count targets.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Training targets.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each one stands for.

        Returns
        -------
        self : LabelDistributionSmoothing
        """
        y, weight = check_targets(y, sample_weight)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={self.kernel_size}; expected an odd number.")
        if len(self.clip) != 2 or not 0 < self.clip[0] <= self.clip[1]:
            raise ValueError(f"clip={self.clip!r}; expected two positive numbers, (low, high).")
        self.bin_edges_ = label_bin_edges(y[weight > 0], self.bins)
        n_bins = len(self.bin_edges_) - 1
        self.counts_ = bin_totals(self._bins_of(y), n_bins, weight)[:n_bins]
        density = np.clip(self.counts_, *self.clip) if self.weighting == "inverse" else np.sqrt(self.counts_)
        if self.kernel is not None:
            kernel = smoothing_kernel(self.kernel, self.kernel_size, self.sigma)
            density = correlate1d(density, kernel, mode=self.boundary)
        self.density_ = density
        self.scale_ = 1.0
        self.scale_ = float(1 / np.average(self.weights(y), weights=weight))
        return self

    def weights(self, y):
        """Weights of rows.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Targets. Those beyond the bins belong to the last bin there.

        Returns
        -------
        weights : ndarray of shape (n_samples,)
            Of mean 1 over the training rows. A bin that has no row, nor neighbours, counts as one with one row.
        """
        check_is_fitted(self)
        density = self.density_[self._bins_of(check_targets(y)[0])]
        return self.scale_ / np.where(density > 0, density, 1)

    def _bins_of(self, y):
        return np.clip(bin_numbers(y, self.bin_edges_), 0, len(self.bin_edges_) - 2)


class DenseWeight(BaseEstimator):
    """Weights of rows that fall linearly with the density of their targets.

    Parameters
    ----------
    alpha : float, default=1.0
        Not negative. 0 weighs all rows alike; 1 leaves next to nothing of the most frequent target; beyond 1 all
        frequent targets have next to no weight.
    bandwidth : float, default=None
        Of the Gaussian density estimate, in units of the targets; None is Silverman's ``1.06 * std * n ** -0.2``.
    eps : float, default=1e-6
        Least weight, before weights are divided by their mean.

    Attributes
    ----------
    grid_ : ndarray of shape (4096,)
        Targets from the least to the greatest.
    density_ : ndarray of shape (4096,)
        Density there, from 0 to 1.
    scale_ : float
        Makes the mean weight of the training rows 1.

    See Also
    --------
    LabelDistributionSmoothing : Inverse counts of bins.

    References
    ----------
    M. Steininger, K. Kobs, P. Davidson, A. Krause and A. Hotho, "Density-based weighting for imbalanced regression",
    Machine Learning 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from trustml.imbalanced import DenseWeight
    >>> y = np.random.default_rng(0).exponential(size=2000)
    >>> rare, common = DenseWeight(alpha=0.9).fit(y).weights([4.0, 0.2])
    >>> bool(rare > 3 * common)
    True
    """

    _parameter_constraints: dict = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "bandwidth": [Interval(Real, 0, None, closed="neither"), None],
        "eps": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, *, alpha=1.0, bandwidth=None, eps=1e-6):
        self.alpha = alpha
        self.bandwidth = bandwidth
        self.eps = eps

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, y, sample_weight=None):
        """Estimate the density of targets.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Training targets.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each one stands for.

        Returns
        -------
        self : DenseWeight
        """
        y, weight = check_targets(y, sample_weight)
        low, high = y[weight > 0].min(), y[weight > 0].max()
        self.grid_ = np.linspace(low, high, _GRID_SIZE)
        self.density_ = self._density(y, weight) if high > low else np.zeros(_GRID_SIZE)
        self.scale_ = 1.0
        self.scale_ = float(1 / np.average(self.weights(y), weights=weight))
        return self

    def weights(self, y):
        """Weights of rows.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Targets. Those beyond the training targets have the density of the nearest one.

        Returns
        -------
        weights : ndarray of shape (n_samples,)
            Of mean 1 over the training rows.
        """
        check_is_fitted(self)
        density = np.interp(check_targets(y)[0], self.grid_, self.density_)
        return self.scale_ * np.maximum(1 - self.alpha * density, self.eps)

    def _density(self, y, weight):
        spread = np.sqrt(np.cov(y, aweights=weight, ddof=0))
        bandwidth = self.bandwidth or 1.06 * spread * np.sum(weight) ** -0.2
        step = self.grid_[1] - self.grid_[0]
        # Each target is shared by the two grid points around it, and the grid smoothed: no pass over rows x grid.
        position = np.clip((y - self.grid_[0]) / step, 0, _GRID_SIZE - 1)
        left = np.minimum(position.astype(int), _GRID_SIZE - 2)
        right_share = position - left
        mass = np.bincount(left, weight * (1 - right_share), _GRID_SIZE)
        mass += np.bincount(left + 1, weight * right_share, _GRID_SIZE)
        width = min(8 * bandwidth / step, 2 * _GRID_SIZE)
        density = gaussian_filter1d(mass, bandwidth / step, mode="constant", radius=int(np.ceil(width)))
        return (density - density.min()) / (density.max() - density.min() or 1)


NAMED_WEIGHTS = {
    "inverse": LabelDistributionSmoothing(kernel=None),
    "sqrt_inverse": LabelDistributionSmoothing(kernel=None, weighting="sqrt_inverse"),
    "lds": LabelDistributionSmoothing(),
    "dense": DenseWeight(),
}


def check_targets(y, sample_weight=None):
    """Targets and weights as floats."""
    y = check_array(column_or_1d(y, warn=True, input_name="y"), ensure_2d=False, dtype=np.float64, input_name="y")
    check_magnitude(y, "y")
    return y, check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)


def fit_weights(kind, y, weight):
    """An estimator of weights, by name or cloned, fitted to targets."""
    return clone(NAMED_WEIGHTS[kind] if isinstance(kind, str) else kind).fit(y, sample_weight=weight)


def row_weights(kind, y, weight, name):
    """Weights of all rows, fitted to those of positive weight; ``name`` is that of the argument."""
    weights = np.asarray(fit_weights(kind, y, weight).weights(y), float)
    if weights.shape != y.shape or not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(f"{name}={kind!r} gave weights that are not one finite, non-negative number for each row.")
    return weights
