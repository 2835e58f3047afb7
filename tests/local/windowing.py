"""What windows should hold, computed by DuckDB from the original events alone."""

from __future__ import annotations

import bisect
import json
import random
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from logsluice.demo.traffic import Profile, traffic
from tests.local.pipeline import Pipeline

LEVELS = ("trace", "debug", "info", "notice", "warn", "error", "critical")
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
SECOND = 1_000_000

Key = tuple[int, str]


@dataclass(frozen=True)
class Fact:
    """What one event says, read by other code than the product's.

    Attributes:
        own: Its timestamp, microseconds since the epoch; None where it has none.
        level: What it counts under: an answer of 500 or more is an error at least.
        readable: Whether it counts at all.
    """

    own: int | None
    service: str = "unknown"
    level: str | None = None
    user: str | None = None
    duration: int | None = None
    paid: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    readable: bool = True


def json_fact(line: str) -> Fact:
    """The facts of a JSON event of the made-up shop."""
    entry = dict(_flat(json.loads(line)))
    level = str(entry.get("log.level") or entry.get("level")).lower()
    level = {"fatal": "critical"}.get(level, level)
    if entry.get("http.response.status_code", 0) >= 500 and level != "critical":
        level = "error"
    paid = entry.get("event.action") if entry.get("event.outcome") == "success" else None
    message = str(entry.get("message") or entry.get("msg"))
    found = re.fullmatch(r"cache refreshed: \d+ entries in (\d+)ms", message)
    return Fact(
        own=_instant(entry),
        service=entry.get("service.name", "unknown"),
        level=level,
        user=entry.get("user.id"),
        duration=int(found[1]) * 1_000_000 if found else entry.get("event.duration"),
        paid=paid if paid in ("payment", "refund") else None,
        amount=Decimal(entry["labels.amount"]) if "labels.amount" in entry else None,
        currency=entry.get("labels.currency"),
    )


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{prefix}{name}.")
        else:
            yield prefix + name, item


def _instant(entry: Mapping[str, Any]) -> int:
    if "ts" in entry:
        return round(Decimal(str(entry["ts"])) * SECOND)
    moment = datetime.fromisoformat(entry["@timestamp"])
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * SECOND)


@dataclass(frozen=True)
class Sent:
    """An event on its way: its bytes, its partition, and what it says."""

    partition: int
    value: bytes | None
    fact: Fact


def shop(seed: int, events: int, start: float, seconds: float) -> list[Sent]:
    """JSON traffic of the shop with all that makes time difficult.

    Events are up to 8 s out of order, one in fifty comes minutes late, a few lie in the future or in 1970, have no
    timestamp or can't be read, and plain lines tell of payments. Two of the four partitions hold the shipping and
    inventory services, one their first half and one their second, so that a backlog of them differs in time.
    """
    rng = random.Random(seed)
    made: list[tuple[float, Sent]] = []
    for event in traffic(seed, Profile(rate=events / seconds, json_share=1.0, count=events), start):
        partition = zlib.crc32(event.key.encode()) % 2
        if event.service in ("shipping", "inventory"):
            partition = 2 if event.time_offset < seconds / 2 else 3
        late = rng.uniform(120, 600) if rng.random() < 0.02 else rng.uniform(0, 8)
        made.append((event.time_offset + late, Sent(partition, event.line.encode(), json_fact(event.line))))
    for number in range(40):
        made.append((rng.uniform(0, seconds), _oddity(number, start, rng)))
    return [sent for _, sent in sorted(made, key=lambda entry: entry[0])]


