"""Rate limiting by the wall clock."""

from __future__ import annotations

import time
from typing import Final

_TICK_SECONDS: Final = 0.01


class Pacer:
    """Spreads work over time at a steady rate, starting with the first call.

    Args:
        catch_up_seconds: How far work may lag behind and still be caught up.
    """

    def __init__(self, rate: float, catch_up_seconds: float = 1.0) -> None:
        self._rate = rate
        self._catch_up = catch_up_seconds
        self._due: float | None = None

    def early(self, units: int) -> float:
        """How many seconds to wait before the next units are done; 0 where it is not worth a wait."""
        now = time.monotonic()
        due = now if self._due is None else max(self._due, now - self._catch_up)
        self._due = due + units / self._rate
        return due - now if due - now > _TICK_SECONDS else 0.0
