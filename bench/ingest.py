"""Events posted to the HTTP API, one and many at a time, beside what a Kafka producer alone reaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.api_server import serving
from bench.measuring import Spread, ratio
from bench.processes import cpu_seconds
from bench.report import Claim, Report
from bench.servers import Child, Servers, child, servers

SIZE = 200
BATCH = 500
SINGLE_RATE, BATCH_RATE = 2_000.0, 20_000.0
_FLAT_OUT = 3.0
_P99_SECONDS = 0.05


@dataclass(frozen=True)
class Method:
    """How events go in.

    Attributes:
        name: For people.
        via: ``api`` or ``producer``.
        batch: Events of a post, or handed over at once.
        rate: Events a second that are asked for.
    """

    name: str
    via: str
    batch: int
    rate: float


METHODS = (
    Method("API, one a post, at 2,000/s", "api", 1, SINGLE_RATE),
    Method("producer, one at a time, at 2,000/s", "producer", 1, SINGLE_RATE),
    Method("API, one a post, flat out", "api", 1, SINGLE_RATE * _FLAT_OUT),
    Method("API, 500 a post, at 20,000/s", "api", BATCH, BATCH_RATE),
    Method("producer, 500 at a time, at 20,000/s", "producer", BATCH, BATCH_RATE),
    Method("API, 500 a post, flat out", "api", BATCH, BATCH_RATE * _FLAT_OUT),
    Method("producer, 500 at a time, flat out", "producer", BATCH, BATCH_RATE * _FLAT_OUT),
)


@dataclass(frozen=True)
class Run:
    """How one went: events a second, seconds of latency, microseconds of the API's processor an event."""

    rate: float
    p50: float
    p95: float
    p99: float
    api_micros: float
    broker_micros: float


def run(seconds: float, repeat: int, log: Callable[[str], None]) -> Report:
    """Send events by each method in turn, for so many seconds each."""
    found: dict[str, list[Run]] = {method.name: [] for method in METHODS}
    with (
        servers() as running,
        serving(running) as (api, url),
        child("bench.post_child", url, servers=running) as posts,
        child("bench.produce_child", servers=running) as produces,
    ):
        for number in range(repeat + 1):
            for method in METHODS:
                log(f"{number} of {repeat}: {method.name}" if number else f"warming up: {method.name}")
                one = _run(method, seconds if number else 2.0, posts if method.via == "api" else produces, running, api)
                if number:
                    found[method.name].append(one)
    return _report(found, seconds)


def _run(method: Method, seconds: float, sender: Child, running: Servers, api: int) -> Run:
    broker = running.stack.pid("kafka")
    assert broker is not None
    before = cpu_seconds([api]), cpu_seconds([broker])
    answer: dict[str, Any] = sender.call(rate=method.rate, seconds=seconds, batch=method.batch, size=SIZE)
    assert not answer["failures"], answer
    events = max(1, answer["events"])
    p50, p95, p99 = answer["latencies"]
    return Run(
        events / answer["seconds"],
        p50,
        p95,
        p99,
        1e6 * (cpu_seconds([api]) - before[0]) / events,
        1e6 * (cpu_seconds([broker]) - before[1]) / events,
    )


def _report(found: dict[str, list[Run]], seconds: float) -> Report:
    report = Report(f"Posting events of {SIZE} characters, {seconds:g} s by each method", "")
    for method in METHODS:
        runs = found[method.name]
        paced = method.rate in (SINGLE_RATE, BATCH_RATE)
        rate_target = 0.98 * method.rate if paced and method.via == "api" else None
        report.claims.append(Claim(method.name, Spread.of([one.rate for one in runs]), rate_target, unit="events/s"))
        p99_target = 1_000 * _P99_SECONDS if method.rate == SINGLE_RATE and method.via == "api" else None
        report.claims += [
            Claim("    p50", Spread.of([1_000 * one.p50 for one in runs]), unit="ms"),
            Claim("    p95", Spread.of([1_000 * one.p95 for one in runs]), unit="ms"),
            Claim("    p99", Spread.of([1_000 * one.p99 for one in runs]), p99_target, at_most=True, unit="ms"),
            Claim("    broker's processor time", Spread.of([one.broker_micros for one in runs]), unit="us/event"),
        ]
        if method.via == "api":
            api = Spread.of([one.api_micros for one in runs])
            report.claims.append(Claim("    API's processor time", api, unit="us/event"))
    alone, over = found["producer, 500 at a time, flat out"], found["API, 500 a post, flat out"]
    flat_out = ratio([one.rate for one in over], [one.rate for one in alone])
    report.claims.append(Claim("API, 500 a post, to the producer, flat out", flat_out))
    report.notes.append("Whoever makes the load shares the cores with the API and the broker.")
    return report
