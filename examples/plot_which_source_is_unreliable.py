"""
Which of my data sources is unreliable?
=======================================

Ten annotators label a table, some more carefully than others. Rows of one annotator stand or fall together, so we
value annotators rather than rows.
"""

# %%
# The first annotator makes no mistakes, the last one tosses a coin.
import numpy as np
from sklearn.linear_model import LogisticRegression

from trustml import DataValueDisplay, ExactShapley
from trustml.datasets import make_noisy_sources

X, y, annotator, is_flipped = make_noisy_sources(10, 30, random_state=0)
names = np.array([f"annotator {number}" for number in range(10)])

# %%
# ``units`` makes the rows of an annotator one player. With ten players all 1024 subsets can be scored: the values
# are exact.
valuation = ExactShapley(LogisticRegression(), cv=5).fit(X, y, units=annotator)

# %%
# Folds keep the rows of an annotator together as well: nobody is scored on his own labels.
DataValueDisplay.from_values(valuation.unit_values_, names=names[valuation.units_])

# %%
# The order of the values follows the share of wrong labels, which the valuation does not know.
wrong = np.bincount(annotator, weights=is_flipped) / np.bincount(annotator)
for unit in np.argsort(valuation.unit_values_):
    print(f"{names[unit]}: value {valuation.unit_values_[unit]:+.4f}, {wrong[unit]:.0%} of the labels are wrong")
