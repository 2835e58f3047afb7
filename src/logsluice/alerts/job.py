"""The alerts job: looks at the windows every so many seconds of the wall clock, judges, and tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from threading import Event
from typing import Final, TypeVar

import structlog
from elastic_transport import TlsError
from elasticsearch import ApiError, Elasticsearch

from logsluice.alerts.conditions import Facts
from logsluice.alerts.documents import Notice, recorded
from logsluice.alerts.evaluator import Judge
from logsluice.alerts.horizon import Horizon
from logsluice.alerts.outputs.console import ConsoleOutput
from logsluice.alerts.outputs.file import FileOutput
from logsluice.alerts.outputs.index import Recorder
from logsluice.alerts.outputs.kafka import KafkaOutput
from logsluice.alerts.outputs.notification_worker import Courier, Output
from logsluice.alerts.outputs.webhook import WebhookOutput
from logsluice.alerts.queries import read_alerts
from logsluice.alerts.rules import Rule, load_rules
from logsluice.alerts.snapshot_loader import Lookout
from logsluice.alerts.store import Book
from logsluice.alerts.windows import WINDOW_SECONDS
from logsluice.elasticsearch.bulk import connect, explain, is_away, refusal, wait_for_templates, wait_until_up
from logsluice.errors import LogsluiceError
from logsluice.runtime.retry import RetryContext, Stopped, retry_on_unavailable
from logsluice.settings import Settings

JOB: Final = "alerts"
_SETTLE_SECONDS: Final = 2.0
"""Within this time after the first window of a minute can be found, all of its batch can be."""
_RESOLVED_MINUTES: Final = 180
"""Alerts that resolved so long before the first minute that is judged are of no more use."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


def outputs_of(settings: Settings, stop: Event) -> list[Output]:
    """Whom alerts are told, besides the alerts index.

    Raises:
        LogsluiceError: The webhook's URL or secret is not what it looks like.
    """
    outputs: list[Output] = [
        ConsoleOutput(),
        FileOutput(settings.alerts.log),
        KafkaOutput(settings, job=JOB, stop=stop),
    ]
    if settings.alerts.webhook_url is not None:
        outputs.append(WebhookOutput(settings.alerts))
    return outputs


def run_alerts_job(settings: Settings, directory: Path, stop: Event) -> None:
    """Judge until ``stop`` is set; Elasticsearch and its templates are waited for.

    Args:
        settings: Of the environment.
        directory: Its folder, with ``alerts.yaml``.
        stop: Ends it when set.

    Raises:
        LogsluiceError: A rule is wrong, windows have another length than rules are for, or a server refuses the
            credentials.
    """
    if settings.windows.window_seconds != WINDOW_SECONDS:
        raise LogsluiceError(
            f"rules judge windows of {WINDOW_SECONDS} seconds alone",
            where="windows.window_seconds",
            why=f"it says {settings.windows.window_seconds}",
            hint=f"set it to {WINDOW_SECONDS}, or do without this job",
        )
    rules = load_rules(directory)
    outputs = outputs_of(settings, stop)
    server = settings.elasticsearch
    client = connect(server)
    try:
        wait_until_up(client, server, job=JOB, stop=stop)
        wait_for_templates(client, server, [settings.windows_index, settings.alerts_index], job=JOB, stop=stop)
        _Watch(settings, rules, client, outputs, stop).run()
    except Stopped:
        log.info("stopped while waiting")
    except (ApiError, TlsError) as error:
        raise refusal(error, server.hosts) from None
    finally:
        client.close()


class _Watch:
    """The state of a job that runs."""

    def __init__(
        self, settings: Settings, rules: Sequence[Rule], client: Elasticsearch, outputs: Sequence[Output], stop: Event
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._horizon = Horizon(settings.alerts)
        self._newest: int | None = None
        after = self._horizon.closed(time.time()) - settings.alerts.catch_up_minutes
        resolved_since = datetime.fromtimestamp((after - _RESOLVED_MINUTES) * WINDOW_SECONDS, UTC)
        alerts = self._when_up(lambda: read_alerts(client, settings.alerts_index, resolved_since))
        self._judge = Judge(rules, map(recorded, alerts), after)
        self._lookout = Lookout(client, settings, rules)
        self._book = Book([output.name for output in outputs], settings.alerts.link, alerts)
        self._recorder = Recorder(settings, self._book, job=JOB, stop=stop)
        self._couriers = {output.name: Courier(output, self._book, stop) for output in outputs}
        self._book.retire(rule.name for rule in rules)
        log.info("watching", rules=len(rules), open_alerts=sum(alert.status == "open" for alert in alerts))

    def run(self) -> None:
        for output, notice in self._book.pending():
            self._couriers[output].send(notice)
        threads = [self._recorder, *self._couriers.values()]
        for thread in threads:
            thread.start()
        try:
            while not self._stop.is_set():
                began = time.monotonic()
                self._tick()
                self._stop.wait(max(0.0, self._settings.alerts.interval_seconds - (time.monotonic() - began)))
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            self._recorder.finish()
        if self._recorder.failure:
            raise self._recorder.failure

    def _tick(self) -> None:
        now = time.time()
        facts = self._look(now)
        if facts.board.newest != self._newest:
            # Windows of the other services may be on their way, a moment behind the first.
            self._stop.wait(_SETTLE_SECONDS)
            facts = self._look(now)
            self._newest = facts.board.newest
        verdicts = self._judge.judge(facts, self._horizon.complete(facts.board, now), self._horizon.closed(now))
        for notice in self._book.apply(verdicts):
            self._send(notice)

    def _look(self, now: float) -> Facts:
        return self._when_up(lambda: self._lookout.look(int(now // WINDOW_SECONDS), self._judge.judged))

    def _send(self, notice: Notice) -> None:
        for courier in self._couriers.values():
            courier.send(notice)

    def _when_up(self, ask: Callable[[], T]) -> T:
        return retry_on_unavailable(
            ask,
            _cannot_search_yet,
            RetryContext(
                "elasticsearch", self._settings.elasticsearch.hosts, JOB, stop=self._stop, describe_error=explain
            ),
        )


def _cannot_search_yet(error: BaseException) -> bool:
    """Shards that are just starting make a search fail on a server that is there."""
    return is_away(error) or (isinstance(error, ApiError) and error.meta.status >= HTTPStatus.INTERNAL_SERVER_ERROR)
