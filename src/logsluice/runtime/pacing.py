"""Rate limiting by the wall clock."""

from __future__ import annotations

import time
from typing import Final

_TICK_SECONDS: Final = 0.01
_CATCH_UP_SECONDS: Final = 1.0
"""How far work may lag behind and still be caught up."""


class Pacer:
    """Spreads work over time at a steady rate a second, starting with the first call."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._due: float | None = None

    def early(self, units: int) -> float:
        """How many seconds to wait before the next units are done; 0 where it is not worth a wait."""
        now = time.monotonic()
        due = now if self._due is None else max(self._due, now - _CATCH_UP_SECONDS)
        self._due = due + units / self._rate
        return due - now if due - now > _TICK_SECONDS else 0.0
