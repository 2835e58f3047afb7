"""A thread an output: sends notifications in order, each until it has arrived."""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Final, Protocol

import structlog
from tenacity import RetryCallState, Retrying, retry_if_not_exception_type, wait_exponential_jitter
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from logsluice.alerts.documents import Notification
from logsluice.alerts.store import AlertStore
from logsluice.runtime import metrics
from logsluice.runtime.retry import StoppedError

_FIRST_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 60.0
_LOG_INTERVAL_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.2

log = structlog.get_logger(__name__)


class Output(Protocol):
    """Where notifications go."""

    name: str

    def notify(self, notification: Notification) -> None:
        """Send a notification and come back when it has arrived.

        Raises:
            NotificationRefusedError: This notification will never be taken.
            Exception: It did not arrive; try again.
        """

    def close(self) -> None:
        """Let go of connections."""


class NotificationRefusedError(Exception):
    """The output will never take this notification."""


class RetryLaterError(Exception):
    """The output asks to be left alone for so many seconds."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


class NotificationWorker(Thread):
    """Sends notifications to one output, in order, each until it has arrived; then marks it in the store.

    What did not arrive when ``stop`` is set stays pending.
    """

    def __init__(self, output: Output, store: AlertStore, stop: Event) -> None:
        super().__init__(name=f"alerts-{output.name}")
        self._output = output
        self._store = store
        self._stopping = stop
        self._queue: SimpleQueue[Notification] = SimpleQueue()
        self._logged_at: float | None = None

    def enqueue(self, notification: Notification) -> None:
        """Take a notification; comes back at once."""
        self._queue.put(notification)

    def run(self) -> None:
        """Work until ``stop`` is set."""
        try:
            while not self._stopping.is_set():
                try:
                    notification = self._queue.get(timeout=_POLL_SECONDS)
                except Empty:
                    continue
                self._notify(notification)
        except StoppedError:
            pass
        finally:
            self._output.close()

    def _notify(self, notification: Notification) -> None:
        name = self._output.name
        try:
            Retrying(
                retry=retry_if_not_exception_type((NotificationRefusedError, StoppedError)),
                wait=_wait,
                stop=stop_when_event_set(self._stopping),
                sleep=sleep_using_event(self._stopping),
                before_sleep=self._failed,
                retry_error_callback=_raise_stopped,
            )(self._output.notify, notification)
        except NotificationRefusedError as error:
            metrics.ALERT_DELIVERIES.labels(name, "failed").inc()
            log.error(
                "an alert is not taken, and not sent again", output=name, alert=notification.id, reason=str(error)
            )
        else:
            metrics.ALERT_DELIVERIES.labels(name, "delivered").inc()
            if self._logged_at is not None:
                self._logged_at = None
                log.info("alerts arrive again", output=name)
        self._store.mark_notified(name, notification)

    def _failed(self, state: RetryCallState) -> None:
        metrics.ALERT_DELIVERIES.labels(self._output.name, "failed").inc()
        now = time.monotonic()
        if self._logged_at is None or now - self._logged_at > _LOG_INTERVAL_SECONDS:
            self._logged_at = now
            error = state.outcome.exception() if state.outcome else None
            reason = " ".join(str(error).split()) or type(error).__name__
            log.warning("an alert does not arrive; trying again", output=self._output.name, reason=reason)


_BACKOFF: Final = wait_exponential_jitter(multiplier=_FIRST_SECONDS, max=_LONGEST_SECONDS, jitter=_FIRST_SECONDS)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(error.seconds if isinstance(error, RetryLaterError) else 0.0, _BACKOFF(state))


def _raise_stopped(_state: RetryCallState) -> None:
    raise StoppedError
