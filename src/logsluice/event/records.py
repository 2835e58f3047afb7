"""Kafka records as columns, and what follows from a record's place in Kafka: its id, its index, its times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from logsluice.event.identity import EventId, dated_index
from logsluice.event.moments import from_millis, iso

Header = tuple[str, bytes | None]

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Records:
    """Records of Kafka, a column an attribute, all of the same length.

    Attributes:
        topic: Topic of each.
        partition: Partition of each.
        offset: Offset of each.
        timestamp_ms: Kafka's timestamp of each, milliseconds since the epoch.
        value: The event; None for a tombstone.
        key: The key; may be left out.
        headers: The headers; may be left out where no record has any.
    """

    topic: Sequence[str]
    partition: Sequence[int]
    offset: Sequence[int]
    timestamp_ms: Sequence[int]
    value: Sequence[bytes | None]
    key: Sequence[bytes | None] = ()
    headers: Sequence[Sequence[Header] | None] = field(default=())

    def __len__(self) -> int:
        return len(self.value)

    def event_id(self, row: int) -> EventId:
        """Identity of a row's event."""
        return EventId(self.topic[row], self.partition[row], self.offset[row], self.timestamp_ms[row])

    def key_of(self, row: int) -> bytes | None:
        """Key of a row's event."""
        return self.key[row] if self.key else None

    def headers_of(self, row: int) -> Sequence[Header]:
        """Headers of a row's event."""
        return (self.headers[row] or ()) if self.headers else ()


def index_name(alias: str, timestamp_ms: int) -> str:
    """The dated index behind an alias; :func:`~logsluice.event.identity.dated_index`, remembered by day."""
    return _index_of_day(alias, timestamp_ms // _DAY_MS)


@lru_cache(maxsize=4096)
def _index_of_day(alias: str, day: int) -> str:
    return dated_index(alias, day * _DAY_MS)


@lru_cache(maxsize=4096)
def iso_millis(timestamp_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds; remembered, as the records of one append share their timestamp."""
    return iso(from_millis(timestamp_ms))
