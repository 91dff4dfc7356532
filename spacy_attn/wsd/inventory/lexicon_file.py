"""The file of the lexicon: an archive of numpy's with one array a column, and their digest.

``numpy.load`` reads it. The two largest columns are compressed with LZMA, since deflate alone
would take the package's data beyond 25 MB.
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

Arrays = dict[str, NDArray[Any]]

#: All arrays by name, in the order that the digest is taken in.
COLUMNS = tuple(
    "lemmas exceptions n_senses offset type lexfile lex_id head head_id count synset".split()
)
_LARGE = ("lemmas", "synset")


def write_lexicon(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the file; the same arrays give the same bytes.

    Args:
        path: the file.
        arrays: ``COLUMNS``; ``synset`` numbers the synsets as the senses first name them.

    *Shape:* lemmas and exceptions bytes, n_senses (n_lemmas,), offset (n_synsets,), the others
    (n_senses,)
    """
    digest = np.frombuffer(bytes.fromhex(digest_of(arrays)), dtype=np.uint8)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in {**{name: arrays[name] for name in COLUMNS}, "digest": digest}.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            method = zipfile.ZIP_LZMA if name in _LARGE else zipfile.ZIP_DEFLATED
            # Without a date: the file is a function of what it holds.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), method, 9)


def read_lexicon(path: Path) -> tuple[Arrays, str]:
    """The arrays ``COLUMNS`` and their digest.

    Raises:
        OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile: it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in COLUMNS}
            digest: bytes = archive["digest"].tobytes()
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        raise
    except Exception as error:  # zlib's and lzma's own; a Python may be built without lzma
        raise ValueError(str(error)) from error
    return arrays, digest.hex()


def lexicon_digest(path: Path) -> str:
    """SHA-256 of the contents: that of :func:`numpy.savez_compressed` of all ``COLUMNS``.

    The trained sense model names it. It stays when the file is compressed in another way.
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
