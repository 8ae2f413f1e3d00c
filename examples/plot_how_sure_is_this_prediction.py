"""
How sure is this prediction?
============================

A model of disease progression is fitted, and its error on new patients is known on average. But how far off may it be
for *this* patient, and is the patient one that it knows at all?
"""

# %%
# A third of the rows trains the model and the heads that predict its errors; a third calibrates the intervals; the last
# third, which nothing has seen, is there to check. Any regressor will do.
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import train_test_split

from trustml.inspection import UncertaintyDisplay
from trustml.metrics import group_coverage, ood_auroc, side_coverage, split_point_stats
from trustml.uncertainty import SPCRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True)
X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=1 / 3, random_state=0)
X_train, X_cal, y_train, y_cal = train_test_split(X_rest, y_rest, test_size=1 / 2, random_state=0)

forest = RandomForestRegressor(50, min_samples_leaf=5, random_state=0)
model = SPCRegressor(forest, coverage=0.9, random_state=0).fit(X_train, y_train)
model.calibrate(X_cal, y_cal)

# %%
# Each patient gets an interval of their own, and its sides differ: the prediction, the lower and the upper end.
print(np.column_stack([model.predict(X_test[:5]), model.predict_interval(X_test[:5])]).round())

# %%
# Does the promise hold? Among the patients above their prediction and among those below it, about 90 % of the targets
# lie within the interval, up to what chance does to some 70 patients on each side (a standard error of 3.5 points).
# Narrow intervals should hold as often as wide ones; the grey band is what chance allows.
print(side_coverage(y_test, model.predict(X_test), model.predict_interval(X_test)).round(2))
UncertaintyDisplay.from_estimator(model, X_test, y_test, n_bins=5)

# %%
# The promise is one for all patients together, and not for every group of them.
groups = np.where(X_test["sex"] > 0, "sex 2", "sex 1")
report = group_coverage(y_test, model.predict_interval(X_test), groups)
for group, n, coverage, width in zip(*report.values(), strict=True):
    print(f"{group}: {n} patients, coverage {coverage:.2f}, mean width {width:.0f}")

# %%
# The residuals of each group say more: the bias of the model there, and how far the targets lie above and below it.
stats = split_point_stats(y_test - model.predict(X_test), groups=groups)
for group, bias, up, down in zip(stats.group, stats.bias, stats.mar_up, stats.mar_down, strict=True):
    print(f"{group}: bias {bias:+.1f}, {up:.0f} above and {down:.0f} below on average")

# %%
# Patients unlike all others: their features are moved far out. The heads, networks by default, then contradict each
# other more than on known patients, and the relative score says so. The intervals do not: they get no wider, and say
# nothing reliable about such patients.
strange = X_test + 5 * X_train.std()
known_score, strange_score = (model.predict_uncertainty(rows).sds_relative for rows in (X_test, strange))
print(f"AUROC of the score: {ood_auroc(known_score, strange_score):.2f}")
