"""The whole pipeline as seen from outside: what went into Kafka, and what came out at either end."""

from __future__ import annotations

import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from elasticsearch import Elasticsearch, NotFoundError
from elasticsearch.helpers import scan
from kafka import TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from logsluice.event.identity import EventId
from logsluice.extract import load_registry
from logsluice.jobs.dead_letter_replay import read_letters
from logsluice.kafka.clients import consumer, producer
from logsluice.provision.setup import run_setup
from logsluice.settings import Settings
from tests.local.running import Job, Runner, eventually

SECONDS = 240
"""How long anything may take on a slow machine that does other things as well."""


class Stored(NamedTuple):
    """A record as Kafka has it."""

    id: str
    value: bytes | None


class Counts(NamedTuple):
    """Documents behind both aliases."""

    logs: int
    results: int


@dataclass
class Pipeline:
    """The parts of one test's pipeline: its topic, its jobs, its indices."""

    settings: Settings
    client: Elasticsearch
    runner: Runner
    config: Path | None = None

    def set_up(self) -> None:
        """Make the topics and the templates."""
        run_setup(self.settings, load_registry(self.config).fields)

    def index_job(self, **options: Any) -> Job:
        """Start the index job."""
        return self.runner.job("index_job", *self._config(), **options)

    def regex_job(self, mode: str = "stream", **options: Any) -> Job:
        """Start the regex job."""
        return self.runner.job("regex_job", "--mode", mode, *self._config(), **options)

    def dlq(self, *arguments: str) -> str:
        """Run ``logsluice dlq``; what it prints."""
        done = self.runner.cli("dlq", *arguments, *self._config())
        assert done.returncode == 0, done.stderr
        return done.stdout

    def send(self, values: Iterable[bytes | None], **options: Any) -> list[str]:
        """Write to the topic and wait until the broker has it; the events' ids."""
        topic = self.settings.kafka.topic
        with closing(producer(self.settings, job="test")) as sender:
            futures = [sender.send(topic, value, **options) for value in values]
            stored = [future.get(timeout=SECONDS) for future in futures]
        return [str(EventId(topic, entry.partition, entry.offset, entry.timestamp)) for entry in stored]

    def stored(self) -> Iterator[Stored]:
        """Everything in the topic."""
        topic = self.settings.kafka.topic
        with closing(consumer(self.settings, job="test")) as reader:
            partitions = [TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic))]
            ends = reader.end_offsets(partitions)
            reader.assign(partitions)
            reader.seek_to_beginning()
            while any(reader.position(partition) < ends[partition] for partition in partitions):
                for records in reader.poll(timeout_ms=500).values():
                    for record in records:
                        event_id = EventId(record.topic, record.partition, record.offset, record.timestamp)
                        yield Stored(str(event_id), record.value)

    def counts(self) -> Counts:
        """How many documents there are now."""
        return Counts(self.count(self.settings.logs_index), self.count(self.settings.results_index))

    def count(self, alias: str) -> int:
        """How many documents there are behind an alias now."""
        with suppress(NotFoundError):
            self.client.indices.refresh(index=alias)
            return int(self.client.count(index=alias)["count"])
        return 0

    def documents(self, alias: str, fields: Sequence[str] | bool = True) -> dict[str, dict[str, Any]]:
        """Every document behind an alias; an id that stands in more than one index is a fault."""
        self.client.indices.refresh(index=alias)
        found = [
            (hit["_id"], hit["_source"])
            for hit in scan(self.client, index=alias, size=5_000, source=fields, query={"query": {"match_all": {}}})
        ]
        twice = [name for name, number in Counter(name for name, _ in found).items() if number > 1]
        assert not twice, twice[:5]
        return dict(found)

    def letters(self) -> dict[tuple[str, str], str]:
        """The reason of every dead letter, by consumer and event id."""
        return {
            (entry.letter.consumer, str(entry.letter.event_id)): entry.letter.reason
            for entry in read_letters(self.settings, lambda _letter: True)
        }

    def wait_for(self, logs: int, results: int, jobs: Sequence[Job] = ()) -> None:
        """Come back when so many documents are there; fails at once where a job ended meanwhile."""

        def all_there() -> bool:
            for job in jobs:
                assert_runs(job)
            return self.counts() == (logs, results)

        with suppress(AssertionError):
            eventually(all_there, seconds=SECONDS)
        counts = self.counts()
        assert counts == (logs, results), "\n".join([str(counts), *(job.output[-3_000:] for job in jobs)])

    def wait_until_settled(self, events: int, jobs: Sequence[Job]) -> None:
        """Come back when each of so many events is in both indices or a dead letter, wherever it belongs."""

        def settled() -> bool:
            for job in jobs:
                assert_runs(job)
            dead = Counter(name for name, _ in self.letters())
            counts = self.counts()
            return (counts.logs + dead["index"], counts.results + dead["regex"]) == (events, events)

        eventually(settled, seconds=SECONDS, every=1)

    def assert_once_each(self, expected: Mapping[str, bytes | None], dead: Mapping[tuple[str, str], str]) -> None:
        """Every expected event is in both indices under its id, with its own text; all others are dead letters.

        Args:
            expected: The value of each event by its id, those in the dead letters as well.
            dead: The reason of each dead letter by consumer and event id.
        """
        for consumer_name, alias in (("index", self.settings.logs_index), ("regex", self.settings.results_index)):
            texts = {
                name: value.decode("utf-8", "replace")
                for name, value in expected.items()
                if value is not None and (consumer_name, name) not in dead
            }
            found = {
                name: document["event"]["original"]
                for name, document in self.documents(alias, ["event.original"]).items()
            }
            assert len(found) == len(texts)
            assert found.keys() == texts.keys()
            assert found == texts
        assert self.letters() == dict(dead)

    def _config(self) -> tuple[str, ...]:
        return ("--config", str(self.config)) if self.config else ()


