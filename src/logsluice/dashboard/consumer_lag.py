"""Monitor of the consumer lag, from the ``/metrics`` of app-service.

Asking Kafka itself costs a connection of its own and several round trips; app-service measures every five seconds
anyway. It is fetched on a thread, so that the page never waits for it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

_INTERVAL_SECONDS: Final = 5.0
_TIMEOUT_SECONDS: Final = 2.0
_FIRST_ANSWER_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Lag:
    """Events not read yet, by consumer group; empty with a reason where that is unknown."""

    groups: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""

    @property
    def events(self) -> int | None:
        """Of the group that is furthest behind; None where it is unknown."""
        return max(self.groups.values(), default=None)


class LagMonitor:
    """Polls the lag on a thread; what it knows is a few seconds old."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lag = Lag(reason=f"waiting for {url}")
        self._fetched_at = float("-inf")
        self._lock = threading.Lock()

    def latest(self) -> Lag:
        """What is known; fetches it anew where that is old. Waits half a second where nothing is known yet."""
        with self._lock:
            is_first = self._fetched_at == float("-inf")
            is_old = time.monotonic() - self._fetched_at > _INTERVAL_SECONDS
            if is_old:
                self._fetched_at = time.monotonic()
                thread = threading.Thread(target=self._fetch, name="lag", daemon=True)
                thread.start()
        if is_first:
            thread.join(_FIRST_ANSWER_SECONDS)
        return self._lag

    def _fetch(self) -> None:
        try:
            answer = httpx.get(self._url, timeout=_TIMEOUT_SECONDS).raise_for_status()
            self._lag = parse_lag(answer.text)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            self._lag = Lag(reason=f"app-service does not answer at {self._url} ({error}): start jobs/metrics_job.py")


def parse_lag(text: str) -> Lag:
    """The lag in what app-service serves.

    Raises:
        ValueError: The text is not of Prometheus' format.
    """
    groups: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "logsluice_consumer_lag_events":
                groups[sample.labels["group"]] += int(sample.value)
            elif sample.name == "logsluice_part_up" and sample.labels.get("part") == "kafka" and not sample.value:
                return Lag(reason="app-service cannot reach Kafka")
    return Lag(groups, "" if groups else "app-service has not measured it yet")
