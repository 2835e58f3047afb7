"""The producer job against a real broker."""

from __future__ import annotations

import urllib.request
from collections import Counter
from datetime import UTC, datetime

import pytest

from logsluice.demo.traffic import Profile, traffic
from logsluice.provision.setup import set_up_kafka
from logsluice.settings import Settings
from logsluice.stack.supervisor import LocalStack
from tests.local.api_parts import RedisServer, serving
from tests.local.kafka_reading import count, stored, values
from tests.local.running import Runner, eventually, free_port


def metric(settings: Settings, line: str) -> float:
    """The value of one series of the producer."""
    url = f"http://{settings.metrics.host}:{settings.metrics.producer}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return 0.0
    found = [sample for sample in text.splitlines() if sample.startswith(line)]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def test_the_same_seed_and_start_fill_the_topic_alike(settings: Settings, runner: Runner) -> None:
    set_up_kafka(settings)
    arguments = ("--seed", "7", "--count", "3000", "--start", "2026-11-22T10:00:00", "--fast", "--rate", "500")
    job = runner.job("producer_job", *arguments)
    assert job.wait() == 0, job.output
    start = datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp()
    expected = list(traffic(7, Profile(count=3_000, rate=500), start))
    records = stored(settings)
    assert sorted(record.value or b"" for record in records) == sorted(event.line.encode() for event in expected)
    # The events of a session are in one partition, in their order.
    for key in {event.key for event in expected}:
        mine = [record for record in records if record.key == key.encode()]
        assert len({record.partition for record in mine}) == 1
        assert [record.value for record in mine] == [event.line.encode() for event in expected if event.key == key]


def test_over_http_the_topic_has_the_same_events(
    set_up: None,
    runner: Runner,
    redis_server: RedisServer,
    settings: Settings,
) -> None:
    arguments = ("--seed", "7", "--count", "1000", "--start", "2026-11-22T10:00:00", "--fast", "--via", "api")
    job = runner.job("producer_job", *arguments, env={"LOGSLUICE_API__PORT": str(port := free_port())})
    # It waits for the API, as for every other part.
    eventually(lambda: "waiting for api" in job.output)
    with serving(runner, port, LOGSLUICE_REDIS__URL=redis_server.url):
        assert job.wait() == 0, job.output
    start = datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp()
    expected = [event.line.encode() for event in traffic(7, Profile(count=1_000), start)]
    assert values(settings) == Counter(expected)


def test_it_keeps_the_rate_and_leaves_when_asked(settings: Settings, runner: Runner) -> None:
    set_up_kafka(settings)
    job = runner.job("producer_job", "--rate", "200")
    eventually(lambda: metric(settings, "logsluice_events_out_total{") >= 600)
    assert job.terminate() == 0
    sent = count(settings)
    assert sent >= 600
    assert "Traceback" not in job.output


def test_a_broker_that_comes_late_or_goes_is_waited_for(settings: Settings, stack: LocalStack, runner: Runner) -> None:
    set_up_kafka(settings)
    stack.kill_part("kafka")
    job = runner.job("producer_job", "--rate", "500", "--count", "5000")
    eventually(lambda: "waiting for kafka" in job.output)
    stack.start("kafka")
    eventually(lambda: count(settings) > 200)
    stack.kill_part("kafka")
    waits = job.output.count("waiting for kafka")
    eventually(lambda: job.output.count("waiting for kafka") > waits)
    stack.start("kafka")
    assert job.wait() == 0, job.output
    assert count(settings) == 5_000


def test_it_leaves_while_the_broker_is_away(settings: Settings, stack: LocalStack, runner: Runner) -> None:
    set_up_kafka(settings)
    job = runner.job("producer_job", "--rate", "200")
    eventually(lambda: count(settings) > 50)
    stack.kill_part("kafka")
    eventually(lambda: "waiting for kafka" in job.output)
    assert job.terminate() == 0
    assert "stopped before these were acknowledged" in job.output
    assert "Traceback" not in job.output


@pytest.mark.parametrize(
    ("arguments", "what"),
    [(("--rate", "0"), "rate: out of its range"), (("--services", "nobody"), "nobody: no such service")],
)
def test_nonsense_is_refused_in_one_line(
    settings: Settings,
    runner: Runner,
    arguments: tuple[str, ...],
    what: str,
) -> None:
    job = runner.job("producer_job", *arguments)
    assert job.wait() == 1
    assert what in job.output
    assert "Traceback" not in job.output
