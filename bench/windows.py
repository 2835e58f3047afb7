"""The windows job beside the regex job in ``stream`` mode, over an hour of event time; and the size of its state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bench.measuring import Cost, Samples, Spread, ratio
from bench.report import Claim, Report
from bench.servers import Servers, child, command, servers

_WINDOWS, _STREAM = "windows", "stream"
_HOUR = 3_600
_SEED = "7"
_MIB = float(1 << 20)
_DEADLINE_SECONDS = 900.0


def run(events: int, repeat: int, log: Callable[[str], None]) -> Report:
    """Events by second of both jobs, each reading batches of the same size."""
    report = Report(f"{events:,} events of the shop, an hour of event time, counted and extracted", "second")
    log("starting Kafka and Elasticsearch")
    with servers() as here:
        _produce(here, events)
        log("starting Spark twice")
        with (
            child("bench.regex_child", servers=here) as regex,
            child("bench.windows_child", servers=here) as windows,
        ):
            batch = here.settings.stream.max_offsets_per_trigger
            topic = here.settings.kafka.topic
            most: list[dict[str, float]] = []

            def count(number: int) -> float:
                here.forget(here.settings.windows_index)
                folder = str(here.folder / f"windows-{number}")
                answer = windows.call(topic=topic, events=events, folder=folder, batch=batch)
                most.append(answer)
                return float(answer["seconds"])

            def extract(number: int) -> float:
                here.forget(here.settings.results_index)
                checkpoint = str(here.folder / f"checkpoint-{number}")
                return float(regex.call(mode=_STREAM, topic=topic, events=events, checkpoint=checkpoint)["seconds"])

            methods = {_STREAM: extract, _WINDOWS: count}
            report.samples = {name: Samples(events) for name in methods}
            for number in range(repeat + 1):
                for name, method in methods.items():
                    log(f"{number} of {repeat}: {name}" if number else f"warming up: {name}")
                    cost = Cost(wall=method(number))
                    if number:
                        report.samples[name].costs.append(cost)
    report.claims += [
        Claim("windows / stream", ratio(report.rates(_WINDOWS), report.rates(_STREAM))),
        Claim("most rows of state", Spread.of([entry["rows"] for entry in most]), unit="rows"),
        Claim("largest state", Spread.of([entry["bytes"] / _MIB for entry in most]), unit="MiB"),
    ]
    return report


def _produce(here: Servers, events: int) -> None:
    start = (datetime.now(UTC) - timedelta(seconds=2 * _HOUR)).strftime("%Y-%m-%dT%H:%M:%S")
    arguments = ("--fast", "--count", str(events), "--rate", str(events / _HOUR), "--seed", _SEED, "--start", start)
    with command(here, "jobs/producer_job.py", *arguments) as job:
        if code := job.wait(_DEADLINE_SECONDS):
            raise RuntimeError(f"the producer ended with {code}")
