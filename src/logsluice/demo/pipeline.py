"""The demo's jobs as child processes, and snapshots of their progress."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Final

from elastic_transport import TransportError
from elasticsearch import Elasticsearch
from prometheus_client.parser import text_string_to_metric_families

from logsluice.dashboard.server import command as dashboard_command
from logsluice.elasticsearch.queries import is_error
from logsluice.errors import LogsluiceError
from logsluice.settings import Settings

STOP_SECONDS: Final = 30
"""How long a job may take to finish its batch at SIGTERM."""

_SCRAPE_SECONDS: Final = 2.0
_OPEN_SECONDS: Final = 60
_START_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.25
_LAG: Final = "logsluice_consumer_lag_events"


@dataclass(frozen=True)
class Job:
    """A job of the demonstration.

    Attributes:
        script: In ``jobs/``; of a part that is no job, nothing.
        port: Where it serves ``/metrics``, or its page.
        arguments: For the script; of a part that is no job, its whole command.
        reads: Whether it reads what the producer writes, and is to be waited for with that.
    """

    name: str
    script: str | None
    port: int
    arguments: tuple[str, ...] = ()
    reads: bool = False

    def command(self, scripts: Path) -> list[str]:
        """How it is started, where ``scripts`` is the folder of jobs."""
        return [*([sys.executable, str(scripts / self.script)] if self.script else []), *self.arguments]


def demo_jobs(settings: Settings, rate: float) -> tuple[Job, ...]:
    """What makes up the pipeline; the producer, which is last, writes ``rate`` events a second."""
    metrics = settings.metrics
    return (
        Job("regex", "regex_job.py", metrics.regex, reads=True),
        Job("index", "index_job.py", metrics.index, reads=True),
        Job("windows", "windows_job.py", metrics.windows, reads=True),
        Job("alerts", "alerts_job.py", metrics.alerts),
        Job("app-service", "metrics_job.py", metrics.app_service),
        Job("dashboard", None, settings.dashboard.port, tuple(dashboard_command(settings.dashboard))),
        Job("producer", "producer_job.py", metrics.producer, ("--rate", str(rate))),
    )


@contextmanager
def running(
    jobs: tuple[Job, ...], logs: Path, environment: Mapping[str, str], stop: Event
) -> Iterator[list[RunningJob]]:
    """Run jobs as child processes, their output in ``logs``; leaving stops them in order.

    The last one, the producer, is started when those that read are ready: what they find waiting would look as if
    they could not keep up.

    Args:
        stop: Ends the waiting.

    Raises:
        LogsluiceError: The jobs are not below the current folder, or one of them ended.
    """
    scripts = Path("jobs")
    if not scripts.is_dir():
        raise LogsluiceError("there is no such folder", where="jobs", hint="run this in a checkout of logsluice")
    logs.mkdir(parents=True, exist_ok=True)
    started: list[RunningJob] = []
    try:
        for job in jobs:
            if job is jobs[-1]:
                _wait_for_readers(started, stop)
            log = logs / f"{job.name}.log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    job.command(scripts),
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env=dict(environment),
                    start_new_session=True,
                )
            started.append(RunningJob(job, process, log))
        yield started
    finally:
        _stop(started)


@dataclass(frozen=True)
class RunningJob:
    """A job's process and the file of its output."""

    job: Job
    process: subprocess.Popen[bytes]
    log: Path

    def has_begun(self) -> bool:
        """Whether it has said that it reads the topic."""
        return b'"message":"reading"' in self.log.read_bytes()

    def check(self) -> None:
        """Make sure that it still runs.

        Raises:
            LogsluiceError: It ended; with the last line of its log.
        """
        code = self.process.poll()
        if code is not None:
            lines = self.log.read_text(errors="replace").strip().splitlines()
            raise LogsluiceError(
                f"ended with {code}",
                where=f"job {self.job.name}",
                why=lines[-1][:400] if lines else "it said nothing",
                hint=f"see {self.log}",
            )


def _wait_for_readers(jobs: list[RunningJob], stop: Event) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while any(entry.job.reads and not entry.has_begun() for entry in jobs) and time.monotonic() < deadline:
        for entry in jobs:
            entry.check()
        if stop.wait(_POLL_SECONDS):
            return


def _stop(jobs: list[RunningJob]) -> None:
    """Stop the producer first, then those that read."""
    for running_job in reversed(jobs):
        if running_job.process.poll() is None:
            running_job.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for running_job in reversed(jobs):
        try:
            running_job.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            running_job.process.kill()
            running_job.process.wait()


