"""gensim's ``.kv``: a pickle, read without building a single object that it names.

Unpickling can run any code. Of the pickle only words, numbers and the state of
``KeyedVectors`` are taken; see :class:`_RecordingUnpickler`.
"""

from __future__ import annotations

import io
import pickle  # only subclassed, by an unpickler that builds nothing
import pickletools
import re
import shlex
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacy_attn.classic.vectors.binary import composed
from spacy_attn.classic.vectors.table import Content, Damaged, Ngrams, slices
from spacy_attn.classic.vectors.words import map_array
from spacy_attn.errors import ResourceError
from spacy_attn.files import is_gzip, most_bytes, open_decompressed

_BUILT = (
    "gensim.models.keyedvectors.KeyedVectors",
    "gensim.models.fasttext.FastTextKeyedVectors",
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
)


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

    def __init__(self, pickled: bytes) -> None:
        super().__init__(io.BytesIO(pickled))
        self._stand_ins = {name: type(name.rpartition(".")[2], (_Record,), {}) for name in _BUILT}

    def find_class(self, module: str, name: str) -> type[_Record]:
        try:
            return self._stand_ins[f"{module}.{name}"]
        except KeyError:
            raise _ForeignName(f"{module}.{name}") from None


class _ForeignName(Exception):
    """A pickle names something that saved vectors never need."""


def read_keyed_vectors(path: Path) -> Content:
    """KeyedVectors or FastTextKeyedVectors as gensim 4 saves them.

    Raises:
        Damaged: it is a pickle of something else, or an array beside it is missing or damaged.
        ResourceError: it is a pickle that names something else.
    """
    state = _saved_state(path)
    words = state.get("index_to_key")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise Damaged("its keys are not words")
    is_fasttext = "vectors_ngrams" in state or "vectors_vocab" in state or state.get("bucket")
    array, files = _saved_array(path, state, "vectors_vocab" if is_fasttext else "vectors")
    if len(array) != len(words):
        raise Damaged(f"it has {len(words)} words and {len(array)} vectors")
    ngrams = None
    if is_fasttext and state.get("bucket"):
        ngrams, more = _saved_ngrams(path, state, array.shape[1])
        files += more
    blocks = composed(words, array, ngrams) if ngrams else slices(words, array)
    return Content(array.shape[1], blocks, (path, *files), ngrams)


def _saved_state(path: Path) -> dict[str, Any]:
    with open_decompressed(path) as file:
        pickled = file.read()
    try:
        _refuse_large_memo(pickled)
        saved = _RecordingUnpickler(pickled).load()
    except _ForeignName as error:
        raise ResourceError(_foreign(path, str(error))) from None
    except Exception as error:  # the pickle module names no base class of its errors
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Damaged(f"its pickle is damaged ({reason})") from error
    if not isinstance(saved, _Record) or not isinstance(saved.state, dict):
        raise Damaged("it is a pickle of something else than gensim KeyedVectors")
    return saved.state


def _refuse_large_memo(pickled: bytes) -> None:
    """Twelve bytes can ask the unpickler for a memo of gigabytes; a written one has no gaps."""
    for n, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > n:
            raise ValueError(f"it numbers object {argument} after {n} steps")


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
        beside = path.with_name(f"{path.name}.{name}.{'npz' if is_gzip(path) else 'npy'}")
        if not beside.is_file():
            raise Damaged(f"its array {beside.name} is missing; copy that file beside it")
        array, files = _compressed_array(beside) if is_gzip(path) else map_array(beside), (beside,)
    if array.ndim != 2 or array.dtype.kind != "f" or not array.shape[1]:
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


def _compressed_array(path: Path) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo("val.npy").file_size > most_bytes(path):
            raise Damaged(f"its array {path.name} grows more than 50 times when decompressed")
        with archive.open("val.npy") as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _saved_ngrams(path: Path, state: dict[str, Any], width: int) -> tuple[Ngrams, tuple[Path, ...]]:
    if not state.get("compatible_hash"):
        raise Damaged("it was saved by a gensim before 3.8 whose n-gram hashes were different")
    array, files = _saved_array(path, state, "vectors_ngrams")
    bucket, shortest, longest = (state.get(name) for name in ("bucket", "min_n", "max_n"))
    if bucket != len(array) or array.shape[1] != width:
        raise Damaged(f"its {bucket} n-grams have vectors of shape {array.shape}")
    if not isinstance(shortest, int) or not isinstance(longest, int):
        raise Damaged("it does not say how long its n-grams are")
    return Ngrams(array, shortest, longest), files
