"""The documentation site: ``make docs`` builds it offline, and every warning is an error."""

from __future__ import annotations

from importlib.metadata import version as version_of

project = "spacy_attn"
author = "The spacy_attn developers"
version = release = version_of("spacy-attn")

extensions = [
    "myst_parser",  # pages are Markdown, readable on GitHub too
    "sphinx.ext.autodoc",  # the API reference comes from docstrings
    "sphinx.ext.apidoc",  # one page for each package
    "sphinx.ext.napoleon",  # Google style docstrings
    "sphinx.ext.viewcode",  # links to the source
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]

# -- pages --------------------------------------------------------------------------------------
myst_heading_anchors = 3  # page.md#a-heading works as on GitHub
myst_enable_extensions = ["deflist"]
suppress_warnings = ["myst.header"]

# -- API reference --------------------------------------------------------------------------------
apidoc_modules = [
    {
        "path": "../spacy_attn",
        "destination": "reference/api",
        "exclude_patterns": ["../spacy_attn/cli", "../spacy_attn/__main__.py"],
        "max_depth": 1,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    },
]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True

# -- HTML ---------------------------------------------------------------------------------------
html_theme = "furo"  # no fonts and no scripts from elsewhere
html_title = "spacy_attn"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["custom.css"]
copybutton_exclude = ".linenos, .gp, .go"
