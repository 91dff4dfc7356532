"""Ctrl-C in a job: the chunk at work is finished first."""

from __future__ import annotations

import signal
import threading
from typing import Any, Final

_GRACE_SECONDS: Final = 20.0  # that a chunk has to end after Ctrl-C


class Interrupts:
    """SIGINT waits until the chunk at work is written, but not for ever.

    Between :meth:`hold` and :meth:`release` the first SIGINT is noted; a second one, or
    _GRACE_SECONDS, interrupt at once. Outside a main thread nothing is changed.
    """

    def __init__(self) -> None:
        self._held = self._wanted = False
        self._before: Any = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Interrupts:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *args: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def hold(self) -> None:
        """A chunk is at work."""
        self._held = True

    def release(self) -> None:
        """It is written: now an interrupt is due."""
        self._held = False
        if self._wanted:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: object) -> None:
        if not self._held or self._wanted or not hasattr(signal, "pthread_kill"):
            raise KeyboardInterrupt
        self._wanted = True
        main = threading.main_thread().ident
        self._timer = threading.Timer(_GRACE_SECONDS, signal.pthread_kill, (main, number))
        self._timer.daemon = True
        self._timer.start()
