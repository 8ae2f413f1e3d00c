"""UCI Adult, which comes with the package: people, their attributes and whether they earn above 50 000 dollars."""

import gzip
from importlib.resources import files

from sklearn.utils import Bunch

from trustml._sklearn import validate_params


@validate_params({"return_X_y": ["boolean"]}, prefer_skip_nested_validation=True)
def load_adult(*, return_X_y: bool = False):
    """Load UCI Adult: 48 842 people of the US census of 1994. Nothing is downloaded; needs pandas.

    Rows are in the order of the UCI files: the first 32 561 are the training file, the others the test file.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        ``data``, a DataFrame of shape (48842, 13): age, workclass, education, education-num, marital-status,
        occupation, relationship, race, sex, capital-gain, capital-loss, hours-per-week and native-country, missing
        categories as missing values; ``target``, a Series of "<=50K" and ">50K" (11 687 of them); ``frame``, both,
        the target as the column "income". With ``return_X_y=True`` only ``(data, target)``.

    Notes
    -----
    The sampling weight "fnlwgt" of the UCI files is left out; :func:`sklearn.datasets.fetch_openml` downloads them
    with it. Like every table of this age that is used to talk about fairness, it stands for no population of today
    (F. Ding et al., "Retiring Adult", NeurIPS 2021).

    References
    ----------
    B. Becker and R. Kohavi, "Adult", UCI Machine Learning Repository, 1996, https://doi.org/10.24432/C5XW20, licensed
    under CC BY 4.0.

    Examples
    --------
    >>> from trustml.datasets import load_adult
    >>> adult = load_adult()
    >>> adult.target.eq(">50K").groupby(adult.data["sex"]).mean().round(3).to_dict()
    {'Female': 0.109, 'Male': 0.304}
    """
    import pandas as pd

    with (files("trustml.datasets") / "data" / "adult.csv.gz").open("rb") as packed, gzip.open(packed) as table:
        frame = pd.read_csv(table)
    data, target = frame.drop(columns="income"), frame["income"]
    return (data, target) if return_X_y else Bunch(data=data, target=target, frame=frame)
