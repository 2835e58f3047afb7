"""The made-up shop: repeatable, at the rates asked for, and in lines that others can read."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logsluice.demo.shop import SERVICES
from logsluice.demo.traffic import Burst, Profile, TrafficEvent, traffic
from logsluice.errors import LogsluiceError

START = datetime(2026, 11, 22, 10, 14, tzinfo=UTC).timestamp()


@lru_cache(maxsize=4)  # many tests look at the same traffic, and twenty thousand events take half a second
def events(seed: int = 1, start: float = START, **options: Any) -> tuple[TrafficEvent, ...]:
    return tuple(traffic(seed, Profile(**{"count": 20_000, **options}), start))


def is_error(event: TrafficEvent) -> bool:
    return event.level in ("error", "critical")


def share(found: Sequence[TrafficEvent], of: Any) -> float:
    return sum(bool(of(event)) for event in found) / len(found)


def is_json(event: TrafficEvent) -> bool:
    return event.line.startswith("{")


@given(st.integers(0, 2**64), st.floats(0.1, 1e5), st.floats(0, 0.9), st.floats(0, 1))
@settings(max_examples=12)
def test_the_same_seed_gives_the_same_events(seed: int, rate: float, error_rate: float, json_share: float) -> None:
    options = {"rate": rate, "error_rate": error_rate, "json_share": json_share, "count": 200}
    first = events(seed, **options)
    events.cache_clear()
    assert first == events(seed, **options)
    assert len(first) == 200
    assert all(a.time_offset <= b.time_offset for a, b in itertools.pairwise(first))
    assert first != events(seed + 1, **options)


@pytest.mark.parametrize("rate", [0.5, 50.0, 5_000.0])
def test_rate(rate: float) -> None:
    found = events(rate=rate)
    assert len(found) / found[-1].time_offset == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize("error_rate", [0.0, 0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    "services",
    [
        pytest.param(services, marks=[] if services == SERVICES else pytest.mark.slow)
        for services in [SERVICES, ("payment", "auth"), ("gateway", "catalog"), ("gateway",)]
    ],
)
def test_error_rate(error_rate: float, services: tuple[str, ...]) -> None:
    found = events(error_rate=error_rate, services=services)
    assert share(found, is_error) == pytest.approx(error_rate, rel=0.12, abs=0.002)


@pytest.mark.parametrize("json_share", [0.0, 0.3, 1.0])
def test_json_share(json_share: float) -> None:
    assert share(events(json_share=json_share), is_json) == pytest.approx(json_share, abs=0.02)


def test_a_burst_is_when_and_where_it_was_asked_for() -> None:
    burst = Burst("payment", every=60, lasts=20, factor=8)
    found = [event for event in events(burst=burst, rate=100, error_rate=0.02) if event.service == "payment"]
    inside = share([event for event in found if burst.is_on(event.time_offset)], is_error)
    outside = share([event for event in found if not burst.is_on(event.time_offset)], is_error)
    assert inside > 4 * outside > 0
    assert not burst.is_on(0)
    assert not burst.is_on(59.9)
    assert burst.is_on(60)
    assert burst.is_on(79.9)
    assert not burst.is_on(80)


def test_the_rate_sways_with_the_day() -> None:
    midnight = datetime(2026, 11, 22, tzinfo=UTC).timestamp()
    hours = Counter(int(event.time_offset // 3600) for event in events(start=midnight, rate=0.3, daily=0.8))
    assert hours[18] > 4 * hours[6] > 0


def test_lines_are_what_they_say() -> None:
    for event in events():
        if is_json(event):
            assert "\n" not in event.line
            assert isinstance(json.loads(event.line), dict)
        elif "\n" in event.line:
            _, second, *_ = event.line.split("\n")
            assert is_error(event)
            assert re.match(r"\S+(?:Exception|Error)\b|Traceback ", second)
        assert event.line == event.line.strip()
        assert event.service in SERVICES


def test_every_service_and_level_is_heard() -> None:
    found = events()
    assert {event.service for event in found} == set(SERVICES)
    assert {event.level for event in found} == {"debug", "info", "warn", "error", "critical"}
    only = events(services=("auth", "catalog"))
    assert {event.service for event in only} == {"auth", "catalog"}


def test_a_session_can_be_followed_to_its_payment() -> None:
    sessions: dict[str, list[str]] = defaultdict(list)
    for event in events(json_share=1.0):
        document = flat(json.loads(event.line))
        if "session.id" in document and "event.action" in document:
            assert document["session.id"] == event.key
            assert re.fullmatch(r"[0-9a-f]{32}", document["trace.id"])
            sessions[document["session.id"]].append(document["event.action"])
    paid = [actions for actions in sessions.values() if "payment" in actions and actions[0] == "login"]
    assert len(paid) > 50


@pytest.mark.parametrize("json_share", [0.0, 1.0])
def test_payments_and_refunds_have_amounts(json_share: float) -> None:
    found = [event for event in events(json_share=json_share) if event.service == "payment"]
    money: dict[str, int] = Counter()
    for event in found:
        facts = (
            flat(json.loads(event.line))
            if is_json(event)
            else dict(re.findall(r"([a-z_.]+)=(\S+?)(?=[ \]])", event.line))
        )
        if facts.get("event.action") in ("payment", "refund") and "labels.amount" in facts:
            assert re.fullmatch(r"\d+\.\d\d" if facts["labels.currency"] != "JPY" else r"\d+", facts["labels.amount"])
            assert facts["event.outcome"] in ("success", "failure")
            money[facts["event.action"]] += 1
    assert money["payment"] > money["refund"] > 0


def test_http_fields_are_complete() -> None:
    seen = 0
    for event in events(json_share=1.0):
        document = flat(json.loads(event.line))
        if "http.request.method" in document:
            seen += 1
            assert document["http.request.method"] in ("GET", "POST", "PUT", "DELETE")
            assert 200 <= document["http.response.status_code"] < 600
            assert document["url.path"].startswith("/")
            assert document["event.duration"] > 0
            assert document["source.ip"]
    assert seen > 1_000


def flat(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[prefix + name] = value
    return result


@pytest.mark.parametrize(
    "options",
    [
        {"rate": 0},
        {"rate": -1},
        {"error_rate": 1},
        {"json_share": 1.1},
        {"services": ()},
        {"services": ("nobody",)},
        {"burst": Burst("nobody", 60, 10)},
        {"burst": Burst("auth", 60, 61)},
        {"rate": float("nan")},
    ],
)
def test_nonsense_is_refused_in_one_line(options: dict[str, Any]) -> None:
    with pytest.raises(LogsluiceError) as raised:
        Profile(**options)
    assert "\n" not in str(raised.value)
