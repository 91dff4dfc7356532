"""Give freed memory back to the system.

The vectors that stay on Docs lie between the much larger blocks that a forward pass takes and
frees. glibc keeps those gaps for later, so a process holds the most that it ever needed in each of
them: 150 MB more than is in use after a hundred documents. One call hands them back.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import lru_cache


@lru_cache(maxsize=1)
def _trim() -> Callable[[int], int] | None:
    """Glibc's ``malloc_trim``; None where the C library is another."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        trim: Callable[[int], int] = ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):
        return None
    return trim


def release_freed_memory() -> bool:
    """Hand free pages of the heap back; a few milliseconds. Whether there was a way to do it."""
    trim = _trim()
    if trim is None:
        return False
    trim(0)
    return True
