"""
Who is served worse by one model?
=================================

One model predicts for everybody, row after row, and learns from each outcome. Which groups of people pay for that, and
what does it take to bring each of them to its own best model, without making anybody else pay?
"""

# %%
# The people are those of UCI Adult: 48 842 rows, to be predicted is whether the income exceeds 50 000 dollars. Twelve
# groups overlap: three of age, two of schooling, two of sex and five of race; everybody is in four. The groups are
# features, too, so one model for all knows whom it serves; it just has one set of slopes for everybody.
import pandas as pd
from sklearn.datasets import load_diabetes

from trustml.datasets import adult_stream, load_adult
from trustml.inspection import GroupRegretDisplay
from trustml.online import GroupwiseRegressor, make_intersections, shuffled_orders

adult = adult_stream(load_adult().frame)
order = next(shuffled_orders(len(adult.target)))
X, y, membership = adult.data.iloc[order], adult.target.iloc[order], adult.membership.iloc[order]
membership.sum()

# %%
# ``fit`` is one pass in row order: every row is predicted before it is learnt. The expert "always" is exactly the one
# model for all, so the books compare the two on the same rows. Its regret is the loss on the rows of a group minus that
# of the best linear model for these rows, chosen with all of them in sight. Per row, these groups are served worst:
model = GroupwiseRegressor(target_range=(0, 1), clip=False).fit(X, y, membership)
report = pd.DataFrame(model.regret_report()).set_index("group")
(report["always_regret"] / report["n_rows"]).sort_values(ascending=False).round(4)

# %%
# Two small groups come first: their rows are over before a model has learnt them. Among the large ones, those who left
# school early and women pay more than twice as much for the common slopes as men do. Now the method, which weighs that
# model against the groups' own. Every group gains, and only one of them less than one per cent:
report["saving"] = 1 - report["expected_loss"] / report["always_loss"]
columns = ["n_rows", "always_loss", "expected_loss", "mixture_loss", "hindsight_loss", "saving"]
report[columns].sort_values("saving", ascending=False).round(3)

# %%
# The dashed line climbs as long as a group is served worse by one model than it could be; the solid line bends as soon
# as the group's own expert has learnt.
GroupRegretDisplay.from_estimator(model)

# %%
# The promise holds for every sequence of rows, so it can be checked on this one. For predictions in [0, 1], the
# expected loss of each group, minus that of its best ridge model in hindsight, stays below a bound that is known while
# the stream runs. On real people it is far from tight: a promise, not an estimate.
clipped = GroupwiseRegressor(target_range=(0, 1), record=None).fit(X, y, membership)
books = pd.DataFrame(clipped.regret_report()).set_index("group")
pd.DataFrame(
    {
        "excess": books["expected_loss"] - books["penalised_hindsight_loss"],
        "guarantee": clipped.regret_bound(against="hindsight"),
    }
).round(1)

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
