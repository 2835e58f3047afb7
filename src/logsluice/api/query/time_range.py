"""The time range of a query."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from logsluice.elasticsearch.queries import Body, time_range
from logsluice.errors import LogsluiceError
from logsluice.runtime.time_expressions import parse_moment

_DAY: Final = timedelta(days=1)
SETTLED: Final = timedelta(minutes=10)
"""How long after its end a stretch of time may still get events, where every part of the pipeline is up."""


class TimeRange(NamedTuple):
    """Where a search begins and ends, by the events' own clock.

    Attributes:
        since: From this moment on.
        until: Before this moment; None for no end, so that events ahead of the clock are found too.
        settled: Whether it ended so long ago that its events have all come.
    """

    since: datetime
    until: datetime | None
    settled: bool

    @property
    def condition(self) -> Body:
        """The condition on ``@timestamp``, to the millisecond."""
        return time_range(self.since, self.until)


def read_time_range(
    start: str | None, end: str | None, *, longest: timedelta, now: datetime | None = None
) -> TimeRange:
    """The stretch between two moments, as they stand in a URL.

    Args:
        start: ISO 8601, or ``now-1h`` and the like; where left out, at most ``longest`` before the end.
        end: Likewise; where left out there is no end.
        longest: The longest stretch that may be asked about.
        now: What ``now`` means; this moment where left out.

    Raises:
        LogsluiceError: One of them is no moment, they are the wrong way round, or too far apart.
    """
    now = now or datetime.now(UTC)
    until = None if end is None else _moment("endTime", end, now)
    since = _longest_before(until or now, longest) if start is None else _moment("startTime", start, now)
    length = (until or max(now, since)) - since
    if length < timedelta(0):
        raise LogsluiceError("the wrong way round", where="startTime, endTime", why=f"{start} is after {end}")
    if length > longest:
        raise LogsluiceError(
            "too long a time",
            where="startTime, endTime",
            why=f"more than {longest.days} days",
            hint="ask for one part after the other",
        )
    return TimeRange(since, until, until is not None and until <= now - SETTLED)


def _longest_before(end: datetime, longest: timedelta) -> datetime:
    earliest = datetime.min.replace(tzinfo=UTC)
    if end - earliest <= longest:
        return earliest
    start = end - longest
    # From a day's beginning on where there are several, so that all day long the same is asked for.
    return start.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY if longest > 2 * _DAY else start


def _moment(name: str, text: str, now: datetime) -> datetime:
    try:
        return parse_moment(text, now=now)
    except LogsluiceError as error:
        raise LogsluiceError(error.what, where=f"{name}={text}", hint=error.hint) from None
