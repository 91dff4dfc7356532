"""The file of the lexicon: what each synset's senses share is written once, in WordNet's order.

    a sense   ->  place: its synset's number in WordNet's own files, the parts of speech one
                  after the other
    a synset  ->  its offset there (as the step from the one before), kind, lexicographer file,
                  and the head of its cluster

The senses' columns come out as they went in, to the last bit; the file is a quarter smaller than
with every column written out, and still a plain archive of numpy's.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLUMNS", "digest_of", "lexicon_digest", "read_lexicon", "write_lexicon"]

Arrays = dict[str, NDArray[Any]]

#: All arrays by name, in the order that the digest is taken in.
COLUMNS = ("lemmas", "exceptions", "n_senses", "offset", "type", "lexfile", "lex_id", "head",
           "head_id", "count", "synset")  # fmt: skip
_OF_SYNSETS = ("type", "lexfile", "head", "head_id")
_AS_THEY_ARE = ("lemmas", "exceptions", "n_senses", "lex_id", "count")
_SATELLITE, _ADJECTIVE = 5, 3


def write_lexicon(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the file; the same arrays give the same bytes.

    Args:
        path: the file.
        arrays: ``COLUMNS``; ``synset`` numbers the synsets as the senses first name them.

    Raises:
        ValueError: senses of one synset differ in what they have to share.

    *Shape:* lemmas and exceptions bytes, n_senses (n_lemmas,), offset (n_synsets,), the others
    (n_senses,)
    """
    packed = _packed(arrays)
    unpacked = _unpacked(packed)
    differing = [name for name in COLUMNS if not np.array_equal(unpacked[name], arrays[name])]
    if differing:
        raise ValueError(f"senses of one synset differ in: {', '.join(differing)}")
    digest = bytes.fromhex(digest_of(arrays))
    packed["digest"] = np.frombuffer(digest, dtype=np.uint8)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in packed.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            # Without a date: the file is a function of what it holds.
            entry = zipfile.ZipInfo(f"{name}.npy")
            archive.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, 9)


def read_lexicon(path: Path) -> tuple[Arrays, str]:
    """The arrays ``COLUMNS`` and their digest.

    Raises:
        OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile: it is no such file.
    """
    with np.load(path, allow_pickle=False) as archive:
        packed = {name: archive[name] for name in archive.files}
    digest = packed.pop("digest").tobytes().hex()
    return _unpacked(packed), digest


def lexicon_digest(path: Path) -> str:
    """SHA-256 of the contents: that of :func:`numpy.savez_compressed` of all ``COLUMNS``.

    The trained sense model names it. It stays when the file is packed in another way.
    """
    with np.load(path, allow_pickle=False) as archive:
        digest: bytes = archive["digest"].tobytes()
    return digest.hex()


def digest_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """See :func:`lexicon_digest`."""
    content = io.BytesIO()
    ordered: dict[str, Any] = {name: arrays[name] for name in COLUMNS}
    np.savez_compressed(content, **ordered)
    return hashlib.sha256(content.getvalue()).hexdigest()


def _packed(arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    synset, offset = arrays["synset"].astype(np.int64), arrays["offset"].astype(np.int32)
    first = np.unique(synset, return_index=True)[1]  # a sense of each synset
    kinds = arrays["type"][first].astype(np.int8)
    pos = np.where(kinds == _SATELLITE, _ADJECTIVE, kinds)
    order = np.lexsort((offset, pos))  # synsets as WordNet's files have them
    place_of = np.empty(len(order), dtype=np.int32)
    place_of[order] = np.arange(len(order), dtype=np.int32)
    packed = {name: np.asarray(arrays[name]) for name in _AS_THEY_ARE}
    packed |= {name: arrays[name][first][order] for name in _OF_SYNSETS}
    packed["step"] = _planes(np.diff(offset[order], prepend=np.int32(0)))
    packed["place"] = _planes(place_of[synset])
    return packed


def _unpacked(packed: Mapping[str, NDArray[Any]]) -> Arrays:
    place, step = (_from_planes(packed[name]) for name in ("place", "step"))
    first = np.unique(place, return_index=True)[1]
    order = np.argsort(first)  # synsets as the senses first name them
    number = np.empty(len(order), dtype=np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    arrays = {name: packed[name] for name in _AS_THEY_ARE}
    arrays |= {name: packed[name][place] for name in _OF_SYNSETS}
    arrays["offset"] = np.cumsum(step, dtype=np.int32)[order]
    arrays["synset"] = number[place]
    return arrays


def _planes(numbers: NDArray[np.int32]) -> NDArray[Any]:
    """First bytes first, then second ones: those of a kind stand together and pack better.

    *Shape:* (n,) -> (4, n)
    """
    return np.ascontiguousarray(numbers.astype("<i4").view(np.uint8).reshape(-1, 4).T)


def _from_planes(planes: NDArray[Any]) -> NDArray[np.int32]:
    """*Shape:* (4, n) -> (n,)"""
    numbers: NDArray[np.int32] = np.ascontiguousarray(planes.T).view("<i4")[:, 0].astype(np.int32)
    return numbers
