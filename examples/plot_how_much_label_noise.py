"""
How much label noise can my model take?
=======================================

Somebody labelled the rows in haste. Before the labels are trusted: how many of them could be wrong before the model is
of no use, and would another loss help?
"""

# %%
# Take rows whose labels are right, make a known share of them wrong, train on these, and score on clean rows. The
# digits have ten classes, and a label is redrawn among all of them with the probability on the horizontal axis.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from trustml.classification import LDRClassifier
from trustml.datasets import make_label_noise
from trustml.metrics import detection_auroc

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.3, stratify=y, random_state=0)
rates = [0.0, 0.2, 0.4, 0.6, 0.8]
models = {
    "LogisticRegression": LogisticRegression(max_iter=300),
    "LDRClassifier, lam=1": LDRClassifier(lam=1.0, max_iter=60, n_iter_no_change=None, random_state=0),
    "LDRClassifier, lam=3": LDRClassifier(max_iter=60, n_iter_no_change=None, random_state=0),
    "LDRClassifier, lam=10": LDRClassifier(lam=10.0, max_iter=60, n_iter_no_change=None, random_state=0),
}
accuracy = {name: [] for name in models}
for rate in rates:
    y_noisy, is_wrong = make_label_noise(y_train, "uniform", rate, random_state=0)
    for name, model in models.items():
        accuracy[name].append(model.fit(X_train, y_noisy).score(X_test, y_test))

_, ax = plt.subplots()
for (name, scores), marker in zip(accuracy.items(), "ovs^", strict=True):
    ax.plot(rates, scores, marker=marker, label=name)
ax.set(xlabel="probability that a label is redrawn", ylabel="accuracy on clean rows")
ax.legend()

# %%
# The cross-entropy of a logistic regression follows every label, the wrong ones as well. The LDR losses bound what one
# label can do, the more the larger ``lam``. How much accuracy each of them loses between clean and the worst labels:
{name: round(scores[0] - scores[-1], 3) for name, scores in accuracy.items()}

# %%
# One need not know the rate in order to find the rows: those with the largest loss are the first to look at again.
y_noisy, is_wrong = make_label_noise(y_train, "uniform", 0.3, random_state=1)
model = LDRClassifier(max_iter=60, n_iter_no_change=None, random_state=0).fit(X_train, y_noisy)
suspects = np.argsort(-model.sample_loss_)[: is_wrong.sum()]
print(f"{is_wrong.mean():.0%} of the labels are wrong, and {is_wrong[suspects].mean():.0%} of as many suspects.")
print(f"AUROC of the loss: {detection_auroc(-model.sample_loss_, is_wrong):.3f}")

# %%
# ``label_quality`` ranks rows that the model was not trained on as well, on the scale of cleanlab's label quality
# scores; ``cleanlab.filter.find_label_issues(labels, pred_probs)`` takes ``predict_proba`` of held-out rows as it is.
quality = model.label_quality(X_test, y_test)
quality.min().round(3), np.median(quality).round(3)
