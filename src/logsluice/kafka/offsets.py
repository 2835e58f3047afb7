"""Offsets: where a topic begins and ends, and how far a consumer group is.

A committed offset carries the topic's id as its metadata. So whoever reads it later can tell that the topic
was deleted and made again since, even on another machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import structlog
from kafka import KafkaAdminClient, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import OffsetSpec
from kafka.structs import OffsetAndMetadata

from logsluice.kafka.topics import Topic
from logsluice.runtime import metrics

Offsets: TypeAlias = dict[int, int]
"""Next offset to read, by partition."""

log = structlog.get_logger(__name__)


class CommittedOffset(NamedTuple):
    """A committed offset.

    Attributes:
        topic_id: The id of the topic it was committed for; empty where another tool committed it.
    """

    offset: int
    topic_id: str


def earliest_offsets(client: KafkaAdminClient, topic: Topic) -> Offsets:
    """The first offset of each partition that is still kept."""
    return _offsets(client, topic, OffsetSpec.EARLIEST)


def latest_offsets(client: KafkaAdminClient, topic: Topic) -> Offsets:
    """The offset after the last record of each partition."""
    return _offsets(client, topic, OffsetSpec.LATEST)


def committed_offsets(client: KafkaAdminClient, group: str, topic: Topic) -> dict[int, CommittedOffset]:
    """What a group has committed; partitions without a commit are left out."""
    partitions = [TopicPartition(topic.name, partition) for partition in topic.partitions]
    found = client.list_group_offsets({group: partitions}).get(group, {})
    return {
        partition.partition: CommittedOffset(entry.offset, entry.metadata or "")
        for partition, entry in found.items()
        if entry.offset >= 0
    }


def commit_offsets(client: KafkaAdminClient, group: str, topic: Topic, offsets: Mapping[int, int]) -> None:
    """Commit offsets for a group that has no members: for lag as every Kafka tool shows it, and to start
    from.

    Args:
        group: The group; it must have no members that subscribe.

    Raises:
        kafka.errors.KafkaError: The broker does not answer or refuses the commit.
    """
    answers = client.alter_group_offsets(
        group,
        {
            TopicPartition(topic.name, partition): OffsetAndMetadata(offset, topic.id, -1)
            for partition, offset in offsets.items()
        },
    )
    for partition, error in answers.items():
        if error is not kafka_errors.NoError:
            raise error(f"committing {partition.topic}-{partition.partition} for group {group}")


def starting_offsets(client: KafkaAdminClient, group: str, topic: Topic) -> Offsets:
    """Where a group goes on: at its commits, or at the earliest offset where they can't be trusted.

    That is so, and said, where the topic was deleted and made again since the commit, and where the offset is
    not kept any more or not there yet. A partition without a commit starts at the earliest offset.
    """
    earliest, latest = earliest_offsets(client, topic), latest_offsets(client, topic)
    committed = committed_offsets(client, group, topic)
    if any(entry.topic_id not in ("", topic.id) for entry in committed.values()):
        log.warning(
            "the topic was deleted and made again: starting at its earliest offset",
            topic=topic.name,
            group=group,
        )
        return earliest
    start = dict(earliest)
    for partition, entry in committed.items():
        if earliest[partition] <= entry.offset <= latest[partition]:
            start[partition] = entry.offset
        else:
            log.warning(
                "the committed offset is not in the topic: starting at the earliest",
                topic=topic.name,
                partition=partition,
                group=group,
                committed=entry.offset,
                earliest=earliest[partition],
                latest=latest[partition],
            )
    return start


def lag(client: KafkaAdminClient, group: str, topic: Topic) -> Offsets:
    """The events of each partition that a group has not read yet; sets ``logsluice_consumer_lag_events``.

    Commits for a deleted topic of the same name count for nothing.
    """
    earliest, latest = earliest_offsets(client, topic), latest_offsets(client, topic)
    committed = committed_offsets(client, group, topic)
    behind: Offsets = {}
    for partition, end in latest.items():
        entry = committed.get(partition)
        start = earliest[partition]
        if entry is not None and entry.topic_id in ("", topic.id) and entry.offset <= end:
            start = max(entry.offset, start)
        behind[partition] = end - start
        metrics.CONSUMER_LAG.labels(group, topic.name, str(partition)).set(behind[partition])
    return behind


def _offsets(client: KafkaAdminClient, topic: Topic, spec: OffsetSpec) -> Offsets:
    found = client.list_partition_offsets({TopicPartition(topic.name, number): spec for number in topic.partitions})
    return {partition.partition: entry.offset for partition, entry in found.items()}
