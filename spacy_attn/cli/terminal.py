"""What every command does with text that it takes from a terminal and shows in it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from spacy_attn.errors import ConfigError
from spacy_attn.files import unpacking

_MINUTE = 60.0  # seconds
IS_QUIET: Final[ContextVar[bool]] = ContextVar("is_quiet", default=False)  # by --quiet


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
    return escape(_with_symbols(text))


class SafeConsole(Console):
    """A console that obeys no escape sequence of what it shows: texts, sense ids, definitions."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """The parts of what is shown, their control characters as symbols."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(_with_symbols(segment.text), segment.style)


def line_a_minute(
    console: Console, clock: Callable[[], float] = time.monotonic
) -> Callable[[str], None]:
    """What shows in a log, where there is no bar, that long work goes on.

    Args:
        console: lines go there unless it is a terminal.
        clock: seconds.

    Returns:
        A function that takes a line each time something is done, and prints one a minute.
    """
    before = clock()

    def say(line: str) -> None:
        nonlocal before
        if not console.is_terminal and clock() - before >= _MINUTE:
            before = clock()
            console.print(line, markup=False, soft_wrap=True)

    return say


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON for programs, in which a terminal finds nothing to obey either.

    JSON escapes no control characters above 31, of which one begins sequences as ESC does.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def print_indented(console: Console, markup: str, indent: int, style: str = "") -> None:
    """Print a paragraph; its further lines stand two columns to the right of the first.

    Args:
        console: its width decides where lines end.
        markup: in the markup of rich.
        indent: of the first line, in columns.
        style: of the whole.
    """
    text = Text.from_markup(markup, style=style)
    for i, line in enumerate(text.wrap(console, max(20, console.width - indent - 2))):
        line.rstrip()
        console.print(Text(" " * (indent + 2 * bool(i))).append_text(line), soft_wrap=True)


def messages() -> SafeConsole:
    """Standard error for progress and notes; silent with ``--quiet``. Errors do not go here."""
    return SafeConsole(stderr=True, highlight=False, quiet=IS_QUIET.get())


def given_texts(texts: Iterable[str], what: str = "text") -> list[str]:
    """The texts as they were typed, with the lines of standard input in place of ``-``.

    Raises:
        ConfigError: one holds bytes that are not UTF-8, or standard input is closed.
    """
    found = [line for text in texts for line in (lines_of_stdin() if text == "-" else [text])]
    refuse_broken_text(found, what)
    return found


def refuse_packed(beginning: bytes) -> None:
    """Refuse standard input that is compressed.

    Raises:
        ConfigError: with the command that unpacks it.
    """
    if (command := unpacking(beginning)) is not None:
        raise ConfigError(
            f"standard input is compressed; unpack it first: {command} FILE | spacy-attn ..."
        )


def lines_of_stdin() -> list[str]:
    """The lines of standard input.

    Raises:
        ConfigError: it is closed, compressed, or holds bytes that are not UTF-8.
    """
    if sys.stdin is None:
        raise ConfigError("standard input is closed: give the texts in place of -")
    try:
        lines = [line.rstrip("\r\n") for line in sys.stdin]
    except UnicodeDecodeError as error:
        refuse_packed(error.object)
        raise ConfigError("stdin holds bytes that are not UTF-8; save it as UTF-8") from error
    # In some locales Python takes all bytes, and those that are no UTF-8 as halves of surrogates.
    refuse_packed("".join(lines[:1]).encode("utf-8", "surrogateescape"))
    return lines


def _with_symbols(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else _symbol(c) for c in text)


def _symbol(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"<U+{code:04X}>"
