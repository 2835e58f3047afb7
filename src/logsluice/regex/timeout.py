"""A limit of the CPU time that Python's ``re`` may take."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class RegexTimeoutError(Exception):
    """A search on ``re`` took longer than it may."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Bound the CPU time of what runs inside; ``re`` looks for signals while it searches, so a runaway search ends too.

    Outside a process's main thread, where Python takes no signals, nothing is bounded.

    Raises:
        RegexTimeoutError: The time is over.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise RegexTimeoutError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
