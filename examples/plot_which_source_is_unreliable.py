"""
Which of my data sources is unreliable?
=======================================

Nine annotators label a table, some more carefully than others, and an expert has checked a part of it. Rows of one
annotator stand or fall together, so we value annotators rather than rows.
"""

# %%
# The first annotator makes no mistakes, the ninth tosses a coin. The expert contributes as much as six of them.
import numpy as np
from sklearn.linear_model import LogisticRegression

from trustml import DataValueDisplay, ExactShapley
from trustml.datasets import make_noisy_sources

flip_fractions = [*np.linspace(0, 0.5, 9), *np.zeros(6)]
X, y, source, is_flipped = make_noisy_sources(15, 60, class_sep=1, flip_fractions=flip_fractions, random_state=0)
expert = source >= 9

# %%
# ``units`` makes the rows of an annotator one player; the expert's rows are what the models are scored on. With nine
# players all 512 subsets can be scored: the values are exact, and add up to what the nine achieve together.
valuation = ExactShapley(LogisticRegression())
valuation.fit(X[~expert], y[~expert], X_val=X[expert], y_val=y[expert], units=source[~expert])
print(f"sum of the values: {valuation.unit_values_.sum():.3f}")
print(f"accuracy of all:   {valuation.full_score_:.3f}, of a constant: {valuation.empty_score_:.3f}")

# %%
# Values fall with the share of wrong labels, which the valuation does not know.
wrong = np.bincount(source, weights=is_flipped) / 60
names = [f"{wrong[unit]:.0%} wrong" for unit in valuation.units_]
DataValueDisplay.from_values(valuation.unit_values_, names=names)
