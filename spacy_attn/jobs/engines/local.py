"""Engines of this machine: the process of the job, or child processes.

The job hands them lists of texts and takes the rows in order; it gives no more than a few lists to
each, so that memory stays bounded. Ray's actors are in :mod:`spacy_attn.jobs.engines.ray`.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from typing import Final

from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.engines import LostWorkerError, Rows

_CHUNKS_PER_WORKER: Final = 2  # one at work, one waiting, so that no worker idles


class InProcess:
    """The process of the job itself: a chunk is annotated when it is waited for."""

    def start(self, annotator: Annotator) -> int:
        """Load the pipeline here.

        Raises:
            ConfigError, InventoryError, ResourceError: as ``Annotator.load``.
        """
        annotator.load()
        self._annotator = annotator
        return 1

    def submit(self, texts: list[str]) -> Callable[[], Rows]:
        """What annotates the texts."""
        return partial(self._annotator.annotate_rows, texts)

    def stop(self, *, at_once: bool) -> None:
        """There is nothing to end."""


class ProcessWorkers:
    """Child processes of this one, each with its share of the cores.

    They are a pool of our own and not those of ``nlp.pipe(n_process=...)``: each child opens a
    memory zone for every chunk and sends back fields instead of whole Docs, a text on which the
    pipeline fails stays a value with its reason, and a child that dies is noticed.

    Args:
        n_process: how many.
    """

    def __init__(self, n_process: int) -> None:
        self._n_process = n_process
        self._pool: ProcessPoolExecutor | None = None

    def start(self, annotator: Annotator) -> int:
        """They are spawned, because a fork after a multi-threaded forward pass can hang."""
        self._pool = ProcessPoolExecutor(
            self._n_process,
            mp_context=get_context("spawn"),
            initializer=_start_worker,
            initargs=(annotator, max(1, (os.cpu_count() or 1) // self._n_process)),
        )
        return _CHUNKS_PER_WORKER * self._n_process

    def submit(self, texts: list[str]) -> Callable[[], Rows]:
        """Begin a chunk in the next child that is free."""
        if self._pool is None:
            raise RuntimeError("the workers were not started")
        with _translated(), _interrupts_blocked():
            future = self._pool.submit(_annotate_in_worker, texts)

        def wait() -> Rows:
            with _translated():
                return future.result()

        return wait

    def stop(self, *, at_once: bool) -> None:
        """End them; nobody will take what they are at, so that there is nothing to wait for."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        if at_once:
            for process in list((pool._processes or {}).values()):
                process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise LostWorkerError("a child process died") from error


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Hold SIGINT back for a moment; a child started meanwhile never gets it.

    Ctrl-C reaches every process of a terminal, but only the parent is to act on it. A
    blocked signal is not lost: the parent gets it when this block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker_annotator: Annotator | None = None  # of this child process


def _start_worker(annotator: Annotator, threads: int) -> None:
    global _worker_annotator
    _worker_annotator = annotator
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch  # spaCy imports it in any case

    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    """Leave no process behind when the parent is killed: it cannot tell its children then."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _annotate_in_worker(texts: Sequence[str]) -> Rows:
    if _worker_annotator is None:
        raise RuntimeError("the worker process was not started by ProcessWorkers")
    return _worker_annotator.annotate_rows(texts)
