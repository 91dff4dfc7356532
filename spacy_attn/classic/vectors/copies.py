"""Copies in the user's cache, as mapped folders, of files that cannot be mapped as they are."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from spacy_attn.classic.vectors.store import is_store, open_store, write_store
from spacy_attn.classic.vectors.table import Content, Damaged, Table, in_memory
from spacy_attn.files import locked
from spacy_attn.models import cache_folder, file_state

logger = logging.getLogger("spacy_attn")

WORTH_SHARING = 1 << 20  # bytes of a source; below, reading is fast and a copy costs nothing


def shared_copy(files: Sequence[Path], read: Callable[[], Content]) -> Table:
    """What ``read`` gives, mapped: converted the first time, opened from the cache later.

    Small files, and those whose copy cannot be written, are read into memory.

    Args:
        files: all that may be read; the copy is made anew when one of them changes.
        read: reads them.

    Raises:
        Damaged: as ``read``.
    """
    if sum(file.stat().st_size for file in files) < WORTH_SHARING:
        return in_memory(read())
    states = json.dumps([[str(file.resolve()), *file_state(file)] for file in files])
    # One copy for each path; the second half of the name changes with the files.
    place = _short_hash(str(files[0].resolve()))
    try:
        cache = cache_folder() / "vectors"
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache / f"{place}.lock"):
            return _copy(cache / f"{place}-{_short_hash(states)}", files, read)
    except (OSError, ImportError) as error:  # such as a full disk
        logger.info("%s is read into memory, not shared: %s", files[0], error)
        return in_memory(read())


def _copy(folder: Path, files: Sequence[Path], read: Callable[[], Content]) -> Table:
    if is_store(folder):
        with suppress(Damaged):
            return open_store(folder, files)
        shutil.rmtree(folder, ignore_errors=True)
    place = folder.name.partition("-")[0]
    for pattern in (f"{place}-*", f".{place}-*"):  # of a file that has changed; of a killed process
        for outdated in list(folder.parent.glob(pattern)):
            shutil.rmtree(outdated, ignore_errors=True)
    content = read()
    write_store(folder, content, {"sources": [file.name for file in content.files]})
    return open_store(folder, files)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
