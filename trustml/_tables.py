"""Tables in files: CSV, Parquet and Arrow, read into pandas frames whose columns are numbers or strings."""

from pathlib import Path

READERS = {
    ".csv": "read_csv",
    ".csv.gz": "read_csv",
    ".tsv": "read_csv",
    ".parquet": "read_parquet",
    ".pq": "read_parquet",
    ".arrow": "read_feather",
    ".feather": "read_feather",
}


class TableError(ValueError):
    """A table that cannot be reported on, with what to do about it."""


def read_table(path):
    """The table in a file.

    Parameters
    ----------
    path : str or path
        ``.csv``, ``.csv.gz``, ``.tsv``, ``.parquet`` (``.pq``) or ``.arrow`` (``.feather``).

    Returns
    -------
    table : pandas.DataFrame
        Dates as seconds since 1970; columns that are not numbers as strings, missing ones as missing.
    """
    import pandas as pd

    path = Path(path)
    kind = next((suffix for suffix in READERS if path.name.lower().endswith(suffix)), None)
    if kind is None:
        raise TableError(f"{path.name}: the ending is none of {', '.join(READERS)}.")
    if not path.exists():
        raise TableError(f"{path}: there is no such file.")
    options = {"sep": "\t"} if kind == ".tsv" else {}
    try:
        table = getattr(pd, READERS[kind])(path, **options)
    except ImportError as error:
        raise TableError(f"{path.name}: reading it needs a further package: {error}") from error
    except (ValueError, OSError) as error:
        raise TableError(f"{path.name}: not readable as {kind}: {error}") from error
    if table.shape[0] == 0:
        raise TableError(f"{path.name}: the table has no rows.")
    table.columns = [str(name) for name in table.columns]
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()].tolist()
        raise TableError(f"{path.name}: columns occur twice: {twice[:5]}; expected unique names.")
    return table.apply(_plain_column)


def _plain_column(column):
    """Numbers, or strings."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(column) and not column.isna().any():
        return column.astype("int64")
    if pd.api.types.is_datetime64_any_dtype(column):
        seconds = column.astype("int64") / 10 ** {"s": 0, "ms": 3, "us": 6, "ns": 9}[column.dt.unit]
        return seconds.where(column.notna())
    if pd.api.types.is_numeric_dtype(column):
        return column.astype("float64") if column.isna().any() or column.dtype.kind not in "iuf" else column
    return column.map(str, na_action="ignore").astype(object)
