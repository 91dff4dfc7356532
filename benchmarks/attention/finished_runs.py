"""Finished runs on disk: a long benchmark can be cut into parts, and goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FinishedRuns", "OutOfTime"]

Arrays = dict[str, NDArray[Any]]


class OutOfTime(Exception):
    """The time that was given is over; what is finished is kept."""


class FinishedRuns:
    """The results of runs by what they depend on.

    Args:
        folder: one file for each run.
        seconds: after this time no new run is begun; None for as long as it takes.
    """

    def __init__(self, folder: Path, seconds: float | None = None) -> None:
        self.folder = folder
        self._end = None if seconds is None else time.monotonic() + seconds

    def of(self, made_of: dict[str, Any], make: Callable[[], Arrays]) -> Arrays:
        """The arrays of a run, from the disk or made now.

        Args:
            made_of: all that decides the result; plain data.
            make: trains and measures.

        Raises:
            OutOfTime: the run is not on disk and there is no time to make it.
        """
        path = self._path(made_of)
        if path.is_file():
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        if self._end is not None and time.monotonic() > self._end:
            raise OutOfTime(f"the time is over; what is finished stands in {self.folder}")
        arrays = make()
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part.npz")
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
        return arrays

    def has(self, made_of: dict[str, Any]) -> bool:
        """Whether a run is finished."""
        return self._path(made_of).is_file()

    def _path(self, made_of: dict[str, Any]) -> Path:
        text = json.dumps(made_of, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"
