"""The filters of the page, and their parameters in its URL.

``?from=now-1h&to=now&level=error&service=payments&q=timeout&refresh=10``: ``from`` and ``to`` are ISO 8601 or relative
to now, ``level`` means that level and worse, ``q`` is in Lucene's syntax, ``refresh`` is in seconds (0 is never).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, NamedTuple

from logsluice.errors import LogsluiceError
from logsluice.event.ecs import LEVELS
from logsluice.runtime.time_expressions import parse_moment

LONGEST_TEXT: Final = 1_000
REFRESH_SECONDS: Final = (0, 5, 10, 30, 60)

# A moment where people type, but not in a URL.
_AGO = re.compile(r"\d{1,6}[smhdw]")
_MOST_BARS: Final = 90
_DAY: Final = 86_400
_BAR_SECONDS: Final = (1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, _DAY)
_DEFAULT_FROM: Final = "now-1h"


class Span(NamedTuple):
    """A stretch of time in UTC, without its end."""

    start: datetime
    end: datetime

    @property
    def before(self) -> Span:
        """The stretch of the same length before it, or as much of that as the calendar has."""
        length = self.end - self.start
        earliest = datetime.min.replace(tzinfo=UTC)
        return Span(self.start - length if self.start - earliest > length else earliest, self.start)

    @property
    def bar_seconds(self) -> int:
        """How long one bar of a chart over this stretch is: a round number, so that there are some dozens."""
        seconds = (self.end - self.start).total_seconds()
        lengths = (length for length in _BAR_SECONDS if seconds / length <= _MOST_BARS)
        return next(lengths, _DAY * (int(seconds / _MOST_BARS / _DAY) + 1))


@dataclass(frozen=True)
class Filters:
    """Which events the page shows.

    Attributes:
        since: ISO 8601, or ``now-15m`` and the like.
        until: Likewise, or ``now``.
        level: That level and worse.
        service: Of that service alone; ``unknown`` are events that name none.
        query: In Lucene's syntax; several words are all to be found.
        refresh: Seconds from one redraw to the next; 0 is never.
    """

    since: str = _DEFAULT_FROM
    until: str = "now"
    level: str | None = None
    service: str | None = None
    query: str = ""
    refresh: int = 10

    def to_url(self) -> dict[str, str]:
        """The parameters of the page's URL."""
        refresh = "" if self.refresh == Filters.refresh else str(self.refresh)
        texts = {"level": self.level, "service": self.service, "q": self.query, "refresh": refresh}
        return {"from": self.since, "to": self.until, **{name: text for name, text in texts.items() if text}}

    def span(self, now: datetime) -> Span:
        """The stretch of time that ``since`` and ``until`` name.

        Raises:
            LogsluiceError: One is no moment, or the end is not after the start.
        """
        span = Span(_moment(self.since, now), _moment(self.until, now))
        if span.end <= span.start:
            raise LogsluiceError("ends before it begins", where=f"from {self.since} to {self.until}")
        return span


class ParsedFilters(NamedTuple):
    """Filters as a URL has them, and what in it could not be parsed: a line each."""

    filters: Filters
    problems: list[str]


def from_url(parameters: Mapping[str, str]) -> ParsedFilters:
    """The filters in a URL; what cannot be parsed is left out, and named."""
    problems: list[str] = []
    filters = Filters(
        since=parameters.get("from", "").strip() or Filters.since,
        until=parameters.get("to", "").strip() or Filters.until,
        level=parameters.get("level", "").strip().lower() or None,
        service=parameters.get("service") or None,
        query=parameters.get("q", "").strip(),
    )
    try:
        filters.span(datetime.now(UTC))
    except LogsluiceError as error:
        problems.append(f"{error}; showing the last hour")
        filters = replace(filters, since=Filters.since, until=Filters.until)
    if filters.level and filters.level not in LEVELS:
        problems.append(f"level {filters.level[:40]}: no such level; one of {', '.join(LEVELS)}")
        filters = replace(filters, level=None)
    for name, text in (("q", filters.query), ("service", filters.service or "")):
        if len(text) > LONGEST_TEXT:
            problems.append(f"{name}: longer than {LONGEST_TEXT} characters; left out")
            filters = replace(filters, query="") if name == "q" else replace(filters, service=None)
    refresh = parameters.get("refresh", str(Filters.refresh)).strip()
    if refresh.isascii() and refresh.isdigit() and len(refresh) < 4 and int(refresh) in REFRESH_SECONDS:
        filters = replace(filters, refresh=int(refresh))
    else:
        problems.append(f"refresh {refresh[:40]}: one of {', '.join(map(str, REFRESH_SECONDS))} seconds")
    return ParsedFilters(filters, problems)


def _moment(text: str, now: datetime) -> datetime:
    try:
        if not _AGO.fullmatch(text):
            return parse_moment(text, now=now)
    except LogsluiceError:
        pass
    raise LogsluiceError(
        "is no moment", where=text[:40], hint="write now, now-15m, or a time such as 2026-11-22T08:30:00Z"
    )
