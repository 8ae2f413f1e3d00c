"""
Which rows of my table are mislabelled?
=======================================

A table has been labelled by hand and some labels are wrong. Which rows should somebody look at first, how sure is
that, and what does the model gain?
"""

# %%
# The breast cancer table of scikit-learn has labels that we take for right. One training row in ten gets a wrong one,
# and nobody is told which.
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from trustml import DataBanzhaf, DataShapley, DataValueDisplay, KNNShapley, LeaveOneOut
from trustml.datasets import make_flipped_labels
from trustml.metrics import detection_auroc

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_right, y_test = train_test_split(X, y, train_size=300, stratify=y, random_state=0)
scaler = StandardScaler().set_output(transform="pandas").fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
y_train, is_flipped = make_flipped_labels(y_right, 0.1, random_state=0)

# %%
# Every row is valued against the folds that it is not in: no clean validation set is needed.
valuation = DataShapley(LogisticRegression(), max_permutations=200, tol=0.3, random_state=0)
valuation.fit(X_train, y_train)
valuation.to_frame().head(10)

# %%
# A row hurts if its whole confidence interval lies below zero. Circles mark what we know and the valuation does not:
# the wrong labels.
DataValueDisplay.from_estimator(valuation, is_flipped=is_flipped)

# %%
# Somebody who looks at the rows of lowest value first finds nearly all wrong labels in the first fifth of the table.
DataValueDisplay.from_estimator(valuation, kind="detection", is_flipped=is_flipped)

# %%
# Does the model gain? We remove rows in order of their values, fit again, and score it on rows that took no part. The
# band is what removing random rows does.
DataValueDisplay.from_estimator(
    valuation, X_train, y_train, kind="removal", X_test=X_test, y_test=y_test, random_state=0
)

# %%
# The valuation is itself a classifier: the model refitted to the rows with a positive value.
everything = LogisticRegression().fit(X_train, y_train)
print(f"all rows:            accuracy {everything.score(X_test, y_test):.3f}")
print(f"rows that help only: accuracy {valuation.score(X_test, y_test):.3f}")

# %%
# How do the methods compare on this table? Leaving one row out hardly ever changes the accuracy, and so says little.
methods = {
    "Data Shapley": valuation,
    "Banzhaf": DataBanzhaf(max_subsets=1000, tol=0.3, random_state=0).fit(X_train, y_train),
    "KNN-Shapley": KNNShapley().fit(X_train, y_train),
    "leave one out": LeaveOneOut().fit(X_train, y_train),
}
for name, fitted in methods.items():
    print(f"{name:14s} AUROC {detection_auroc(fitted.data_values_, is_flipped):.3f}")
