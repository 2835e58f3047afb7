"""What a format found in one line, in the words of ECS: one event at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from logsluice.formats.levels import normalize_level, split_priority
from logsluice.formats.model import Format
from logsluice.formats.timestamps import read_timestamp

TIME_REMARKS: Final = "timestamp.remarks"
"""Beside the fields: what is uncertain about ``@timestamp``, as a :class:`~.timestamps.Reading` has it."""


def normalize(texts: Mapping[str, str], found: Format, reference_ms: int, zone: str) -> dict[str, str]:
    """Texts by field, with the instant, the level and the defaults that the format gives them.

    Args:
        texts: As they stand in the line.
        found: The format that takes it.
        reference_ms: When the event was seen, milliseconds since the epoch.
        zone: IANA name of the zone that holds where the timestamp names none.

    Returns:
        ``@timestamp`` in microseconds since the epoch and ``log.level``, neither where it means nothing; syslog's
        priority with its facility and its severity.
    """
    normal = dict(texts)
    if "@timestamp" in normal:
        reading = read_timestamp(normal.pop("@timestamp"), found.timestamp, reference_ms, zone)
        if reading is not None:
            normal |= {"@timestamp": str(reading.instant), TIME_REMARKS: str(reading.remarks)}
    if "log.level" in normal:
        word = normal.pop("log.level")
        level = found.levels.get(word.strip(" \t").lower()) or normalize_level(word)
        if level is not None:
            normal["log.level"] = level
    if "log.syslog.priority" in normal and normal["log.syslog.priority"].isdecimal():
        facility, severity, level = split_priority(int(normal["log.syslog.priority"]))
        normal.setdefault("log.level", level)
        normal |= {"log.syslog.facility.code": str(facility), "log.syslog.severity.code": str(severity)}
    if found.duration_unit is not None and "event.duration" in normal:
        normal["event.duration"] += found.duration_unit
    for field, value in found.defaults.items():
        normal.setdefault(field, value)
    return normal
