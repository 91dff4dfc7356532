"""Static vectors as plain arrays in a folder, mapped, so that all processes share one copy.

================  ==========================  ============================================
file              shape, type                 holds
================  ==========================  ============================================
``vectors.npy``   (n_words, width) float32    one row a word
``words.txt``     UTF-8                       line i is the word of row i
``starts.npy``    (n_words + 1,) int64        where each line of ``words.txt`` begins
``hashes.npy``    (n_words,) uint64, sorted   BLAKE2b of each word, 8 bytes
``rows.npy``      (n_words,) int64            the row of the word with that hash
``ngrams.npy``    (n_buckets, width) float32  n-grams, fastText only
``vectors.json``                              format, shapes, length of the n-grams
================  ==========================  ============================================

Such a folder is what ``spacy-attn train-word2vec`` writes. The same layout in the user's
cache stands for files that cannot be mapped as they are (text, compressed, fastText): they
are converted once. Of a file whose matrix can be mapped in place the cache holds the words
alone. A dictionary of 400,000 words takes 60 MB in each process; the sorted hashes take
none, because they are mapped as well.
"""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from spacy_attn._types import Floats1d, Floats2d, Ints1d, PlainData
from spacy_attn.errors import ResourceError
from spacy_attn.models import cache_folder

__all__ = ["Damaged", "Ngrams", "Place", "Table", "is_store", "make_table", "save_vectors"]

logger = logging.getLogger("spacy_attn")

Rows: TypeAlias = Callable[[Ints1d | slice], Floats2d]  # (n,) or a range -> (n, width)

FORMAT = "spacy_attn vectors"
VERSION = 1
DESCRIPTION = "vectors.json"
WORTH_SHARING = 1 << 20  # bytes of a source; below, reading is fast and a copy costs nothing
_MIB = 1 << 20
_BLOCK = 1 << 15  # rows at once
_REMEMBERED = 1 << 15  # words whose row a process keeps


class Damaged(Exception):
    """Why a file cannot be read; becomes one sentence of a ResourceError."""


@dataclass(frozen=True)
class Place:
    """Where rows lie in a file that can be mapped as it is."""

    file: Path
    offsets: Ints1d | None = None  # first byte of each row; None: the file is an .npy


@dataclass(frozen=True)
class Ngrams:
    """fastText's rows for n-grams of ``shortest`` to ``longest`` characters, hashed."""

    array: NDArray[Any]  # (n_buckets, width)
    shortest: int
    longest: int
    place: Place | None = None

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


@dataclass(frozen=True, eq=False)
class Table:
    """Words in order, and a way to fetch their rows."""

    index: Mapping[str, int]  # word -> row
    word_at: Callable[[int], str]  # row -> word
    rows: Rows
    width: int
    files: tuple[Path, ...]  # what they were read from
    ngrams: Ngrams | None = None  # fastText only
    place: Place | None = None

    @property
    def from_ngrams(self) -> Callable[[str], Floats1d] | None:
        """The vector of an unknown word; None where there are no n-grams."""
        return None if self.ngrams is None else self.ngrams.mean

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

    def blocks(self) -> Iterator[tuple[int, Floats2d]]:
        """First row and rows of one part after the other; views where they are mapped.

        *Shape:* each (n, width)
        """
        for start in range(0, len(self.index), _BLOCK):
            yield start, self.rows(slice(start, min(start + _BLOCK, len(self.index))))

    @cached_property
    def norms(self) -> Floats1d:
        """Euclidean length of each row. *Shape:* (n_words,)"""
        lengths = [np.sqrt(np.einsum("ij,ij->i", rows, rows)) for _, rows in self.blocks()]
        return cast(Floats1d, np.concatenate(lengths).astype(np.float32))


def make_table(
    words: Sequence[str],
    rows: Rows,
    width: int,
    files: tuple[Path, ...],
    *,
    ngrams: Ngrams | None = None,
    place: Place | None = None,
) -> Table:
    """A table with its words in memory; of two equal words the first counts."""
    index: dict[str, int] = {}
    for row, word in enumerate(words):
        index.setdefault(word, row)
    if len(index) < len(words):
        kept = np.fromiter(index.values(), dtype=np.int64, count=len(index))
        words, rows = list(index), partial(_picked_rows, rows, kept)
        index = {word: row for row, word in enumerate(words)}
        offsets = None if place is None or place.offsets is None else place.offsets[kept]
        place = None if place is None or offsets is None else Place(place.file, offsets)
    return Table(index, words.__getitem__, rows, width, files, ngrams, place)


