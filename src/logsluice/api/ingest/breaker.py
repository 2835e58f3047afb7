"""The circuit breaker before Kafka: once it is away, nobody waits to find out again.

Closed while deliveries succeed; open after so many failed in a row; half-open after a while, when one post tries it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import structlog
from purgatory.domain.model import Context, OpenedState

from logsluice.runtime import metrics

State = Literal["closed", "open", "half-open"]
STATES: Final[tuple[State, ...]] = ("closed", "open", "half-open")
_NAMES: Final[dict[str, State]] = {"closed": "closed", "opened": "open", "half-opened": "half-open"}

log = structlog.get_logger(__name__)


class CircuitOpenError(Exception):
    """The part counts as away.

    Attributes:
        retry_seconds: Until it is tried again.
    """

    def __init__(self, part: str, retry_seconds: float) -> None:
        super().__init__(f"{part} does not answer")
        self.retry_seconds = retry_seconds


class BackendUnavailableError(Exception):
    """Raised inside :meth:`Breaker.attempt`: what was attempted failed because the part is away."""


class Breaker:
    """A circuit breaker whose state is in the metrics; purgatory's, with one attempt at a time while half-open.

    Args:
        part: What is behind it.
        failures: In a row, until it opens.
        seconds: Until it is tried again.
    """

    def __init__(self, part: str, failures: int, seconds: float) -> None:
        self._part = part
        self._seconds = seconds
        self._context = Context(part, failures, seconds)
        self._probing = False
        self._shown: State | None = None
        self._show()

    @property
    def state(self) -> State:
        """What it is now; an open one whose time is over is still open until somebody tries."""
        return _NAMES[self._context.state]

    @property
    def lets_through(self) -> bool:
        """Whether an attempt would be made now."""
        return self.state == "closed" or (not self._probing and self._retry_seconds() <= 0)

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """Do something with the part; raise :class:`BackendUnavailableError` inside where it turns out to be away.

        Raises:
            CircuitOpenError: It is not tried now.
            BackendUnavailableError: As it was raised inside.
        """
        if self._probing:
            raise CircuitOpenError(self._part, self._seconds)
        try:
            self._context.handle_new_request()
        except OpenedState:
            raise CircuitOpenError(self._part, self._retry_seconds()) from None
        probe = self.state == "half-open"
        self._probing = self._probing or probe
        self._show()
        try:
            yield
        except BackendUnavailableError as error:
            # What was on its way when the breaker opened says nothing new.
            if self.state != "open":
                self._context.handle_exception(error)
            raise
        else:
            if self.state == "closed" or probe:
                self._context.handle_end_request()
        finally:
            if probe:
                self._probing = False
            self._context.messages.clear()
            self._show()

    def _retry_seconds(self) -> float:
        opened = self._context.opened_at
        return 0.0 if opened is None else max(0.0, opened + self._seconds - time.time())

    def _show(self) -> None:
        state = self.state
        if state == self._shown:
            return
        if self._shown is not None:
            metrics.API_BREAKER_TRANSITIONS.labels(self._part, state).inc()
            level: Any = log.info if state == "closed" else log.warning
            level("circuit breaker", part=self._part, state=state)
        self._shown = state
        for name in STATES:
            metrics.API_BREAKER.labels(self._part, name).set(name == state)
