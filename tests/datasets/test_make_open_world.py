import numpy as np
import pytest

from trustml.datasets import make_open_world


def test_widths_and_centres():
    X, y = make_open_world(30, 400, 12, n_informative=3, spread=(0.5, 0.5), nuisance=2.0, random_state=0)
    within = np.mean([np.cov(X[y == label].T) for label in range(30)], axis=0)
    np.testing.assert_allclose(np.linalg.eigvalsh(within), [0.25] * 3 + [1.0] * 9, rtol=0.1)
    means = np.stack([X[y == label].mean(axis=0) for label in range(30)])
    assert np.sum(np.linalg.eigvalsh(np.cov(means.T)) > 0.2) == 3


def test_the_seed_decides():
    first, again, other = (make_open_world(5, 3, 20, random_state=seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"n_informative": 9, "n_features": 8}, "n_informative=9 is more"), ({"spread": (2, 1)}, r"spread=\(2, 1\)")],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_open_world(**parameters)
