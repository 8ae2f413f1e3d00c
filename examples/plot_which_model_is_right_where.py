"""
Which of my models is right where?
==================================

There are several models of the same target, and each is good at something: one in the tails, one in the middle, one
for some of the rows. Which should be believed, at which level, and for whom?
"""

# %%
# Targets follow a line where the second feature is negative, and a wave on top of it where it is positive; their
# spread grows with the first feature. A linear model knows the line, a forest the wave.
import matplotlib.pyplot as plt
import numpy as np

from trustml.inspection import QuantileDisplay
from trustml.metrics import quantile_coverage, weighted_interval_score
from trustml.quantile import ForestQuantileRegressor, LinearQuantileRegressor, QuantileAggregator


def draw(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 3))
    wave = 4 * np.sign(np.sin(3 * X[:, 2])) * (X[:, 1] > 0)
    y = 3 * X[:, 0] + wave + (0.3 + 0.5 * np.abs(X[:, 0])) * rng.normal(size=n)
    return X, y


X, y = draw(500, 0)
X_test, y_test = draw(2000, 1)
models = [("linear", LinearQuantileRegressor()), ("forest", ForestQuantileRegressor(random_state=0))]

# %%
# Weights are fitted on predictions for rows that the models have not seen. By default they differ between levels, and
# are the exact minimisers of the loss: ``objective_gap_`` certifies it.
stack = QuantileAggregator(models, random_state=0).fit(X, y)
print(dict(zip(stack.estimator_names_.tolist(), stack.validation_scores_.round(3).tolist(), strict=True)))
print(f"at most {stack.objective_gap_:.0e} above the least loss")

# %%
# The right-hand picture answers "which, at which level".
QuantileDisplay.from_estimator(stack, X_test, y_test)

# %%
# "For whom" needs weights that depend on the row.
local = QuantileAggregator(models, weights="local", resolution="coarse", learning_rate=5e-3, random_state=0).fit(X, y)
weights = local.predict_weights(X_test)[:, 1]
fig, ax = plt.subplots(layout="constrained")
points = ax.scatter(X_test[:, 0], X_test[:, 1], c=weights, s=6, vmin=0, vmax=1, cmap="cividis")
fig.colorbar(points, label="weight of the forest")
ax.set(xlabel="first feature", ylabel="second feature")

# %%
# Does it pay? On rows that nobody has seen, in the unit of the target, lower is better. The same question should be
# asked of one's own data before local weights are believed: they are not better everywhere.
levels = stack.quantiles_
for name, fitted in [*zip(stack.estimator_names_, stack.estimators_, strict=True), ("global", stack), ("local", local)]:
    q = fitted.predict_quantiles(X_test, levels)
    print(f"{name:7s}", round(weighted_interval_score(y_test, q, quantiles=levels), 3))

# %%
# Every model may be wrong about its intervals. Conformal ones cover what they promise whatever the models are worth: on
# average over tables, that is. A hundred rows calibrate here, and one table's coverage strays from it by about 0.04.
conformal = QuantileAggregator(models, conformal="cqr", random_state=0).fit(X, y)
low, high = conformal.predict_interval(X_test, coverage=0.8).T
print(f"nominal 0.80, conformal {np.mean((y_test >= low) & (y_test <= high)):.3f}")
covered = quantile_coverage(y_test, stack.predict_quantiles(X_test), quantiles=levels)
print(f"without: {covered[-2] - covered[1]:.3f}")
