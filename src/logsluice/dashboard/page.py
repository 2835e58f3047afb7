"""Draws the page. The filters stand above a fragment that looks again by itself, so they are never touched by that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import polars as pl
import streamlit as st

from logsluice.dashboard import markup
from logsluice.dashboard.consumer_lag import Lag, LagWatch
from logsluice.dashboard.filter_bar import draw_filters
from logsluice.dashboard.filters import Filters, from_url
from logsluice.dashboard.loader import Reader, ServerAway
from logsluice.dashboard.panels import (
    draw_alerts,
    draw_errors_over_time,
    draw_figures,
    draw_lines,
    draw_ranking,
    draw_tables,
    draw_windows,
)
from logsluice.dashboard.placeholders import draw_away, draw_empty, draw_no_index, plain
from logsluice.dashboard.queries import Pick, PickKind
from logsluice.dashboard.report_page import draw_report
from logsluice.dashboard.selection import current_pick
from logsluice.dashboard.tables import View, csv
from logsluice.errors import LogsluiceError
from logsluice.settings import Settings, load_settings

_AWAY_REFRESH_SECONDS: Final = 5


@dataclass
class _Look:
    """What was seen last, in one session: stays on the page while the server is away."""

    filters: Filters
    pick: Pick | None
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
    read = from_url({name: st.query_params[name] for name in st.query_params})
    filters = read.filters
    with st.spinner("Asking Elasticsearch…"):
        first: list[_Look | Exception] = [_look(filters)]
    services = first[0].view.services if isinstance(first[0], _Look) else ()
    draw_filters(settings.env, read, services)
    is_away = isinstance(first[0], Exception)
    seconds = _AWAY_REFRESH_SECONDS if is_away else filters.refresh

    def body() -> None:
        seen = first.pop() if first else _look(filters)
        if not isinstance(seen, Exception) and is_away:
            # Everything is there again: the filters too.
            st.rerun()
        _draw_body(settings, filters, seen)

    st.fragment(body, run_every=seconds or None)()


@st.cache_resource(show_spinner=False)
def _settings() -> Settings:
    return load_settings()


@st.cache_resource(show_spinner=False)
def _lag_watch(url: str) -> LagWatch:
    return LagWatch(url)


@st.cache_resource(show_spinner=False, scope="session", on_release=Reader.close)
def _reader() -> Reader:
    return Reader(_settings())


def _look(filters: Filters) -> _Look | Exception:
    """What is to be seen now; while the server is away, what was seen last with the same filters."""
    pick = current_pick()
    now = datetime.now(UTC)
    try:
        look = _Look(filters, pick, _reader().read(filters, now, pick), now)
    except (ServerAway, LogsluiceError) as error:
        st.session_state["away"] = str(error)
        last: _Look | None = st.session_state.get("look")
        if isinstance(error, ServerAway) and last and last.filters == filters:
            return last
        return error
    st.session_state["away"] = None
    st.session_state["look"] = look
    return look


def _draw_body(settings: Settings, filters: Filters, seen: _Look | Exception) -> None:
    away = st.session_state.get("away")
    if isinstance(seen, Exception):
        draw_away(settings.elasticsearch.hosts, seen)
        return
    if away:
        st.error(
            plain(f"Elasticsearch does not answer. This is what it held at {seen.at:%H:%M:%S} UTC. {away}"),
            icon=":material/cloud_off:",
        )
    for problem in seen.view.problems:
        st.error(plain(problem), icon=":material/error:")
    if not seen.view.ready:
        draw_no_index()
        return
    view = seen.view
    draw_figures(view, _lag(settings), filters)
    if view.total == 0:
        draw_empty(view, filters)
    left, right = st.columns([2, 1], gap="small")
    with left, st.container(border=True, height="stretch"):
        draw_errors_over_time(view)
    with right, st.container(border=True, height="stretch"):
        draw_alerts(view)
    rankings: tuple[tuple[PickKind, str, pl.DataFrame], ...] = (
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
        draw_lines(view, filters, seen.pick, partial(_lines_csv, filters, seen.pick))
    with st.container(border=True):
        draw_tables(view)


def _lag(settings: Settings) -> Lag:
    url = settings.dashboard.metrics_url
    if not url:
        host = settings.metrics.host if settings.metrics.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
        url = f"http://{host}:{settings.metrics.app_service}/metrics"
    return _lag_watch(url).latest()


def _lines_csv(filters: Filters, pick: Pick | None) -> bytes:
    try:
        return csv(_reader().read_lines(filters, datetime.now(UTC), pick))
    except (ServerAway, LogsluiceError) as error:
        return f"Elasticsearch does not answer: {error}\n".encode()
