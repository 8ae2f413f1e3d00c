"""Configuration of Sphinx: sphinx-build -W -b html docs docs/_build"""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import trustml

project = "trustml"
author = "The trustml developers"
copyright = "The trustml developers"
version = release = trustml.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
default_role = "literal"

autosummary_generate = True
# The templates list members; numpydoc need not list them again.
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "trustml"
html_static_path = ["_static"]
html_css_files = ["trustml.css"]
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "contributing": []}
html_show_sourcelink = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "ignore_pattern": r"quickstart\.py",
    "doc_module": ("trustml",),
    "backreferences_dir": "generated/backreferences",
    "reference_url": {"trustml": None},
    "show_memory": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "download_all_examples": False,
}


def _is_inherited_from_scikit_learn(app, what, name, obj, skip, options):
    # Their docstrings refer to labels of scikit-learn's own documentation.
    module = getattr(obj, "__module__", None) or ""
    return True if module.startswith("sklearn.") or name.startswith("set_") else skip


def setup(app):
    app.connect("autodoc-skip-member", _is_inherited_from_scikit_learn)
