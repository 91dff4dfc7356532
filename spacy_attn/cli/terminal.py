"""What every command does with text that it takes from a terminal and shows in it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.markup import escape

from spacy_attn.errors import ConfigError

__all__ = ["refuse_broken_text", "visible"]


def refuse_broken_text(texts: Iterable[str], what: str = "text") -> None:
    """Refuse arguments with bytes that are not UTF-8, which Python passes on as surrogates.

    Args:
        texts: as they were typed.
        what: one of them is called.

    Raises:
        ConfigError: says how to repair it.
    """
    if any("\ud800" <= c <= "\udfff" for text in texts for c in text):
        raise ConfigError(f"a {what} holds bytes that are not UTF-8; save or type it as UTF-8")


def visible(text: str) -> str:
    """Text for a terminal: control characters as symbols, so that none is obeyed."""
    return escape("".join(c if c.isprintable() or c in "\n\t" else _symbol(c) for c in text))


def _symbol(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"<U+{code:04X}>"
