"""What annotates: processes of this machine, Ray, Spark, pandas; each calls the Annotator.

| ``local``   this process, or child processes
| ``ray``     actors of a cluster
| ``spark``   ``DataFrame.mapInArrow``
| ``pandas``  a frame in, a frame out
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.fields import Row, TextError

__all__ = ["Engine", "LostWorkerError", "Rows"]

Rows: TypeAlias = list[Row | TextError]  # one for each text


class LostWorkerError(Exception):
    """A worker died and nobody takes its place; what it was at is not done."""


class Engine(Protocol):
    """Annotates the chunks of a job, here or elsewhere.

    The job hands it texts and takes the rows in order; it gives no more than :meth:`start` says,
    so that memory stays bounded.
    """

    def start(self, annotator: Annotator) -> int:
        """Begin; how many chunks keep it busy.

        Raises:
            ConfigError, ResourceError: it cannot begin.
        """
        ...

    def submit(self, texts: list[str]) -> Callable[[], Rows]:
        """Begin a chunk, and give what waits for ``Annotator.annotate_rows`` of it.

        Raises:
            LostWorkerError: a worker died (also when waiting).
        """
        ...

    def stop(self, *, at_once: bool) -> None:
        """End it; at once also where it is at work."""
        ...
