"""Who an event is: an id and an index day that follow from the stored Kafka record alone.

Writing twice is writing once, whatever is killed or replayed, because neither depends on who computes it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple, Self

from logsluice.errors import LogsluiceError

_EVENT_ID = re.compile(
    r"(?P<topic>[A-Za-z0-9._-]{1,249})-(?P<partition>\d+)-(?P<offset>\d+)-(?P<timestamp>\d+)", re.ASCII
)


class EventId(NamedTuple):
    """An event's identity; its text form is the document id in every index.

    Attributes:
        topic: Kafka topic.
        partition: Kafka partition.
        offset: Offset in the partition.
        timestamp_ms: The record's Kafka timestamp (LogAppendTime), milliseconds since the epoch.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}-{self.timestamp_ms}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form back.

        Raises:
            LogsluiceError: The text is not an event id.
        """
        match = _EVENT_ID.fullmatch(text)
        if match is None:
            raise LogsluiceError(
                "not an event id", where=text, hint="an id reads <topic>-<partition>-<offset>-<timestamp in ms>"
            )
        return cls(match["topic"], int(match["partition"]), int(match["offset"]), int(match["timestamp"]))


def index_day(timestamp_ms: int) -> str:
    """The UTC day of a Kafka timestamp, as index names carry it (``2026.11.22``)."""
    return datetime.fromtimestamp(timestamp_ms / 1000, tz=UTC).strftime("%Y.%m.%d")


def dated_index(alias: str, timestamp_ms: int) -> str:
    """The concrete index behind ``alias`` that holds an event with this Kafka timestamp."""
    return f"{alias}-{index_day(timestamp_ms)}"
