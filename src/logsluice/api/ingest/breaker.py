"""The circuit breaker before Kafka: while it is open, requests fail at once.

Closed while deliveries succeed; open after so many failed in a row; half-open after a while, when one post tries it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import structlog

from logsluice.runtime import metrics

State = Literal["closed", "open", "half-open"]
STATES: Final[tuple[State, ...]] = ("closed", "open", "half-open")

log = structlog.get_logger(__name__)


class CircuitOpenError(Exception):
    """The part counts as away, and is tried again in ``retry_seconds``."""

    def __init__(self, part: str, retry_seconds: float) -> None:
        super().__init__(f"{part} does not answer")
        self.retry_seconds = retry_seconds


class BackendUnavailableError(Exception):
    """Raised inside :meth:`Breaker.attempt`: what was attempted failed because the part is away."""


class Breaker:
    """A circuit breaker of a part, with one attempt at a time while half-open; its state is in the metrics.

    It opens after so many ``failures`` in a row, and is tried again after so many ``seconds``.
    """

    def __init__(self, part: str, failures: int, seconds: float) -> None:
        self._part = part
        self._most_failures = failures
        self._seconds = seconds
        self._state: State = "closed"
        self._failures = 0
        self._opened_at = 0.0
        self._probing = False
        self._shown: State | None = None
        self._show()

    @property
    def state(self) -> State:
        """What it is now; an open one whose time is over is still open until somebody tries."""
        return self._state

    @property
    def admits_attempts(self) -> bool:
        """Whether an attempt would be made now."""
        return self._state == "closed" or (not self._probing and self._retry_seconds() <= 0)

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """Do something with the part; raise :class:`BackendUnavailableError` inside where it turns out to be away.

        Raises:
            CircuitOpenError: It is not tried now.
            BackendUnavailableError: As it was raised inside.
        """
        if self._probing:
            raise CircuitOpenError(self._part, self._seconds)
        if self._state == "open" and (retry_seconds := self._retry_seconds()) > 0:
            raise CircuitOpenError(self._part, retry_seconds)
        probe = self._state != "closed"
        if probe:
            self._state = "half-open"
            self._probing = True
        self._show()
        try:
            yield
        except BackendUnavailableError:
            self._failed()
            raise
        else:
            if self._state == "closed" or (probe and self._state == "half-open"):
                self._state, self._failures = "closed", 0
        finally:
            if probe:
                self._probing = False
            self._show()

    def _failed(self) -> None:
        self._failures += 1
        # What was on its way when the breaker opened says nothing new.
        if self._state == "half-open" or (self._state == "closed" and self._failures >= self._most_failures):
            self._state, self._opened_at = "open", time.monotonic()

    def _retry_seconds(self) -> float:
        return max(0.0, self._opened_at + self._seconds - time.monotonic()) if self._state == "open" else 0.0

    def _show(self) -> None:
        state = self._state
        if state == self._shown:
            return
        if self._shown is not None:
            metrics.API_BREAKER_TRANSITIONS.labels(self._part, state).inc()
            level: Any = log.info if state == "closed" else log.warning
            level("circuit breaker", part=self._part, state=state)
        self._shown = state
        for name in STATES:
            metrics.API_BREAKER.labels(self._part, name).set(name == state)
