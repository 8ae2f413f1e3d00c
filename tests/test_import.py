"""``import trustml`` is cheap, and every public name is where it says it is."""

import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest

import trustml

FOLDERS = [module.name for module in iter_modules(trustml.__path__) if not module.name.startswith("_")]


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["jax", "sklearn", "numpy", "matplotlib", "pandas"])
def test_import_trustml_loads_nothing_heavy(module):
    assert run(f"import sys, trustml; print({module!r} in sys.modules)") == "False"


def test_a_name_loads_only_what_it_needs():
    assert run("import sys; from trustml import datasets; print('jax' in sys.modules)") == "False"
    assert run("import sys; from trustml.inspection import DataValueDisplay; print('matplotlib' in sys.modules)") == (
        "False"
    )


@pytest.mark.parametrize("name", trustml.__all__)
def test_every_public_name_resolves(name):
    assert getattr(trustml, name) is not None
    assert name in dir(trustml)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_name_of_a_folder_resolves_and_is_documented(folder):
    module = import_module(f"trustml.{folder}")
    for name in module.__all__:
        assert getattr(module, name).__doc__, name
    assert module.__doc__


def test_every_folder_can_be_reached_from_the_package():
    assert set(FOLDERS) <= set(trustml.__all__)


def test_star_import():
    assert run("from trustml import *; print(DataShapley.__name__)") == "DataShapley"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'trustml' has no attribute 'DataShaply'"):
        trustml.DataShaply  # noqa: B018


def test_importing_everything_leaves_jax_as_it_was():
    code = (
        "import jax; before = dict(jax.config.values)\n"
        "import trustml; [getattr(trustml, name) for name in trustml.__all__]\n"
        "print(dict(jax.config.values) == before)"
    )
    assert run(code) == "True"