def metric(port: int, name: str, **labels: str) -> float:
    """The value of a metric that a job serves; 0 where it has not counted anything yet."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def wait_for_output(job: Job, *words: str) -> None:
    """Wait until one line of a job's output has all the words."""

    def is_there() -> bool:
        if any(all(word in line for word in words) for line in job.output.splitlines()):
            return True
        assert_runs(job)
        return False

    with suppress(AssertionError):
        eventually(is_there, seconds=SECONDS)
    assert is_there(), f"{words} not in:\n{job.output[-3_000:]}"


def assert_runs(job: Job) -> None:
    """A job that should run does."""
    assert job.process.poll() is None, f"ended with {job.process.returncode}:\n{job.output[-3_000:]}"


def assert_no_stack_trace(text: str) -> None:
    """Neither Python's nor Java's."""
    assert "Traceback" not in text, text[-5_000:]
    assert "\tat " not in text, text[-5_000:]


def ends_well(*jobs: Job) -> None:
    """SIGTERM ends the jobs with 0 and without a stack trace, and nothing of them is left."""
    families = [family(job) for job in jobs]
    for job in jobs:
        assert_runs(job)
        job.process.terminate()
    for job, members in zip(jobs, families, strict=True):
        assert job.wait(SECONDS) == 0, job.output[-3_000:]
        assert_no_stack_trace(job.output)
        assert_gone(members)


def family(job: Job) -> list[psutil.Process]:
    """A job's process and all that it started."""
    process = psutil.Process(job.pid)
    return [process, *process.children(recursive=True)]


def assert_gone(processes: Sequence[psutil.Process]) -> None:
    """These processes end by themselves."""
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def python_workers(job: Job) -> list[psutil.Process]:
    """Spark's Python workers below a job: what its daemon has forked."""
    workers = []
    for process in psutil.Process(job.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            parent = process.parent()
            if parent and "pyspark.daemon" in command_line(parent) and "pyspark.daemon" in command_line(process):
                workers.append(process)
    return workers


def command_line(process: psutil.Process) -> list[str]:
    """A process's command line; a process that has just ended has none."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
