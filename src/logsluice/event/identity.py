"""The identity of an event: an id and an index day that follow from the stored Kafka record alone.

Writing twice is writing once, whatever is killed or replayed, because neither depends on who computes it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, NamedTuple, Self

from logsluice.errors import LogsluiceError

LONGEST_ID: Final = 512
"""Bytes that Elasticsearch takes as a document's id."""

_PREFIX_BYTES: Final = 400
_EVENT_ID = re.compile(
    r"(?P<topic>[A-Za-z0-9._-]{1,249})-(?P<partition>\d{1,10})-(?P<offset>\d{1,19})-(?P<timestamp>\d{1,14})", re.ASCII
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


def bounded_id(name: str) -> str:
    """A name that holds outside text, as an id: where it has too many bytes for one, its end is a digest.

    Args:
        name: No two things of a kind share it.
    """
    content = name.encode(errors="surrogatepass")
    if len(content) <= LONGEST_ID:
        return name
    return content[:_PREFIX_BYTES].decode(errors="ignore") + "|" + sha256(content).hexdigest()
