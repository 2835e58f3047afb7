"""Timestamps in pieces: date, time of day and zone (or seconds and their fraction) under keys of their own.

Sources: Fortinet (``date`` ``time`` ``tz``), Sophos (``date`` ``time`` ``timezone``), SonicWall, W3C extended log files
and IIS (``date`` ``time``), Amazon CloudFront, protocol buffers (``seconds`` ``nanos``).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

_DATES: Final = ("date", "log_date", "logdate", "event_date", "eventdate", "dt", "day")
_TIMES: Final = ("time", "log_time", "logtime", "event_time", "eventtime", "tm", "time_of_day")
_ZONES: Final = ("tz", "timezone", "time_zone", "zone", "utc_offset", "utcoffset", "offset")
_SECONDS: Final = ("seconds", "epochsecond", "epoch_seconds", "secs", "sec", "tv_sec", "unixtime")
_NANOS: Final = ("nanos", "nanoofsecond", "nanoseconds", "nsec", "nsecs", "tv_nsec")
_OFFSET: Final = re.compile(r"[+-][0-9]{2}:?[0-9]{2}")
_SHORT_OFFSET: Final = re.compile(r"([+-])([0-9]{1,2})(?::?([0-9]{2}))?")


@lru_cache(maxsize=4096)
def keys_of_time(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that may hold a timestamp in pieces, in the order in which :func:`joined_time` wants their values.

    Args:
        keys: Dotted keys of an event, whatever their case. Pieces stand in the same object.

    Returns:
        Date and time, perhaps a zone; or seconds and nanoseconds; or nothing.
    """
    by_place: dict[str, dict[str, str]] = {}
    for key in keys:
        place, _, name = key.rpartition(".")
        by_place.setdefault(place, {}).setdefault(name.lower().replace("-", "_"), key)
    for names in by_place.values():
        date, time, zone = (_first(names, wanted) for wanted in (_DATES, _TIMES, _ZONES))
        if date and time:
            return (date, time, zone) if zone else (date, time)
        seconds, nanos = _first(names, _SECONDS), _first(names, _NANOS)
        if seconds and nanos:
            return seconds, nanos
    return ()


def joined_time(pieces: Collection[str]) -> str:
    """The pieces that :func:`keys_of_time` named, as one text to be read in any syntax of KEYED_TIMESTAMPS.

    A zone that cannot stand behind a time is left as it is, so that the text is no timestamp.
    """
    first, second, *zones = (piece.strip(" \"'") for piece in pieces)
    if first.isdecimal() and second.isdecimal() and len(first) in (9, 10, 11):
        return f"{first}.{second:>09}"
    if not zones or not zones[0]:
        return f"{first} {second}"
    return f"{first} {second} {_zone(zones[0])}"


def _zone(text: str) -> str:
    if _OFFSET.fullmatch(text):
        return text
    short = _SHORT_OFFSET.fullmatch(text)
    return f"{short[1]}{short[2]:>02}{short[3] or '00'}" if short else text


def _first(names: dict[str, str], wanted: Collection[str]) -> str | None:
    return next((names[name] for name in wanted if name in names), None)
