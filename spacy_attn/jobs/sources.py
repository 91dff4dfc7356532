"""Inputs: which files a call means, of which format each is, whether it can be read."""

from __future__ import annotations

import codecs
import fnmatch
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import unquote

from spacy_attn.errors import ConfigError

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
TABULAR: Final = ("csv", "tsv", "parquet")
COMPRESSIONS: Final = {".gz": "gzip", ".zst": "zstd"}
# These need to go back and forth in their file: neither from a stream nor compressed as a whole.
_SEEKING: Final = ("parquet", "docbin")
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
            a known suffix are taken, sorted, hidden ones left out; or "-" for standard input.
            A file that a pattern reaches by several ways, as where a link leads back, is taken
            once.
        input_format: one format for all of them; by default the suffix of each file decides,
            and standard input is JSONL. ``"txt-file"`` takes a whole file as one document.

    Raises:
        ConfigError: an input is missing, empty of files, unreadable, given as "-" twice, or has
            a suffix that tells no format.
    """
    if input_format is not None and input_format not in get_args(Format):
        raise ConfigError(
            f"input_format / --input-format is {input_format}: allowed are {_formats()}"
        )
    given = [str(item) for item in inputs]
    if not given:
        raise ConfigError(
            f"no input: give at least one file ({' '.join(SUFFIXES)}), a folder, or - for stdin"
        )
    if given.count(STDIN) > 1:
        raise ConfigError("- (standard input) can be given once only")
    names = [name for item in given for name in _expand(item)]
    return [_find_source(name, input_format) for name in names]


def _expand(item: str) -> list[str]:
    """The files that one argument means."""
    if item == STDIN or os.path.isfile(item):
        return [item]
    if os.path.isdir(item):
        found = sorted(_walk(item))
        if not found:
            raise ConfigError(f"folder {item} holds no file with a suffix of {' '.join(SUFFIXES)}")
        return found
    if not os.path.lexists(item) and has_magic(item):
        found = sorted(_each_once(name for name in _match(item) if not os.path.isdir(name)))
        if not found:
            raise ConfigError(f"no file matches {item}: list what is there with ls")
        return found
    return [item]  # a pipe, or missing: checking it tells


def _walk(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder, onerror=_refuse_unreadable):
        folders[:] = [name for name in folders if name[0] not in "._"]
        for name in names:
            if name[0] not in "._" and _split_suffix(name)[0] in SUFFIXES:
                yield os.path.join(parent, name)


def _refuse_unreadable(error: OSError) -> None:
    raise ConfigError(
        f"folder {error.filename} cannot be read ({error.strerror or error}), and its files would "
        "be missing: make it readable with chmod +rx, or name the other inputs one by one"
    )


def _match(pattern: str) -> Iterator[str]:
    """Names that match, as ``glob`` gives them, but for folders that cannot be read."""
    root, *parts = pattern.split("/")
    if has_magic(root):
        return _match_in("", [root, *parts])
    return _match_in(f"{root}/" if parts else "", parts)


def _match_in(folder: str, parts: Sequence[str], above: tuple[str, ...] = ()) -> Iterator[str]:
    """What matches the parts of a pattern in a folder that ends in a slash, or is empty.

    ``above`` are the real folders that ``**`` has come through: a link back to one is not taken.
    """
    if not parts:
        yield folder.removesuffix("/")
        return
    part, *rest = parts
    if not has_magic(part):
        name = folder + part
        if rest or _is_there(name):
            yield from _match_in(f"{name}/" if rest else name, rest)
        return
    if part == "**":
        yield from _match_in(folder, rest)
        above = (*above, os.path.realpath(folder or "."))
    for entry in _entries(folder or "."):
        name = folder + entry.name
        if entry.name[0] == "." and part[0] != ".":
            continue
        if part == "**":
            if entry.is_dir() and os.path.realpath(name) not in above:
                yield from _match_in(f"{name}/", parts, above)
            elif not rest:
                yield name
        elif fnmatch.fnmatchcase(entry.name, part) and (not rest or entry.is_dir()):
            yield from _match_in(f"{name}/" if rest else name, rest)


def _is_there(name: str) -> bool:
    try:
        os.lstat(name)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        error.filename = os.path.dirname(name)
        _refuse_unreadable(error)
    return True


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        _refuse_unreadable(error)
        return []


def _each_once(names: Iterable[str]) -> Iterator[str]:
    """The names, without those that reach the same place by another way, through linked folders."""
    seen: set[str] = set()
    for name in sorted(names, key=lambda name: (name.count("/"), name)):
        parent, base = os.path.split(name)
        place = os.path.join(os.path.realpath(parent), base)
        if place not in seen:
            seen.add(place)
            yield name


def _split_suffix(name: str) -> tuple[str, str | None]:
    """``a.jsonl.gz`` -> (".jsonl", "gzip")."""
    path = Path(name)
    compression = COMPRESSIONS.get(path.suffix.lower())
    if compression is not None:
        path = path.with_suffix("")
    return path.suffix.lower(), compression


def _find_source(name: str, input_format: str | None) -> Source:
    _check_readable(name)
    suffix, compression = (".jsonl", None) if name == STDIN else _split_suffix(name)
    known = SUFFIXES.get(suffix)
    if input_format is not None:
        known = next(item for item in get_args(Format) if item == input_format)
    if known is None:
        raise ConfigError(
            f"the format of input {name} is unknown: allowed suffixes are {' '.join(SUFFIXES)}, "
            f"each also with .gz or .zst; say which it is with input_format / --input-format "
            f"{_formats(' or ')}"
        )
    source = Source(name, known, compression, _partition(name, known))
    if known in _SEEKING and (compression is not None or not source.is_file):
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


def _formats(joint: str = ", ") -> str:
    return joint.join(get_args(Format))


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
            "encodings, such as utf-8, latin-1 and cp1252"
        ) from None
    if name == "utf-8-sig":
        return "utf-8"  # a byte order mark is taken off in any case
    if newline != b"\n":
        raise ConfigError(
            f"encoding / --encoding {encoding!r} does not end lines with the byte 0x0A: allowed "
            f"are utf-8, latin-1 and the like; convert with iconv -f {encoding} -t utf-8 IN > OUT"
        )
    return name


def total_bytes(sources: Iterable[Source]) -> int | None:
    """Size of all inputs together; None where one of them is a stream of unknown length."""
    total = 0
    for source in sources:
        if not source.is_file:
            return None
        total += Path(source.name).stat().st_size
    return total
