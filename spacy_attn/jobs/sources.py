"""Inputs: which files a call means, of which format each is, whether it can be read."""

from __future__ import annotations

import codecs
import encodings.aliases
import os
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import unquote

from spacy_attn.errors import ConfigError, allowed_names, did_you_mean
from spacy_attn.patterns import check_given_once, find_files

Format: TypeAlias = Literal["jsonl", "txt", "txt-file", "csv", "tsv", "parquet", "docbin"]

STDIN: Final = "-"
SUFFIXES: Final[Mapping[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "txt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".spacy": "docbin",
}
DELIMITERS: Final[Mapping[str, str]] = {"csv": ",", "tsv": "\t"}
TABULAR: Final = (*DELIMITERS, "parquet")
COMPRESSIONS: Final = {".gz": "gzip", ".zst": "zstd"}
# These need to go back and forth in their file: neither from a stream nor compressed as a whole.
SEEKING: Final = ("parquet", "docbin")
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"  # in the name of a partition's folder


@dataclass(frozen=True, slots=True)
class Source:
    """One input file, or standard input, and how it is read."""

    name: str  # as the caller gave it
    format: Format
    compression: str | None = None  # "gzip" or "zstd"
    #: Columns that the folders of a table say, ``lang=en/0.parquet``.
    partition: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def is_stdin(self) -> bool:
        """Whether it is standard input."""
        return self.name == STDIN

    @property
    def is_file(self) -> bool:
        """Whether it can be read twice; a pipe or device cannot."""
        return not self.is_stdin and os.path.isfile(self.name)


def find_sources(inputs: Iterable[str | Path], input_format: str | None = None) -> list[Source]:
    """The inputs in the order given, each one present and of a known format.

    Args:
        inputs: files; patterns such as ``"texts/**/*.jsonl"``; folders, of which all files with
            a known suffix are taken; or "-" for standard input.
            See :func:`~spacy_attn.patterns.find_files`.
        input_format: one format for all of them; by default the suffix of each file decides,
            and standard input is JSONL. ``"txt-file"`` takes a whole file as one document.

    Raises:
        ConfigError: an input is missing, empty of files, unreadable, given twice, or has a suffix
            that tells no format.
    """
    if input_format is not None and input_format not in get_args(Format):
        raise ConfigError(
            f"input_format / --input-format is {input_format}: "
            f"{allowed_names(input_format, get_args(Format))}"
        )
    given = [str(item) for item in inputs]
    if not given:
        raise ConfigError(
            f"no input: give at least one file ({' '.join(SUFFIXES)}), a folder, or - for stdin"
        )
    shown = " ".join(SUFFIXES)
    sources = []
    for item in given:
        for name in [item] if item == STDIN else find_files(item, shown, _has_known_suffix):
            sources.append(_find_source(name, input_format, item))
    check_given_once([source.name for source in sources])
    return sources


def _has_known_suffix(name: str) -> bool:
    return _split_suffix(name)[0] in SUFFIXES


def _split_suffix(name: str) -> tuple[str, str | None]:
    """``a.jsonl.gz`` -> (".jsonl", "gzip")."""
    path = Path(name)
    compression = COMPRESSIONS.get(path.suffix.lower())
    if compression is not None:
        path = path.with_suffix("")
    return path.suffix.lower(), compression


def _find_source(name: str, input_format: str | None, given: str) -> Source:
    _check_readable(name)
    suffix, compression = (".jsonl", None) if name == STDIN else _split_suffix(name)
    known = SUFFIXES.get(suffix)
    if input_format is not None:
        known = next(item for item in get_args(Format) if item == input_format)
    if known is None:
        raise ConfigError(
            f"the format of input {name} is unknown: allowed suffixes are {' '.join(SUFFIXES)}, "
            f"each also with .gz or .zst; say which it is with input_format / --input-format "
            f"{' or '.join(get_args(Format))}"
            + (f", or leave it out by a pattern narrower than {given}" if given != name else "")
        )
    source = Source(name, known, compression, _partition(name, known))
    if known in SEEKING and (compression is not None or not source.is_file):
        shown = "standard input" if name == STDIN else f"the pipe or device {name}"
        if compression is not None:
            shown = f"the compressed file {name}"
        raise ConfigError(f"{known} cannot be read from {shown}: give it as a file of its own")
    return source


def _partition(name: str, known: Format) -> dict[str, str | None]:
    """Columns that the names of a table's folders say, as Spark and Arrow write them."""
    if known not in TABULAR:
        return {}
    pairs = [part.split("=", 1) for part in Path(name).parent.parts]
    pairs = [pair for pair in pairs if len(pair) == 2 and pair[0]]
    return {unquote(key): None if value == _NO_VALUE else unquote(value) for key, value in pairs}


def _check_readable(name: str) -> None:
    if name == STDIN:
        if sys.stdin is None:
            raise ConfigError("standard input is closed: name a file in place of -")
        return
    try:
        if stat.S_ISREG(os.stat(name).st_mode) or os.path.isdir(name):
            with open(name, "rb"):
                return
        if not os.access(name, os.R_OK):  # opening a pipe would take what is written to it
            raise PermissionError(None, "Permission denied")
    except OSError as error:
        raise ConfigError(f"input {name} cannot be read: {error.strerror or error}") from None


def line_encoding(encoding: str) -> str:
    """The name under which Python decodes single lines of this encoding.

    Raises:
        ConfigError: the encoding is unknown, or does not end lines with the byte 0x0A.
    """
    try:
        name = codecs.lookup(encoding).name
        newline = "\n".encode(name)
    except (LookupError, ValueError):
        raise ConfigError(
            f"encoding / --encoding {encoding!r} is unknown: allowed are Python's names of text "
            f"encodings, such as utf-8, latin-1 and cp1252{did_you_mean(encoding, _encodings())}"
        ) from None
    if name == "utf-8-sig":
        return "utf-8"  # a byte order mark is taken off in any case
    if newline != b"\n":
        raise ConfigError(
            f"encoding / --encoding {encoding!r} does not end lines with the byte 0x0A: allowed "
            f"are utf-8, latin-1 and the like; convert with iconv -f {encoding} -t utf-8 IN > OUT"
        )
    return name


def _encodings() -> list[str]:
    """Python's names of encodings as people write them."""
    names = encodings.aliases.aliases
    return [name.replace("_", "-") for name in (*names.values(), *names)]


def total_bytes(sources: Iterable[Source]) -> int | None:
    """Size of all inputs together; None where one of them is a stream of unknown length."""
    total = 0
    for source in sources:
        if not source.is_file:
            return None
        total += Path(source.name).stat().st_size
    return total
