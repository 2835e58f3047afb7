"""Draws the page: the filters, and below them a fragment that redraws by itself, which never touches the filters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import polars as pl
import streamlit as st

from logsluice.dashboard import markup
from logsluice.dashboard.consumer_lag import Lag, LagMonitor
from logsluice.dashboard.filter_bar import draw_filters
from logsluice.dashboard.filters import Filters, from_url
from logsluice.dashboard.loader import DataLoader, ServerUnavailableError
from logsluice.dashboard.panels import (
    draw_alerts,
    draw_errors_over_time,
    draw_figures,
    draw_lines,
    draw_ranking,
    draw_tables,
    draw_windows,
)
from logsluice.dashboard.placeholders import draw_empty, draw_no_index, draw_unavailable, escape_markdown
from logsluice.dashboard.queries import Selection, SelectionKind
from logsluice.dashboard.report_page import draw_report
from logsluice.dashboard.selection import current_selection
from logsluice.dashboard.server import local_url
from logsluice.dashboard.tables import View, csv
from logsluice.errors import LogsluiceError
from logsluice.settings import Settings, load_settings

_RETRY_SECONDS: Final = 5


@dataclass
class _Snapshot:
    """What was loaded last, in one session: stays on the page while the server is away."""

    filters: Filters
    selection: Selection | None
    view: View
    at: datetime


def draw() -> None:
    """Draw the page for one session."""
    settings = _settings()
    st.set_page_config(page_title=f"logsluice {settings.env}", page_icon="🌊", layout="wide")
    st.html(markup.STYLE)
    if settings.dashboard.reports:
        st.html(markup.title(settings.env))
        draw_report(settings.dashboard.reports)
        return
    parsed = from_url({name: st.query_params[name] for name in st.query_params})
    filters = parsed.filters
    with st.spinner("Asking Elasticsearch…"):
        first: list[_Snapshot | Exception] = [_load_snapshot(filters)]
    services = first[0].view.services if isinstance(first[0], _Snapshot) else ()
    draw_filters(settings.env, parsed, services)
    is_away = isinstance(first[0], Exception)
    seconds = _RETRY_SECONDS if is_away else filters.refresh

    def body() -> None:
        loaded = first.pop() if first else _load_snapshot(filters)
        if not isinstance(loaded, Exception) and is_away:
            # Everything is there again: the filters too.
            st.rerun()
        _draw_body(settings, filters, loaded)

    st.fragment(body, run_every=seconds or None)()


@st.cache_resource(show_spinner=False)
def _settings() -> Settings:
    return load_settings()


@st.cache_resource(show_spinner=False)
def _lag_monitor(url: str) -> LagMonitor:
    return LagMonitor(url)


@st.cache_resource(show_spinner=False, scope="session", on_release=DataLoader.close)
def _loader() -> DataLoader:
    return DataLoader(_settings())


def _load_snapshot(filters: Filters) -> _Snapshot | Exception:
    """What is to be shown now; while the server is away, what was loaded last with the same filters."""
    selection = current_selection()
    now = datetime.now(UTC)
    try:
        snapshot = _Snapshot(filters, selection, _loader().load(filters, now, selection), now)
    except (ServerUnavailableError, LogsluiceError) as error:
        st.session_state["away"] = str(error)
        last: _Snapshot | None = st.session_state.get("snapshot")
        if isinstance(error, ServerUnavailableError) and last and last.filters == filters:
            return last
        return error
    st.session_state["away"] = None
    st.session_state["snapshot"] = snapshot
    return snapshot


def _draw_body(settings: Settings, filters: Filters, loaded: _Snapshot | Exception) -> None:
    away = st.session_state.get("away")
    if isinstance(loaded, Exception):
        draw_unavailable(settings.elasticsearch.hosts, loaded)
        return
    if away:
        st.error(
            escape_markdown(f"Elasticsearch does not answer. This is what it held at {loaded.at:%H:%M:%S} UTC. {away}"),
            icon=":material/cloud_off:",
        )
    for problem in loaded.view.problems:
        st.error(escape_markdown(problem), icon=":material/error:")
    if not loaded.view.ready:
        draw_no_index()
        return
    view = loaded.view
    draw_figures(view, _lag(settings), filters)
    if view.total == 0:
        draw_empty(view, filters)
    left, right = st.columns([2, 1], gap="small")
    with left, st.container(border=True, height="stretch"):
        draw_errors_over_time(view)
    with right, st.container(border=True, height="stretch"):
        draw_alerts(view)
    rankings: tuple[tuple[SelectionKind, str, pl.DataFrame], ...] = (
        ("type", "Error types", view.by_type),
        ("ip", "Errors per IP address", view.by_ip),
        ("service", "Errors per service", view.by_service),
    )
    for column, ranking in zip(st.columns(3, gap="small"), rankings, strict=True):
        with column, st.container(border=True, height="stretch"):
            draw_ranking(*ranking, view.errors)
    with st.container(border=True):
        draw_windows(view)
    with st.container(border=True):
        draw_lines(view, filters, loaded.selection, partial(_lines_csv, filters, loaded.selection))
    with st.container(border=True):
        draw_tables(view)


def _lag(settings: Settings) -> Lag:
    url = settings.dashboard.metrics_url
    if not url:
        url = f"{local_url(settings.metrics.host, settings.metrics.app_service)}/metrics"
    return _lag_monitor(url).latest()


def _lines_csv(filters: Filters, selection: Selection | None) -> bytes:
    try:
        return csv(_loader().load_lines(filters, datetime.now(UTC), selection))
    except (ServerUnavailableError, LogsluiceError) as error:
        return f"Elasticsearch does not answer: {error}\n".encode()
