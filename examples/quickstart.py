"""Which rows of a table hurt the model that is trained on it?

Takes scikit-learn's breast cancer table, gives one training row in ten a wrong label, values every row without
being told which, and writes a picture: ``python examples/quickstart.py [PICTURE]``.
"""

import sys
import time

import matplotlib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from trustml import DataShapley, DataValueDisplay
from trustml.datasets import make_flipped_labels

matplotlib.use("Agg")
import matplotlib.pyplot as plt

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_right, y_test = train_test_split(X, y, train_size=300, stratify=y, random_state=0)
scaler = StandardScaler().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
y_train, is_flipped = make_flipped_labels(y_right, 0.1, random_state=0)

start = time.perf_counter()
valuation = DataShapley(LogisticRegression(), max_permutations=200, tol=0.1, random_state=0)
valuation.fit(X_train, y_train)
seconds = time.perf_counter() - start

lower, upper = valuation.confidence_interval(0.95).T
hurts = upper < 0
print(f"Valued 300 rows by {valuation.n_evaluations_:,} fits of a logistic regression in {seconds:.0f} s.")
print(f"{hurts.sum()} rows hurt (95 % interval below zero); {is_flipped[hurts].sum()} of the 30 wrong labels are here.")
print("\nThe ten lowest:\n  row  label     value   95 % interval        truth")
for row in np.argsort(valuation.data_values_)[:10]:
    print(
        f"{row:5d}  {y_train[row]:5d}  {valuation.data_values_[row]:+.5f}  [{lower[row]:+.5f}, {upper[row]:+.5f}]  "
        f"{'wrong label' if is_flipped[row] else 'right label'}"
    )


def accuracy(rows, labels):
    return LogisticRegression().fit(X_train[rows], labels[rows]).score(X_test, y_test)


everything = np.ones(300, bool)
print(f"\nAccuracy on {len(y_test)} rows kept aside, of the model trained on")
print(f"  all rows:                       {accuracy(everything, y_train):.3f}")
print(f"  all rows but those that hurt:   {accuracy(~hurts, y_train):.3f}")
print(f"  all rows, with right labels:    {accuracy(everything, y_right):.3f}")

figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
data = {"X": X_train, "y": y_train, "X_test": X_test, "y_test": y_test, "is_flipped": is_flipped}
titles = {
    "values": "Which rows help, which hurt",
    "detection": "Wrong labels are found first",
    "removal": "The model is better without them",
}
for ax, (kind, title) in zip(axes, titles.items(), strict=True):
    DataValueDisplay.from_estimator(valuation, **data, kind=kind, random_state=0, ax=ax)
    ax.set_title(title)
picture = sys.argv[1] if len(sys.argv) > 1 else "quickstart.png"
figure.savefig(picture, dpi=110)
print(f"\nPicture: {picture}")
