"""The command line: ``python -m trustml report TABLE --target COLUMN``."""

import argparse
import sys

from trustml._tables import TableError, read_table


def main(arguments=None) -> int:
    """Run the command; 0 is success, 2 a table or argument that cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        report, title = _report(options)
    except ValueError as error:
        print(f"trustml report: {error}", file=sys.stderr)
        return 2
    report.to_html(options.out, title=title)
    if options.json:
        report.to_json(options.json)
    print(report.summary())
    print(f"\nThe page: {options.out}")
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="python -m trustml", description="Trustworthy machine learning on a table.")
    commands = parser.add_subparsers(required=True)
    report = commands.add_parser("report", help="write a report about a table and a model of it")
    report.add_argument("table", nargs="?", help="a CSV, Parquet or Arrow file")
    report.add_argument(
        "--demo", action="store_true", help="report on scikit-learn's breast cancer table, with flipped labels"
    )
    report.add_argument("--target", help="the column that is predicted")
    report.add_argument("--sensitive", nargs="+", default=[], metavar="COLUMN", help="columns that name groups")
    report.add_argument("--task", choices=["auto", "classification", "regression"], default="auto")
    report.add_argument("--out", default="trust_report.html", help="the page to write (default: %(default)s)")
    report.add_argument("--json", help="also write the numbers into this file")
    report.add_argument("--seed", type=int, default=0)
    report.add_argument("--jobs", type=int, default=None, help="folds that are fitted at a time")
    return parser


def _report(options):
    from trustml.inspection import TrustReport

    if options.demo == (options.table is not None):
        raise TableError("expected a table, or --demo, and not both.")
    X, y, title = _demo() if options.demo else _table(options)
    report = TrustReport(
        sensitive_features=options.sensitive or None, task=options.task, random_state=options.seed, n_jobs=options.jobs
    )
    return report.fit(X, y), title


def _table(options):
    table = read_table(options.table)
    if options.target is None:
        raise TableError(f"--target is missing; the columns are {list(table.columns)[:30]}.")
    for name in [options.target, *options.sensitive]:
        if name not in table.columns:
            raise TableError(f"{options.table} has no column {name!r}; its columns are {list(table.columns)[:30]}.")
    if table.shape[1] < 2:
        raise TableError(f"{options.table} has no column but {options.target!r}; expected features to predict it from.")
    missing = table[options.target].isna()
    if missing.any():
        raise TableError(
            f"{options.table}: {int(missing.sum())} rows have no {options.target!r} (the first is row "
            f"{int(missing.to_numpy().argmax())}); remove these rows, or fill them in."
        )
    return table.drop(columns=options.target), table[options.target].to_numpy(), f"Trust report: {options.target}"


def _demo():
    from sklearn.datasets import load_breast_cancer

    from trustml.datasets import make_flipped_labels

    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    names = ["malignant", "benign"]
    flipped, _ = make_flipped_labels(y.to_numpy(), 0.05, random_state=0)
    return X, [names[k] for k in flipped], "Trust report: breast cancer, one label in twenty wrong"


if __name__ == "__main__":
    sys.exit(main())
