"""Writes the alert store to the alerts index, with what other outputs are still to be notified of."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event, Thread
from typing import Final

import orjson
import structlog

from logsluice.alerts.documents import Alert, document_of
from logsluice.alerts.store import AlertStore
from logsluice.alerts.windows import moment_of
from logsluice.elasticsearch.bulk import BulkWriter, IndexAction
from logsluice.event.moments import to_millis
from logsluice.event.records import index_name
from logsluice.runtime import metrics
from logsluice.runtime.retry import StoppedError
from logsluice.settings import Settings

NAME: Final = "index"
_POLL_SECONDS: Final = 0.2

log = structlog.get_logger(__name__)


class AlertIndexWriter(Thread):
    """Stores alerts as they change; while Elasticsearch takes no writes it waits, and nothing else does.

    ``stop`` ends it, after what changed is stored, unless Elasticsearch is away.
    """

    def __init__(self, settings: Settings, store: AlertStore, *, job: str, stop: Event) -> None:
        super().__init__(name="alerts-index")
        self._writer = BulkWriter(settings.elasticsearch, job=job, stop=stop)
        self._alias = settings.alerts_index
        self._store = store
        self._stopping = stop
        self.failure: BaseException | None = None
        """Why it ended, where ``stop`` was not set."""

    def run(self) -> None:
        """Work until ``stop`` is set."""
        try:
            while not self._stopping.is_set():
                self.write(self._store.changed(_POLL_SECONDS))
        except StoppedError:
            pass
        except BaseException as error:
            self.failure = error
            self._stopping.set()

    def finish(self) -> None:
        """Store what changed since; for when every other thread has ended."""
        try:
            if self.failure is None:
                self.write(self._store.changed(0))
        except StoppedError:
            log.info("stopped while Elasticsearch is away; what is not stored is judged again at the next start")
        finally:
            self._writer.close()

    def write(self, alerts: Sequence[Alert]) -> None:
        """Write alerts as they are.

        Raises:
            LogsluiceError: The server refuses the credentials.
            StoppedError: ``stop`` was set while it is away.
        """
        if not alerts:
            return
        actions = []
        for alert in alerts:
            opened = to_millis(moment_of(alert.episode.opened))
            document = orjson.dumps(document_of(alert))
            actions.append(IndexAction(index_name(self._alias, opened), alert.id, "index", None, document))
        try:
            outcome = self._writer.write(actions)
        except BaseException:
            self._store.not_stored(alerts)
            raise
        metrics.ALERT_DELIVERIES.labels(NAME, "delivered").inc(outcome.written)
        metrics.ALERT_DELIVERIES.labels(NAME, "failed").inc(len(outcome.rejected))
        for refusal in outcome.rejected:
            log.error("an alert is not taken", output=NAME, alert=refusal.action.id, reason=refusal.reason)
        self._store.stored(alerts)
