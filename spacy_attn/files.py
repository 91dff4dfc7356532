"""Common work on files: written whole or not at all, locked, hashed; decompressed in bounds."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import shlex
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, cast

# gzip makes a gigabyte of a megabyte; text and numbers shrink three to twenty times. What grows
# far beyond that is no data.
MOST_TIMES: Final = 50
_ALWAYS: Final = 1 << 24  # bytes that any file may have, for small ones of zeros
_UNPACKING: Final = {
    b"\x1f\x8b": "gunzip -c",
    b"\x28\xb5\x2f\xfd": "zstd -dc",
    b"\xfd7zXZ\0": "xz -dc",
    b"PK\x03\x04": "unzip -p",
}


def regular_file(path: Path | str) -> Path:
    """The path of a regular file: to open a pipe waits for its writer, a device may never end.

    Raises:
        OSError: it is a pipe, device, socket or folder, or is not there.
    """
    if not stat.S_ISREG(mode := os.stat(path).st_mode):
        number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        reason = os.strerror(number) if stat.S_ISDIR(mode) else "not a regular file"
        raise OSError(number, reason, str(path))
    return Path(path)


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. The file is read in blocks, each time anew.

    Raises:
        OSError: the file cannot be read, or is no regular one.
    """
    with open(regular_file(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_write(path: Path | str, *, unfinished: Path | None = None) -> Iterator[IO[bytes]]:
    """A binary file that takes the name ``path`` when the block ends, whole and on disk.

    Readers see the old file or the new one, never half of one; where the block raises, the old
    one stays. A link is followed, so that the file it names is replaced and not the link. A
    device or pipe is written directly: it is never replaced. ::

        with atomic_write(folder / "vectors.json") as file:
            file.write(data)  # or hand file.name to a library that wants a path

    Args:
        path: file to make or replace.
        unfinished: its name until then, in the same folder; by default ``_NAME.PID.tmp``. Give
            one where only one process writes, so that a kill leaves no more than one.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(path).resolve()
    if not is_replaceable(path):
        with open(path, "wb") as file:
            yield file
        return
    if unfinished is None:
        unfinished = path.with_name(f"_{path.name}.{os.getpid()}.tmp")
    try:
        with _opened(unfinished, path) as file:
            yield file
            if not file.closed:
                file.flush()
        with open(unfinished, "rb+") as file:  # a library may have written it by its name
            os.fsync(file.fileno())
        publish(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def _opened(unfinished: Path, path: Path) -> IO[bytes]:
    """The file to write; an error names the file that the user asked for."""
    try:
        return open(unfinished, "wb")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def publish(unfinished: Path, path: Path, *, replace: bool = True) -> None:
    """Give a whole file its name, such that a loss of power leaves it with one or the other.

    Args:
        unfinished: the file, in the same folder.
        path: its name from now on.
        replace: a file of this name, which another may have made just now.

    Raises:
        FileExistsError: there is one, and ``replace`` is false.
        OSError: the name cannot be given.
    """
    if replace:
        os.replace(unfinished, path)
    else:
        try:
            os.link(unfinished, path)  # unlike a rename it fails where there is one
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if os.path.lexists(path):
                raise FileExistsError(f"{path} exists") from None
            os.rename(unfinished, path)
        else:
            os.unlink(unfinished)
    sync_folder(path.parent)


def is_replaceable(path: Path | str) -> bool:
    """Whether a path is free or a regular file; a device, pipe, socket or folder is neither."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True


def sync_folder(folder: Path) -> None:
    """Let a new name in a folder survive a loss of power, where the system can do so."""
    if os.name != "posix":
        return
    with suppress(OSError):  # some network file systems cannot
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def locked(path: Path | str, *, wait: bool = True, remove: bool = False) -> Iterator[None]:
    """Hold a lock that other processes, and other threads of this one, respect.

    It ends with the process, however that ends, and is not passed on to child processes.

    Args:
        path: file of the lock alone, made if it is not there. It holds nothing.
        wait: for whoever holds it.
        remove: the file at the end; otherwise it stays.

    Raises:
        TimeoutError: another one holds it, and ``wait`` is false.
        OSError: the file cannot be made.
    """
    from filelock import FileLock

    path = Path(path)
    lock = FileLock(path, timeout=-1 if wait else 0)
    while True:
        path.touch()
        with suppress(FileNotFoundError):  # its holder removed it just now
            before = path.stat()
            lock.acquire()
            # A lock on a file that has lost its name would keep nobody out.
            with suppress(FileNotFoundError):
                if os.path.samestat(before, path.stat()):
                    break
            lock.release()
    try:
        yield
    finally:
        if remove:
            with suppress(OSError):
                path.unlink()  # while it is held: whoever waits for it notices
        lock.release()


def unpacking(beginning: bytes) -> str | None:
    """The command that unpacks what begins so; None where it is not compressed."""
    return next((how for mark, how in _UNPACKING.items() if beginning.startswith(mark)), None)


def is_gzip(path: Path) -> bool:
    """Whether the name says so."""
    return path.name.lower().endswith(".gz")


def most_bytes(path: Path) -> int:
    """How large the content of a compressed file may be."""
    return _ALWAYS + MOST_TIMES * path.stat().st_size


def open_decompressed(path: Path) -> BinaryIO:
    """The bytes of a file, plain or ``.gz``, from its start.

    Raises:
        OSError: it cannot be read; reading raises it where it is no gzip file, is cut short,
            damaged, or grows beyond :func:`most_bytes`.
    """
    if not is_gzip(path):
        return path.open("rb")
    return io.BufferedReader(cast(io.RawIOBase, _Decompressed(path)))


class _Decompressed(io.RawIOBase):
    """A gzip file that gives up when it has given too much."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = gzip.open(path)
        self._left = most_bytes(path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            n = self._file.readinto(buffer)
        except (EOFError, zlib.error) as error:  # cut short, damaged
            raise OSError(str(error)) from error
        self._left -= n
        if self._left < 0:
            raise OSError(
                f"it grows more than {MOST_TIMES} times when it is decompressed (if that is as it "
                f"should be: gunzip -k {shlex.quote(str(self._path))})"
            )
        return n

    def close(self) -> None:
        self._file.close()
        super().close()
