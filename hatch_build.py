"""What hatchling does not do by itself.

README.md for an index page: its links, which are paths in the repository, made absolute. And
``top_level.txt`` of the wheel, in which ``spacy package`` looks for the packages that the factories
of a pipeline are of: without it, a packaged pipeline would not require this one.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
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


class TopLevel(BuildHookInterface[Any]):
    """Gives the wheel a ``top_level.txt``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file, to an editable wheel too."""
        self._folder = TemporaryDirectory()
        path = Path(self._folder.name, "top_level.txt")
        path.write_text("spacy_attn\n", encoding="utf-8")
        name = "force_include_editable" if version == "editable" else "force_include"
        metadata = f"{self.build_config.builder.artifact_project_id}.dist-info"
        build_data[name][str(path)] = f"{metadata}/{path.name}"

    def finalize(self, *_: object) -> None:
        """Remove it when it is in the wheel."""
        self._folder.cleanup()