def _oddity(number: int, start: float, rng: random.Random) -> Sent:
    partition = rng.randrange(2)
    match number % 5:
        case 0:
            line = json.dumps({"@timestamp": "2090-01-01T00:00:00Z", "message": "from the future"})
            return Sent(partition, line.encode(), Fact(None))
        case 1:
            line = json.dumps({"@timestamp": "1970-01-01T00:00:01Z", "message": "from the past", "log.level": "error"})
            return Sent(partition, line.encode(), Fact(SECOND, level="error"))
        case 2:
            return Sent(partition, b"nothing that tells the time", Fact(None))
        case 3:
            return Sent(partition, rng.choice([b"", None]), Fact(None, readable=False))
    seconds = int(start) + rng.randrange(600)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S,000")
    paid = ("payment", "refund")[number % 2]
    line = (
        f"{stamp} INFO  [main] com.acme.Pay - {paid} of 0.{number:03d} EUR "
        f"[trace.id=1 event.action={paid} event.outcome=success labels.amount=0.{number:03d} labels.currency=EUR]"
    )
    amount = Decimal(f"0.{number:03d}")
    return Sent(
        partition, line.encode(), Fact(seconds * SECOND, level="info", paid=paid, amount=amount, currency="EUR")
    )


def send(pipeline: Pipeline, events: list[Sent]) -> dict[str, Fact]:
    """Write each partition's events in their order; what each id says."""
    facts: dict[str, Fact] = {}
    for partition in sorted({event.partition for event in events}):
        part = [event for event in events if event.partition == partition]
        ids = pipeline.send([event.value for event in part], partition=partition, key=b"key")
        facts |= dict(zip(ids, (event.fact for event in part), strict=True))
    return facts


@dataclass(frozen=True)
class Truth:
    """What should come out.

    Attributes:
        windows: The exact numbers of each window; ``late`` alone where nothing was in time.
        users: Distinct users of each.
        durations: All durations of each, in order.
        late: Ids of the late events.
        in_time: Ids of the others, by the start of their hour.
    """

    windows: dict[Key, dict[str, Any]]
    users: dict[Key, int]
    durations: dict[Key, list[int]]
    late: set[str]
    in_time: dict[int, set[str]]


