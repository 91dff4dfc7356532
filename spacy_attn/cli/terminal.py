"""What every command does with text that it shows in a terminal."""

from __future__ import annotations

from rich.markup import escape

__all__ = ["visible"]


def visible(text: str) -> str:
    """Text for a terminal: control characters as symbols, so that none is obeyed."""
    return escape("".join(c if c.isprintable() or c in "\n\t" else _symbol(c) for c in text))


def _symbol(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"<U+{code:04X}>"
