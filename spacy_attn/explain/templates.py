"""How pages of HTML are filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spacy_attn.errors import explain_missing_package

if TYPE_CHECKING:
    from jinja2 import Environment


def environment() -> Environment:
    """Templates in which every text is escaped and a name that is missing is an error.

    Raises:
        ResourceError: jinja2 is not installed.
    """
    with explain_missing_package("a page of HTML"):
        from jinja2 import Environment, StrictUndefined
    return Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
