"""Slow, obvious versions of what trustml.online computes, in plain NumPy."""

import numpy as np


def ridge_row_by_row(X, y, alpha, weight=None, fit_intercept=False, decay=1.0):
    """Predictions and leverages before each row, solving the whole least-squares problem anew every time."""
    n, d = X.shape
    weight = np.ones(n) if weight is None else weight
    prediction, leverage = np.zeros(n), np.zeros(n)
    for t in range(n):
        later = np.cumsum((weight[:t] > 0)[::-1])[::-1] - 1.0
        w = weight[:t] * decay**later
        penalty = alpha * decay ** (weight[:t] > 0).sum() * np.eye(d)
        if fit_intercept and not w.sum():
            leverage[t] = np.inf
            continue
        x_mean = w @ X[:t] / w.sum() if fit_intercept else np.zeros(d)
        y_mean = w @ y[:t] / w.sum() if fit_intercept else 0.0
        Z, x = X[:t] - x_mean, X[t] - x_mean
        A = Z.T @ (w[:, None] * Z) + penalty
        prediction[t] = y_mean + x @ np.linalg.solve(A, Z.T @ (w * (y[:t] - y_mean)))
        leverage[t] = x @ np.linalg.solve(A, x) + (1 / w.sum() if fit_intercept else 0.0)
    return prediction, leverage


def hedge_weight(R, C):
    """AdaNormalHedge's w(R, C), straight from its definition."""

    def potential(r, c):
        return np.exp(np.maximum(r, 0) ** 2 / (3 * c))

    return (potential(R + 1, C + 1) - potential(R - 1, C + 1)) / 2


def adanormalhedge_loop(losses, awake, prior=None, weight=None):
    """Interleaved loop over rounds: distributions, expected losses, R and C after each round."""
    T, N = losses.shape
    prior = np.full(N, 1 / N) if prior is None else prior
    weight = np.ones(T) if weight is None else weight
    R, C = np.zeros(N), np.zeros(N)
    P, expected, regrets, absolutes = np.zeros((T, N)), np.zeros(T), np.zeros((T, N)), np.zeros((T, N))
    for t in range(T):
        a = awake[t]
        if a.any():
            w = prior * a * hedge_weight(R, C)
            P[t] = w / w.sum() if w.sum() > 0 else a / a.sum()
            expected[t] = P[t][a] @ losses[t][a]
            r = np.where(a, weight[t] * (expected[t] - losses[t]), 0.0)
            R, C = R + r, C + abs(r)
        regrets[t], absolutes[t] = R, C
    return P, expected, regrets, absolutes


def best_linear(X, y, penalty=0.0, fit_intercept=False):
    """min over theta of penalty |theta|^2 + SSE, by least squares on an augmented system."""
    n, d = X.shape
    if not n:
        return 0.0
    if fit_intercept:
        X, y = X - X.mean(axis=0), y - y.mean()
    X = np.vstack([X, np.sqrt(penalty) * np.eye(d)])
    y = np.append(y, np.zeros(d))
    theta = np.linalg.lstsq(X, y, rcond=1e-10)[0]
    return float(((y - X @ theta) ** 2).sum())


def log_det(X, penalty):
    return np.linalg.slogdet(np.eye(X.shape[1]) + X.T @ X / penalty)[1]
