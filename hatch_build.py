"""README.md for an index page: its links, which are paths in the repository, made absolute."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)(\[[^\]]*\])\((?!https?:|#)([^)]+)\)")


def absolute(text: str, source: str) -> str:
    """A text in Markdown with absolute links.

    Args:
        text: its relative links start at the root of the repository.
        source: address of the repository.
    """

    def link(found: re.Match[str]) -> str:
        kind = "raw" if found[1] else "blob"  # a picture, or a page
        return f"{found[1]}{found[2]}({source}/{kind}/main/{found[3]})"

    return _LINK.sub(link, text)


class AbsoluteLinks(MetadataHookInterface):
    """Gives the package the description that an index shows."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``readme``, which is dynamic."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        source = metadata["urls"]["Source"]
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, source)}
