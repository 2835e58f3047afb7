"""Every part of the platform as its own user of Elasticsearch: its role is enough for all that it does, and no more.

Security is not in Elasticsearch's core, so a guard before it holds the roles; what it makes of a request is compared
with the actions that Elasticsearch itself says it carried out.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from elasticsearch import Elasticsearch

from logsluice.alerts.windows import Window
from logsluice.dashboard.filters import Filters
from logsluice.dashboard.loader import DataLoader
from logsluice.elasticsearch.roles import IndexPrivileges, Role, roles
from logsluice.settings import Settings, load_settings
from logsluice.stack.supervisor import LocalStack
from tests.local.api_parts import serving
from tests.local.elasticsearch_guard import PASSWORD, Guard, allows
from tests.local.pipeline import Pipeline, assert_runs, metric
from tests.local.running import Runner, eventually, free_port
from tests.local.window_documents import store

EXPORTER = "prometheus-elasticsearch-exporter"
TASKS = "logger.org.elasticsearch.tasks.TaskManager"
SECONDS = 240
BURST_MINUTES = 30
NO_TASKS = {
    "cluster:monitor/main",
    "cluster:admin/slm/stats",  # not in the core
    "cluster:admin/slm/status",
    "indices:data/write/index:op_type/create",  # of a bulk's items
    "indices:data/write/update",
}
"""Actions that Elasticsearch, as it runs here, tells nobody of."""


@pytest.fixture
def guard(settings: Settings, stack: LocalStack) -> Iterator[Guard]:
    guard = Guard(stack.port("elasticsearch"), roles(settings))
    yield guard
    guard.close()


@pytest.fixture
def carried_out(stack: LocalStack, elasticsearch_client: Elasticsearch) -> Iterator[Path]:
    """Where Elasticsearch writes each action that it begins."""
    settings = elasticsearch_client.cluster
    settings.put_settings(persistent={TASKS: "TRACE"})
    yield stack.home / "logs" / "elasticsearch.log"
    settings.put_settings(persistent={TASKS: None})


def events(now: datetime) -> list[bytes]:
    """Payments that fail, and what goes elsewhere than they."""
    failed = [
        orjson.dumps(
            {
                "@timestamp": now.isoformat(),
                "log.level": "error",
                "service.name": "payment",
                "message": f"payment {number} failed",
            }
        )
        for number in range(300)
    ]
    later = orjson.dumps({"@timestamp": now.isoformat(), "log.level": "info", "service.name": "auth", "message": "in"})
    measured = orjson.dumps({"event.kind": "metric", "system.load": 0.5})
    return [*failed, later, measured, b"ERROR not UTF-8: \xff", b""]


@pytest.mark.timeout(900)
def test_every_role_is_enough_and_no_more(
    settings: Settings,
    guard: Guard,
    carried_out: Path,
    elasticsearch_client: Elasticsearch,
    runner: Runner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = Pipeline(settings, elasticsearch_client, runner)
    pipeline.set_up()
    quick = {
        "LOGSLUICE_WINDOWS__TRIGGER_SECONDS": "1",
        "LOGSLUICE_ALERTS__INTERVAL_SECONDS": "1",
        "LOGSLUICE_ALERTS__ALLOWANCE_SECONDS": "0",
    }
    regex_job = pipeline.regex_job(env=guard.environment("regex-job"))
    jobs = [
        regex_job,
        pipeline.index_job(env=guard.environment("logstash")),
        runner.job("windows_job", env=quick | guard.environment("windows-job")),
        runner.job("metrics_job", env=guard.environment("app-service")),
        runner.job("alerts_job", env=quick | guard.environment("alerts-job")),
    ]
    exporter = free_port()
    if has_exporter := shutil.which(EXPORTER) is not None:
        where = {"ES_USERNAME": "elasticsearch-exporter", "ES_PASSWORD": PASSWORD}
        flags = ("--es.all", "--es.indices", "--es.slm", f"--web.listen-address=127.0.0.1:{exporter}")
        jobs.append(runner.start(EXPORTER, f"--es.uri={guard.url}", *flags, env=where))
    ids = pipeline.send(events(datetime.now(UTC)))
    # A burst that began in the last whole minute, for the alerts job.
    minute = int(time.time() // 60)
    store(elasticsearch_client, [Window(minute + later, "payment", 400, 130) for later in range(-1, BURST_MINUTES - 1)])

    def all_there() -> bool:
        for job in jobs:
            assert_runs(job)
        aliases = (settings.alerts_index, settings.dead_letters_index, settings.metrics_index)
        others = all(pipeline.count(alias) for alias in aliases)
        return pipeline.counts() == (302, 303) and pipeline.count(settings.windows_index) > BURST_MINUTES and others

    eventually(lambda: guard.refused or all_there(), seconds=SECONDS)
    assert guard.refused == []
    eventually(
        lambda: metric(settings.metrics.app_service, "logsluice_index_documents", index=settings.logs_index) == 302,
        seconds=SECONDS,
    )
    with serving(runner, **guard.environment("api")) as api:
        client = api.client
        assert client.get("/health/ready").status_code == 200
        assert client.get(f"/logs/{ids[0]}").status_code == 200
        assert client.get(f"/results/{ids[0]}").json()["service"]["name"] == "payment"
        assert client.get("/list-logs").status_code == client.get("/logs", params={"level": "error"}).status_code == 200
        assert client.get("/search", params={"query": "failed"}).status_code == 200
        assert client.get("/stats", params={"hoursBack": 1}).status_code == 200
        facts = {"eventId": ids[0], "processor": "fraud", "fields": {"labels.risk": "high"}}
        assert client.post("/results", json=facts).status_code == 200
        with client.stream("GET", "/logs/tail", params={"level": "error"}) as tail:
            time.sleep(2)
            pipeline.send([b"ERROR the tail sees this"])
            assert any("the tail sees this" in line for line in tail.iter_lines())
    with monkeypatch.context() as patch:
        for name, value in guard.environment("dashboard").items():
            patch.setenv(name, value)
        with closing(DataLoader(load_settings())) as loader:
            assert (loader.load(Filters(), datetime.now(UTC)).total or 0) > 300
    # Both serve their metrics on one port.
    assert regex_job.terminate() == 0, regex_job.output
    batch = runner.job("regex_job", "--mode", "batch", "--source", "logs", env=guard.environment("regex-batch"))
    assert batch.wait(SECONDS) == 0, batch.output
    if has_exporter:
        eventually(lambda: guard.refused or metric(exporter, "elasticsearch_indices_docs_primary") > 0, seconds=SECONDS)
    assert guard.refused == []

    by_elasticsearch = set(re.findall(r"register \d+ \[\w+\] \[([^\]\[]+)\]", carried_out.read_text()))
    assert {each.action for done in guard.done.values() for each in done} - NO_TASKS <= by_elasticsearch
    for name, role in roles(settings).items():
        if name != "elasticsearch-exporter" or has_exporter:
            assert [less for less in _smaller(role) if all(allows(less, each) for each in guard.done[name])] == [], name


def _smaller(role: Role) -> Iterator[Role]:
    """The role without one privilege, or without one of the names that it has it for."""
    for privilege in role["cluster"]:
        yield {**role, "cluster": _without(privilege, role["cluster"])}
    for at, indices in enumerate(role["indices"]):
        before, after = role["indices"][:at], role["indices"][at + 1 :]
        names, privileges = indices["names"], indices["privileges"]
        fewer = [IndexPrivileges(names=_without(name, names), privileges=privileges) for name in names]
        fewer += [IndexPrivileges(names=names, privileges=_without(each, privileges)) for each in privileges]
        for less in fewer:
            yield {**role, "indices": [*before, less, *after]}


def _without(left_out: str, values: list[str]) -> list[str]:
    return [value for value in values if value != left_out]
