"""What is in a topic, for tests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from kafka import TopicPartition

from logsluice.event.identity import EventId
from logsluice.kafka.clients import admin, consumer
from logsluice.kafka.offsets import earliest_offsets, latest_offsets
from logsluice.kafka.topics import describe_topic
from logsluice.settings import Settings


@dataclass(frozen=True)
class Stored:
    """A record of a topic."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    timestamp_ms: int
    offset: int


def stored(settings: Settings, topic: str | None = None) -> list[Stored]:
    """Every record of a topic, partition by partition."""
    client = admin(settings, job="test")
    reader = consumer(settings, job="test")
    try:
        described = describe_topic(client, topic or settings.kafka.topic)
        first = earliest_offsets(client, described)
        last = latest_offsets(client, described)
        partitions = [TopicPartition(described.name, number) for number in described.partitions]
        reader.assign(partitions)
        for partition in partitions:
            reader.seek(partition, first[partition.partition])
        found: list[Stored] = []
        while any(reader.position(partition) < last[partition.partition] for partition in partitions):
            for records in reader.poll(timeout_ms=500).values():
                found += [Stored(r.partition, r.key, r.value, dict(r.headers), r.timestamp, r.offset) for r in records]
        return sorted(found, key=lambda record: record.partition)
    finally:
        reader.close()
        client.close()


def by_id(settings: Settings) -> dict[str, bytes]:
    """Every value of the topic by its event's id."""
    topic = settings.kafka.topic
    return {
        str(EventId(topic, record.partition, record.offset, record.timestamp_ms)): record.value or b""
        for record in stored(settings)
    }


def count(settings: Settings, topic: str | None = None) -> int:
    """How many records a topic has."""
    client = admin(settings, job="test")
    try:
        described = describe_topic(client, topic or settings.kafka.topic)
        last, first = latest_offsets(client, described), earliest_offsets(client, described)
        return sum(last.values()) - sum(first.values())
    finally:
        client.close()


def values(settings: Settings) -> Counter[bytes]:
    """How often each value is in the topic."""
    return Counter(record.value or b"" for record in stored(settings))
