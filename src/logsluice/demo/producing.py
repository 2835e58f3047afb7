"""Sends demo traffic to Kafka or another destination, paced by the wall clock."""

from __future__ import annotations

import time
from collections.abc import Iterable
from threading import Event
from typing import Final, Protocol

import structlog

from logsluice.demo.traffic import TrafficEvent
from logsluice.event.limits import cut
from logsluice.kafka import wait_for_topic
from logsluice.kafka.ordered_producer import OrderedProducer
from logsluice.runtime import metrics
from logsluice.settings import Settings

JOB: Final = "producer"
_GLANCE_SECONDS: Final = 0.1
_SAY_EVERY_SECONDS: Final = 30.0
_LATE_SECONDS: Final = 5.0
_TICK_SECONDS: Final = 0.01
_GIVE_UP_SECONDS: Final = 10.0

log = structlog.get_logger(__name__)


class Destination(Protocol):
    """Where events go. What :meth:`send` takes may still be on its way until :meth:`flush` comes back."""

    def send(self, event: TrafficEvent) -> None:
        """Take an event; waits while the destination can't take more."""

    def flush(self) -> int:
        """Wait for everything sent; gives how many events were not acknowledged in time."""

    def close(self) -> None:
        """Let go of connections."""


class KafkaDestination:
    """The topic of the settings; events of one session, or of one service, stay in order.

    Raises:
        LogsluiceError: Kafka refuses the credentials.
        StoppedError: ``stop`` was set before Kafka answered.
    """

    def __init__(self, settings: Settings, stop: Event) -> None:
        topic = wait_for_topic(settings, settings.kafka.topic, job=JOB, stop=stop)
        self._outlet: OrderedProducer[None] = OrderedProducer(settings, topic.name, job=JOB, stop=stop)
        self._stop = stop
        self._sent = metrics.EVENTS_OUT.labels(JOB, "kafka")
        self._glance_at = 0.0

    def send(self, event: TrafficEvent) -> None:
        """Take an event; waits for the broker, unless a stop is asked for.

        Raises:
            LogsluiceError: The broker refuses a record.
        """
        while self._outlet.full and not self._stop.is_set():
            self._outlet.wait(_GLANCE_SECONDS)
            self._collect()
        value, headers = cut(event.line.encode())
        self._outlet.send(None, value, event.key.encode(), list(headers))
        now = time.monotonic()
        if now > self._glance_at:
            self._glance_at = now + _GLANCE_SECONDS
            self._outlet.wait(0)
            self._collect()

    def flush(self) -> int:
        """Wait for acknowledgements; when a stop was asked for, ten seconds at most."""
        began = time.monotonic()
        while self._outlet.in_flight:
            if self._stop.is_set() and time.monotonic() - began > _GIVE_UP_SECONDS:
                break
            self._outlet.wait(_GLANCE_SECONDS)
            self._collect()
        return self._outlet.in_flight

    def close(self) -> None:
        """Let go of the broker."""
        self._outlet.close()

    def _collect(self) -> None:
        self._sent.inc(sum(1 for _ in self._outlet.collect()))


def produce(events: Iterable[TrafficEvent], destination: Destination, stop: Event, *, paced: bool = True) -> int:
    """Send events when they are due, counted from now.

    What is late, because the machine or the destination was slow, is sent at once until it has caught up.

    Args:
        stop: Ends it when set: what was sent is waited for.
        paced: Whether to wait until an event is due.

    Returns:
        How many events were sent.
    """
    began = time.monotonic()
    said_at = began
    said_late_at = 0.0
    count = 0
    read = metrics.EVENTS_IN.labels(JOB)
    for event in events:
        if stop.is_set():
            break
        if paced:
            now = time.monotonic()
            early = began + event.time_offset - now
            if early > 0:
                # What comes within the next hundredth of a second may come at once.
                if early > _TICK_SECONDS and stop.wait(early):
                    break
            elif -early > _LATE_SECONDS and now > said_late_at:
                said_late_at = now + _SAY_EVERY_SECONDS
                log.warning("behind the rate that was asked for", seconds=round(-early, 1))
        destination.send(event)
        read.inc()
        count += 1
        if count % 100 == 0 and time.monotonic() - said_at > _SAY_EVERY_SECONDS:
            said_at = time.monotonic()
            log.info("events sent", events=count, per_second=round(count / (said_at - began), 1))
    lost = destination.flush()
    if lost:
        log.warning("stopped before these were acknowledged", events=lost)
    return count
