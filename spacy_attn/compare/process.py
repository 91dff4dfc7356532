"""A process of its own for each system, which makes its peak memory its own.

A system stays in its process and answers one question after another, so that it loads its models
once. A question is a function of the system, a task and where to report progress::

    with own_process(system) as ask:
        answers = ask(answer, task)
        points = ask(learning_points, task, "few examples")
"""

from __future__ import annotations

import logging
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from spacy_attn.compare.task import Answers, OnProgress, System, Task
from spacy_attn.errors import ConfigError, ResourceError, SpacyAttnError

logger = logging.getLogger("spacy_attn")

T = TypeVar("T")

#: What a system is asked; pickled by name. Some can be put to some systems alone.
Question: TypeAlias = Callable[[Any, Task, OnProgress], T]


#: Called with a note, the steps done and all steps.
Report: TypeAlias = Callable[[str, int, int], None]


class Ask(Protocol):
    """Puts a question to a system, in whatever process it is."""

    def __call__(self, question: Question[T], task: Task, note: str = "") -> T:
        """The answer; the note says in reports of progress which one it is.

        Raises:
            ConfigError: question or task cannot be sent to another process.
            ResourceError: the process died, or the system failed there.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a child says when a question is answered."""

    value: Any


@dataclass(frozen=True, slots=True)
class _Failure:
    """What a child says when its system fails."""

    sentence: str
    trace: str


def answer(system: System, task: Task, on_progress: OnProgress) -> Answers:
    """The question of every comparison: a prediction or None for each instance.

    Raises:
        ResourceError: the system gave more or fewer.
    """
    found = system(task, on_progress)
    if len(found.predictions) != len(task.targets):
        raise ResourceError(
            f"it answered {len(found.predictions)} of {len(task.targets)} instances; "
            "it must give a prediction or None for each"
        )
    return found


def quiet(note: str, done: int, total: int) -> None:
    """No report."""


@contextmanager
def this_process(system: System, on_progress: Report = quiet) -> Iterator[Ask]:
    """Ask a system here, which measures no memory."""

    def ask(question: Question[T], task: Task, note: str = "") -> T:
        on_progress(note, 0, 0)
        return question(system, task, partial(on_progress, note))

    yield ask


@contextmanager
def own_process(
    system: System, on_progress: Report = quiet, n_threads: int | None = None
) -> Iterator[Ask]:
    """Ask a system in a fresh process, which ends with the block.

    Args:
        system: pickled by name.
        on_progress: called here with the note of a question, texts done and all texts.
        n_threads: of torch in the child; None takes ours.

    Raises:
        ConfigError: the system cannot be sent to a child.
    """
    import torch

    sent = _pickled(system)
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    threads = torch.get_num_threads() if n_threads is None else n_threads
    child = context.Process(target=_serve, args=(theirs, threads), daemon=True)

    def ask(question: Question[T], task: Task, note: str = "") -> T:
        message = _pickled((sent, question, task))
        on_progress(note, 0, 0)
        try:
            ours.send_bytes(message)
            while isinstance(reply := ours.recv(), tuple):
                on_progress(note, *reply)
        except (EOFError, ConnectionError) as error:
            child.join()
            raise ResourceError(_died(child.exitcode)) from error
        if isinstance(reply, _Failure):
            logger.debug("in the child process:\n%s", reply.trace)
            raise ResourceError(reply.sentence)
        value: T = reply.value
        return value

    child.start()
    theirs.close()
    try:
        yield ask
    finally:
        ours.close()
        child.terminate()
        child.join()


def _pickled(what: Any) -> bytes:
    try:
        return pickle.dumps(what)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(f"{what!r} cannot be sent to its own process: {error}") from error


# -- the child ------------------------------------------------------------------------------


def _serve(pipe: Connection, n_threads: int) -> None:
    """Receive questions, send progress and answers, until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    import torch

    torch.set_num_threads(n_threads)
    with suppress(EOFError, ConnectionError):
        while True:
            message = pipe.recv_bytes()
            pipe.send(_reply(message, lambda done, total: pipe.send((done, total))))


def _reply(message: bytes, on_progress: OnProgress) -> _Answer | _Failure:
    try:
        sent, question, task = pickle.loads(message)  # noqa: S301 (from our parent)
        value = question(_loaded(sent), task, on_progress)
    except Exception as error:
        is_ours = isinstance(error, SpacyAttnError)
        sentence = (
            str(error) if is_ours else f"{type(error).__name__}: {error} (--debug shows where)"
        )
        return _Failure(sentence, traceback.format_exc())
    if isinstance(value, Answers):
        value = replace(value, peak_rss_mb=_peak_rss_mb())
    return _Answer(value)


@lru_cache(maxsize=1)
def _loaded(sent: bytes) -> System:
    """The system, one and the same for all questions, with what it has loaded."""
    system: System = pickle.loads(sent)  # noqa: S301 (from our parent)
    return system


def _died(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        reason = f"its process was ended by {name}"
        if name == "SIGKILL":
            reason += ", as the system does when memory runs out"
    else:
        reason = f"its process ended with exit code {code}"
    return f"{reason}; see why with --in-process --debug"


def _peak_rss_mb() -> float | None:
    """The most memory that this process ever held, in MB; None where no one counts it.

    ``getrusage`` of a spawned process begins with what its parent held (Linux keeps
    ``ru_maxrss`` through exec), so Linux is asked for the memory of this program alone.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
