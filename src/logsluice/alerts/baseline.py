"""What is usual for a service at an hour of the week, and how far something is from it.

The past is kept by the hour: of each service's windows the median of a number and its median absolute deviation
(MAD), which a few wild windows cannot move (Hampel, "The influence curve and its role in robust estimation", 1974).
1.4826 MADs are a standard deviation of normal noise. The usual of an hour is the median of those medians over the
same hours of earlier weeks; where there are fewer than three such hours, over the same hour of earlier days; else over
all hours. Between the middles of two hours it goes on a straight line.

Two tests look at the difference in standard deviations. A single window may be far off (the modified z-score of
Iglewicz and Hoaglin, "How to detect and handle outliers", 1993). And small differences in one direction may add up:
the cumulative sum of Page ("Continuous inspection schemes", Biometrika 41, 1954), over the last hour, so that it
follows from the windows alone and not from when somebody began to add.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final, NamedTuple

from logsluice.alerts.rules import Metric
from logsluice.alerts.windows import Window

NORMAL: Final = 1.4826
"""Standard deviations of normal noise in a median absolute deviation."""
LEAST_HOURS: Final = 3
"""An hour of the week, or of the day, is known by so many of its kind at least."""

_HOUR: Final = 60
_DAY: Final = 24
_WEEK: Final = 168
_LEAST_WINDOWS: Final = 20
_RELATIVE_FLOOR: Final = 0.05
_LEAST_PAYMENTS: Final = 100


class Middle(NamedTuple):
    """A number over the windows of an hour.

    Attributes:
        median: Its median.
        mad: The median of its distances from that.
    """

    median: float
    mad: float


@dataclass(frozen=True, slots=True)
class Hour:
    """What is remembered of an hour of a service.

    Attributes:
        service: Whose.
        hour: Hours since the epoch.
        windows: How many windows there are.
        metrics: Of the windows' numbers.
        payments: Sum over the windows.
        refunds: Sum over the windows.
    """

    service: str
    hour: int
    windows: int
    metrics: Mapping[Metric, Middle] = field(default_factory=dict)
    payments: int = 0
    refunds: int = 0


class Usual(NamedTuple):
    """What is usual.

    Attributes:
        center: In the number's own unit.
        spread: A standard deviation, likewise.
    """

    center: float
    spread: float


def number_of(window: Window, metric: Metric) -> float | None:
    """A window's number of that name; ``None`` where it has none."""
    if metric == "events":
        return window.events
    if metric == "errors":
        return window.errors
    if metric == "error_rate":
        return window.errors / window.events if window.events else None
    return window.p50 if metric == "p50" else window.p95