def _picked_rows(source: Rows, kept: Ints1d, rows: Ints1d | slice) -> Floats2d:
    return source(kept[rows])


def rows_of(array: NDArray[Any], rows: Ints1d | slice) -> Floats2d:
    """Rows of a matrix as float32; a range of such a matrix is a view."""
    return np.asarray(array[rows], dtype=np.float32)


def packed_rows(
    raw: NDArray[np.uint8], offsets: Ints1d, width: int, rows: Ints1d | slice
) -> Floats2d:
    """Little-endian float32 rows that begin at any byte of a file."""
    packed = sliding_window_view(raw, 4 * width)[offsets[rows]]
    return packed.view("<f4").astype(np.float32, copy=False)


def check_finite(table: Table) -> None:
    """Refuse a table with a number that is none.

    Raises:
        Damaged: names the first such word.
    """
    for start, rows in table.blocks():
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            row = start + int(bad[0])
            raise Damaged(f"the vector of {table.word_at(row)[:40]!r} (word {row + 1}) is not "
                          f"finite (NaN or infinity)")  # fmt: skip
    if table.ngrams is not None:
        array = table.ngrams.array
        for start in range(0, len(array), _BLOCK):
            if not np.isfinite(array[start : start + _BLOCK]).all():
                raise Damaged("the vector of an n-gram is not finite (NaN or infinity)")


# -- words -----------------------------------------------------------------------------


class MappedWords(Mapping[str, int]):
    """Word to row by bisection in sorted hashes, all of it mapped.

    A hash is only where to look: the word itself is compared, so that an equal hash of
    another word changes nothing.
    """

    def __init__(
        self,
        text: mmap.mmap,
        starts: Ints1d,
        hashes: NDArray[np.uint64],
        rows: Ints1d,
    ) -> None:
        self._text, self._starts, self._hashes, self._rows = text, starts, hashes, rows
        # Few words make most of a text: their rows are kept.
        self._row = lru_cache(maxsize=_REMEMBERED)(self._find)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return map(self.word_at, range(len(self)))

    def __getitem__(self, word: str) -> int:
        row = self._row(word)
        if row < 0:
            raise KeyError(word)
        return row

    def get(self, word: str, default: Any = None) -> Any:
        """The row, or ``default``; without the cost of an exception."""
        row = self._row(word)
        return default if row < 0 else row

    def word_at(self, row: int) -> str:
        """The word of a row."""
        return self._encoded(row).decode("utf-8", "surrogatepass")

    def _encoded(self, row: int) -> bytes:
        return self._text[int(self._starts[row]) : int(self._starts[row + 1]) - 1]

    def _find(self, word: str) -> int:
        encoded = word.encode("utf-8", "surrogatepass")
        wanted = np.uint64(_hash(encoded))
        at = int(np.searchsorted(self._hashes, wanted))
        while at < len(self._hashes) and self._hashes[at] == wanted:
            row = int(self._rows[at])
            if self._encoded(row) == encoded:
                return row
            at += 1
        return -1


