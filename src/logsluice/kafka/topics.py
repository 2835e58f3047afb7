"""Topics: their partitions, readiness, and the id that tells one from another of the same name made later."""

from __future__ import annotations

from contextlib import closing, nullcontext
from threading import Event
from typing import NamedTuple

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors

from logsluice.errors import LogsluiceError
from logsluice.kafka.clients import admin, is_unavailable
from logsluice.runtime.retry import RetryContext, retry_on_unavailable
from logsluice.settings import Settings


class Topic(NamedTuple):
    """A topic as the broker describes it.

    Attributes:
        id: Kafka's UUID of it; a topic that is deleted and made again has another.
    """

    name: str
    id: str
    partitions: tuple[int, ...]


class TopicNotReadyError(Exception):
    """The topic is not there, or a partition of it has no leader yet."""


def describe_topic(client: KafkaAdminClient, topic: str) -> Topic:
    """Ask the broker for a topic.

    Raises:
        TopicNotReadyError: It is not there, or has partitions without a leader.
        kafka.errors.KafkaError: The broker does not answer.
    """
    described = next((entry for entry in client.describe_topics([topic]) if entry["name"] == topic), None)
    code = described["error_code"] if described else kafka_errors.UnknownTopicOrPartitionError.errno
    error = kafka_errors.for_code(code)
    if error is kafka_errors.UnknownTopicOrPartitionError:
        raise TopicNotReadyError("there is no such topic; `logsluice setup` makes it")
    if issubclass(error, kafka_errors.AuthorizationError | kafka_errors.InvalidTopicError):
        raise LogsluiceError("the broker does not show the topic", where=topic, why=error.__name__)
    if error is not kafka_errors.NoError or described is None:
        raise TopicNotReadyError(error.__name__)
    leaderless = [entry["partition_index"] for entry in described["partitions"] if entry["leader_id"] < 0]
    if leaderless:
        raise TopicNotReadyError(f"no leader for partitions {leaderless}")
    return Topic(
        topic,
        str(described["topic_id"]),
        tuple(sorted(p["partition_index"] for p in described["partitions"])),
    )


def wait_for_topic(
    settings: Settings,
    topic: str,
    *,
    job: str,
    stop: Event | None = None,
    client: KafkaAdminClient | None = None,
) -> Topic:
    """Come back when the topic is there and every partition has a leader; says every now and then that
    it is not.

    Args:
        client: A client to ask with; one is made, and closed again, where it is left out.

    Raises:
        LogsluiceError: The broker refuses the credentials or does not show the topic.
        StoppedError: ``stop`` was set.
    """
    with nullcontext(client) if client else closing(admin(settings, job=job, stop=stop)) as broker:
        return retry_on_unavailable(
            lambda: describe_topic(broker, topic),
            lambda error: isinstance(error, TopicNotReadyError) or is_unavailable(error),
            RetryContext("kafka", f"{settings.kafka.bootstrap_servers}, topic {topic}", job, stop=stop),
        )
