"""
Does one threshold serve classes that nobody has seen?
======================================================

A verification system (is this the same person, leaf, product?) is trained on some classes, deployed with one threshold,
and then meets others. How many false accepts does it really make, for which classes, and what can be done before it is
deployed?
"""

# %%
# One hundred classes, of which half are there to train on. Classes differ in 8 hidden directions out of 40, and some
# are wider than others. To know the truth later, the other fifty classes are kept away from everything that follows.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from trustml.datasets import make_open_world
from trustml.inspection import OperatingCurveDisplay
from trustml.metric_learning import ClassDisjointKFold, PairVerifier, TCMEmbedding, train_test_class_split
from trustml.metrics import class_operating_curves, open_world_report, threshold_at_far

X_all, y_all = make_open_world(n_features=40, n_informative=8, spread=(0.2, 0.6), random_state=0)
X, X_new, y, y_new = train_test_class_split(X_all, y=y_all, test_size=0.5, random_state=0)
model = TCMEmbedding(random_state=0).fit(X, y)
len(model.classes_), len(model.calibration_classes_)

# %%
# The threshold is to accept no more than 1 % of the pairs of two classes. ``fit`` trained on 40 classes and set it on
# the 10 others; the usual way is to set it on the classes that were trained on. Both, over five splits of the classes,
# on those that are unseen in each:
rows = []
for seed in range(5):
    parts = train_test_class_split(X_all, y=y_all, test_size=0.5, random_state=seed)
    fitted = TCMEmbedding(random_state=seed).fit(parts[0], parts[2])
    trained = np.isin(parts[2], fitted.classes_)
    Z = fitted.transform(parts[0][trained])
    thresholds = {
        "set on the training classes": threshold_at_far(Z, parts[2][trained], n_resamples=0).threshold,
        "set on classes held out": 1 - fitted.threshold_,
    }
    for name, threshold in thresholds.items():
        curves = class_operating_curves(fitted.transform(parts[1]), parts[3], thresholds=[threshold])
        row = {"split": seed, "threshold": name, "false accepts": curves.mean_far[0]}
        rows.append(row | {"true accepts": 1 - curves.mean_frr[0], "false accepts, worst class": curves.far.max()})
pd.DataFrame(rows).groupby("threshold").mean().drop(columns="split").round(3)

# %%
# Training has moved the classes that it saw apart, so they say little of others. Ten classes are few, though, and
# ``fit`` says how few. For the first split:
model.threshold_far_, model.threshold_far_interval_.round(4)

# %%
# Each grey line is an unseen class. Where the lines are apart, no threshold serves all classes alike; OPIS is their
# variance over the shaded range. On the left the rows as they are, on the right their embedding.
_, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
OperatingCurveDisplay.from_embeddings(X_new, y_new, ax=axes[0])
OperatingCurveDisplay.from_estimator(model, X_new, y_new, ax=axes[1])

# %%
# Others have thresholds, too
# ---------------------------
# :class:`~trustml.metric_learning.PairVerifier` holds classes out around any transformer. A low OPIS alone means little
# (an embedding that is useless for all classes has one), so it stands beside the mean utility. Base losses differ by
# more than what TCM adds, and on these classes the contrastive one does better alone: compare them on classes held out.
methods = {
    "rows as they are": PairVerifier(random_state=0),
    "linear discriminants": PairVerifier(LinearDiscriminantAnalysis(), random_state=0),
    "TCMEmbedding": model,
    "contrastive": TCMEmbedding(base_loss="contrastive", tcm_weight=0, random_state=0),
    "contrastive + TCM": TCMEmbedding(base_loss="contrastive", random_state=0),
}
columns = ["recall_at_1", "map_at_r", "mean_utility", "opis", "epsilon_opis", "tar"]
reports = {
    name: open_world_report(method.fit(X, y).transform(X_new), y_new, n_resamples=0) for name, method in methods.items()
}
pd.DataFrame(reports).T[columns].astype(float).round(4)

# %%
# Open sets
# ---------
# A gallery holds one row of half of the unseen classes. Rows of the other half belong to nobody in it, and should be
# called unknown.
known = y_new % 4 < 2
first = np.r_[True, y_new[1:] != y_new[:-1]]
gallery = known & first
names = model.identify(X_new[~gallery], X_new[gallery], y_new[gallery])
truth, is_known = y_new[~gallery], known[~gallery]
pd.Series(
    {
        "known rows, named rightly": np.mean(names[is_known] == truth[is_known]),
        "known rows, called unknown": np.mean(names[is_known] == -1),
        "strangers, called unknown": np.mean(names[~is_known] == -1),
    }
).round(3)

# %%
# Choosing parameters must not look at the classes that it trains on either:
# ``GridSearchCV(TCMEmbedding(), ..., cv=ClassDisjointKFold())``.
for train, test in ClassDisjointKFold(n_splits=3, shuffle=True, random_state=0).split(X, y):
    print(round(model.set_params(calibration_fraction=0).fit(X[train], y[train]).score(X[test], y[test]), 3))
