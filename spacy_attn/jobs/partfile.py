"""Files that grow by chunks: what is not committed can be taken back."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any, Final

from spacy_attn.errors import ConfigError
from spacy_attn.files import is_replaceable
from spacy_attn.jobs.output_paths import OutputPaths, explain_unwritable

_BINARY = getattr(os, "O_BINARY", 0)
_BLOCK = 2**20


class PartFile:
    """A file that grows by chunks; it knows the hash of what is safe.

    Written without a buffer, so that nothing is left to fail when it is closed.

    Args:
        descriptor: of the file, its position at the end of what is safe.
        can_rewind: False for a pipe or device, which is only written.
        size: bytes that are safe already.
        digest: SHA-256 of these.
    """

    EMPTY: Final = hashlib.sha256().hexdigest()  # SHA-256 of nothing

    def __init__(
        self, descriptor: int, *, can_rewind: bool, size: int = 0, digest: Any = None
    ) -> None:
        self._descriptor = descriptor
        self.can_rewind = can_rewind
        self._size = self.committed = size
        self._digest = hashlib.sha256() if digest is None else digest
        self._safe = self._digest.copy()

    @property
    def sha256(self) -> str:
        """Of what is committed."""
        value: str = self._safe.hexdigest()
        return value

    def write(self, chunk: bytes) -> None:
        """Append, in as many pieces as the system takes."""
        data = memoryview(chunk)
        while data:
            written = os.write(self._descriptor, data)
            self._size += written
            self._digest.update(data[:written])
            data = data[written:]

    def commit(self, *, sync: bool = False) -> None:
        """Keep what was written."""
        if sync and self.can_rewind:
            os.fsync(self._descriptor)
        self.committed = self._size
        self._safe = self._digest.copy()

    def roll_back(self) -> None:
        """Take back what was not committed."""
        if self.can_rewind:
            self._cut(self.committed)
            self._digest = self._safe.copy()

    def empty(self) -> None:
        """Begin again with nothing."""
        self._cut(0)
        self._digest, self._safe = hashlib.sha256(), hashlib.sha256()

    def _cut(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)
        os.lseek(self._descriptor, size, os.SEEK_SET)
        self._size = self.committed = size

    def is_at(self, path: Path) -> bool:
        """Whether it still has this name, and nobody else has taken it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(path))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


def open_part(paths: OutputPaths, *, replace: bool) -> PartFile:
    """The file that chunks are appended to.

    Raises:
        ConfigError: it cannot be made.
    """
    try:
        if paths.output is None:
            if sys.stdout is None:
                raise ConfigError("standard output is closed: name a file with -o")
            sys.stdout.flush()
            return PartFile(os.dup(sys.stdout.fileno()), can_rewind=False)
        if paths.part is None:
            return PartFile(os.open(paths.output, os.O_WRONLY), can_rewind=False)
        return PartFile(_create(paths.part, replace=replace), can_rewind=True)
    except FileExistsError:
        raise ConfigError(
            f"{paths.part} is left from an interrupted job: "
            "go on with it with --resume, or replace it with --overwrite"
        ) from None
    except OSError as error:
        raise explain_unwritable(paths, error) from None


def open_errors(path: Path) -> PartFile:
    """The file of bad records, emptied; a device or pipe is only written.

    Raises:
        OSError: it cannot be opened.
    """
    if is_replaceable(path):
        return PartFile(_create(path, replace=True), can_rewind=True)
    return PartFile(os.open(path, os.O_WRONLY | _BINARY), can_rewind=False)


def reopen(path: Path, size: int, sha256: str) -> PartFile:
    """A file of an interrupted job, cut to what is safe.

    Raises:
        ConfigError: it is shorter than that, or its bytes are others.
        OSError: it cannot be opened.
    """
    if not is_replaceable(path):  # of a device or pipe nothing can be taken back
        return PartFile(os.open(path, os.O_WRONLY | _BINARY), can_rewind=False)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _BINARY, 0o666)
    try:
        digest = hashlib.sha256()
        left = size
        while left and (block := os.read(descriptor, min(left, _BLOCK))):
            digest.update(block)
            left -= len(block)
        if left or (size and digest.hexdigest() != sha256):
            what = f"is shorter than its manifest says ({size:,} bytes)"
            if not left:
                what = f"differs from what its manifest says (sha256 {sha256[:12]})"
            raise ConfigError(f"{path} {what}: it was changed since; begin anew with --overwrite")
        file = PartFile(descriptor, can_rewind=True, size=size, digest=digest)
        file.roll_back()
    except BaseException:
        os.close(descriptor)
        raise
    return file


def _create(path: Path, *, replace: bool) -> int:
    how = os.O_TRUNC if replace else os.O_EXCL
    return os.open(path, os.O_WRONLY | os.O_CREAT | how | _BINARY, 0o666)
