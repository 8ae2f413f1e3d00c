"""Options and fixtures of the whole suite."""

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

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


@pytest.fixture(scope="session")
def compilation_counters():
    """Counters that one listener, registered for good, raises with every program that XLA compiles."""
    from jax import monitoring

    counters = []

    def listen(event, duration, **_):
        for counter in counters:
            counter.count += event == "/jax/core/compile/backend_compile_duration"

    monitoring.register_event_duration_secs_listener(listen)
    return counters


@pytest.fixture
def count_compilations(compilation_counters):
    """Context manager that counts the programs XLA compiles inside it: ``with count_compilations() as found``."""

    @contextmanager
    def counting():
        found = SimpleNamespace(count=0)
        compilation_counters.append(found)
        try:
            yield found
        finally:
            compilation_counters.remove(found)

    return counting
