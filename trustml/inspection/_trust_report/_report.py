"""One run over a table: which rows, probabilities, groups and targets can be trusted."""

import json
from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, column_or_1d

from trustml._sklearn import HasMethods, Interval, StrOptions, fit_context, num_samples
from trustml.inspection._trust_report._evidence import gather_evidence
from trustml.inspection._trust_report._groups import groups_section
from trustml.inspection._trust_report._page import page, shown
from trustml.inspection._trust_report._probabilities import probabilities_section
from trustml.inspection._trust_report._quantiles import quantiles_section
from trustml.inspection._trust_report._rows import rows_section
from trustml.inspection._trust_report._targets import targets_section
from trustml.inspection._trust_report._uncertainty import uncertainty_section

_SECTIONS = (
    rows_section,
    probabilities_section,
    uncertainty_section,
    quantiles_section,
    groups_section,
    targets_section,
)
_SCHEMA = 1


class TrustReport(BaseEstimator):
    """What can be trusted about a table and a model of it: rows, probabilities, groups, targets.

    Everything is computed out of sample, on folds; each section says which rows were used for what. Sections that do
    not apply say why.

    Parameters
    ----------
    estimator : estimator, default=None
        A classifier with ``predict_proba`` or a regressor that takes X as it is. None is gradient boosting behind an
        encoding of the columns that are not numbers.
    sensitive_features : list of str, default=None
        Columns of X that say who belongs to which group.
    task : {"auto", "classification", "regression"}, default="auto"
        What the target is. "auto" asks the estimator; without one, two values, strings, booleans and at most twenty
        whole numbers are classes.
    cv : int, default=5
        Folds.
    n_jobs : int, default=None
        Jobs that fit the model to the folds.
    random_state : int, RandomState instance or None, default=None
        Draws the folds, the rows that are kept aside, and the null distributions.

    Attributes
    ----------
    sections_ : list
        The answers, each with ``name``, ``question``, ``verdict``, ``status``, ``next_step``, ``numbers``, ``tables``
        and ``figures``.
    task_ : {"classification", "regression"}
        What the target was taken for.
    n_features_in_ : int
        Number of columns.

    See Also
    --------
    DataShapley : Values of rows with their intervals.
    LInCo : The audit of groups.

    References
    ----------
    .. [1] C. Northcutt, L. Jiang, I. Chuang. "Confident learning: estimating uncertainty in dataset labels". JAIR 70,
       2021. The rows that stand out.
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Weinberger. "On calibration of modern neural networks". ICML 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from trustml import TrustReport
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), LogisticRegression())
    >>> report = TrustReport(model, random_state=0).fit(X, y)
    >>> [section.name for section in report.sections_]
    ['rows', 'probabilities', 'uncertainty', 'quantiles', 'groups', 'targets']
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "sensitive_features": ["array-like", None],
        "task": [StrOptions({"auto", "classification", "regression"})],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator=None, *, sensitive_features=None, task="auto", cv=5, n_jobs=None, random_state=None):
        self.estimator = estimator
        self.sensitive_features = sensitive_features
        self.task = task
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y):
        """Look at the table.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_rows, n_columns)
            The features, as the estimator takes them.
        y : array-like of shape (n_rows,)
            The target.

        Returns
        -------
        self : TrustReport
        """
        y = column_or_1d(y, warn=True)
        if num_samples(X) != len(y):
            raise ValueError(f"y has {len(y)} entries for {num_samples(X)} rows of X; expected one per row.")
        evidence = gather_evidence(
            self.estimator,
            X,
            y,
            task=self.task,
            sensitive=self._sensitive(X),
            cv=self.cv,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
        )
        self.task_ = "regression" if evidence.classes is None else "classification"
        self.n_features_in_ = int(np.shape(X)[1])
        self.sections_ = [section(evidence) for section in _SECTIONS]
        self._facts = {
            "rows": evidence.n_rows,
            "columns": self.n_features_in_,
            "target": self.task_ if evidence.classes is None else f"{len(evidence.classes)} classes",
            "model": _name_of(evidence.model),
            "folds": self.cv,
        }
        return self

    def _sensitive(self, X):
        if self.sensitive_features is None:
            return {}
        if not hasattr(X, "columns"):
            raise ValueError(
                f"sensitive_features={self.sensitive_features!r} names columns, but X is a {type(X).__name__} without "
                "names; expected a DataFrame."
            )
        absent = [name for name in self.sensitive_features if name not in list(X.columns)]
        if absent:
            raise ValueError(
                f"sensitive_features names {absent}, which X does not have; its columns: {list(X.columns)[:30]}."
            )
        return {str(name): _as_labels(X[name].to_numpy()) for name in self.sensitive_features}

    def to_dict(self) -> dict:
        """The report as plain Python values, ready for ``json.dumps``.

        Returns
        -------
        report : dict
            ``schema`` (the version of this layout, 1), ``table`` (what was looked at) and ``sections``, a list of dicts
            with ``name``, ``question``, ``verdict``, ``status``, ``next_step``, ``rows_used``, ``numbers``, ``tables``
            and ``figures`` (what each picture shows, in words).
        """
        check_is_fitted(self)
        return {"schema": _SCHEMA, "table": dict(self._facts), "sections": [s.to_dict() for s in self.sections_]}

    def to_json(self, path) -> None:
        """Write :meth:`to_dict` into a file."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=2), encoding="utf-8")

    def to_html(self, path=None, *, title="Trust report") -> str:
        """The report as one HTML page, which fetches nothing.

        Parameters
        ----------
        path : str or path, default=None
            File to write.
        title : str, default="Trust report"
            Heading of the page.

        Returns
        -------
        html : str
        """
        check_is_fitted(self)
        html = page(self.sections_, self._facts, title)
        if path is not None:
            Path(path).write_text(html, encoding="utf-8")
        return html

    def summary(self) -> str:
        """Every question with its verdict, as text."""
        check_is_fitted(self)
        facts = ", ".join(f"{name} {shown(value)}" for name, value in self._facts.items())
        answers = [f"{s.question}\n  {s.verdict}\n  {s.next_step}".rstrip() for s in self.sections_]
        return "\n\n".join([facts, *answers])


def _name_of(model):
    steps = getattr(model, "steps", None)
    return type(steps[-1][1] if steps else model).__name__


def _as_labels(column):
    """Group labels as strings; a missing one is a group of its own."""
    return np.array(["missing" if value is None or value != value else str(value) for value in column.tolist()])
