"""Notifications in a Kafka topic."""

from __future__ import annotations

from threading import Event
from typing import Final

import orjson
from kafka import KafkaProducer

from logsluice.alerts.documents import Notification, alert_json
from logsluice.kafka.clients import producer
from logsluice.kafka.kafka_python import abandon
from logsluice.kafka.topics import wait_for_topic
from logsluice.settings import Settings

_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 5.0


class KafkaOutput:
    """A record for each alert that opens or resolves: its document, keyed by its id.

    The broker and the topic are waited for, until ``stop`` is set.
    """

    name = "kafka"

    def __init__(self, settings: Settings, *, job: str, stop: Event) -> None:
        self._settings = settings
        self._job = job
        self._stop = stop
        self._producer: KafkaProducer | None = None

    def notify(self, notification: Notification) -> None:
        """Send it, and wait until the broker has stored it.

        Raises:
            LogsluiceError: The broker refuses the credentials.
            kafka.errors.KafkaError: It does not take the record.
            StoppedError: ``stop`` was set while the broker was waited for.
        """
        topic = self._settings.kafka.alerts_topic
        if self._producer is None:
            wait_for_topic(self._settings, topic, job=self._job, stop=self._stop)
            self._producer = producer(self._settings, job=self._job, stop=self._stop, linger_ms=0)
        value, key = orjson.dumps(alert_json(notification.alert)), notification.alert.id.encode()
        try:
            self._producer.send(topic, value, key=key).get(timeout=_SECONDS)
        except BaseException:
            # What it still holds may arrive too, which the same key makes harmless; a new one starts clean.
            self.close()
            raise

    def close(self) -> None:
        """Let go of the broker."""
        if self._producer is not None:
            broken, self._producer = self._producer, None
            abandon(broken, _CLOSE_SECONDS)
