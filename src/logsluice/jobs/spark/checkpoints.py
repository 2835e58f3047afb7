"""The location of a topic's checkpoint, and whether the topic was made again or lost events since it was written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from logsluice.kafka.offsets import CommittedOffset, Offsets
from logsluice.kafka.topics import Topic

GROUP = "logsluice-regex"
"""The group that finished batches are committed to, for lag as every Kafka tool shows it."""

REGEX = "regex"
"""The folder of the regex job's checkpoints."""


def checkpoint_of(location: str, topic: Topic, folder: str = REGEX) -> str:
    """The folder of a job's checkpoint for a topic.

    The topic's id is part of it: a checkpoint of a deleted topic would make Spark skip events of a new one of
    the same name.

    Args:
        location: Of all checkpoints, a folder or an S3 URL.
    """
    return f"{_of_topic(location, topic.name, folder)}/{topic.id}"


def was_made_again(location: str, topic: Topic, committed: Mapping[int, CommittedOffset], folder: str = REGEX) -> bool:
    """Whether there was another topic of this name: one that left a checkpoint, or offsets of the group."""
    if any(entry.topic_id not in ("", topic.id) for entry in committed.values()):
        return True
    path = Path(_of_topic(location, topic.name, folder))
    if "://" in location or not path.is_dir() or (path / topic.id).exists():
        return False
    return any(entry.is_dir() for entry in path.iterdir())


def lost_offsets(earliest: Offsets, committed: Mapping[int, CommittedOffset]) -> int:
    """Events that the topic's retention removed before they were read."""
    return sum(
        max(0, earliest[partition] - entry.offset) for partition, entry in committed.items() if partition in earliest
    )


def _of_topic(location: str, topic: str, folder: str) -> str:
    return f"{location.removeprefix('file://').rstrip('/')}/{folder}/{topic}"