def truth(facts: Sequence[Fact], ids: Sequence[str], *, window: int = 60, delay: int = 10) -> Truth:
    """Count events.

    Args:
        facts: What each says.
        ids: The ids they have in Kafka.
        window: Seconds of a window.
        delay: Seconds after which its partition's clock closes it.
    """
    names = ("id", "partition", "offset", "appended", "own", "service", "level", "user", "duration", "paid")
    rows = []
    for fact, name in zip(facts, ids, strict=True):
        _, partition, offset, appended = name.rsplit("-", 3)
        rows.append(
            (
                *(name, int(partition), int(offset), int(appended) * 1000),
                *(fact.own, fact.service, fact.level, fact.user, fact.duration, fact.paid),
                *(fact.amount, fact.currency, fact.readable),
            )
        )
    types: dict[str, pl.DataType] = {
        "amount": pl.Decimal(28, 9),
        **dict.fromkeys(("own", "duration"), pl.Int64()),
        **dict.fromkeys(("currency", "user", "paid", "level"), pl.String()),
    }
    sent = pl.DataFrame(  # noqa: F841 - DuckDB finds it by its name
        rows,
        schema=[*names, "amount", "currency", "readable"],
        schema_overrides=types,
        orient="row",
    ).to_arrow()
    with duckdb.connect() as database:
        database.execute(
            f"""
            CREATE TABLE dated AS
            SELECT *, max(least(own, appended)) FILTER (own IS NOT NULL)
                      OVER (PARTITION BY "partition" ORDER BY "offset" ROWS UNBOUNDED PRECEDING) AS lead,
                   CASE WHEN own >= lead - {300 * SECOND} THEN own END AS typical
            FROM sent;
            CREATE TABLE timed AS
            SELECT *, coalesce(own, last_value(typical IGNORE NULLS) OVER before,
                               first_value(typical IGNORE NULLS) OVER after) AS time
            FROM dated
            WINDOW before AS (PARTITION BY "partition" ORDER BY "offset" ROWS UNBOUNDED PRECEDING),
                   after AS (PARTITION BY "partition" ORDER BY "offset"
                             ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING);
            CREATE TABLE judged AS
            SELECT *, (time // {window * SECOND}) * {window * SECOND} AS start,
                   (time // {window * SECOND} + 1) * {window * SECOND} <=
                   max(least(time, appended)) OVER (PARTITION BY "partition" ORDER BY "offset"
                                                    ROWS UNBOUNDED PRECEDING) - {delay * SECOND} AS late
            FROM timed;
            DELETE FROM judged WHERE NOT readable
            """
        )
        levels = ", ".join(f"count(*) FILTER (level = '{level}' AND NOT late) AS {level}" for level in LEVELS)
        counted = database.sql(
            f"""
            SELECT start, service, count(*) FILTER (NOT late) AS events, count(*) FILTER (late) AS late, {levels},
                   count(duration) FILTER (NOT late) AS durations,
                   count(*) FILTER (paid = 'payment' AND NOT late) AS payments,
                   count(*) FILTER (paid = 'refund' AND NOT late) AS refunds,
                   count(DISTINCT "user") FILTER (NOT late) AS users,
                   list_sort(list(duration) FILTER (NOT late AND duration IS NOT NULL)) AS sorted
            FROM judged GROUP BY ALL
            """
        ).to_arrow_table()
        windows: dict[Key, dict[str, Any]] = {}
        users: dict[Key, int] = {}
        durations: dict[Key, list[int]] = {}
        for row in counted.to_pylist():
            key = (row.pop("start"), row.pop("service"))
            users[key], durations[key] = row.pop("users"), row.pop("sorted") or []
            windows[key] = row | {"payment_amounts": {}, "refund_amounts": {}}
        money = """SELECT start, service, paid, currency, sum(amount) FROM judged
                   WHERE paid IS NOT NULL AND NOT late GROUP BY ALL"""
        for start, service, paid, currency, amount in database.execute(money).fetchall():
            windows[start, service][f"{paid}_amounts"][currency] = amount
        found = database.execute(f"SELECT id, late, start // {3600 * SECOND} * {3600 * SECOND} FROM judged").fetchall()
    in_time: dict[int, set[str]] = {}
    for name, late, hour in found:
        if not late:
            in_time.setdefault(hour, set()).add(name)
    return Truth(windows, users, durations, {name for name, late, _ in found if late}, in_time)


def document_id(key: Key) -> str:
    """Of a window in Elasticsearch."""
    moment = datetime.fromtimestamp(key[0] // SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z|{key[1]}"


def assert_document(document: Mapping[str, Any], expected: Truth, key: Key) -> None:
    """A window's document says what is true, in its approximations within the bounds that are promised."""
    window, numbers = document["window"], expected.windows[key]
    assert document["service"]["name"] == key[1]
    assert document["@timestamp"] == window["start"]
    exact = {name: window[name] for name in ("events", "late", "durations", "payments", "refunds")}
    exact |= window["levels"]
    for name in ("payment_amounts", "refund_amounts"):
        exact[name] = {currency: Decimal(text) for currency, text in window[name].items()}
    assert exact == numbers, key
    assert window["critical"] == numbers["critical"]
    assert window["errors"] == numbers["error"] + numbers["critical"]
    assert window["error_rate"] == (window["errors"] / window["events"] if window["events"] else 0)
    assert abs(window["users"] - expected.users[key]) <= 0.05 * expected.users[key]
    values = expected.durations[key]
    if not values:
        assert "duration" not in window
        return
    for name, quantile in QUANTILES.items():
        value = window["duration"][name]
        low, high = bisect.bisect_left(values, value) + 1, bisect.bisect_right(values, value)
        assert low <= high, f"{name} of {key} is no duration that occurred"
        slack = 0.005 * len(values) + 1
        assert low - slack <= quantile * len(values) <= high + slack, f"{name} of {key}"
