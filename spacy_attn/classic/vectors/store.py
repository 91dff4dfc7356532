"""A folder of vectors: plain arrays that are mapped, so that all processes share one copy.

================  ==========================  ============================================
file              shape, type                 holds
================  ==========================  ============================================
``vectors.npy``   (n_words, width) float32    one row a word
``words.txt``     UTF-8                       line i is the word of row i
``starts.npy``    (n_words + 1,) int64        where each line of ``words.txt`` begins
``hashes.npy``    (n_words,) uint64, sorted   BLAKE2b of each word, 8 bytes
``rows.npy``      (n_words,) int64            the row of the word with that hash
``ngrams.npy``    (n_buckets, width) float32  n-grams, fastText only
``vectors.json``                              format, shapes, checksum, length of the n-grams
================  ==========================  ============================================
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import PlainData
from spacy_attn.classic.vectors.table import Content, Damaged, Ngrams, Table, checked, slices
from spacy_attn.classic.vectors.words import map_array, open_words, own_file, write_words
from spacy_attn.errors import ResourceError

FORMAT = "spacy_attn vectors"
VERSION = 1
DESCRIPTION = "vectors.json"


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
        if len(set(words)) < len(words):
            raise Damaged("a word is there twice")
        check_free(folder, overwrite)
        content = Content(vectors.shape[1], slices(words, vectors), (), ngrams)
        write_store(folder, content, {"about": about or {}})
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


def is_store(folder: Path) -> bool:
    """Whether a folder was written by :func:`save_vectors`."""
    return os.path.isfile(os.path.join(folder, DESCRIPTION))


# -- writing ---------------------------------------------------------------------------


def write_store(folder: Path, content: Content, more: PlainData) -> None:
    """Write vectors beside ``folder``, a block at a time, and move them there at the end.

    Raises:
        Damaged: as :func:`~spacy_attn.classic.vectors.table.checked`.
        OSError: it cannot be written; what was written of it is removed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _beside(folder)
    unfinished.mkdir()
    try:
        n, checksum = _write_rows(unfinished, content)
        ngrams: PlainData | None = None
        if content.ngrams is not None:
            array = np.asarray(content.ngrams.array, dtype=np.float32)
            np.save(unfinished / "ngrams.npy", array)
            ngrams = {"shortest": content.ngrams.shortest, "longest": content.ngrams.longest}
        description = {
            "format": FORMAT,
            "version": VERSION,
            "n_words": n,
            "width": content.width,
            "words_crc32": checksum,
            "ngrams": ngrams,
            **more,
        }
        (unfinished / DESCRIPTION).write_text(
            json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        _replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write_rows(folder: Path, content: Content) -> tuple[int, int]:
    """The number of words, and a checksum of them."""
    all_words: list[str] = []
    with (folder / "vectors.npy").open("wb") as file:
        _write_header(file, 0, content.width)
        for words, rows in checked(content):
            file.write(np.ascontiguousarray(rows, dtype="<f4").data)
            all_words.extend(words)
        file.seek(0)
        _write_header(file, len(all_words), content.width)
    return len(all_words), write_words(folder, all_words)


def _write_header(file: IO[bytes], n: int, width: int) -> None:
    """Of an ``.npy`` file; numpy leaves room in it for the first axis to grow."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (n, width)}
    np.lib.format.write_array_header_1_0(file, header)


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


# -- reading ---------------------------------------------------------------------------


def open_store(folder: Path, sources: Sequence[Path] = ()) -> Table:
    """Map a folder; nothing of the matrix is read, and no file outside the folder.

    Args:
        folder: as :func:`save_vectors` writes it.
        sources: of a copy in the cache, the files that may have been copied.

    Raises:
        Damaged: a file is missing, cut short or does not fit the others.
    """
    try:
        found = json.loads(own_file(folder, DESCRIPTION).read_text(encoding="utf-8"))
        if found["format"] != FORMAT or found["version"] != VERSION:
            raise Damaged(f"its {DESCRIPTION} is not of format {FORMAT}, version {VERSION}")
        n, width = int(found["n_words"]), int(found["width"])
        if n < 1 or width < 1:
            raise Damaged("it holds no words" if n < 1 else "its vectors have length 0")
        matrix = map_array(own_file(folder, "vectors.npy"), (n, width), np.float32)
        words = open_words(folder, n, found.get("words_crc32"))
        ngrams = _open_ngrams(folder, found["ngrams"], width)
        by_name = {path.name: path for path in sources}
        files = tuple(by_name[name] for name in found["sources"]) if sources else ()
    except FileNotFoundError as error:
        raise Damaged(f"its {Path(str(error.filename)).name} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Damaged(f"one of its files is damaged ({reason})") from error
    files = files or (folder / "vectors.npy", folder / "words.txt")
    return Table(words, words.word_at, matrix, files, ngrams)


def _open_ngrams(folder: Path, found: PlainData | None, width: int) -> Ngrams | None:
    if found is None:
        return None
    array = map_array(own_file(folder, "ngrams.npy"))
    if array.ndim != 2 or not len(array) or array.shape[1] != width or array.dtype != np.float32:
        raise Damaged(f"its n-grams have shape {array.shape} and type {array.dtype}")
    return Ngrams(array, int(found["shortest"]), int(found["longest"]))
