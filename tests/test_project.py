"""What the project promises outside its code: set-up commands, documentation of every name."""

import re
import tomllib
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import trustml

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    not (ROOT / ".ci" / "run").exists(), reason="reads files that a source distribution does not carry"
)


def test_ci_runs_the_commands_of_the_readme():
    readme = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"<!-- set-up -->\n```bash\n(.*?)```\n<!-- end of set-up -->", readme, flags=re.DOTALL)
    commands = [line for line in block.splitlines() if not line.startswith("#")]
    assert commands == [
        "python3 -m venv .venv && .venv/bin/pip install '.[plot,dataframe]' && .venv/bin/python examples/quickstart.py",
        ".venv/bin/pip install '.[test]' && .venv/bin/python -m pytest -n 2",
    ]
    ci = (ROOT / ".ci" / "run").read_text()
    assert 'bash -euc "$(readme_command 1)"' in ci
    assert 'bash -euc "$(readme_command 2)"' in ci


@pytest.mark.parametrize("folder", [module.name for module in iter_modules(trustml.__path__) if module.name[0] != "_"])
def test_every_public_name_is_in_the_api_reference(folder):
    module = import_module(f"trustml.{folder}")
    listed = (ROOT / "docs" / "api.rst").read_text().split()
    documented = [name for name in module.__all__ if callable(getattr(module, name))]
    absent = [name for name in documented if f"{folder}.{name}" not in listed]
    assert not absent


def test_versions_agree():
    assert f'version = "{trustml.__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert f"version: {trustml.__version__}" in (ROOT / "CITATION.cff").read_text()


def test_pictures_of_the_readme_exist():
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / picture).stat().st_size < 300_000, picture


def test_oldest_versions_are_those_that_the_project_allows():
    lines = (ROOT / ".ci" / "oldest.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    allowed = dict(name.split(">=") for name in [*project["dependencies"], *extras["plot"], *extras["dataframe"]])
    assert pinned.keys() == allowed.keys()
    for name, version in pinned.items():
        assert allowed[name] in (version, version.removesuffix(".0")), name
