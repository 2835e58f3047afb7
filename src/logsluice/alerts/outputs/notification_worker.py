"""Tells one output, notice after notice, until each has arrived."""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Final, Protocol

import structlog
from tenacity import RetryCallState, Retrying, retry_if_not_exception_type, wait_exponential_jitter
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from logsluice.alerts.documents import Notice
from logsluice.alerts.store import AlertStore
from logsluice.runtime import metrics
from logsluice.runtime.retry import Stopped

_FIRST_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 60.0
_SAY_EVERY_SECONDS: Final = 60.0
_GLANCE_SECONDS: Final = 0.2

log = structlog.get_logger(__name__)


class Output(Protocol):
    """Somebody who is told."""

    name: str

    def tell(self, notice: Notice) -> None:
        """Tell of an alert and come back when that has arrived.

        Raises:
            Refused: This notice will never be taken.
            Exception: It did not arrive; try again.
        """

    def close(self) -> None:
        """Let go of connections."""


class Refused(Exception):  # noqa: N818 - told to the user as what became of a notice
    """The output will never take this notice."""


class Later(Exception):  # noqa: N818 - told to the user as what is waited for
    """The output asks to be left alone for a while.

    Attributes:
        seconds: For how long.
    """

    def __init__(self, why: str, seconds: float) -> None:
        super().__init__(why)
        self.seconds = seconds


class NotificationWorker(Thread):
    """Tells one output, in order, each notice until it has arrived; then it is struck off in the store.

    Args:
        output: Who is told.
        store: Where it is noted.
        stop: Ends it; what did not arrive stays noted.
    """

    def __init__(self, output: Output, store: AlertStore, stop: Event) -> None:
        super().__init__(name=f"alerts-{output.name}")
        self._output = output
        self._store = store
        self._stop_asked = stop
        self._queue: SimpleQueue[Notice] = SimpleQueue()
        self._said: float | None = None

    def send(self, notice: Notice) -> None:
        """Take a notice; comes back at once."""
        self._queue.put(notice)

    def run(self) -> None:
        """Work until a stop is asked for."""
        try:
            while not self._stop_asked.is_set():
                try:
                    notice = self._queue.get(timeout=_GLANCE_SECONDS)
                except Empty:
                    continue
                self._tell(notice)
        except Stopped:
            pass
        finally:
            self._output.close()

    def _tell(self, notice: Notice) -> None:
        name = self._output.name
        try:
            Retrying(
                retry=retry_if_not_exception_type((Refused, Stopped)),
                wait=_wait,
                stop=stop_when_event_set(self._stop_asked),
                sleep=sleep_using_event(self._stop_asked),
                before_sleep=self._failed,
                retry_error_callback=_give_way,
            )(self._output.tell, notice)
        except Refused as error:
            metrics.ALERT_DELIVERIES.labels(name, "failed").inc()
            log.error("an alert is not taken, and not sent again", output=name, alert=notice.id, reason=str(error))
        else:
            metrics.ALERT_DELIVERIES.labels(name, "delivered").inc()
            if self._said is not None:
                self._said = None
                log.info("alerts arrive again", output=name)
        self._store.told(name, notice)

    def _failed(self, state: RetryCallState) -> None:
        metrics.ALERT_DELIVERIES.labels(self._output.name, "failed").inc()
        now = time.monotonic()
        if self._said is None or now - self._said > _SAY_EVERY_SECONDS:
            self._said = now
            error = state.outcome.exception() if state.outcome else None
            reason = " ".join(str(error).split()) or type(error).__name__
            log.warning("an alert does not arrive; trying again", output=self._output.name, reason=reason)


_BACK_OFF: Final = wait_exponential_jitter(multiplier=_FIRST_SECONDS, max=_LONGEST_SECONDS, jitter=_FIRST_SECONDS)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(error.seconds if isinstance(error, Later) else 0.0, _BACK_OFF(state))


def _give_way(_state: RetryCallState) -> None:
    raise Stopped
