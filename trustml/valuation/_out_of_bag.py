"""Data-OOB: values from the out-of-bag predictions of a bagged model."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import gen_even_slices
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import has_fit_parameter

from trustml._jax import seed_from
from trustml._sklearn import HasMethods, Interval, safe_indexing
from trustml.valuation._base import BaseDataValuation, Valued
from trustml.valuation._problem import is_class_target


def _out_of_bag(problem, seed, bags):
    """For the bags numbered ``bags``: sums over out-of-bag models of merit, squared merit and one, per row."""
    sums = np.zeros((3, len(problem.y)))
    members = np.bincount(problem.unit_of_row, minlength=problem.n_units)
    by_unit = np.split(np.argsort(problem.unit_of_row, kind="stable"), np.cumsum(members)[:-1])
    weighted = np.ptp(problem.sample_weight) > 0 and has_fit_parameter(problem.estimator, "sample_weight")
    for bag in range(bags.start, bags.stop):
        rng = np.random.default_rng([seed, bag])
        model = clone(problem.estimator)
        if "random_state" in model.get_params(deep=False):
            model.set_params(random_state=int(rng.integers(2**31)))
        drawn = rng.integers(problem.n_units, size=problem.n_units)
        rows = np.concatenate([by_unit[unit] for unit in drawn])
        rows = np.sort(rows[problem.sample_weight[rows] > 0])
        if problem.classes is not None and len(np.unique(problem.y[rows])) < 2:
            # A bag of one class trains no classifier; its model would say nothing about the rows.
            continue
        fit_params = {"sample_weight": problem.sample_weight[rows]} if weighted else {}
        model.fit(safe_indexing(problem.X, rows), problem.y_given[rows], **fit_params)
        outside = np.ones(problem.n_units, bool)
        outside[drawn] = False
        out = np.flatnonzero(outside[problem.unit_of_row])
        if not len(out):
            continue
        predicted = model.predict(safe_indexing(problem.X, out))
        merit = (
            predicted == problem.y_given[out] if problem.classes is not None else -((predicted - problem.y[out]) ** 2)
        )
        sums[:, out] += merit, merit**2.0, np.ones(len(out))
    return sums


class DataOOB(BaseDataValuation):
    """Values of training rows from the out-of-bag predictions of a bagged model.

    A row is worth what models that were not trained on it make of it: the share of them that predict its label, or,
    for regression, minus their mean squared error. No validation rows are needed and the cost does not grow with the
    number of rows to value, but the value says how typical a row is rather than what it contributes.

    Parameters
    ----------
    estimator : estimator, default=None
        Model to bag. None is an unpruned decision tree, for classes or for numbers as y tells. Its ``random_state``,
        if it has one, is drawn anew for every bag.
    n_estimators : int, default=1000
        Bootstrap samples of the units.
    select : {"positive", "nonnegative", "all"} or float, default=0.9
        Rows that ``estimator_`` is refitted on: the best 90 % by default, since values of this kind have no
        natural zero. See :class:`DataShapley`.
    n_jobs : int or None, default=None
        Parallel fits.
    random_state : int, RandomState instance or None, default=None
        Seeds the bags. The same seed gives the same values whatever the number of jobs.

    Attributes
    ----------
    data_values_ : ndarray of shape (n_samples,)
        Mean merit of the out-of-bag predictions of each row; with ``units``, the row's share of its unit's.
    standard_errors_ : ndarray of shape (n_samples,)
        Their standard errors over bags; infinite after a single one.
    unit_values_, unit_standard_errors_ : ndarray of shape (n_units,)
        The same summed over the rows of each unit.
    n_evaluations_ : int
        Models fitted.
    converged_ : bool
        Always true: the number of bags is given.
    support_ : ndarray of bool of shape (n_samples,)
        Rows kept.
    estimator_ : estimator
        Model refitted on them.
    classes_ : ndarray of shape (n_classes,)
        Labels; classifiers only.

    References
    ----------
    .. [1] Y. Kwon, J. Zou. "Data-OOB: out-of-bag estimate as a simple and efficient data value". ICML 2023,
       Equation 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from trustml import DataOOB
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:100:2], y[:100:2].copy()
    >>> y[[3, 40]] = 1 - y[[3, 40]]
    >>> valuation = DataOOB(n_estimators=100, random_state=0).fit(X, y)
    >>> np.sort(np.argsort(valuation.data_values_)[:2])
    array([ 3, 40])
    """

    _parameter_constraints: dict = {
        **BaseDataValuation._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [int, None],
        "random_state": ["random_state"],
    }
    _default_model = DecisionTreeClassifier
    _validates = False

    def __init__(self, estimator=None, *, n_estimators=1000, select=0.9, n_jobs=None, random_state=None):
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.select = select
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _model(self, y):
        if self.estimator is not None:
            return clone(self.estimator)
        return DecisionTreeClassifier() if is_class_target(y) else DecisionTreeRegressor()

    def _needs_numbers(self, problem):
        return self.estimator is None

    def _value(self, problem, context):
        if problem.n_units < 2:
            raise ValueError("X holds one unit to value (n_samples = 1 without units); out-of-bag values need two.")
        seed = seed_from(self.random_state)
        # Enough slices to keep any number of workers busy, always the same ones, so that sums are too.
        slices = gen_even_slices(self.n_estimators, min(self.n_estimators, 64))
        merit, squared, count = np.sum(
            Parallel(n_jobs=self.n_jobs)(delayed(_out_of_bag)(problem, seed, bags) for bags in slices), axis=0
        )
        if not count.all():
            raise ValueError(
                f"n_estimators={self.n_estimators} leaves {int((count == 0).sum())} rows without an out-of-bag "
                "prediction; raise it."
            )
        values = merit / count
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = np.where(count > 1, (squared / count - values**2).clip(0) / (count - 1), np.inf)
        unit_values = np.bincount(problem.unit_of_row, values)
        unit_errors = np.sqrt(np.bincount(problem.unit_of_row, variance))
        return Valued(unit_values, unit_errors, {"n_evaluations_": self.n_estimators, "converged_": True})
