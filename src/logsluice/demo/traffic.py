"""The log traffic of a made-up shop, as a pure function of a seed, a profile and a start.

Users are sessions: they log in, browse, pay, sometimes take back. Each request leaves the lines of the service
behind it and the gateway's access line, with one ``trace.id``; a user's way is followed by ``session.id``.

Fields that others may rely on, in JSON events and, as ``name=value``, at the end of plain ones:

- ``event.action``: ``payment``, ``refund``, ``login``, ``logout``, ``search``, ``view``, ``stock``, ``cart``,
  ``order``, ``label``, ``slow-query``, ``memory``, ``cache``
- ``event.outcome``: ``success`` or ``failure``
- ``labels.amount``: decimal text in units of the currency (``12.50``; yen have no decimals)
- ``labels.currency``: ISO 4217 code
- ``labels.order_id``, ``trace.id``, ``session.id``, ``user.id``, ``source.ip``
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from logsluice.demo.rendering import render
from logsluice.demo.shop import SERVICES, Level, LogRecord, background, session
from logsluice.errors import LogsluiceError

_BACKGROUND_SHARE: Final = 0.08
_REQUESTS_AT_ONCE: Final = 4
_SECONDS_BETWEEN_REQUESTS: Final = 2.0
_MOST_SESSIONS: Final = 2_000
_FIRST_LINES_A_REQUEST: Final = 2.2
_SETTLED_REQUESTS: Final = 100
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Burst:
    """A time of trouble of a service that comes again and again, every so many seconds, the first one after so many.

    It lasts so many seconds, in which the service has ``factor`` times more errors.
    """

    service: str
    every: float
    lasts: float
    factor: float = 10.0

    def is_on(self, offset: float) -> bool:
        """Whether it is on so many seconds after the start."""
        return offset >= self.every and offset % self.every < self.lasts


@dataclass(frozen=True, slots=True)
class Profile:
    """What the traffic is like.

    Attributes:
        rate: Events a second, on average.
        error_rate: Share of events at error or critical level outside of bursts, 0 to 0.9.
        json_share: Share of events that are JSON, 0 to 1.
        daily: How much the rate sways with the time of day, 0 (not at all) to 1; most at 18:00 UTC.
        count: Events after which it ends; ``None`` is never.

    Raises:
        LogsluiceError: A value is out of its range.
    """

    rate: float = 50.0
    error_rate: float = 0.03
    json_share: float = 0.6
    services: tuple[str, ...] = SERVICES
    burst: Burst | None = None
    daily: float = 0.0
    count: int | None = None

    def __post_init__(self) -> None:
        _in_range("rate", self.rate, 1e-6, 1e9)
        _in_range("error rate", self.error_rate, 0, 0.9)
        _in_range("JSON share", self.json_share, 0, 1)
        _in_range("daily sway", self.daily, 0, 1)
        named = (*self.services, *((self.burst.service,) if self.burst else ()))
        for name in named:
            if name not in SERVICES:
                raise LogsluiceError("no such service", where=name, hint=f"one of {', '.join(SERVICES)}")
        if not self.services:
            raise LogsluiceError("no services are named", hint=f"some of {', '.join(SERVICES)}")
        if self.burst:
            _in_range("burst's factor", self.burst.factor, 0, 1e6)
            _in_range("burst's length", self.burst.lasts, 0, self.burst.every)


class TrafficEvent(NamedTuple):
    """One event, so many seconds after the start; ``key`` keeps those of a session or service in order."""

    time_offset: float
    service: str
    line: str
    level: Level
    key: str


def traffic(seed: int, profile: Profile, start: float) -> Iterator[TrafficEvent]:
    """Events in the order of their time, from ``start`` (seconds since the epoch); the same seed gives the same."""
    random = Random(seed)
    for number, (offset, record) in enumerate(log_records(random, profile, start)):
        if number == profile.count:
            return
        line = render(record, start + offset, json=random.random() < profile.json_share)
        yield TrafficEvent(offset, record.service, line, record.level, record.key)


def log_records(random: Random, profile: Profile, start: float) -> Iterator[tuple[float, LogRecord]]:
    """What is logged, before it is a line: seconds after ``start``, which is seconds since the epoch; without end."""
    shop = _Shop(random, profile)
    offset = 0.0
    while True:
        offset += random.expovariate(profile.rate * _sway(profile.daily, start + offset))
        yield offset, shop.next(offset)


class _Shop:
    """Many sessions at once, of which one event is taken at a time."""

    def __init__(self, random: Random, profile: Profile) -> None:
        self._random = random
        self._profile = profile
        self._services = frozenset(profile.services)
        self._offset = 0.0
        self._quiet_lines = 0
        self._requests = 0
        # Each session makes a request every few seconds, whatever the rate.
        requests = profile.rate * _SECONDS_BETWEEN_REQUESTS / _FIRST_LINES_A_REQUEST
        count = min(_MOST_SESSIONS, max(_REQUESTS_AT_ONCE, int(requests)))
        self._sessions = [self._session() for _ in range(count)]
        self._in_progress: list[list[LogRecord]] = []

    def next(self, offset: float) -> LogRecord:
        """What happens next, so many seconds after the start."""
        self._offset = offset
        record = self._take()
        self._quiet_lines += record.level not in ("error", "critical")
        return record

    def _take(self) -> LogRecord:
        random = self._random
        if random.random() < _BACKGROUND_SHARE:
            return background(random, self._profile.services)
        while len(self._in_progress) < _REQUESTS_AT_ONCE:
            if step := self._request():
                self._in_progress.append(step[::-1])
        place = random.randrange(_REQUESTS_AT_ONCE)
        step = self._in_progress[place]
        record = step.pop()
        if not step:
            del self._in_progress[place]
        return record

    def _request(self) -> list[LogRecord]:
        place = self._random.randrange(len(self._sessions))
        step = next(self._sessions[place], None)
        if step is None:
            self._sessions[place] = self._session()
            return []
        self._requests += bool(step)
        return step

    def _session(self) -> Iterator[list[LogRecord]]:
        return session(self._random, self._services, self._fails)

    def _fails(self, service: str) -> int:
        """How many errors a request has, so that their share of all lines is the profile's.

        The rate is per line, and requests have lines of their own number: what they have had so far besides
        errors makes one of the other.
        """
        settled = self._requests > _SETTLED_REQUESTS
        lines = self._quiet_lines / self._requests if settled else _FIRST_LINES_A_REQUEST
        rate = self._profile.error_rate
        expected = rate / (1 - rate) * lines
        burst = self._profile.burst
        if burst and burst.service == service and burst.is_on(self._offset):
            expected *= burst.factor
        certain = math.floor(expected)
        return certain + (self._random.random() < expected - certain)


def _sway(daily: float, at: float) -> float:
    """The rate at a time of day, as a multiple of its mean."""
    if not daily:
        return 1.0
    hour_angle = 2 * math.pi * (at % _DAY_SECONDS / _DAY_SECONDS - 0.75)
    return max(1e-3, 1.0 + daily * math.cos(hour_angle))


def _in_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise LogsluiceError("out of its range", where=name, why=f"{value:g} is not within {low:g} and {high:g}")
