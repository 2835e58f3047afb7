"""Made-up facts, windows and alerts for the dashboard, as their jobs write them, and how they get into the indices."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from logsluice.elasticsearch.bulk import BulkWriter, IndexAction
from logsluice.event.records import index_name
from logsluice.settings import Settings

SERVICES = ("payments", "cart", "search", "gateway", "inventory", "auth")
LEVELS = ("debug", "info", "info", "info", "info", "info", "info", "warn", "error", "critical")
TYPES = (
    "java.net.SocketTimeoutException",
    "java.lang.IllegalStateException",
    "ConnectionError",
    "redis.exceptions.TimeoutError",
    "psycopg2.errors.DeadlockDetected",
    None,
)
MESSAGES = (
    "payment of order ORD-{n} failed: card declined",
    "GET /products/{n} took {n}ms",
    "user {n} logged in",
    "stock of item {n} is low",
    "=cmd|' /C calc'!A0 order {n}",
    "<img src=x onerror=alert({n})> **bold** [link](javascript:alert(1)) $x^2$",
)


def millis(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def facts(seed: int, count: int, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
    """Documents of the results index, spread over a time; every 17th names no service."""
    chance = random.Random(seed)
    length = (end - start) / timedelta(milliseconds=1)
    for number in range(count):
        level = chance.choices(LEVELS, cum_weights=range(1, len(LEVELS) + 1))[0]
        is_error = level in ("error", "critical")
        service = chance.choice(SERVICES) if number % 17 else None
        kind = chance.choices(TYPES, weights=(9, 5, 4, 3, 2, 4))[0] if is_error else None
        document: dict[str, Any] = {
            "@timestamp": millis(start + timedelta(milliseconds=int(chance.random() * length))),
            "message": chance.choice(MESSAGES).format(n=chance.randrange(10_000)),
            "log": {"level": level},
            "event": {"id": f"logs-{seed}-{number}", "original": "as it came"},
            "source": {"ip": f"10.0.{chance.randrange(3)}.{chance.randrange(4)}"},
            "user": {"id": str(chance.randrange(50_000))},
        }
        if service:
            document["service"] = {"name": service}
        if kind:
            document["error"] = {"type": kind}
        yield document


def window(start: datetime, service: str, events: int, errors: int, late: int = 0) -> dict[str, Any]:
    return {
        "@timestamp": millis(start),
        "service": {"name": service},
        "window": {
            "start": millis(start),
            "end": millis(start + timedelta(minutes=1)),
            "events": events,
            "errors": errors,
            "critical": errors // 4,
            "error_rate": errors / events,
            "levels": {"info": events - errors, "error": errors},
            "users": events // 2,
            "durations": events,
            "duration": {"p50": 12_000_000, "p95": 180_000_000, "p99": 950_000_000},
            "payments": events // 10,
            "refunds": events // 50,
            "late": late,
        },
    }


def alert(
    opened: datetime, service: str, *, severity: str = "critical", resolved: datetime | None = None, message: str = ""
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "@timestamp": millis(opened),
        "alert": {
            "id": f"error-rate|{service}|{millis(opened)}",
            "status": "resolved" if resolved else "open",
            "severity": severity,
            "value": 0.23,
            "threshold": 0.1,
            "last_seen": millis(resolved or opened),
        },
        "rule": {"name": "error-rate", "description": "Too many of its events are errors."},
        "event": {
            "kind": "alert",
            "start": millis(opened),
            "url": f"http://127.0.0.1:8501/?from={millis(opened)}&to=now&service={service}&level=error",
        },
        "service": {"name": service},
        "message": message or f"{service}: 23.0% of events are errors, above 10.0%",
    }
    if resolved:
        document["event"]["end"] = millis(resolved)
    return document


def write(settings: Settings, alias: str, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Write documents under their ids, each into the index of its day."""

    def actions() -> Iterator[IndexAction]:
        for key, document in documents:
            moment = datetime.fromisoformat(document["@timestamp"])
            index = index_name(alias, int(moment.timestamp() * 1000))
            yield IndexAction(index, key, "index", None, orjson.dumps(document))

    writer = BulkWriter(settings.elasticsearch, job="test")
    outcome = writer.write(actions())
    assert outcome.rejected == []
    writer.client.indices.refresh(index=alias)
    writer.close()
