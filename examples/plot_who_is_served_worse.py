"""
Who is served worse by one model?
=================================

One model predicts for everybody, row after row, and learns from each outcome. Which groups of people pay for that, and
what does it take to bring each of them to its own best model, without making anybody else pay?
"""

# %%
# Rows arrive one by one and belong to two groups each: a shape and a colour. Every group has a linear model, and the
# target of a row follows one of its two: green before square before red before triangle. (The data are generated; Adult
# follows below.) The features include the five indicators of membership, so one model for all knows whom it serves; it
# just has one set of slopes for everybody.
import pandas as pd
from sklearn.datasets import load_diabetes

from trustml.datasets import make_groupwise_regression
from trustml.inspection import GroupRegretDisplay
from trustml.online import GroupwiseRegressor, make_intersections

X, y, membership = make_groupwise_regression(10_000, combine="first", random_state=0)
membership = pd.DataFrame(membership, columns=["circle", "square", "triangle", "green", "red"])

# %%
# ``fit`` is one pass in row order: every row is predicted before it is learnt. The expert "always" is exactly the one
# model for all, so the books compare the two on the same rows. The regret of a group is the loss on its rows minus that
# of the best linear model for these rows, chosen with all of them in sight.
model = GroupwiseRegressor(target_range=(0, 1)).fit(X, y, membership)
report = pd.DataFrame(model.regret_report()).set_index("group")
report[["n_rows", "always_loss", "expected_loss", "mixture_loss", "hindsight_loss", "always_regret", "regret"]].round(2)

# %%
# Per row, red rows and squares are served worst by one model. The dashed line climbs as long as a group is served worse
# than it could be by a model of its own; the solid line bends as soon as the group's expert has learnt.
(report["always_regret"] / report["n_rows"]).sort_values(ascending=False).round(4)

# %%
GroupRegretDisplay.from_estimator(model)

# %%
# The promise holds for every sequence of rows, so it can be checked on this one: the expected loss of each group, minus
# that of its best ridge model in hindsight, stays below a bound that is known while the stream runs.
pd.DataFrame(
    {
        "excess": report["expected_loss"] - report["penalised_hindsight_loss"],
        "guarantee": model.regret_bound(against="hindsight"),
    }
).round(2)

# %%
# The same on people
# ------------------
# ``benchmarks/online_tables.py`` runs the 48 842 rows of UCI Adult (is the income above 50 000?) in ten orders, with
# twelve groups by age, schooling, sex and race, with the published settings. All twelve gain; some of the cumulative
# squared errors that it prints:
#
# ================== ====== ============= ========= ======
# group              rows   one model     groupwise saving
# ================== ====== ============= ========= ======
# Amer-Indian-Eskimo 470    40.9          38.9      4.9 %
# Black              4685   344.5         328.0     4.8 %
# female             16192  1089.9        1044.0    4.2 %
# young              22346  1675.8        1609.8    3.9 %
# male               32650  4586.0        4515.1    1.5 %
# White              41762  5058.1        4961.7    1.9 %
# Asian-Pac-Islander 1519   198.8         198.1     0.4 %
# everybody          48842  5675.8        5559.1    2.1 %
# ================== ====== ============= ========= ======
#
# ``trustml.datasets.fetch_adult_stream`` downloads the same table.

# %%
# Where it loses
# --------------
# More experts cost something before they pay. On the 442 rows of the diabetes table, split by sex and age, groups are
# alike and small, and the expected loss of one model for all is lower in every group. (The weighted mean of the
# experts, which is what ``predict`` returns, comes close to it, and is lower in one group.)
frame, target = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
groups = {
    "sex 1": ("sex", "==", 1),
    "sex 2": ("sex", "==", 2),
    "young": ("age", "<=", 35),
    "middle": [("age", ">", 35), ("age", "<=", 50)],
    "old": ("age", ">", 50),
}
small = GroupwiseRegressor(groups=groups, target_range=(25, 346)).fit(frame, target)
report = pd.DataFrame(small.regret_report()).set_index("group")
(report[["always_loss", "expected_loss", "mixture_loss"]] / 321**2).round(2)

# %%
# Intersections of groups are groups, too: nothing asks for a partition.
crossed = GroupwiseRegressor(groups=make_intersections(groups), target_range=(25, 346)).fit(frame, target)
report = pd.DataFrame(crossed.regret_report()).set_index("group")
report.loc[report["n_rows"] > 0, ["n_rows", "always_loss", "expected_loss"]].round(0)
