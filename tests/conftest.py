"""Options and fixtures of the whole suite."""

from pathlib import Path

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--data-dir",
        type=Path,
        default=None,
        help="folder of real data sets for the tests marked `data`, which are skipped without it",
    )


def pytest_configure(config):
    if not config.option.markexpr:
        config.option.markexpr = "not slow"


@pytest.fixture(scope="session")
def data_dir(request):
    """Folder of the real data sets."""
    folder = request.config.getoption("--data-dir")
    if folder is None:
        pytest.skip("reads real data: give pytest --data-dir")
    return folder
