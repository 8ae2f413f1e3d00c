"""
Does my regressor fail where it matters most?
=============================================

A few insurance claims are large, most are small. A model with a fine mean error may still be useless for the large
ones. How would one notice, and what can be done about it with the regressor that is already in use?
"""

# %%
# Claims with a long tail: one in a hundred is more than four times the median. What drives them is partly seen.
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from trustml.imbalanced import BalancedTestSplit, ReweightedRegressor
from trustml.inspection import ShotDisplay
from trustml.metrics import balanced_mean_absolute_error, shot_report

rng = np.random.default_rng(0)
severity = rng.gamma(2.0, size=6000)
y = np.round(severity * np.exp(rng.normal(scale=0.2, size=6000)) * 5)
X = np.column_stack([severity + rng.normal(scale=0.8, size=6000), rng.normal(size=(6000, 4))])

# %%
# A random test set would hold a handful of large claims. This split tests every size of claim equally often, as far as
# there are rows.
train, test = next(BalancedTestSplit(1, random_state=0).split(X, y))
plain = HistGradientBoostingRegressor(max_iter=40, random_state=0).fit(X[train], y[train])
pd.DataFrame(shot_report(y[test], plain.predict(X[test]), y[train])).T.round(2)

# %%
# The error on rare claims is many times that on frequent ones. Along the target:
ShotDisplay.from_estimator(plain, X[test], y[test], y[train])

# %%
# Weights of rare targets need nothing but a regressor that takes weights. Errors on rare claims fall, and those on
# frequent ones rise: that is the trade, and the milder weights make a milder one.
models = {"plain": plain}
for weights in ("sqrt_inverse", "lds", "dense"):
    model = ReweightedRegressor(HistGradientBoostingRegressor(max_iter=40, random_state=0), weights=weights)
    models[weights] = model.fit(X[train], y[train])
edges = np.arange(y.max() + 2) - 0.5
rows = {}
for name, model in models.items():
    predicted = model.predict(X[test])
    report = shot_report(y[test], predicted, y[train])
    rows[name] = {region: errors["mae"] for region, errors in report.items()}
    rows[name]["balanced"] = balanced_mean_absolute_error(y[test], predicted, bins=edges)
pd.DataFrame(rows).T.round(2)

# %%
ShotDisplay.from_estimator(models["lds"], X[test], y[test], y[train])

# %%
# Which line is best depends on what a mistake costs. If every claim costs the same, it is the plain model; if large
# ones are what the model is for, it is not.
