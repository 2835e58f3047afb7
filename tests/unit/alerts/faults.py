"""A day of the shop's windows, and twenty faults in it.

The events are those of ``sources/traffic.py``, not yet written down as lines, counted by minute and service as the
windows job does. A week of history is another day of the same shop, drawn from again and again (bootstrap): each minute
of the past is one of the reference day's minutes of the same hour. So days of the past are as noisy as the shop is
within an hour, but do not differ in trend, and weekends are like other days. Faults are put into the windows of one
service, not into the shop: what a fault in one service would do to others is not in here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from statistics import median
from typing import NamedTuple

from logsluice.alerts.baseline import History
from logsluice.alerts.conditions import Snapshot
from logsluice.alerts.error_classes import ErrorClassCount, ErrorClasses
from logsluice.alerts.windows import Window, WindowTable
from logsluice.demo.traffic import Profile, log_records
from tests.shared.hour_summaries import summarize_hours

DAY = 1_440
HISTORY_DAYS = 7
FIRST_MINUTE = 29_000_160  # the beginning of a day of UTC
PROFILE = Profile(rate=3.0, daily=0.5)


@dataclass
class Day:
    """Windows of a day by minute and service, and what classes of errors were reported."""

    windows: dict[tuple[int, str], Window]
    reported: dict[tuple[str, str, int], int] = field(default_factory=dict)


def simulate(seed: int, first_minute: int = FIRST_MINUTE, minutes: int = DAY) -> Day:
    """The windows of so many minutes of the shop."""
    counts: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0] * 5)
    durations: dict[tuple[int, str], list[int]] = defaultdict(list)
    reported: dict[tuple[str, str, int], int] = defaultdict(int)
    for offset, record in log_records(Random(seed), PROFILE, first_minute * 60.0):
        minute = first_minute + int(offset // 60)
        if minute >= first_minute + minutes:
            break
        key = (minute, record.service)
        count = counts[key]
        count[0] += 1
        count[1] += record.level in ("error", "critical")
        count[2] += record.level == "critical"
        if record.fields.get("event.outcome") == "success":
            count[3] += record.fields.get("event.action") == "payment"
            count[4] += record.fields.get("event.action") == "refund"
        if duration := record.fields.get("event.duration"):
            durations[key].append(int(duration))
        if record.failure:
            reported[record.service, record.failure.kind, minute] += 1
    windows = {
        (minute, service): replace(Window(minute, service, *count), p50=_median(durations[minute, service]))
        for (minute, service), count in counts.items()
    }
    return Day(windows, dict(reported))


def _median(durations: list[int]) -> float | None:
    return median(durations) if durations else None


def past(reference: Day, seed: int) -> History:
    """A week before the day, as hours."""
    random = Random(seed)
    by_hour: dict[tuple[int, str], list[Window]] = defaultdict(list)
    for (minute, service), window in reference.windows.items():
        by_hour[(minute - FIRST_MINUTE) // 60, service].append(window)

    def drawn() -> Iterator[Window]:
        for day in range(-HISTORY_DAYS, 0):
            for (hour, _), windows in by_hour.items():
                first = FIRST_MINUTE + day * DAY + hour * 60
                for place, window in enumerate(random.choices(windows, k=len(windows))):
                    yield replace(window, minute=first + place)

    return History(summarize_hours(drawn(), ("events", "errors", "p50")))


class Fault(NamedTuple):
    """Something that is wrong for a while.

    Attributes:
        name: What is wrong.
        service: Whose; ``*`` for all.
        minutes: How long.
        change: What becomes of a window, at a share of the time, 0 to 1; ``None`` is no window at all.
        rules: Kinds of rules of which one must find it.
        error_type: A class of error that it brings.
    """

    name: str
    service: str
    minutes: int
    change: Callable[[Window, float, Random], Window | None]
    rules: frozenset[str]
    error_type: str | None = None


def _gone(_window: Window, _share: float, _random: Random) -> None:
    return None


def _more_errors(times: float, plus: int = 0, *, slow: bool = False, critical: int = 0):  # type: ignore[no-untyped-def]
    def change(window: Window, share: float, random: Random) -> Window:
        factor = 1 + (times - 1) * (share if slow else 1)
        extra = round(window.events * 0.03 * (factor - 1) * random.uniform(0.7, 1.3)) + plus
        worse = replace(window, critical=window.critical + critical)
        return replace(worse, events=window.events + extra, errors=window.errors + extra + critical)

    return change


def _traffic(times: float, *, slow: bool = False):  # type: ignore[no-untyped-def]
    def change(window: Window, share: float, random: Random) -> Window:
        factor = 1 + (times - 1) * (min(1.0, 2 * share) if slow else 1)
        return replace(
            window,
            events=max(1, _scaled(window.events, factor, random)),
            errors=_scaled(window.errors, factor, random),
            payments=_scaled(window.payments, factor, random),
            refunds=_scaled(window.refunds, factor, random),
        )

    return change


def _slower(times: float, *, slow: bool = False):  # type: ignore[no-untyped-def]
    def change(window: Window, share: float, _random: Random) -> Window:
        factor = 1 + (times - 1) * (min(1.0, 2 * share) if slow else 1)
        return replace(window, p50=window.p50 * factor if window.p50 else None)

    return change


def _refunds(a_minute: float):  # type: ignore[no-untyped-def]
    def change(window: Window, _share: float, random: Random) -> Window:
        extra = int(a_minute) + (random.random() < a_minute % 1)
        return replace(window, events=window.events + extra, refunds=window.refunds + extra)

    return change


def _one_error(window: Window, _share: float, _random: Random) -> Window:
    return replace(window, events=window.events + 1, errors=window.errors + 1)


def _scaled(count: int, factor: float, random: Random) -> int:
    exact = count * factor
    return int(exact) + (random.random() < exact % 1)


ERRORS = frozenset({"error_rate", "error_count", "critical_count", "unusual"})
UNUSUAL = frozenset({"unusual"})
FAULTS = (
    Fault("payment goes silent", "payment", 15, _gone, frozenset({"silence"})),
    Fault("shipping goes silent", "shipping", 25, _gone, frozenset({"silence"})),
    Fault("gateway goes silent", "gateway", 12, _gone, frozenset({"silence"})),
    Fault("nothing comes from anybody", "*", 15, _gone, frozenset({"pipeline"})),
    Fault("a fifth of catalog's requests fail", "catalog", 8, _more_errors(8), ERRORS),
    Fault("auth's store is away", "auth", 10, _more_errors(12), ERRORS),
    Fault("a flood of errors", "gateway", 3, _more_errors(1, plus=150), frozenset({"error_count"})),
    Fault("critical errors", "checkout", 4, _more_errors(1, critical=8), frozenset({"critical_count"})),
    Fault("a few errors where there are none", "inventory", 10, _more_errors(1, plus=7), ERRORS),
    Fault("catalog's errors creep up", "catalog", 55, _more_errors(8, slow=True), ERRORS),
    Fault("gateway's errors creep up", "gateway", 55, _more_errors(6, slow=True), ERRORS),
    Fault("a rush", "gateway", 10, _traffic(2.5), UNUSUAL),
    Fault("most of catalog's traffic is lost", "catalog", 15, _traffic(0.2), UNUSUAL),
    Fault("checkout's traffic creeps up", "checkout", 55, _traffic(2.5, slow=True), UNUSUAL),
    Fault("auth's traffic dwindles", "auth", 55, _traffic(0.3, slow=True), UNUSUAL),
    Fault("payment is slow", "payment", 10, _slower(8), UNUSUAL),
    Fault("catalog becomes slow", "catalog", 55, _slower(3, slow=True), UNUSUAL),
    Fault("a new exception", "payment", 5, _one_error, frozenset({"new_error"}), "java.lang.OutOfMemoryError"),
    Fault("another, once", "inventory", 1, _one_error, frozenset({"new_error"}), "sqlite3.DatabaseError"),
    Fault("a burst of refunds", "payment", 10, _refunds(3.5), frozenset({"refunds"})),
)


class Placed(NamedTuple):
    """A fault and when it is, in minutes since the epoch."""

    fault: Fault
    first: int
    end: int


def place(faults: Iterable[Fault], seed: int) -> list[Placed]:
    """Each fault somewhere in the day, one after the other."""
    random = Random(seed)
    order = list(faults)
    random.shuffle(order)
    slot = (DAY - 30) // len(order)
    placed = []
    for number, fault in enumerate(order):
        first = FIRST_MINUTE + 20 + number * slot + random.randrange(0, max(1, slot - fault.minutes - 14))
        placed.append(Placed(fault, first, first + fault.minutes))
    return placed


def inject(day: Day, placed: Iterable[Placed], seed: int) -> Day:
    """A day with faults in it."""
    random = Random(seed)
    windows, reported = dict(day.windows), dict(day.reported)
    for fault, first, end in placed:
        for minute in range(first, end):
            for key in [key for key in _keys(day, minute) if fault.service in ("*", key[1])]:
                changed = fault.change(windows[key], (minute - first) / max(1, end - first), random)
                if changed is None:
                    del windows[key]
                else:
                    windows[key] = changed
            if fault.error_type:
                reported[fault.service, fault.error_type, minute] = 1
    return Day(windows, reported)


def _keys(day: Day, minute: int) -> list[tuple[int, str]]:
    services = {service for _, service in day.windows}
    return [(minute, service) for service in sorted(services) if (minute, service) in day.windows]


def snapshot(day: Day, history: History, reference: Day) -> Snapshot:
    """What the rules look at."""
    known = {(service, kind): FIRST_MINUTE - DAY for service, kind, _ in reference.reported}
    reported = [
        ErrorClassCount(service, kind, minute, count) for (service, kind, minute), count in day.reported.items()
    ]
    return Snapshot(WindowTable(day.windows.values()), history, ErrorClasses(known, reported))
