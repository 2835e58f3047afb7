"""Windows as the windows job writes them, for who judges them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk

from logsluice.alerts.windows import Window, moment_of
from logsluice.event.moments import iso

WINDOWS = "dev-windows-index"


def document(window: Window) -> dict[str, Any]:
    """A window as the windows job writes it."""
    start = moment_of(window.minute)
    return {
        "@timestamp": iso(start),
        "service": {"name": window.service},
        "window": {
            "start": iso(start),
            "end": iso(moment_of(window.minute + 1)),
            "events": window.events,
            "errors": window.errors,
            "critical": window.critical,
            "error_rate": window.errors / window.events,
            "levels": {"info": window.events - window.errors, "error": window.errors},
            "users": 3,
            "durations": window.events,
            "duration": {"p50": window.p50, "p95": window.p95, "p99": window.p95},
            "payments": window.payments,
            "refunds": window.refunds,
            "payment_amounts": {"EUR": "10.00"},
            "refund_amounts": {},
            "late": 0,
        },
    }


def store(client: Elasticsearch, windows: Iterable[Window]) -> None:
    actions = (
        {
            "_index": f"{WINDOWS}-{moment_of(window.minute):%Y.%m.%d}",
            "_id": f"{iso(moment_of(window.minute))}|{window.service}",
            "_source": document(window),
        }
        for window in windows
    )
    bulk(client, actions, refresh=True)
