"""The documentation site: ``make docs`` builds it offline, and every warning is an error."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from importlib.metadata import version as version_of
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

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
smartquotes = False  # options begin with two hyphens
exclude_patterns = ["_build", "reference/api/modules.rst"]

# -- pages --------------------------------------------------------------------------------------
myst_heading_anchors = 3  # page.md#a-heading works as on GitHub
suppress_warnings = [
    "myst.header",  # included pages begin with a heading of a lower level
    "ref.python",  # a name that is imported into its package has two targets
]

# -- API reference --------------------------------------------------------------------------------
apidoc_modules = [
    {
        "path": "../spacy_attn",
        "destination": "reference/api",
        "exclude_patterns": ["../spacy_attn/cli", "../spacy_attn/__main__.py"],
        "max_depth": 1,
        "module_first": True,
    },
]
apidoc_automodule_options = {"members", "undoc-members"}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True

# -- HTML ---------------------------------------------------------------------------------------
html_theme = "furo"  # no fonts and no scripts from elsewhere
html_title = "spacy_attn"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
copybutton_exclude = ".linenos, .gp, .go"

# -- the command line reference, from the command line itself ------------------------------------
COMMANDS = Path(__file__).parent / "_build" / "commands.md"


def write_commands(_: object) -> None:
    """Write the page that ``reference/cli.md`` includes, with typer's own tool."""
    COMMANDS.parent.mkdir(exist_ok=True)
    make = "-m typer spacy_attn.cli.app utils docs --name spacy-attn --output".split()
    subprocess.run([sys.executable, *make, str(COMMANDS)], check=True, capture_output=True)
    text = html.unescape(COMMANDS.read_text(encoding="utf-8"))
    text = text[text.index("\n## ") :].replace("## `spacy-attn ", "## `")
    text = re.sub(r"^Example: (.+)$", r"```bash\n\1\n```", text, flags=re.MULTILINE)
    COMMANDS.write_text(text, encoding="utf-8")


def plain_titles(app: Sphinx, page: str, source: list[str]) -> None:
    """Leave the words package, module and Submodules out of the titles of the API reference."""
    if page.startswith("reference/api/"):
        source[0] = source[0].replace("Submodules\n----------\n", "")
        source[0] = re.sub(r" (?:package|module)(?=\n[=-]{4})", "", source[0])


def part_shape(
    app: Sphinx, what: str, name: str, object_: object, options: object, lines: list[str]
) -> None:
    """Put *Shape:* of a property into a paragraph of its own.

    Napoleon takes the text before a colon in the first line of a property for its type.
    """
    if what in ("property", "attribute") and lines and " *Shape:*" in lines[0]:
        first, _, shape = lines[0].partition(" *Shape:*")
        lines[:1] = [first, "", f"*Shape:*{shape}"]


def mark_cells(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Give cells with a number and cells with a sentence a class; see ``_static/tables.css``."""
    for cell in doctree.findall(nodes.entry):
        text = cell.astext()
        if re.match(r"[<+-]?[ ]?\d", text) and len(text) < 30:
            cell["classes"].append("number")
        elif len(text) > 30:
            cell["classes"].append("sentence")


def setup(app: Sphinx) -> None:
    """Sphinx calls this when it starts."""
    app.connect("doctree-resolved", mark_cells)
    app.connect("source-read", plain_titles)
    app.connect("builder-inited", write_commands)
    app.connect("autodoc-process-docstring", part_shape, priority=400)  # before napoleon
