"""Public tables that the data-valuation literature uses, through scikit-learn's OpenML fetcher."""

from numbers import Integral, Real
from os import PathLike

import numpy as np
from sklearn.datasets import fetch_openml

from trustml._sklearn import Interval, StrOptions, validate_params

VALUATION_TABLES = {
    "2dplanes": 727,
    "click": 1218,
    "cpu_act": 761,
    "default": 42477,
    "fraud": 42397,
    "phoneme": 1489,
}


@validate_params(
    {
        "name": [StrOptions(set(VALUATION_TABLES))],
        "data_home": [str, PathLike, None],
        "cache": ["boolean"],
        "return_X_y": ["boolean"],
        "as_frame": ["boolean"],
        "n_retries": [Interval(Integral, 1, None, closed="left")],
        "delay": [Interval(Real, 0, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def fetch_valuation_table(
    name: str,
    *,
    data_home=None,
    cache: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
):
    """Load a two-class table on which data valuation methods are compared (downloaded from OpenML).

    ============ ========= ======== ======== =========================================
    name         OpenML id rows     features what the label says
    ============ ========= ======== ======== =========================================
    2dplanes     727       40 768   10       an artificial target above its mean
    click        1218      about 2M 11       an advertisement was clicked
    cpu_act      761       8 192    21       a computer's load above its mean
    default      42477     30 000   23       a credit card holder defaults
    fraud        42397     284 807  30       a card payment was fraudulent
    phoneme      1489      5 404    5        a vowel is nasal or oral
    ============ ========= ======== ======== =========================================

    Parameters
    ----------
    name : {"2dplanes", "click", "cpu_act", "default", "fraud", "phoneme"}
        Which table.
    data_home : str or path-like, default=None
        Where downloads are kept; scikit-learn's own folder by default.
    cache : bool, default=True
        Whether to keep the download in ``data_home``.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Give ``data`` as a pandas DataFrame and ``target`` as a pandas Series.
    n_retries : int, default=3
        How often a failing download is tried again.
    delay : float, default=1.0
        Seconds between two tries.

    Returns
    -------
    table : :class:`~sklearn.utils.Bunch`
        What :func:`sklearn.datasets.fetch_openml` returns, with ``data`` of shape (n_samples, n_features),
        ``target`` of shape (n_samples,) of the int codes 0 and 1, and ``target_names``, the array of the two
        labels that these codes stand for. With ``return_X_y=True`` only ``(data, target)``.

    Notes
    -----
    The literature draws a few hundred rows of such a table, flips some labels, and asks how early a
    valuation finds them; ``benchmarks/valuation_detection.py`` of this project's repository does so.

    Examples
    --------
    >>> from trustml.datasets import fetch_valuation_table
    >>> X, y = fetch_valuation_table("phoneme", return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (5404, 5)
    """
    table = fetch_openml(
        data_id=VALUATION_TABLES[name],
        data_home=data_home,
        cache=cache,
        as_frame=as_frame,
        n_retries=n_retries,
        delay=delay,
    )
    labels, codes = np.unique(np.asarray(table.target), return_inverse=True)
    if len(labels) != 2:
        raise ValueError(
            f"OpenML data set {VALUATION_TABLES[name]} ({name!r}) should have a target of two classes; "
            f"found {len(labels)}: {labels[:5]}."
        )
    table.target_names = labels
    if as_frame:
        import pandas as pd

        table.target = pd.Series(codes, index=table.data.index, name=table.target.name)
        table.frame = table.data.assign(**{table.target.name: table.target})
    else:
        table.target = codes
    return (table.data, table.target) if return_X_y else table
