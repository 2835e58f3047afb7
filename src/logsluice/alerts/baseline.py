"""Baselines of a service by hour of the week (median and MAD), robust z-scores against them, and CUSUM.

The past is kept by the hour: of each service's windows the median of a number and its median absolute deviation
(MAD), which a few wild windows cannot move (Hampel, "The influence curve and its role in robust estimation", 1974).
1.4826 MADs are a standard deviation of normal noise. The baseline of an hour is the median of those medians over the
same hours of earlier weeks; where there are fewer than three such hours, over the same hour of earlier days; else over
all hours. Between the middles of two hours it goes on a straight line.

Two tests look at the difference in standard deviations. A single window may be far off (the modified z-score of
Iglewicz and Hoaglin, "How to detect and handle outliers", 1993). And small differences in one direction may add up:
the cumulative sum (CUSUM) of Page ("Continuous inspection schemes", Biometrika 41, 1954), over the last hour, so that
it follows from the windows alone and not from when somebody began to add.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from statistics import median
from typing import Final, NamedTuple

from cachetools import cachedmethod

from logsluice.alerts.rules import Metric
from logsluice.alerts.windows import Window

MAD_TO_STANDARD_DEVIATION: Final = 1.4826
"""Standard deviations of normal noise in a median absolute deviation."""
LEAST_HOURS: Final = 3
"""An hour of the week, or of the day, is known by so many of its kind at least."""

_HOUR: Final = 60
_DAY: Final = 24
_WEEK: Final = 168
_LEAST_WINDOWS: Final = 20
_RELATIVE_FLOOR: Final = 0.05
_LEAST_PAYMENTS: Final = 100


class MedianAndMad(NamedTuple):
    """Median of a metric over the windows of an hour, and of the distances from it."""

    median: float
    mad: float


@dataclass(frozen=True, slots=True)
class HourSummary:
    """Summary of the windows of a service in an hour (since the epoch).

    ``metrics`` lacks those of which no window has a value; payments and refunds are sums over the windows.
    """

    service: str
    hour: int
    windows: int
    metrics: Mapping[Metric, MedianAndMad] = field(default_factory=dict)
    payments: int = 0
    refunds: int = 0


class Baseline(NamedTuple):
    """Location and scale of a metric as robust estimates, in its own unit: a median, and a standard deviation."""

    center: float
    spread: float


def metric_value(window: Window, metric: Metric) -> float | None:
    """A window's value of a metric; ``None`` where it has none."""
    if metric == "error_rate":
        return window.errors / window.events if window.events else None
    value: float | None = getattr(window, metric)
    return value


