"""The oracle of the alerts' hour summaries: medians and MADs computed from windows in Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from logsluice.alerts.baseline import HourSummary, MedianAndMad, metric_value
from logsluice.alerts.rules import Metric
from logsluice.alerts.windows import Window

_HOUR_MINUTES: Final = 60


def summarize_hours(windows: Iterable[Window], metrics: Iterable[Metric]) -> list[HourSummary]:
    """The summaries of hours that Elasticsearch's aggregations are to give for these windows."""
    names = tuple(metrics)
    by_hour: dict[tuple[str, int], list[Window]] = defaultdict(list)
    for window in windows:
        by_hour[window.service, window.minute // _HOUR_MINUTES].append(window)
    return [
        HourSummary(
            service,
            hour,
            len(group),
            {metric: summary for metric in names if (summary := _median_and_mad(group, metric))},
            sum(window.payments for window in group),
            sum(window.refunds for window in group),
        )
        for (service, hour), group in by_hour.items()
    ]


def _median_and_mad(windows: Sequence[Window], metric: Metric) -> MedianAndMad | None:
    numbers = [number for window in windows if (number := metric_value(window, metric)) is not None]
    if not numbers:
        return None
    center = median(numbers)
    return MedianAndMad(center, median(abs(number - center) for number in numbers))