def _hash(encoded: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little")


# -- writing ---------------------------------------------------------------------------


def save_vectors(
    folder: str | Path,
    words: Sequence[str],
    vectors: NDArray[Any],
    *,
    ngrams: Ngrams | None = None,
    about: PlainData | None = None,
    overwrite: bool = False,
) -> Path:
    """Write vectors as a folder that ``load_vectors`` maps.

    The folder appears under its name only when it is complete.

    Args:
        folder: to be made; an empty one may exist.
        words: one for each row, no two equal.
        vectors: their vectors, (n_words, width).
        ngrams: vectors of n-grams, as fastText learns them.
        about: JSON data kept with them, such as how they were trained.
        overwrite: replace vectors that were saved there before.

    Raises:
        ResourceError: the vectors are not finite, do not fit the words, or are none; or
            the folder cannot be written, or holds something else.
    """
    folder = Path(folder)
    vectors = np.asarray(vectors)
    try:
        if vectors.ndim != 2 or len(vectors) != len(words) or not vectors.size:
            raise Damaged(f"{len(words)} words do not fit vectors of shape {vectors.shape}")
        table = make_table(words, partial(rows_of, vectors), vectors.shape[1], (), ngrams=ngrams)
        if len(table.index) < len(words):
            raise Damaged("a word is there twice")
        check_finite(table)
        check_free(folder, overwrite)
        write_store(table, folder, {"about": about or {}})
    except (Damaged, OSError) as error:
        raise ResourceError(f"no vectors were written to {folder}: {error}") from error
    return folder


def check_free(folder: Path, overwrite: bool) -> None:
    """Whether a store can be written there without loss.

    Raises:
        Damaged: it holds something else, or vectors that are not to be replaced, or is a path
            without a name of its own, such as ".".
    """
    if folder.name in ("", ".."):
        raise Damaged("it is no name for a new folder; give one, such as vectors")
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if is_store(folder):
        if not overwrite:
            raise Damaged(
                "there are vectors already; give another name, or overwrite them (--overwrite)"
            )
    elif folder.exists() or folder.is_symlink():
        raise Damaged("something else is there; give another name")


def write_store(table: Table, folder: Path, more: PlainData) -> None:
    """Write a table beside ``folder`` and move it there when it is complete.

    Raises:
        OSError: it cannot be written; what was written of it is removed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _beside(folder)
    unfinished.mkdir()
    try:
        _write_words(table, unfinished)
        description = {
            "format": FORMAT,
            "version": VERSION,
            "n_words": len(table.index),
            "width": table.width,
            "vectors": _write_rows(table, unfinished),
            "ngrams": _write_ngrams(table.ngrams, unfinished),
            **more,
        }
        (unfinished / DESCRIPTION).write_text(
            json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        _replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _beside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name[:100]}.{uuid.uuid4().hex[:8]}")


def _replace(unfinished: Path, folder: Path) -> None:
    """Another process that maps the old files keeps them until it ends."""
    if is_store(folder):
        old = _beside(folder)
        os.rename(folder, old)
        os.rename(unfinished, folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            folder.rmdir()  # an empty one
        os.rename(unfinished, folder)


def _write_words(table: Table, folder: Path) -> None:
    n = len(table.index)
    starts = np.zeros(n + 1, dtype=np.int64)
    hashes = np.empty(n, dtype=np.uint64)
    with (folder / "words.txt").open("wb") as file:
        for row in range(n):
            encoded = table.word_at(row).encode("utf-8", "surrogatepass")
            starts[row + 1] = starts[row] + file.write(encoded + b"\n")
            hashes[row] = _hash(encoded)
    order = np.argsort(hashes, kind="stable")
    np.save(folder / "starts.npy", starts)
    np.save(folder / "hashes.npy", hashes[order])
    np.save(folder / "rows.npy", order.astype(np.int64))


def _write_rows(table: Table, folder: Path) -> PlainData:
    if table.place is not None:
        return _write_place(table.place, folder)
    shape = (len(table.index), table.width)
    array = np.lib.format.open_memmap(
        folder / "vectors.npy", mode="w+", dtype=np.float32, shape=shape
    )
    for start, rows in table.blocks():
        array[start : start + len(rows)] = rows
    array.flush()
    return {"file": "vectors.npy"}


def _write_place(place: Place, folder: Path) -> PlainData:
    if place.offsets is None:
        return {"file": str(place.file.absolute())}
    np.save(folder / "offsets.npy", place.offsets)
    return {"file": str(place.file.absolute()), "offsets": "offsets.npy"}


def _write_ngrams(ngrams: Ngrams | None, folder: Path) -> PlainData | None:
    if ngrams is None:
        return None
    if ngrams.place is None:
        np.save(folder / "ngrams.npy", np.asarray(ngrams.array, dtype=np.float32))
        found: PlainData = {"file": "ngrams.npy"}
    else:
        found = _write_place(ngrams.place, folder)
    return {**found, "shortest": ngrams.shortest, "longest": ngrams.longest}


# -- reading ---------------------------------------------------------------------------


def is_store(folder: Path) -> bool:
    """Whether a folder was written by :func:`save_vectors`."""
    return os.path.isfile(os.path.join(folder, DESCRIPTION))


def open_store(folder: Path) -> Table:
    """Map a folder; nothing of the matrix is read.

    Args:
        folder: as :func:`save_vectors` writes it.

    Raises:
        Damaged: a file is missing, cut short or does not fit the others.
    """
    try:
        found = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if found["format"] != FORMAT or found["version"] != VERSION:
            raise Damaged(f"its {DESCRIPTION} is not of format {FORMAT}, version {VERSION}")
        n, width = int(found["n_words"]), int(found["width"])
        if n < 1 or width < 1:
            raise Damaged("it holds no words" if n < 1 else "its vectors have length 0")
        words = _open_words(folder, n)
        rows, place = _open_rows(folder, found["vectors"], n, width)
        ngrams = _open_ngrams(folder, found["ngrams"], width)
    except FileNotFoundError as error:
        raise Damaged(f"its {Path(str(error.filename)).name} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Damaged(f"one of its files is damaged ({reason})") from error
    own = [str(folder / name) for name in ("vectors.npy", "words.txt")]
    files = tuple(map(Path, found.get("sources", own)))
    return Table(words, words.word_at, rows, width, files, ngrams, place)


def map_array(path: Path) -> NDArray[Any]:
    """An ``.npy`` file as a mapped array; pickled objects are refused."""
    # A plain ndarray over the map: indexing a np.memmap costs a microsecond more.
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _open_words(folder: Path, n: int) -> MappedWords:
    starts = _checked(folder / "starts.npy", (n + 1,), np.int64)
    hashes = _checked(folder / "hashes.npy", (n,), np.uint64)
    rows = _checked(folder / "rows.npy", (n,), np.int64)
    with (folder / "words.txt").open("rb") as file:
        text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if len(text) != int(starts[-1]):
        raise Damaged(f"its words.txt has {len(text)} bytes, expected {int(starts[-1])}")
    return MappedWords(text, starts, hashes, rows)


def _checked(path: Path, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    array = map_array(path)
    if array.shape != shape or array.dtype != dtype:
        raise Damaged(
            f"its {path.name} has shape {array.shape} and type {array.dtype}, "
            f"expected {shape} and {np.dtype(dtype)}"
        )
    return array


def _open_rows(folder: Path, found: PlainData, n: int, width: int) -> tuple[Rows, Place | None]:
    file = folder / found["file"]  # an absolute path stays what it is
    if "offsets" not in found:
        array = _checked(file, (n, width), np.float32)
        return partial(rows_of, array), Place(file)
    offsets = _checked(folder / found["offsets"], (n,), np.int64)
    raw = np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))
    return partial(packed_rows, raw, offsets, width), Place(file, offsets)


def _open_ngrams(folder: Path, found: PlainData | None, width: int) -> Ngrams | None:
    if found is None:
        return None
    array = map_array(folder / found["file"])
    if array.ndim != 2 or array.shape[1] != width or array.dtype != np.float32:
        raise Damaged(f"its n-grams have shape {array.shape} and type {array.dtype}")
    return Ngrams(array, int(found["shortest"]), int(found["longest"]))


# -- the cache -------------------------------------------------------------------------


def shared_copy(files: Sequence[Path], read: Callable[[], Table]) -> Table:
    """What ``read`` gives, mapped: converted the first time, opened from the cache later.

    Small files, and a cache that cannot be written, leave it as it was read.

    Args:
        files: everything that is read; the copy is made anew when one of them changes.
        read: reads and checks them.
    """
    if sum(file.stat().st_size for file in files) < WORTH_SHARING:
        return read()
    states = json.dumps([_state(file) for file in files])
    try:
        cache = cache_folder() / "vectors"
        cache.mkdir(parents=True, exist_ok=True)
    except (OSError, ImportError) as error:
        logger.info("%s is read into memory, not shared: %s", files[0], error)
        return read()
    # One copy for each path; the second half of the name changes with the files.
    place = _short_hash(str(files[0].resolve()))
    folder = cache / f"{place}-{_short_hash(states)}"
    with only_one(cache / f"{place}.lock"):
        if is_store(folder):
            try:
                return open_store(folder)
            except Damaged as error:
                logger.info("%s is converted again: %s", files[0], error)
                shutil.rmtree(folder, ignore_errors=True)
        table = read()
        return _converted(table, folder, cache.glob(f"{place}-*"), files)


def _converted(table: Table, folder: Path, copies: Iterator[Path], files: Sequence[Path]) -> Table:
    try:
        for outdated in list(copies):
            shutil.rmtree(outdated, ignore_errors=True)
        write_store(table, folder, {"sources": [str(file.absolute()) for file in table.files]})
        return open_store(folder)
    except (OSError, Damaged) as error:  # such as a full disk
        logger.info("%s is read into memory, not shared: %s", files[0], error)
        return table


def _state(path: Path) -> tuple[str, int, int, int, int]:
    stat = path.stat()
    return str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@contextmanager
def only_one(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock on a file, where the system can lock; elsewhere do nothing.

    It ends with the process, however that ends, and is not passed on to child processes.

    Args:
        path: made if it is not there, and left there.
        wait: for whoever holds it.

    Raises:
        BlockingIOError: somebody holds it, or removed it just now, and ``wait`` is false.
    """
    with ExitStack() as stack:
        try:
            import fcntl

            file = stack.enter_context(path.open("wb"))
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except (ImportError, OSError):
            pass  # each works for itself, and the last one's result stays
        else:
            if not wait and not _is_same_file(file.fileno(), path):
                raise BlockingIOError(f"{path} was removed")
        yield


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
