"""From Kafka to Elasticsearch, beside writing the same documents with nothing in front."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orjson
from elasticsearch.helpers import scan
from prometheus_client.parser import text_string_to_metric_families

from bench.lines import lines
from bench.measuring import Cost, Samples, Spread, ratio
from bench.processes import PeakMemory, cpu_seconds_by_role
from bench.report import Claim, Report
from bench.servers import Child, Servers, child, command, servers

_GIB = float(1 << 30)
_BARE, _OPTIMIZED, _STREAM = "bare bulk indexing", "optimized", "stream"
_BULK_SETTINGS = ((1, 2_500), (2, 1_000), (2, 2_500), (4, 1_000))
_SEED = "7"
_DEADLINE_SECONDS = 600.0
_LEAST_MICROS = 0.5


def run(events: int, repeat: int, log: Callable[[str], None]) -> tuple[Report, Report]:
    """Two reports: documents by second of each method, and the memory of every process meanwhile."""
    report = Report(f"{events:,} events of the shop from Kafka to Elasticsearch", "second")
    others = Report("Memory while that ran, and the speed of the other jobs", "second")
    log("starting Kafka and Elasticsearch")
    with servers() as here, PeakMemory(_roots(here)) as memory:
        others.samples["producer"] = _measure(events, lambda: _produce(here, events, memory))
        log("starting Spark")
        with child("bench.regex_child", servers=here) as regex:
            memory.add("driver", regex.pid)
            _side_by_side(here, regex, events, repeat, report, log)
        log("index job")
        others.samples["index job"] = _measure(events, lambda: _index(here, events, memory))
        log("ship")
        shipped = min(events, 50_000)
        others.samples["ship"] = _measure(shipped, lambda: _ship(here, shipped, memory))
    bare, optimized, stream = (report.rates(name) for name in (_BARE, _OPTIMIZED, _STREAM))
    report.claims += [
        Claim("optimized / bare bulk indexing", ratio(optimized, bare), 0.8),
        Claim("optimized / stream", ratio(optimized, stream), 1.5),
    ]
    others.claims += _memory_claims(memory.peaks)
    return report, others


def _side_by_side(
    here: Servers, regex: Child, events: int, repeat: int, report: Report, log: Callable[[str], None]
) -> None:
    alias, topic = here.settings.results_index, here.settings.kafka.topic
    runs = iter(range(1_000))

    def pipeline(mode: str) -> float:
        here.forget(alias)
        checkpoint = str(here.folder / f"checkpoint-{next(runs)}")
        answer = regex.call(mode=mode, topic=topic, events=events, checkpoint=checkpoint)
        return _counted(here, events, answer["seconds"])

    log("warming up: the regex job")
    pipeline(_OPTIMIZED)
    ready_made = here.folder / "documents.jsonl"
    _save_documents(here, alias, ready_made)
    with child("bench.bulk_child", str(ready_made), servers=here) as bulk:

        def bare(threads: int, chunk: int) -> float:
            here.forget(alias)
            return _counted(here, events, bulk.call(threads=threads, chunk=chunk)["seconds"])

        log("warming up: bare bulk indexing, and its best settings")
        bare(*_BULK_SETTINGS[0])
        best = min(_BULK_SETTINGS, key=lambda settings: bare(*settings))
        report.notes.append(f"Bare bulk indexing: {best[0]} threads, {best[1]:,} documents a request; the fastest.")
        roots = {**_roots(here), "Spark": regex.pid, "bulk client": bulk.pid}
        methods: dict[str, Callable[[], float]] = {
            _BARE: lambda: bare(*best),
            _OPTIMIZED: lambda: pipeline(_OPTIMIZED),
            _STREAM: lambda: pipeline(_STREAM),
        }
        report.samples = {name: Samples(events) for name in methods}
        used: dict[tuple[str, str], list[float]] = {}
        for number in range(1, repeat + 1):
            for name, method in methods.items():
                log(f"{number} of {repeat}: {name}")
                before = cpu_seconds_by_role(roots)
                report.samples[name].costs.append(Cost(wall=method()))
                for part, seconds in cpu_seconds_by_role(roots).items():
                    used.setdefault((name, part), []).append((seconds - before.get(part, 0.0)) / events * 1e6)
    for (name, part), micros in used.items():
        spread = Spread.of(micros)
        if spread.median >= _LEAST_MICROS:
            report.claims.append(Claim(f"{name}: processor time in {part}", spread, unit="µs a document"))


def _counted(here: Servers, events: int, seconds: float) -> float:
    found = here.count(here.settings.results_index)
    if found != events:
        raise AssertionError(f"{found} documents instead of {events}")
    return seconds


def _save_documents(here: Servers, alias: str, path: Path) -> None:
    with path.open("wb") as file:
        for hit in scan(here.client, index=alias, size=2_000):
            row = [hit["_index"], hit["_id"], orjson.dumps(hit["_source"]).decode()]
            file.write(orjson.dumps(row) + b"\n")


def _measure(items: int, work: Callable[[], float]) -> Samples:
    return Samples(items, [Cost(wall=work())])


def _produce(here: Servers, events: int, memory: PeakMemory) -> float:
    arguments = ("jobs/producer_job.py", "--fast", "--count", str(events), "--seed", _SEED)
    with _watched(here, memory, "producer", *arguments) as job:
        return _timed(lambda: _exited(job))


def _index(here: Servers, events: int, memory: PeakMemory) -> float:
    url = f"http://127.0.0.1:{here.settings.metrics.index}/metrics"
    with _watched(here, memory, "index job", "jobs/index_job.py") as job:
        first = _first_time(lambda: _written(url) > 0, job)
        return _timed(lambda: _first_time(lambda: _written(url) >= events, job), since=first)


def _ship(here: Servers, count: int, memory: PeakMemory) -> float:
    path = here.folder / "app.log"
    path.write_text("".join(f"{line}\n" for line in lines(count)))
    with _watched(here, memory, "ship", str(Path(sys.executable).with_name("logsluice")), "ship", str(path)) as job:
        return _timed(lambda: _exited(job))


@contextmanager
def _watched(here: Servers, memory: PeakMemory, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with ExitStack() as cleanup:
        job = cleanup.enter_context(command(here, *arguments))
        memory.add(name, job.pid)
        yield job


def _timed(work: Callable[[], object], *, since: float | None = None) -> float:
    started_at = time.perf_counter() if since is None else since
    work()
    return time.perf_counter() - started_at


def _exited(job: subprocess.Popen[bytes]) -> None:
    if code := job.wait(_DEADLINE_SECONDS):
        raise RuntimeError(f"{job.args!r} ended with {code}")


def _first_time(question: Callable[[], bool], job: subprocess.Popen[bytes]) -> float:
    end = time.monotonic() + _DEADLINE_SECONDS
    while not question():
        if job.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{job.args!r} did not do its work")
        time.sleep(0.1)
    return time.perf_counter()


def _written(url: str) -> float:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            text = response.read().decode()
    except OSError:
        return 0.0
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "logsluice_events_out_total"
    )


def _roots(here: Servers) -> dict[str, int]:
    pids = {"broker": here.stack.pid("kafka"), "elasticsearch": here.stack.pid("elasticsearch")}
    return {name: pid for name, pid in pids.items() if pid}


def _memory_claims(peaks: dict[tuple[str, str], int]) -> list[Claim]:
    """The parts' peaks; a part's Python holder and its Java count together, workers one by one."""
    limits = {"broker": 0.5, "elasticsearch": 1.0, "driver": 1.5}
    claims = []
    for name in dict.fromkeys(name for name, _ in peaks):
        own = sum(size for (part, role), size in peaks.items() if part == name and role != "worker")
        claims.append(_gib(name, own, limits.get(name)))
    worker = peaks.get(("driver", "worker"))
    if worker:
        claims.append(_gib("a Python worker", worker, 0.4))
    return claims


def _gib(name: str, size: int, limit: float | None) -> Claim:
    return Claim(f"memory of {name}", Spread.of([size / _GIB]), limit, at_most=True, unit="GiB")