@dataclass(frozen=True)
class Snapshot:
    """The state of the jobs and Elasticsearch at one moment; counts are since the jobs were started.

    Attributes:
        at: Monotonic seconds.
        produced: Events the broker acknowledged to the producer.
        raw: Events in the logs index and the metrics index.
        facts: Events in the results index.
        lag: Events not read yet, by consumer group.
        latency: Median seconds from the broker's append to the acknowledged write of the facts.
        errors: Events of level error and critical, by service.
    """

    at: float
    produced: int = 0
    raw: int = 0
    facts: int = 0
    searchable: int = 0
    windows: int = 0
    alerts: int = 0
    lag: Counter[str] = field(default_factory=Counter)
    patterns: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    latency: float | None = None
    errors: Counter[str] = field(default_factory=Counter)


_Samples = dict[str, list[tuple[dict[str, str], float]]]


def count_searchable(settings: Settings, client: Elasticsearch) -> int:
    """How many documents the results alias finds, once what is stored can be searched."""
    patient = client.options(ignore_status=[404, 408], request_timeout=_OPEN_SECONDS * 2)
    patient.cluster.health(index=settings.results_index, wait_for_status="yellow", timeout=f"{_OPEN_SECONDS}s")
    return _searchable(client, settings.results_index, 0)


def take_snapshot(
    settings: Settings, jobs: tuple[Job, ...], client: Elasticsearch, previous: Snapshot | None = None
) -> Snapshot:
    """Ask every job and Elasticsearch.

    A job that does not answer yet counts as zero; where Elasticsearch cannot tell (an index is just being made),
    what stands in ``previous`` is kept.
    """
    previous = previous or Snapshot(at=0)
    samples: _Samples = {}
    for job in (job for job in jobs if job.script):
        for name, found in _scrape(settings.metrics.host, job.port).items():
            # Every consumer tells its own lag, and the app-service that of all.
            if name != _LAG or job.name == "app-service":
                samples.setdefault(name, []).extend(found)
    written = _by_labels(samples, "logsluice_events_out_total", "job")
    stored = _by_labels(samples, "logsluice_events_out_total", "destination")
    return Snapshot(
        at=time.monotonic(),
        produced=written["producer"],
        raw=stored["logs"] + stored["metrics"],
        facts=written["regex"],
        searchable=_searchable(client, settings.results_index, previous.searchable),
        windows=_by_labels(samples, "logsluice_windows_written_total").total(),
        alerts=_by_labels(samples, "logsluice_alerts_open").total(),
        lag=_by_labels(samples, _LAG, "group"),
        patterns=_by_labels(samples, "logsluice_pattern_matches_total", "pattern"),
        dead_letters=_by_labels(samples, "logsluice_dead_letters_total", "reason"),
        latency=_median(samples, "logsluice_end_to_end_latency_seconds_bucket", {"job": "regex"}),
        errors=_errors_by_service(client, settings.results_index, previous.errors),
    )


def _scrape(host: str, port: int) -> _Samples:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=_SCRAPE_SECONDS) as response:
            text = response.read().decode()
    except OSError:
        return {}
    samples: _Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples


def _by_labels(samples: _Samples, name: str, label: str = "") -> Counter[str]:
    counted: Counter[str] = Counter()
    for labels, value in samples.get(name, []):
        counted[labels.get(label, "")] += int(value)
    return counted


def _median(samples: _Samples, name: str, selector: Mapping[str, str]) -> float | None:
    """The upper bound of the bucket that holds the median."""
    buckets = sorted(
        (float(labels["le"]), value) for labels, value in samples.get(name, []) if selector.items() <= labels.items()
    )
    if not buckets or not buckets[-1][1]:
        return None
    return next(bound for bound, value in buckets if value >= buckets[-1][1] / 2)


def _searchable(client: Elasticsearch, alias: str, otherwise: int) -> int:
    with suppress(TransportError):
        return int(_lenient(client).count(index=alias).body.get("count", otherwise))
    return otherwise


def _errors_by_service(client: Elasticsearch, alias: str, otherwise: Counter[str]) -> Counter[str]:
    with suppress(TransportError):
        answer = _lenient(client).search(
            index=alias,
            size=0,
            query=is_error(),
            aggs={"services": {"terms": {"field": "service.name", "size": 8}}},
        )
        if "aggregations" in answer:
            buckets = answer["aggregations"]["services"]["buckets"]
            return Counter({bucket["key"]: bucket["doc_count"] for bucket in buckets})
    return otherwise


def _lenient(client: Elasticsearch) -> Elasticsearch:
    """A client to which no such index, or one that is not open yet, is an answer without content."""
    return client.options(ignore_status=[404, 503])
