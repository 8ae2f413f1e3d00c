"""Where a linear embedding starts."""

import numpy as np
from scipy.linalg import eigh
from sklearn.covariance import ledoit_wolf

# Added to the within-class variances, which are shares of 1: a direction in which no class varies has none.
_LEAST_VARIANCE = 1e-6


def standardisation(X, weight):
    """Weighted means and standard deviations of the columns; a constant column has deviation 1."""
    mean = np.average(X, axis=0, weights=weight)
    deviation = np.sqrt(np.average(np.square(X - mean), axis=0, weights=weight))
    # Rounding makes a constant column vary by its last digits.
    constant = deviation <= 10 * np.finfo(X.dtype).eps * np.abs(mean)
    if constant.all():
        raise ValueError("All rows of X that are trained on are equal; expected some that differ.")
    return mean, np.where(constant, 1, deviation)


def linear_start(X, labels, weight, init, n_components, rng):
    """Directions of shape (n_features, n_components) for standardised rows."""
    n_features = X.shape[1]
    if init == "identity":
        return np.eye(n_features, n_components)
    if init == "random":
        return rng.normal(size=(n_features, n_components)) / np.sqrt(n_features)
    directions = principal_directions(X, weight)[:, :n_components]
    if init == "lda":
        discriminant = discriminant_directions(X, labels, weight)[:, :n_components]
        # Fewer discriminants than components: the principal directions fill up, at a small scale.
        rest = n_components - discriminant.shape[1]
        directions = np.concatenate([discriminant, 1e-3 * directions[:, :rest]], axis=1)
    return directions


def principal_directions(X, weight):
    """Eigenvectors of the weighted covariance, the largest variance first, each with its largest entry positive."""
    _, vectors = np.linalg.eigh((X * weight[:, None]).T @ X)
    vectors = vectors[:, ::-1]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(len(vectors))]
    return vectors * np.where(largest < 0, -1, 1)


def discriminant_directions(X, labels, weight):
    """Fisher's discriminants: the within-class covariance, shrunk as Ledoit and Wolf do, becomes the identity."""
    totals = np.bincount(labels, weight)
    means = np.stack([np.bincount(labels, weight * column) for column in X.T], axis=1) / totals[:, None]
    within = ledoit_wolf((X - means[labels]) * np.sqrt(weight)[:, None], assume_centered=True)[0]
    between = (means * totals[:, None]).T @ means / totals.sum()
    _, vectors = eigh(between, within + _LEAST_VARIANCE * np.eye(len(within)))
    return vectors[:, ::-1][:, : len(totals) - 1]
