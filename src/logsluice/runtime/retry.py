"""Retries with back-off while a service is unavailable, logged now and then, and ended by a stop event.

A wait has no end of its own. It ends when the part answers, or when the process is asked to stop.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from types import FrameType
from typing import Literal, NoReturn, TypeVar

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from logsluice.runtime import metrics

Part = Literal["kafka", "elasticsearch", "kibana", "api"]
T = TypeVar("T")

_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 5.0
_LOG_EVERY_SECONDS = 15.0

log = structlog.get_logger(__name__)


class StoppedError(Exception):
    """The wait was ended because the process was asked to stop."""


@dataclass(frozen=True, slots=True)
class RetryContext:
    """What a wait is for, and what ends it.

    Attributes:
        where: Its address, topic or index.
        describe_error: The words of an error in the log.
    """

    part: Part
    where: str
    job: str
    stop: Event | None = None
    describe_error: Callable[[BaseException], str] = str


def retry_on_unavailable(
    function: Callable[[], T], is_unavailable: Callable[[BaseException], bool], context: RetryContext
) -> T:
    """Call a function again and again for as long as its errors mean that a part is unavailable.

    The first repetition comes after a tenth of a second, later ones after up to 5 s, with jitter. What is
    waited for is logged at the first failure and then about every 15 s, and once when it is over. Repetitions
    are counted in ``logsluice_retries_total``.

    Args:
        function: What to do; must be safe to do twice.
        is_unavailable: Whether an error means that it pays to try again; any other error is raised as it is.

    Raises:
        StoppedError: The context's ``stop`` was set while the part was unavailable.
    """
    started_at = time.monotonic()
    logged_at: float | None = None

    def log_wait(state: RetryCallState) -> None:
        nonlocal logged_at
        metrics.RETRIES.labels(context.job, context.part).inc()
        now = time.monotonic()
        if logged_at is not None and now - logged_at < _LOG_EVERY_SECONDS:
            return
        logged_at = now
        error = state.outcome.exception() if state.outcome else None
        log.warning(
            f"waiting for {context.part}",
            where=context.where,
            reason=" ".join(context.describe_error(error).split()) if error else None,
            waited_seconds=round(now - started_at, 1),
        )

    def raise_stopped(_state: RetryCallState) -> NoReturn:
        raise StoppedError

    event = context.stop or Event()
    result = Retrying(
        retry=retry_if_exception(is_unavailable),
        wait=wait_exponential_jitter(multiplier=_FIRST_SECONDS, max=_LONGEST_SECONDS, jitter=_FIRST_SECONDS),
        stop=stop_when_event_set(event),
        sleep=sleep_using_event(event),
        before_sleep=log_wait,
        retry_error_callback=raise_stopped,
    )(function)
    if logged_at is not None:
        log.info(
            f"{context.part} answers again", where=context.where, waited_seconds=round(time.monotonic() - started_at, 1)
        )
    return result


def stop_on_signals() -> Event:
    """An event that SIGTERM and Ctrl-C set, so that the work at hand is finished first.

    A second signal ends the process at once, as it would without this.
    """
    stop = Event()

    def handle_signal(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle_signal)
    return stop
