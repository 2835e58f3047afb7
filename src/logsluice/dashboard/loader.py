"""Loads what the page shows from Elasticsearch: one multi-search a redraw."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch

from logsluice.dashboard import queries
from logsluice.dashboard.filters import Filters
from logsluice.dashboard.queries import Selection
from logsluice.dashboard.tables import LINES, View, build_view, lines
from logsluice.elasticsearch.client import connect, describe_error, is_unavailable, server_error
from logsluice.elasticsearch.queries import IF_THERE
from logsluice.settings import Settings

_REQUEST_SECONDS: Final = 15


class ServerUnavailableError(Exception):
    """Elasticsearch does not answer; the text says why."""


class DataLoader:
    """Loads the data of one session; not for several threads at once.

    Raises:
        LogsluiceError: The settings cannot be right.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = connect(settings.elasticsearch)

    def load(self, filters: Filters, now: datetime, selection: Selection | None = None) -> View:
        """Everything that the page shows.

        Raises:
            ServerUnavailableError: It is down, starting or busy.
            LogsluiceError: It refuses, or its certificate is not trusted.
        """
        span = filters.span(now)
        searches = queries.requests(self._settings, filters, span, selection)
        return build_view(self._fetch(searches), filters, span)

    def load_lines(self, filters: Filters, now: datetime, selection: Selection | None = None) -> Any:
        """The newest log lines as a table, many more than the page shows.

        Raises:
            ServerUnavailableError: It is down, starting or busy.
            LogsluiceError: It refuses, or its certificate is not trusted.
        """
        body = queries.lines_body(filters, filters.span(now), selection, queries.LINES_DOWNLOADED)
        answer = self._fetch({"lines": (self._settings.results_index, body)})["lines"]
        return LINES.to_frame() if "error" in answer else lines(answer)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _fetch(self, searches: Mapping[str, tuple[str, dict[str, Any]]]) -> dict[str, Any]:
        pairs: list[Mapping[str, Any]] = []
        for alias, body in searches.values():
            pairs += [{"index": alias, **IF_THERE}, body]
        client: Elasticsearch = self._client.options(request_timeout=_REQUEST_SECONDS)
        try:
            answers = client.msearch(searches=pairs)["responses"]
        except (ApiError, TransportError) as error:
            if is_unavailable(error):
                raise ServerUnavailableError(describe_error(error)) from None
            raise server_error(error, self._settings.elasticsearch.hosts) from None
        return dict(zip(searches, answers, strict=True))
