"""Streams of people in overlapping groups: the paper's protocol for public tables, and a generator."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state

from trustml._sklearn import Interval, StrOptions, validate_params

SHAPES, COLOURS = ("circle", "square", "triangle"), ("green", "red")


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "n_features": [Interval(Integral, 1, None, closed="left")],
        "combine": [StrOptions({"mean", "min", "max", "first"})],
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_groupwise_regression(n_samples=1000, n_features=20, *, combine="mean", noise=0.16, random_state=None):
    """Rows with a shape and a colour, whose target depends on the linear models of both of their groups.

    Every group has a linear model with coefficients uniform on [0, 1]; a row has one shape (circle 50 %, square 30 %,
    triangle 20 %) and one colour (green 60 %, red 40 %), hence belongs to two overlapping groups. This is the
    synthetic experiment of Acharya et al. (ICLR 2024), from one generator of random numbers.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    n_features : int, default=20
        Number of features, uniform on [0, 1].
    combine : {"mean", "min", "max", "first"}, default="mean"
        How the targets of a row's two groups make the row's target; "first" takes the group that comes first in the
        order green, square, red, triangle, circle.
    noise : float, default=0.16
        Standard deviation of the noise of each group's target.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features + 5)
        Features, then the five indicators of group membership: one model for all knows the groups, too.
    y : ndarray of shape (n_samples,)
        Targets, brought to [0, 1].
    membership : ndarray of bool of shape (n_samples, 5)
        Circle, square, triangle, green, red.

    Examples
    --------
    >>> X, y, membership = make_groupwise_regression(1000, random_state=0)
    >>> X.shape, membership.sum(axis=0)
    ((1000, 25), array([479, 294, 227, 585, 415]))
    """
    rng = check_random_state(random_state)
    X = rng.uniform(size=(n_samples, n_features))
    shape = rng.choice(3, size=n_samples, p=(0.5, 0.3, 0.2))
    colour = rng.choice(2, size=n_samples, p=(0.6, 0.4))
    coef = rng.uniform(size=(n_features, 5))
    targets = X @ coef + noise * rng.standard_normal((n_samples, 5))
    membership = np.column_stack([shape[:, None] == np.arange(3), colour[:, None] == np.arange(2)])
    y = combine_targets(targets, membership, combine)
    spread = np.ptp(y) or 1.0
    return np.column_stack([X, membership]), (y - y.min()) / spread, membership


def combine_targets(targets, membership, combine):
    """One target per row from those of its groups, (n, 5) and boolean (n, 5)."""
    if combine == "first":
        priority = np.array([3, 1, 4, 2, 0])
        first = membership[:, priority].argmax(axis=1)
        return targets[np.arange(len(targets)), priority[first]]
    if combine == "mean":
        return (targets * membership).sum(axis=1) / membership.sum(axis=1)
    masked = np.ma.masked_array(targets, ~membership)
    return np.asarray(masked.min(axis=1) if combine == "min" else masked.max(axis=1))


def _unit(column):
    column = column.astype(float)
    return (column - column.min()) / (column.max() - column.min())


def _features(frame, numeric, categorical, indicators):
    import pandas as pd

    return pd.concat(
        [
            frame[numeric].apply(_unit),
            pd.get_dummies(frame[categorical].astype(str), dtype=float),
            pd.DataFrame(indicators, index=frame.index).astype(float),
        ],
        axis=1,
    )


def _age_bands(age):
    return {"young": age <= 35, "middle": (age > 35) & (age <= 50), "old": age > 50}


def medical_costs_stream(frame):
    """Features, target and groups of the medical cost experiment, from the public table.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table "Medical Cost Personal Datasets": age, sex, bmi, children, smoker, region, charges; 1338 rows.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        ``data`` (1338 by 18, to [0, 1] over the whole table), ``target`` (charges, to [0, 1]) and ``membership``
        (11 named groups by age, body mass index, smoking and sex), all pandas.
    """
    import pandas as pd

    bmi = frame["bmi"]
    indicators = _age_bands(frame["age"]) | {
        "underweight": bmi < 18.5,
        "healthyweight": (bmi >= 18.5) & (bmi < 25),
        "overweight": (bmi >= 25) & (bmi < 30),
        "obese": bmi >= 30,
    }
    groups = indicators | {
        "smoker": frame["smoker"] == "yes",
        "non-smoker": frame["smoker"] == "no",
        "male": frame["sex"] == "male",
        "female": frame["sex"] == "female",
    }
    return Bunch(
        data=_features(frame, ["age", "bmi", "children"], ["sex", "smoker", "region"], indicators),
        target=_unit(frame["charges"]),
        membership=pd.DataFrame(groups),
    )


def adult_stream(frame):
    """Features, target and groups of the income experiment, from the UCI Adult table.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``load_adult().frame``, OpenML's "adult", or the UCI file with its names; missing categories are a category.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        ``data`` (48842 by 96, to [0, 1] over the whole table), ``target`` (1.0 for an income above 50 000) and
        ``membership`` (12 named groups by age, schooling, sex and race), all pandas.

    Examples
    --------
    >>> from trustml.datasets import adult_stream, load_adult
    >>> stream = adult_stream(load_adult().frame)
    >>> stream.membership.sum().sort_values().index[:3].tolist()
    ['Other', 'Amer-Indian-Eskimo', 'Asian-Pac-Islander']
    """
    import pandas as pd

    frame = frame.rename(columns={"education.num": "education-num", "class": "income"})
    categorical = [
        "workclass",
        "marital-status",
        "relationship",
        "native-country",
        "occupation",
        "race",
        "sex",
    ]
    frame = frame.assign(**{name: frame[name].astype(object).fillna("?") for name in categorical})
    numeric = ["hours-per-week", "age", "capital-gain", "capital-loss", "education-num"]
    schooling = frame["education-num"].astype(float)
    indicators = _age_bands(frame["age"].astype(float)) | {
        "high school or less": schooling <= 9,
        "college or more": schooling >= 10,
    }
    people = {name.lower(): frame["sex"] == name for name in ("Male", "Female")} | {
        race: frame["race"] == race for race in ("White", "Asian-Pac-Islander", "Amer-Indian-Eskimo", "Other", "Black")
    }
    return Bunch(
        data=_features(frame, numeric, categorical, indicators),
        target=frame["income"].astype(str).str.strip(" .").eq(">50K").astype(float),
        membership=pd.DataFrame(indicators | people),
    )
