"""Answers on disk: a long benchmark can be cut into parts, and goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import Result
from spacy_attn.files import atomic_write


class OutOfTime(Exception):
    """The time that was given is over; what is finished is kept."""


class Kept:
    """Answers by what they depend on, one file each.

    Args:
        folder: of the files.
        seconds: after this time nothing new is begun; None for as long as it takes.
    """

    def __init__(self, folder: Path, seconds: float | None = None) -> None:
        self.folder = folder
        self._end = None if seconds is None else time.monotonic() + seconds

    def get(self, made_of: Any, make: Callable[[], Result]) -> Result:
        """An answer, from the disk or made now.

        Args:
            made_of: all that decides it; plain data.
            make: gives plain data.

        Raises:
            OutOfTime: the answer is not on disk and there is no time to make it.
        """
        path = self._path(made_of)
        if not path.is_file():
            if self._end is not None and time.monotonic() > self._end:
                raise OutOfTime(f"the time is over; what is finished stands in {self.folder}")
            text = json.dumps(make())
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as file:
                file.write(text.encode())
        found: Result = json.loads(path.read_text(encoding="utf-8"))
        return found

    def has(self, made_of: Any) -> bool:
        """Whether an answer is there."""
        return self._path(made_of).is_file()

    def _path(self, made_of: Any) -> Path:
        text = json.dumps(made_of, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
