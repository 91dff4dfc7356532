"""Texts of files of any size as lines of tokens, in bounded memory.

Training reads a corpus many times. It is therefore tokenised once, into a file with a
sentence a line and a blank between tokens, while the words are counted.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import json
import os
import stat
import sys
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias, cast

from spacy_attn._types import PlainData
from spacy_attn.errors import ConfigError, ResourceError

__all__ = [
    "STDIN",
    "Corpus",
    "TextFile",
    "find_text_files",
    "make_tokenizer",
    "stdin_sha256",
    "tokenise_files",
]

Report: TypeAlias = Callable[[PlainData], None]
Tokenizer: TypeAlias = Callable[[list[str]], list[list[str]]]

STDIN: Final = "-"
FORMATS: Final = ("txt", "jsonl")
TOKENS: Final = ("spacy", "whitespace")
MAX_SENTENCE: Final = 10_000  # tokens; gensim ignores what follows in a longer one
MAX_TOKEN: Final = 1_000  # characters; a longer one is data, such as base64, and no word
_SUFFIXES: Final = (".txt", ".jsonl", ".txt.gz", ".jsonl.gz")  # taken from a folder
_MAX_TEXT: Final = 1_000_000  # characters tokenised at once
_MAX_LINE: Final = 1 << 20  # bytes of plain text read at once
_MAX_JSON: Final = 1 << 26  # bytes of a JSONL record
_CHUNK: Final = 1 << 18  # characters that a worker gets
_REPORT_EVERY: Final = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class TextFile:
    """One input, and how its lines are read."""

    name: str  # a path, or "-"
    format: str  # "txt" or "jsonl"

    @property
    def size(self) -> int | None:
        """Bytes; None for standard input."""
        return None if self.name == STDIN else os.path.getsize(self.name)


@dataclass
class Corpus:
    """What a corpus holds, after it was tokenised."""

    counts: Counter[str] = field(default_factory=Counter)
    n_tokens: int = 0
    n_sentences: int = 0
    n_skipped: int = 0  # lines that are no JSON record with a text, or not UTF-8
    first_skipped: str = ""
    n_too_long: int = 0  # tokens of more than MAX_TOKEN characters, left out
    stdin_sha256: str | None = None

    def skip(self, file: str, line: int, reason: str) -> None:
        """Count a line that cannot be used."""
        self.n_skipped += 1
        self.first_skipped = self.first_skipped or f"{file} line {line}: {reason}"


# -- which files -----------------------------------------------------------------------


def find_text_files(
    inputs: Sequence[str | Path], input_format: str | None = None
) -> list[TextFile]:
    """The files that are meant, each readable and of a known format.

    Args:
        inputs: files, folders (their .txt, .jsonl and .gz of these, at any depth), patterns
            such as ``texts/*.txt``, or "-" for standard input.
        input_format: "txt" or "jsonl" for all; by default .jsonl is JSONL and any other
            file, and standard input, plain text.

    Raises:
        ConfigError: an input is missing, empty of files, unreadable or binary, or named twice.
    """
    if input_format is not None and input_format not in FORMATS:
        raise ConfigError(f"--input-format {input_format}: legal are {' and '.join(FORMATS)}")
    if not inputs:
        raise ConfigError("no input: give at least one file, folder or pattern, or - for stdin")
    names = [name for item in inputs for name in _expand(str(item))]
    for name, times in Counter(names).items():
        if times > 1:
            raise ConfigError(f"input {name} is given {times} times; give it once")
        if name != STDIN:
            _check_readable(name)
    return [TextFile(name, input_format or _format(name)) for name in names]


def _expand(item: str) -> list[str]:
    if item == STDIN or (os.path.exists(item) and not os.path.isdir(item)):
        return [item]
    if os.path.isdir(item):
        found = [str(path) for path in Path(item).rglob("*") if path.is_file()]
        names = sorted(name for name in found if name.lower().endswith(_SUFFIXES))
        what = f"a folder without {', '.join(_SUFFIXES)} files"
    else:
        names = sorted(name for name in glob.glob(item, recursive=True) if os.path.isfile(name))
        what = "a pattern that fits no file" if glob.has_magic(item) else "not there"
    if not names:
        raise ConfigError(f"input {item} is {what}; give files, folders or patterns of text")
    return names


def _format(name: str) -> str:
    return "jsonl" if name.lower().removesuffix(".gz").endswith(".jsonl") else "txt"


def _check_readable(name: str) -> None:
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):
            raise ConfigError(f"input {name} is no regular file; pipe it to - instead")
        with _reading(TextFile(name, "txt")) as (lines, _):
            head = lines.read(1 << 16)
    except OSError as error:
        raise ConfigError(f"input {name} cannot be read: {error.strerror or error}") from None
    except (EOFError, zlib.error) as error:
        raise ConfigError(f"input {name} cannot be read: {error}; compress it again") from None
    if b"\0" in head:
        raise ConfigError(f"input {name} is no text in UTF-8 (it holds NUL bytes); convert it")


def stdin_sha256() -> str:
    """Hash of all that standard input still holds."""
    digest = hashlib.sha256()
    while data := sys.stdin.buffer.read(1 << 20):
        digest.update(data)
    return digest.hexdigest()


# -- texts -----------------------------------------------------------------------------


def _read_texts(
    file: TextFile, text_key: str, corpus: Corpus, place: Callable[[int], None]
) -> Iterator[str]:
    """One text after the other; ``place`` hears how many bytes of the file are read."""
    parse = _parse_json if file.format == "jsonl" else _parse_plain
    pieces = _json_lines if file.format == "jsonl" else _plain_lines
    digest = hashlib.sha256() if file.name == STDIN else None
    number = 0
    with _reading(file) as (stream, raw):
        for number, line in enumerate(pieces(stream), 1):
            if digest is not None:
                digest.update(line)
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            try:
                text = parse(line, text_key)
            except ValueError as error:
                corpus.skip(file.name, number, str(error))
            else:
                yield from _cut(text)
            if number % 256 == 0:
                place(raw.tell() if file.name != STDIN else 0)
    if digest is not None:
        corpus.stdin_sha256 = digest.hexdigest()


@contextmanager
def _reading(file: TextFile) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """The decompressed bytes, and the file beneath that tells how far they are read."""
    if file.name == STDIN:
        yield sys.stdin.buffer, sys.stdin.buffer
        return
    with open(file.name, "rb") as raw:
        if file.name.lower().endswith(".gz"):
            with gzip.open(raw) as stream:
                yield cast(BinaryIO, stream), raw
        else:
            yield raw, raw


def _plain_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines; one that is very long comes in pieces, cut at a blank where it has some."""
    rest = b""
    while line := stream.readline(_MAX_LINE):
        line = rest + line
        rest = b""
        if not line.endswith(b"\n") and len(line) >= _MAX_LINE:
            end = line.rfind(b" ") + 1 or _character_end(line)
            line, rest = line[:end], line[end:]
        yield line
    if rest:
        yield rest


def _character_end(line: bytes) -> int:
    """Where the last whole UTF-8 character ends."""
    for end in range(len(line), max(0, len(line) - 4), -1):
        if line[end - 1] & 0xC0 != 0x80:  # no continuation byte
            return end - 1 or len(line)
    return len(line)


def _json_lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(_MAX_JSON):
        yield line
        while not line.endswith(b"\n") and len(line) >= _MAX_JSON:
            line = stream.readline(_MAX_JSON)  # the rest of a record that is too long


def _parse_plain(line: bytes, text_key: str) -> str:
    del text_key
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte 0x{line[error.start]:02x})") from None


def _parse_json(line: bytes, text_key: str) -> str:
    text = _parse_plain(line, text_key)
    if not text.strip():
        return ""
    if len(line) >= _MAX_JSON:
        raise ValueError(f"longer than {_MAX_JSON >> 20} MiB")
    try:
        record = json.loads(text, parse_int=float)
    except ValueError as error:
        raise ValueError(f"not JSON ({' '.join(str(error).split())})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(record, dict) or not isinstance(record.get(text_key), str):
        raise ValueError(f"no text under the key {text_key!r}; name it with --text-key")
    # Halves of surrogate pairs are legal in JSON and cannot be written as UTF-8.
    return str(record[text_key]).encode("utf-8", "replace").decode("utf-8")


def _cut(text: str) -> Iterator[str]:
    """A text in pieces that a tokenizer can take, cut at a blank where it has some."""
    while len(text) > _MAX_TEXT:
        end = text.rfind(" ", 0, _MAX_TEXT) + 1 or _MAX_TEXT
        yield text[:end]
        text = text[end:]
    yield text


# -- tokens ----------------------------------------------------------------------------


def make_tokenizer(tokens: str, lang: str, lower: bool) -> Tokenizer:
    """Texts to lists of tokens without white space.

    Args:
        tokens: "spacy" or "whitespace".
        lang: language of spaCy's tokenizer.
        lower: whether tokens are lower-cased, after they are found.

    Raises:
        ConfigError: ``tokens`` is neither, or spaCy has no tokenizer for the language.
    """
    if tokens == "whitespace":
        return partial(_split_at_whitespace, lower=lower)
    if tokens != "spacy":
        raise ConfigError(f"--tokens {tokens}: legal are {' and '.join(TOKENS)}")
    import spacy

    try:
        nlp = spacy.blank(lang)
    except (ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"--lang {lang}: spaCy has no tokenizer for it here ({reason[:200]}); give a code "
            f"such as en, de or xx, or --tokens whitespace"
        ) from error
    return partial(_split_by_spacy, nlp=nlp, lower=lower)


def _split_at_whitespace(texts: list[str], *, lower: bool) -> list[list[str]]:
    return [(text.lower() if lower else text).split() for text in texts]


def _split_by_spacy(texts: list[str], *, nlp: Any, lower: bool) -> list[list[str]]:
    out = []
    with nlp.memory_zone():  # else the strings of the whole corpus would be kept
        for doc in nlp.tokenizer.pipe(texts):
            words = [token.text for token in doc]
            text = " ".join(word for word in words if not word.isspace())
            if len(text.split()) != text.count(" ") + 1:  # white space within a token
                text = " ".join("_".join(word.split()) for word in words if not word.isspace())
            out.append((text.lower() if lower else text).split())
    return out


_worker_tokenizer: list[Tokenizer] = []  # one, in a process of the pool


def _start_worker(tokens: str, lang: str, lower: bool) -> None:
    _worker_tokenizer[:] = [make_tokenizer(tokens, lang, lower)]


def _in_worker(texts: list[str]) -> list[list[str]]:
    return _worker_tokenizer[0](texts)


def _tokenised(
    chunks: Iterable[list[str]], tokens: str, lang: str, lower: bool, processes: int
) -> Iterator[list[list[str]]]:
    """Chunks in their order; a few are on their way at any time, never all."""
    if processes == 1:
        yield from map(make_tokenizer(tokens, lang, lower), chunks)
        return
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(
        processes, get_context("spawn"), _start_worker, (tokens, lang, lower)
    )
    waiting: deque[Future[list[list[str]]]] = deque()
    try:
        with pool:
            for chunk in chunks:
                waiting.append(pool.submit(_in_worker, chunk))
                if len(waiting) > 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise ResourceError(
            "a process that tokenises died, perhaps for want of memory; give --n-process 1"
        ) from error


def _in_chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for text in texts:
        if not text or text.isspace():
            continue
        chunk.append(text)
        size += len(text)
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


# -- the corpus ------------------------------------------------------------------------


def tokenise_files(
    files: Sequence[TextFile],
    target: Path,
    *,
    tokens: str = "spacy",
    lang: str = "en",
    lower: bool = True,
    text_key: str = "text",
    processes: int = 1,
    max_types: int = 10_000_000,
    report: Report | None = None,
) -> Corpus:
    """Write all texts as lines of tokens and count the words.

    A text of more than ``MAX_SENTENCE`` tokens becomes several lines. Lines that cannot be
    used, and tokens of more than ``MAX_TOKEN`` characters, are counted and passed over.

    Args:
        files: as :func:`find_text_files` gives them.
        target: the file to write.
        tokens: "spacy" or "whitespace".
        lang: language of spaCy's tokenizer.
        lower: whether to lower-case.
        text_key: field of a JSONL record with its text.
        processes: that tokenise at a time.
        max_types: with more different words than this the rarest are forgotten.
        report: hears ``{"phase", "done", "total", "tokens"}``, bytes of the input.

    Raises:
        ConfigError: as :func:`make_tokenizer`.
        ResourceError: a file ends in the middle or is damaged, or a worker died.
        OSError: the target cannot be written.
    """
    make_tokenizer(tokens, lang, lower)  # a wrong language is told here, not in a worker
    corpus = Corpus()
    sizes = [file.size for file in files]
    total = None if None in sizes else sum(cast("list[int]", sizes))
    done = [0] * len(files)

    def texts() -> Iterator[str]:
        for i, file in enumerate(files):
            try:
                yield from _read_texts(file, text_key, corpus, partial(done.__setitem__, i))
            except (OSError, EOFError, zlib.error) as error:
                raise ResourceError(
                    f"input {file.name} cannot be read to its end: {error}; copy or compress it "
                    f"again"
                ) from error
            done[i] = sizes[i] or 0

    reported = 0.0
    with target.open("w", encoding="utf-8", newline="\n") as out:
        for lines in _tokenised(_in_chunks(texts()), tokens, lang, lower, processes):
            for words in lines:
                _write(words, out, corpus)
            if len(corpus.counts) > max_types:
                _forget_rarest(corpus.counts, max_types)
            if report is not None and time.monotonic() - reported > _REPORT_EVERY:
                reported = time.monotonic()
                report({"phase": "read", "done": sum(done), "total": total,
                        "tokens": corpus.n_tokens})  # fmt: skip
    return corpus


def _write(words: list[str], out: Any, corpus: Corpus) -> None:
    kept = [word for word in words if len(word) <= MAX_TOKEN]
    corpus.n_too_long += len(words) - len(kept)
    corpus.counts.update(kept)
    corpus.n_tokens += len(kept)
    rest = iter(kept)
    while sentence := list(islice(rest, MAX_SENTENCE)):
        corpus.n_sentences += 1
        out.write(" ".join(sentence) + "\n")


def _forget_rarest(counts: Counter[str], max_types: int) -> None:
    """Make room for new words; a word that comes back is counted from 0."""
    min_count = 1
    while len(counts) > 0.8 * max_types:
        min_count += 1
        for word in [word for word, count in counts.items() if count < min_count]:
            del counts[word]
