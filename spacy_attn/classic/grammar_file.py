"""Grammars of chunkers and parsers as text files."""

from __future__ import annotations

from pathlib import Path

from spacy_attn.errors import ResourceError
from spacy_attn.files import regular_file


def read_grammar_file(path: str | Path, instead: str) -> str:
    """The text of a grammar file.

    Args:
        path: the file.
        instead: what may be given in place of a path, for the message.

    Raises:
        ResourceError: the file cannot be read as UTF-8 text.
    """
    try:
        return regular_file(Path(path).expanduser()).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path with a null byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise ResourceError(
            f"the grammar {str(path)[:200]!r} cannot be read ({reason}); give grammar = the path "
            f"of a text file in UTF-8, or {instead}"
        ) from error
