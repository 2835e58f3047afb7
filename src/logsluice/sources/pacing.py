"""Doing things at a rate, by the wall clock."""

from __future__ import annotations

import time
from threading import Event


class Pacer:
    """Spreads work over time at a steady rate, starting with the first call.

    Args:
        rate: Units a second.
        catch_up_seconds: How far work may lag behind and still be caught up.
    """

    def __init__(self, rate: float, catch_up_seconds: float = 1.0) -> None:
        self._rate = rate
        self._catch_up = catch_up_seconds
        self._due: float | None = None

    def wait(self, units: int, stop: Event) -> None:
        """Wait until the next units are due, or until ``stop`` is set."""
        now = time.monotonic()
        due = now if self._due is None else max(self._due, now - self._catch_up)
        self._due = due + units / self._rate
        if due > now:
            stop.wait(due - now)
