"""SHA-256 of model files, remembered.

Hashing 90 MB takes a tenth of a second or more. The hash of a large file is therefore
remembered, in the process and in the user's cache folder, together with the size, inode and
times of the file: a file that has changed is hashed again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from pathlib import Path
from typing import TypeAlias

from spacy_attn.errors import ResourceError
from spacy_attn.files import atomic_write, regular_file, sha256_of

logger = logging.getLogger("spacy_attn")

FileState: TypeAlias = tuple[int, int, int, int]  # size, mtime_ns, ctime_ns, inode

_LARGE = 1_000_000  # bytes; smaller files are hashed each time
_SETTLED = 2_000_000_000  # ns; a file changed since then could change again in the same tick
_REMEMBERED = 256  # files on disk

_hashes: dict[str, tuple[FileState, str]] = {}


def weights_sha256(path: Path | str) -> str:
    """SHA-256 of a model's weights: its identity.

    Args:
        path: a weights file, or a model folder. Of weights in several files it is the hash
            of their names and hashes.

    Raises:
        ResourceError: the folder holds no weights.
    """
    path = Path(path)
    files = [path] if path.is_file() else weight_files(path)
    if not files:
        raise ResourceError(
            f"{path} holds no model.safetensors; give a folder that save_pretrained wrote"
        )
    if len(files) == 1:
        return file_sha256(files[0])
    lines = "".join(f"{file.name} {file_sha256(file)}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file; for a large one remembered until the file changes."""
    key = str(path.resolve())
    state = file_state(key)
    for remembered in (_hashes, _read_hashes() if key not in _hashes else {}):
        if key in remembered and remembered[key][0] == state:
            _hashes[key] = remembered[key]
            return remembered[key][1]
    sha256 = sha256_of(key)
    settled = time.time_ns() - max(state[1], state[2]) > _SETTLED
    if state[0] >= _LARGE and settled and file_state(key) == state:
        _hashes[key] = (state, sha256)
        _write_hash(key)
    return sha256


def cache_folder() -> Path:
    """The user's cache of this package: ``$SPACY_ATTN_CACHE``, or the system's usual place."""
    folder = os.environ.get("SPACY_ATTN_CACHE")
    if folder:
        return Path(folder)
    import platformdirs

    return platformdirs.user_cache_path("spacy_attn", appauthor=False)


def model_files(folder: Path) -> list[Path]:
    """The weights of a model folder and the files beside them that are needed to read them."""
    small = (file for pattern in ("*.json", "*.txt", "*.model") for file in folder.glob(pattern))
    return [*weight_files(folder), *sorted(file for file in small if file.is_file())]


def model_state(path: str | Path | None) -> tuple[FileState, ...]:
    """What changes when a model file, or a file of a model folder, is written anew.

    Empty where nothing of the name is on disk, as for the name of a model.
    """
    if path is None or not os.path.exists(path):
        return ()
    files = model_files(Path(path)) if os.path.isdir(path) else [Path(path)]
    return tuple(file_state(file) for file in files)


def weight_files(folder: Path) -> list[Path]:
    """The files of one set of weights, whole or in parts; pickled weights are not read."""
    whole = folder / "model.safetensors"
    parts = folder.glob("model-*-of-*.safetensors")
    return [whole] if whole.is_file() else sorted(file for file in parts if file.is_file())


def file_state(path: str | Path) -> FileState:
    """What changes when the content of a file changes, or another file takes its name.

    Raises:
        OSError: it is not there.
    """
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _read_hashes() -> dict[str, tuple[FileState, str]]:
    """What earlier processes remembered; a broken file counts as empty."""
    try:
        text = regular_file(cache_folder() / "sha256.json").read_text(encoding="utf-8")
        lines = json.loads(text).items()
        return {key: ((int(a), int(b), int(c), int(d)), str(h)) for key, (a, b, c, d, h) in lines}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_hash(key: str) -> None:
    """Add one remembered hash to the file on disk; a cache that cannot be written is no error."""
    remembered = {k: v for k, v in _read_hashes().items() if k != key and os.path.exists(k)}
    kept = [*list(remembered.items())[1 - _REMEMBERED :], (key, _hashes[key])]
    text = json.dumps({k: [*state, sha256] for k, (state, sha256) in kept}, indent=0)
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with atomic_write(cache_folder() / "sha256.json") as file:
            file.write(text.encode())
    except OSError as error:
        logger.debug("hashes are not remembered: %s", error)