def remember(windows: Iterable[Window], metrics: Iterable[Metric]) -> list[Hour]:
    """Hours from their windows; Elasticsearch works out the same by aggregation."""
    wanted = tuple(metrics)
    by_hour: dict[tuple[str, int], list[Window]] = defaultdict(list)
    for window in windows:
        by_hour[window.service, window.minute // _HOUR].append(window)
    return [
        Hour(
            service,
            hour,
            len(group),
            {metric: middle for metric in wanted if (middle := _middle(group, metric))},
            sum(window.payments for window in group),
            sum(window.refunds for window in group),
        )
        for (service, hour), group in by_hour.items()
    ]


def _middle(windows: Sequence[Window], metric: Metric) -> Middle | None:
    numbers = [number for window in windows if (number := number_of(window, metric)) is not None]
    if not numbers:
        return None
    center = median(numbers)
    return Middle(center, median(abs(number - center) for number in numbers))


class History:
    """Hours of the past, asked for what is usual.

    Whoever asks about a minute is told from the hours before the minute's own, whatever came later.
    """

    def __init__(self, hours: Iterable[Hour] = ()) -> None:
        self._hours: dict[str, dict[int, Hour]] = {}
        self._alive: set[int] = set()
        self._known: dict[tuple[str, Metric, int, int, int], tuple[Usual, bool] | None] = {}
        self._shares: dict[tuple[str, int, int], float | None] = {}
        self.add(hours)

    def add(self, hours: Iterable[Hour]) -> None:
        """Remember hours; one of the same service and hour is replaced."""
        for hour in hours:
            self._hours.setdefault(hour.service, {})[hour.hour] = hour
            self._alive.add(hour.hour)
        self._known.clear()
        self._shares.clear()

    def forget(self, before: int) -> None:
        """Forget earlier hours (hours since the epoch)."""
        for hours in self._hours.values():
            for hour in [hour for hour in hours if hour < before]:
                del hours[hour]
        self._alive = {hour for hour in self._alive if hour >= before}

    def usual(self, service: str, metric: Metric, minute: int, lookback: int) -> Usual | None:
        """What is usual for a service in a minute; ``None`` where too little is known.

        Args:
            service: Whose.
            metric: Which number.
            minute: Minutes since the epoch.
            lookback: Minutes that count as the past.
        """
        now = minute // _HOUR
        left, fraction = divmod(minute - _HOUR // 2, _HOUR)
        before = self._of_hour(service, metric, left, now, lookback)
        after = self._of_hour(service, metric, left + 1, now, lookback)
        if before is None or after is None:
            either = before or after
            return either[0] if either else None
        (early, early_is_exact), (late, late_is_exact) = before, after
        if early_is_exact != late_is_exact:
            # One is known by its hour, the other is the mean of everything: nothing lies between them.
            return late if late_is_exact else early
        share = fraction / _HOUR
        return Usual(
            early.center + share * (late.center - early.center), early.spread + share * (late.spread - early.spread)
        )

    def known_since(self, service: str) -> int | None:
        """The minute by which a service is known to have spoken; ``None`` where no whole hour of it is known."""
        hours = self._hours.get(service)
        return (min(hours) + 1) * _HOUR if hours else None

    def presence(self, service: str, minute: int, lookback: int) -> float | None:
        """The share of windows that a service usually has in that hour, 0 to 1; ``None`` where too little is known."""
        now = minute // _HOUR
        hours = self._hours.get(service, {})
        past = [hour for hour in self._alive if now - lookback // _HOUR <= hour < now]
        for period in (_WEEK, _DAY):
            alike = [hour for hour in past if (now - hour) % period == 0]
            if len(alike) >= LEAST_HOURS:
                return median(hours[hour].windows / _HOUR if hour in hours else 0.0 for hour in alike)
        return None

    def refund_share(self, service: str, minute: int, lookback: int) -> float | None:
        """Refunds for a payment of a service; ``None`` where there were too few payments to tell."""
        now = minute // _HOUR
        key = (service, now, lookback)
        if key not in self._shares:
            past = [h for h in self._hours.get(service, {}).values() if now - lookback // _HOUR <= h.hour < now]
            payments = sum(hour.payments for hour in past)
            enough = len(past) >= LEAST_HOURS and payments >= _LEAST_PAYMENTS
            # The median hour, so that one hour of fraud does not make fraud usual.
            shares = [hour.refunds / hour.payments for hour in past if hour.payments]
            self._shares[key] = median(shares) if enough else None
        return self._shares[key]

    def _of_hour(self, service: str, metric: Metric, hour: int, now: int, lookback: int) -> tuple[Usual, bool] | None:
        """The usual in the middle of an hour, and whether hours of its own kind tell it."""
        key = (service, metric, hour, now, lookback)
        if key not in self._known:
            self._known[key] = self._work_out(service, metric, hour, now, lookback)
        return self._known[key]

    def _work_out(self, service: str, metric: Metric, hour: int, now: int, lookback: int) -> tuple[Usual, bool] | None:
        past = [
            (each.hour, each.metrics[metric])
            for each in self._hours.get(service, {}).values()
            if now - lookback // _HOUR <= each.hour < now and each.windows >= _LEAST_WINDOWS and metric in each.metrics
        ]
        for period in (_WEEK, _DAY, 1):
            # Not by itself: what began an hour ago is not usual yet.
            alike = [middle for of, middle in past if period == 1 or (of != hour and (hour - of) % period == 0)]
            if len(alike) >= LEAST_HOURS:
                return _usual(alike, metric), period > 1
        return None


def _usual(hours: Sequence[Middle], metric: Metric) -> Usual:
    medians = [hour.median for hour in hours]
    center = median(medians)
    within = NORMAL * median(hour.mad for hour in hours)
    between = NORMAL * median(abs(each - center) for each in medians)
    spread = math.hypot(within, between)
    if metric in ("events", "errors"):
        # Counts are at least as noisy as independent events are (Poisson), however calm the past looks.
        floor = max(math.sqrt(center), 1.0)
    elif metric == "error_rate":
        floor = max(_RELATIVE_FLOOR * center, 0.005)
    else:
        floor = _RELATIVE_FLOOR * center
    return Usual(center, max(spread, floor))


def deviation(metric: Metric, number: float, usual: Usual) -> float:
    """How many standard deviations a number is above the usual; negative below it.

    Durations are compared by their logarithm: twice as slow is as far from the usual as twice as fast.
    """
    if metric in ("p50", "p95"):
        if number <= 0 or usual.center <= 0:
            return 0.0
        return math.log(number / usual.center) * usual.center / usual.spread
    return (number - usual.center) / usual.spread


def cumulative(deviations: Sequence[float], drift: float, cap: float) -> float:
    """The largest sum of the last so many deviations, each less ``drift`` and counted as ``cap`` at most.

    Args:
        deviations: In the order of time, the newest last.
        drift: What is left alone.
        cap: Bounds a single one, so that one wild window is not a trend.
    """
    best = total = 0.0
    for each in reversed(deviations):
        total += min(each, cap) - drift
        best = max(best, total)
    return best
