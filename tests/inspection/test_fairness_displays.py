import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB

from trustml.fairness import LInCo, PredictiveMultiplicity
from trustml.inspection import LInCoDisplay, MultiplicityDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X, group = rng.normal(size=(200, 3)), np.array(["a", "b"])[np.arange(200) % 2]
    return X, X[:, 0] + 0.8 * (group == "b") + rng.normal(size=200), group


def test_audit(data):
    X, y, group = data
    audit = LInCo(LinearRegression(), n_null=20, n_splits=1, random_state=0).fit(X, y, sensitive_features=group)
    texts = [text.get_text() for text in LInCoDisplay.from_estimator(audit).ax_.texts]
    low, high = audit.pairwise_interval_[0, 1]
    assert texts == [f"{audit.linco_debiased_:.2f}*\n[{low:.2f}, {high:.2f}]"] * 2
    null = LInCoDisplay.from_estimator(audit, kind="null")
    assert sum(bar.get_height() for bar in null.ax_.patches) == 20
    assert null.ax_.lines[1].get_xdata()[0] == audit.linco_
    with pytest.raises(ValueError, match="kind='pairs'"):
        LInCoDisplay.from_estimator(audit, kind="pairs")
    with pytest.raises(ValueError, match="n_null=0"):
        LInCoDisplay.from_estimator(audit.set_params(n_null=0).fit(X, y, sensitive_features=group), kind="null")


def test_several_classes_have_no_interval(data):
    X, y, group = data
    labels = np.digitize(y, [-1, 1])
    audit = LInCo(GaussianNB(), n_null=3, n_splits=1, random_state=0).fit(X, labels, sensitive_features=group)
    display = LInCoDisplay.from_estimator(audit, class_label=0)
    np.testing.assert_array_equal(display.signed, audit.pairwise_signed_[:, :, 0])
    assert "[" not in display.ax_.texts[0].get_text()
    with pytest.raises(ValueError, match="class_label=7"):
        LInCoDisplay.from_estimator(audit, class_label=7)


def test_multiplicity(data):
    X, y, _ = data
    X = X[:40].repeat(5, axis=0)
    model = PredictiveMultiplicity(epsilon=0.05).fit(X, y > 0)
    ends = model.viable_range(X)
    unsure = np.mean((ends[:, 0] < 0.5) & (ends[:, 1] > 0.5))
    assert MultiplicityDisplay.from_estimator(model, X).ax_.get_title().startswith(f"{100 * unsure:.0f} % of cases")
    conflict = MultiplicityDisplay.from_estimator(model, X, kind="conflict", deltas=[0.05, 0.1])
    np.testing.assert_allclose(conflict.ax_.lines[0].get_ydata(), 100 * model.ambiguity(X, [0.05, 0.1]))
    with pytest.raises(ValueError, match="kind='curve'"):
        MultiplicityDisplay.from_estimator(model, X, kind="curve")
