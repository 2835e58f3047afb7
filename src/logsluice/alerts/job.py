"""The alerts job: loads new windows every so many seconds, evaluates the rules, and notifies the outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Final, TypeVar

import structlog
from elastic_transport import TlsError
from elasticsearch import ApiError, Elasticsearch

from logsluice.alerts.conditions import Snapshot
from logsluice.alerts.evaluator import Evaluator
from logsluice.alerts.outputs.index import AlertIndexWriter
from logsluice.alerts.outputs.kafka import KafkaOutput
from logsluice.alerts.outputs.lines import ConsoleOutput, FileOutput
from logsluice.alerts.outputs.notification_worker import NotificationWorker, Output
from logsluice.alerts.outputs.webhook import WebhookOutput
from logsluice.alerts.queries import read_alerts
from logsluice.alerts.rules import Rule, load_rules
from logsluice.alerts.snapshot_loader import SnapshotLoader
from logsluice.alerts.store import AlertStore
from logsluice.alerts.windows import WINDOW_SECONDS, Watermark
from logsluice.elasticsearch.client import connect, refusal, retry_request, wait_for_templates, wait_until_up
from logsluice.errors import LogsluiceError
from logsluice.runtime.retry import StoppedError
from logsluice.settings import Settings

JOB: Final = "alerts"
_SETTLE_SECONDS: Final = 2.0
"""Within this time after the first window of a minute can be found, all of its batch can be."""
_RESOLVED_MINUTES: Final = 180
"""Alerts that resolved so long before the first minute that is evaluated are of no more use."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


def run_alerts_job(settings: Settings, directory: Path, stop: Event) -> None:
    """Evaluate until ``stop`` is set; Elasticsearch and its templates are waited for.

    Args:
        directory: Its folder, with ``alerts.yaml``.

    Raises:
        LogsluiceError: A rule, the webhook's URL or its secret is wrong, windows have another length than rules are
            for, or a server refuses the credentials.
    """
    if settings.windows.window_seconds != WINDOW_SECONDS:
        raise LogsluiceError(
            f"rules judge windows of {WINDOW_SECONDS} seconds alone",
            where="windows.window_seconds",
            why=f"it says {settings.windows.window_seconds}",
            hint=f"set it to {WINDOW_SECONDS}, or do without this job",
        )
    rules = load_rules(directory)
    kafka = KafkaOutput(settings, job=JOB, stop=stop)
    outputs: list[Output] = [ConsoleOutput(), FileOutput(settings.alerts.log), kafka]
    if settings.alerts.webhook_url is not None:
        outputs.append(WebhookOutput(settings.alerts))
    server = settings.elasticsearch
    client = connect(server)
    try:
        wait_until_up(client, server, job=JOB, stop=stop)
        wait_for_templates(client, server, [settings.windows_index, settings.alerts_index], job=JOB, stop=stop)
        _AlertsLoop(settings, rules, client, outputs, stop).run()
    except StoppedError:
        log.info("stopped while waiting")
    except (ApiError, TlsError) as error:
        raise refusal(error, server.hosts) from None
    finally:
        client.close()


class _AlertsLoop:
    """The evaluation loop of a job that runs, with its threads."""

    def __init__(
        self, settings: Settings, rules: Sequence[Rule], client: Elasticsearch, outputs: Sequence[Output], stop: Event
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._watermark = Watermark(settings.alerts)
        self._newest: int | None = None
        after = self._watermark.closed(time.time()) - settings.alerts.catch_up_minutes
        resolved_since = datetime.fromtimestamp((after - _RESOLVED_MINUTES) * WINDOW_SECONDS, UTC)
        alerts = self._retry_request(lambda: read_alerts(client, settings.alerts_index, resolved_since))
        self._evaluator = Evaluator(rules, [(alert.key, alert.episode) for alert in alerts], after)
        self._snapshot_loader = SnapshotLoader(client, settings, rules)
        self._store = AlertStore([output.name for output in outputs], settings.alerts.link, alerts)
        self._index_writer = AlertIndexWriter(settings, self._store, job=JOB, stop=stop)
        self._workers = {output.name: NotificationWorker(output, self._store, stop) for output in outputs}
        self._store.retire(rule.name for rule in rules)
        log.info("watching", rules=len(rules), open_alerts=sum(alert.status == "open" for alert in alerts))

    def run(self) -> None:
        for output, notification in self._store.pending():
            self._workers[output].enqueue(notification)
        threads = [self._index_writer, *self._workers.values()]
        for thread in threads:
            thread.start()
        try:
            while not self._stop.is_set():
                started_at = time.monotonic()
                self._tick()
                self._stop.wait(max(0.0, self._settings.alerts.interval_seconds - (time.monotonic() - started_at)))
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            self._index_writer.finish()
        if self._index_writer.failure:
            raise self._index_writer.failure

    def _tick(self) -> None:
        now = time.time()
        snapshot = self._load_snapshot(now)
        if snapshot.windows.newest != self._newest:
            # Windows of the other services may be on their way, a moment behind the first.
            self._stop.wait(_SETTLE_SECONDS)
            snapshot = self._load_snapshot(now)
            self._newest = snapshot.windows.newest
        evaluations = self._evaluator.evaluate(
            snapshot, self._watermark.complete(snapshot.windows, now), self._watermark.closed(now)
        )
        for notification in self._store.apply(evaluations):
            for worker in self._workers.values():
                worker.enqueue(notification)

    def _load_snapshot(self, now: float) -> Snapshot:
        return self._retry_request(
            lambda: self._snapshot_loader.load(int(now // WINDOW_SECONDS), self._evaluator.evaluated_until)
        )

    def _retry_request(self, request: Callable[[], T]) -> T:
        return retry_request(request, self._settings.elasticsearch, job=JOB, stop=self._stop)
