"""A real Prometheus that reads the real pipeline, and every expression of every view asked of it.

The pipeline runs once: a broker with the JMX exporter in it, Elasticsearch with its exporter beside it, a Spark
driver with Spark's own metrics, and the jobs, with traffic that has errors, remarks and dead letters in it.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from elasticsearch import Elasticsearch

from logsluice.jvm.jars import jar_paths
from logsluice.settings import Settings
from logsluice.stack.ports import free_port
from tests.local.pipeline import SECONDS, Pipeline, wait_for_output
from tests.local.running import ROOT, Job, Runner, eventually
from tests.local.views import Expression, everything, exported, selectors

INTERVAL_SECONDS = 5
EXPORTER = "prometheus-elasticsearch-exporter"
RULES = ROOT / "config" / "prometheus" / "rules"

_ELSEWHERE = "the {} job does not run here: another Spark would take longer than all the rest; its own tests have it"
NOTHING_THERE = {
    "logsluice_windows_written_total": _ELSEWHERE.format("windows"),
    "logsluice_late_events_total": _ELSEWHERE.format("windows"),
    "logsluice_state_rows": _ELSEWHERE.format("windows"),
    "logsluice_state_bytes": _ELSEWHERE.format("windows"),
    "logsluice_alerts_open": _ELSEWHERE.format("alerts"),
    "logsluice_alerts_total": _ELSEWHERE.format("alerts"),
    "logsluice_alert_deliveries_total": _ELSEWHERE.format("alerts"),
    **{
        f"logsluice_api_{name}": "the API does not run in this test"
        for name in (
            "requests_total",
            "request_duration_seconds_bucket",
            "events_total",
            "refused_total",
            "breaker_state",
            "cache_total",
        )
    },
    "metrics_master_aliveWorkers_Value": "Spark runs without a standalone cluster",
    "metrics_master_apps_Value": "Spark runs without a standalone cluster",
    "metrics_master_waitingApps_Value": "Spark runs without a standalone cluster",
    "metrics_master_workers_Value": "Spark runs without a standalone cluster",
    "metrics_worker_coresFree_Value": "Spark runs without a standalone cluster",
    "metrics_worker_coresUsed_Value": "Spark runs without a standalone cluster",
    "kubelet_volume_stats_available_bytes": "there is no Kubernetes",
    "kubelet_volume_stats_capacity_bytes": "there is no Kubernetes",
    "kube_pod_container_status_restarts_total": "there is no Kubernetes",
    "kube_job_status_failed": "there is no Kubernetes",
}
"""Metrics that nothing exports in this test, and why."""

MAYBE_THERE = {"ALERTS": "an alert fires after minutes, and the missing jobs' are the only ones here"}
"""Metrics that may or may not be there, and why."""

NO_ANSWER = {
    "logsluice:http_errors:ratio5m": "recorded only where it is above zero, after five minutes' rate",
    "logsluice:dead_letters:ratio5m": "recorded only where it is above zero, after five minutes' rate",
}
"""Recorded metrics that may stay empty, and why."""


@dataclass
class Prometheus:
    """Prometheus' API."""

    client: httpx.Client

    def fetch(self, path: str, **parameters: str) -> Any:
        """The data of an answer; fails with Prometheus' own words where it refuses."""
        answer = self.client.get(f"/api/v1/{path}", params=parameters)
        body = answer.json()
        assert body["status"] == "success", f"{parameters}: {body.get('error')}"
        return body["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        data = self.fetch("query", query=expression)
        assert data["resultType"] == "vector", expression
        return list(data["result"])

    def numbers(self, expression: str) -> list[float]:
        """The values of an instant query that are numbers: a rate of nothing by nothing is none."""
        return [value for series in self.query(expression) if math.isfinite(value := float(series["value"][1]))]


@pytest.fixture
def observed(
    observed_settings: Settings, jmx_port: int, elasticsearch_client: Elasticsearch, runner: Runner, tmp_path: Path
) -> Iterator[tuple[Prometheus, list[Job]]]:
    """A Prometheus with all targets up, and what it reads."""
    for tool, package in (("prometheus", "prometheus"), (EXPORTER, EXPORTER)):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not on PATH (Debian's package {package})")
    metrics = observed_settings.metrics
    pipeline = Pipeline(observed_settings, elasticsearch_client, runner)
    exporter, spark_ui, web = free_port(), free_port(), free_port()
    # Before there are index templates: it waits, and counts that it does.
    jobs = [pipeline.index_job()]
    wait_for_output(jobs[0], "waiting for elasticsearch")
    pipeline.set_up()
    targets: list[tuple[str, int, str]] = [
        ("producer", metrics.producer, "/metrics"),
        ("app-service", metrics.app_service, "/metrics"),
        ("index-job", metrics.index, "/metrics"),
        ("regex-job", metrics.regex, "/metrics"),
        ("kafka", jmx_port, "/metrics"),
        ("elasticsearch-exporter", exporter, "/metrics"),
        ("spark", spark_ui, "/metrics/prometheus/"),
        ("spark-executors", spark_ui, "/metrics/executors/prometheus/"),
    ]
    jobs += [
        runner.job("producer_job", "--rate", "20", "--error-rate", "0.2", "--seed", "1"),
        runner.job("metrics_job"),
        runner.start(
            EXPORTER,
            f"--es.uri={observed_settings.elasticsearch.hosts}",
            "--es.all",
            "--es.timeout=15s",
            f"--web.listen-address=127.0.0.1:{exporter}",
        ),
        _spark_submit(runner, spark_ui, tmp_path),
    ]
    pipeline.send([b"", b'{"message": "not UTF-8: \xff"}', b"level=error msg=x"] * 5)
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(yaml.safe_dump(_configuration(targets)))
    jobs.append(
        runner.start(
            "prometheus",
            f"--config.file={configuration}",
            f"--storage.tsdb.path={tmp_path / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{web}",
        )
    )
    client = httpx.Client(base_url=f"http://127.0.0.1:{web}", timeout=60)
    prometheus = Prometheus(client)

    def all_answered() -> bool:
        for job in jobs:
            if job.process.poll() is not None:
                pytest.fail(job.output[-3_000:])
        try:
            up = {series["metric"]["job"] for series in prometheus.query("max_over_time(up[10m]) == 1")}
        except httpx.HTTPError:
            return False
        errors = {target["scrapePool"]: target["lastError"] for target in prometheus.fetch("targets")["activeTargets"]}
        assert up == {name for name, _, _ in targets}, errors
        return True

    eventually(all_answered, seconds=3 * SECONDS, every=1)
    with closing(client):
        yield prometheus, jobs
    assert [job.output[-3_000:] for job in jobs if job.process.poll() is not None] == []


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_expression_runs_and_has_data_where_data_must_be(observed: tuple[Prometheus, list[Job]]) -> None:
    prometheus, _ = observed
    expressions = everything()
    assert len(expressions) > 100
    missing = NOTHING_THERE.keys() - {selector.metric for entry in expressions for selector in entry.selectors}
    assert not missing, f"nobody asks for {missing}"
    # A rule on what is absent asks for what need not be there.
    present = [entry.filled() for entry in expressions if not entry.expression.startswith("absent(")]
    chosen = sorted({selector for expression in present for selector in selectors(expression)})
    assert [one.metric for one in chosen if one.metric in NOTHING_THERE and prometheus.query(one.metric)] == []
    with_data = [entry for entry in expressions if _must_have_data(entry)]

    def lacking() -> list[str]:
        there = [one for one in chosen if one.metric not in NOTHING_THERE | MAYBE_THERE | NO_ANSWER]
        lack = [f"no series {one}" for one in there if not prometheus.query(str(one))]
        lack += [f"{one} without {missing}" for one in there if (missing := _missing_labels(prometheus, one.metric))]
        lack += [f"{entry.where}: no data" for entry in with_data if not prometheus.numbers(entry.filled())]
        return lack + [entry.where for entry in with_data if not _is_shown(prometheus, entry)]

    def nothing_lacks() -> bool:
        assert lacking() == []
        return True

    eventually(nothing_lacks, seconds=2 * SECONDS, every=2)
    for entry in expressions:
        prometheus.query(entry.filled())

    rules = [rule for group in prometheus.fetch("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {
        entry.name for entry in expressions if entry.kind in ("record", "alert") and _is_in_compose(entry)
    }
    eventually(lambda: _evaluated(prometheus))
    waiting = {series["metric"]["alertname"] for series in prometheus.query("ALERTS")}
    assert waiting >= {"WindowsJobMissing", "AlertsJobMissing"}
    assert not waiting & {"AppServiceMissing", "RegexJobMissing", "KafkaNoController", "ElasticsearchRed"}
    # Two consumers cannot read the five empty events.
    eventually(lambda: prometheus.numbers("sum(logsluice_dead_letters_total)") == [10], seconds=SECONDS)


def _must_have_data(entry: Expression) -> bool:
    names = {selector.metric for selector in entry.selectors}
    return entry.kind != "alert" and not names & (NOTHING_THERE | MAYBE_THERE).keys() and entry.name not in NO_ANSWER


def _missing_labels(prometheus: Prometheus, metric: str) -> frozenset[str]:
    return exported()[metric] - {name for series in prometheus.query(metric) for name in series["metric"]}


def _is_shown(prometheus: Prometheus, entry: Expression) -> bool:
    """Whether a variable has values to choose, a recorded metric a value, and a line the labels in its name."""
    if entry.kind == "variable":
        return bool(prometheus.fetch(f"label/{entry.label}/values", **{"match[]": entry.filled()}))
    if entry.kind == "record":
        return bool(prometheus.numbers(entry.name))
    series = prometheus.query(entry.filled())
    return all(any(one["metric"].get(label) for one in series) for label in re.findall(r"{{(\w+)}}", entry.legend))


def _is_in_compose(entry: Expression) -> bool:
    return entry.where.split(".")[0] in {path.stem for path in RULES.glob("*.yml")} and entry.where.count(".yaml") == 1


def _evaluated(prometheus: Prometheus) -> bool:
    rules = [rule for group in prometheus.fetch("rules")["groups"] for rule in group["rules"]]
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule.get("lastError")] == []
    return all(rule["health"] == "ok" for rule in rules)


def _configuration(targets: list[tuple[str, int, str]]) -> dict[str, Any]:
    """As config/dev/prometheus.yml has it, with other addresses and more haste."""
    return {
        "global": {"scrape_interval": f"{INTERVAL_SECONDS}s", "evaluation_interval": f"{INTERVAL_SECONDS}s"},
        "rule_files": [str(RULES / "*.yml")],
        "scrape_configs": [
            {
                "job_name": name,
                "honor_labels": True,
                "metrics_path": path,
                "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"environment": "dev"}}],
            }
            for name, port, path in targets
        ],
    }


def _spark_submit(runner: Runner, ui_port: int, event_logs: Path) -> Job:
    """The regex job as containers start it: by spark-submit, with the properties of the image."""
    options = {
        "spark.eventLog.dir": event_logs.as_uri(),
        "spark.driver.memory": "640m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "true",
        "spark.ui.port": str(ui_port),
    }
    return runner.start(
        Path(sys.executable).with_name("spark-submit"),
        "--master=local[2]",
        f"--properties-file={ROOT / 'spark' / 'config' / 'spark-defaults.conf'}",
        f"--jars={','.join(map(str, jar_paths('spark-kafka')))}",
        *(f"--conf={key}={value}" for key, value in options.items()),
        ROOT / "jobs" / "regex_job.py",
        env={"PYSPARK_PYTHON": sys.executable, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