class History:
    """Summaries of past hours, and the baselines that follow from them.

    The baseline of a minute follows from the hours before the minute's own, whatever came later.
    """

    def __init__(self, hours: Iterable[HourSummary] = ()) -> None:
        self._hours: dict[str, dict[int, HourSummary]] = {}
        self._covered: set[int] = set()
        self._baselines: dict[object, tuple[Baseline, bool] | None] = {}
        self._refund_shares: dict[tuple[str, int, int], float | None] = {}
        self.add(hours)

    def add(self, hours: Iterable[HourSummary]) -> None:
        """Add hours; one of the same service and hour is replaced."""
        for hour in hours:
            self._hours.setdefault(hour.service, {})[hour.hour] = hour
            self._covered.add(hour.hour)
        self._baselines.clear()
        self._refund_shares.clear()

    def forget(self, before: int) -> None:
        """Forget earlier hours (hours since the epoch)."""
        for hours in self._hours.values():
            for hour in [hour for hour in hours if hour < before]:
                del hours[hour]
        self._covered = {hour for hour in self._covered if hour >= before}

    def baseline(self, service: str, metric: Metric, minute: int, lookback: int) -> Baseline | None:
        """The baseline of a metric in a minute (since the epoch) from so many before; ``None``: too few are known."""
        now = minute // _HOUR
        earlier, fraction = divmod(minute - _HOUR // 2, _HOUR)
        before = self._hourly_baseline(service, metric, earlier, now, lookback)
        after = self._hourly_baseline(service, metric, earlier + 1, now, lookback)
        if before is None or after is None:
            either = before or after
            return either[0] if either else None
        (early, early_is_exact), (late, late_is_exact) = before, after
        if early_is_exact != late_is_exact:
            # One is known by its hour, the other is the mean of everything: nothing lies between them.
            return late if late_is_exact else early
        share = fraction / _HOUR
        return Baseline(
            early.center + share * (late.center - early.center), early.spread + share * (late.spread - early.spread)
        )

    def first_minute(self, service: str) -> int | None:
        """The minute by which a service is known to have had windows; ``None`` where no whole hour of it is known."""
        hours = self._hours.get(service)
        return (min(hours) + 1) * _HOUR if hours else None

    def presence(self, service: str, minute: int, lookback: int) -> float | None:
        """The share of windows that a service usually has in that hour, 0 to 1; ``None`` where too little is known."""
        now = minute // _HOUR
        hours = self._hours.get(service, {})
        past = [hour for hour in self._covered if now - lookback // _HOUR <= hour < now]
        for period in (_WEEK, _DAY):
            alike = [hour for hour in past if (now - hour) % period == 0]
            if len(alike) >= LEAST_HOURS:
                return median(hours[hour].windows / _HOUR if hour in hours else 0.0 for hour in alike)
        return None

    def refund_share(self, service: str, minute: int, lookback: int) -> float | None:
        """Refunds for a payment of a service; ``None`` where there were too few payments to tell."""
        now = minute // _HOUR
        key = (service, now, lookback)
        if key not in self._refund_shares:
            past = [h for h in self._hours.get(service, {}).values() if now - lookback // _HOUR <= h.hour < now]
            payments = sum(hour.payments for hour in past)
            enough = len(past) >= LEAST_HOURS and payments >= _LEAST_PAYMENTS
            # The median hour, so that one hour of fraud does not move it.
            shares = [hour.refunds / hour.payments for hour in past if hour.payments]
            self._refund_shares[key] = median(shares) if enough else None
        return self._refund_shares[key]

    @cachedmethod(attrgetter("_baselines"))
    def _hourly_baseline(
        self, service: str, metric: Metric, hour: int, now: int, lookback: int
    ) -> tuple[Baseline, bool] | None:
        """The baseline in the middle of an hour, and whether it is of hours of its own kind."""
        past = [
            (each.hour, each.metrics[metric])
            for each in self._hours.get(service, {}).values()
            if now - lookback // _HOUR <= each.hour < now and each.windows >= _LEAST_WINDOWS and metric in each.metrics
        ]
        for period in (_WEEK, _DAY, 1):
            # Not by itself: what began an hour ago is not usual yet.
            alike = [summary for of, summary in past if period == 1 or (of != hour and (hour - of) % period == 0)]
            if len(alike) >= LEAST_HOURS:
                return _robust_baseline(alike, metric), period > 1
        return None


def _robust_baseline(hours: Sequence[MedianAndMad], metric: Metric) -> Baseline:
    medians = [hour.median for hour in hours]
    center = median(medians)
    within = MAD_TO_STANDARD_DEVIATION * median(hour.mad for hour in hours)
    between = MAD_TO_STANDARD_DEVIATION * median(abs(each - center) for each in medians)
    spread = math.hypot(within, between)
    if metric in ("events", "errors"):
        # Counts are at least as noisy as independent events are (Poisson), however calm the past looks.
        floor = max(math.sqrt(center), 1.0)
    elif metric == "error_rate":
        floor = max(_RELATIVE_FLOOR * center, 0.005)
    else:
        floor = _RELATIVE_FLOOR * center
    return Baseline(center, max(spread, floor))


def z_score(metric: Metric, number: float, baseline: Baseline) -> float:
    """How many standard deviations a number is above its baseline (robust z-score); negative below it.

    Durations are compared by their logarithm: twice as slow is as far from the baseline as twice as fast.
    """
    if metric in ("p50", "p95"):
        if number <= 0 or baseline.center <= 0:
            return 0.0
        return math.log(number / baseline.center) * baseline.center / baseline.spread
    return (number - baseline.center) / baseline.spread


def cusum(z_scores: Sequence[float], drift: float, cap: float) -> float:
    """The one-sided cumulative sum (CUSUM): z-scores, each less ``drift`` and counted as ``cap`` at most.

    Args:
        z_scores: In the order of time, the newest last.
        drift: Allowance (k in the literature): so much of each is left alone.
        cap: Bounds a single one, so that one wild window is not a trend.
    """
    best = total = 0.0
    for each in reversed(z_scores):
        total += min(each, cap) - drift
        best = max(best, total)
    return best
