"""Draws the panels of the page, from a view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import polars as pl
import streamlit as st

from logsluice.dashboard import charts, markup
from logsluice.dashboard.consumer_lag import Lag
from logsluice.dashboard.filter_bar import apply_filters
from logsluice.dashboard.filters import Filters, Span
from logsluice.dashboard.placeholders import escape_markdown
from logsluice.dashboard.queries import (
    LINES_DOWNLOADED,
    LIVE_MINUTES,
    Selection,
    SelectionKind,
    bar_span,
    lucene,
)
from logsluice.dashboard.report_page import draw_download
from logsluice.dashboard.selection import FIELDS, clear_selection, draw_clickable
from logsluice.dashboard.tables import View, csv
from logsluice.elasticsearch.queries import NO_TYPE
from logsluice.event.ecs import LEVELS
from logsluice.runtime.time_expressions import iso_seconds

_KINDS: Final = {"type": "type", "ip": "IP address", "service": "service"}
_FEW_ROWS: Final = 10
_TABLE_HEIGHT: Final = 388


class _Prepared(NamedTuple):
    """Log lines that were fetched to be saved."""

    filters: Filters
    selection: Selection | None
    content: bytes
    at: datetime


def draw_figures(view: View, lag: Lag, filters: Filters) -> None:
    """The key figures."""
    before = "than before" if filters.until != "now" else f"than the {filters.since.removeprefix('now-')} before"
    with st.container(key="figures"):
        events, errors, rate, alerts, behind = st.columns(5, gap="small")
    events.metric(
        "Events",
        _number(view.total),
        more := _change(view.total, view.total_before),
        delta_color="off",
        delta_description=before if more else None,
        border=True,
        chart_data=view.over_time["events"].to_list() or None,
        chart_type="area",
    )
    series = view.over_time.select(pl.col("error") + pl.col("critical")).to_series().to_list()
    errors.metric(
        "Errors",
        _number(view.errors),
        worse := _change(view.errors, view.errors_before),
        delta_color="inverse",
        delta_description=before if worse else None,
        border=True,
        chart_data=series or None,
        chart_type="bar",
        help="Events of level error and critical, and answers of 500 and more.",
    )
    now, then = _rate(view.errors, view.total), _rate(view.errors_before, view.total_before)
    rate.metric(
        "Error rate",
        "–" if now is None else f"{now:.2%}",
        None if now is None or then is None else f"{(now - then) * 100:+.2f} points",
        delta_color="inverse",
        delta_description=None if now is None or then is None else before,
        border=True,
        chart_data=[_rate(bad, all_) or 0 for bad, all_ in zip(series, view.over_time["events"], strict=True)] or None,
        chart_type="line",
    )
    steady: dict[str, Any] = {"delta_arrow": "off", "border": True, "height": "stretch"}
    is_open = view.alerts.filter(pl.col("status") == "open")
    critical = len(is_open.filter(pl.col("severity") == "critical"))
    alerts.metric(
        "Open alerts",
        _number(view.open_alerts),
        f"{critical} critical" if critical else ("none critical" if view.open_alerts is not None else None),
        delta_color="red" if critical else "off",
        help="Of all times; of the service where one is chosen.",
        **steady,
    )
    groups = ", ".join(f"{group.removeprefix('logsluice-')} {count:,}" for group, count in sorted(lag.groups.items()))
    behind.metric(
        "Lag",
        "unknown" if lag.events is None else f"{lag.events:,}",
        f"newest event {markup.age_text(view.newest, datetime.now(UTC))}" if view.newest else None,
        delta_color="off",
        help=escape_markdown(
            f"Events that the consumer group furthest behind has not read yet. {groups or lag.reason}. "
            "Below it, when the newest event happened."
        ),
        **steady,
    )


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _rate(errors: int | None, total: int | None) -> float | None:
    return errors / total if total and errors is not None else None


def _change(now: int | None, before: int | None) -> str | None:
    if now is None or not before:
        return None
    change = (now - before) / before
    return f"{change:+.0%}" if abs(change) < 10 else f"{'+' if change > 0 else '-'}{now / before:,.0f}x"


def _draw_chart(kind: SelectionKind, chart: Any, rows: int | None) -> None:
    if not rows:
        words = "Not known, see above." if rows is None else "No errors here."
        with st.container(height=charts.HEIGHT + 16, border=False, vertical_alignment="center"):
            st.caption(words, text_alignment="center")
        return
    draw_clickable(kind, chart)


def draw_errors_over_time(view: View) -> None:
    """Errors over time by level."""
    st.html(markup.head("Errors over time", f"a bar is {markup.duration_text(view.span.bar_seconds)}", charts.COLORS))
    _draw_chart("time", charts.errors_over_time(view.over_time, view.span), view.errors)


def draw_ranking(kind: SelectionKind, heading: str, table: pl.DataFrame, errors: int | None) -> None:
    """Errors by type, address or service."""
    note = f"{charts.TOP} of {len(table)}" if len(table) > charts.TOP else ""
    st.html(markup.head(heading, note))
    _draw_chart(kind, charts.ranking(table, FIELDS[kind]), None if errors is None else len(table))


def draw_alerts(view: View) -> None:
    """Open alerts, then those that ended."""
    st.html(markup.head("Alerts", f"{_number(view.open_alerts)} open, then those that ended in this time"))
    with st.container(height=charts.HEIGHT + 16, border=False):
        if len(view.alerts):
            st.html(markup.alerts(view.alerts, datetime.now(UTC)))
        else:
            st.caption("No alert is open, and none ended in this time. The alerts job writes them.")


def draw_windows(view: View) -> None:
    """The newest window of each service."""
    st.html(
        markup.head(
            "Windows, live", f"the newest minute of each service, and its error rate over {LIVE_MINUTES} minutes"
        )
    )
    if not len(view.windows):
        st.caption("No windows in this time. The windows job writes one a minute and service.")
        return
    highest = max(view.windows["error_rate"].drop_nulls().to_list(), default=0.0)
    st.dataframe(
        view.windows,
        hide_index=True,
        height=_height(view.windows),
        key="windows",
        column_config={
            "window": st.column_config.DatetimeColumn("window (UTC)", format="HH:mm", timezone="UTC", width="small"),
            "error_rate": st.column_config.ProgressColumn(
                "error rate", format="percent", min_value=0, max_value=max(0.1, highest)
            ),
            "trend": st.column_config.AreaChartColumn("error rate, 30 min", y_min=0),
            **{
                f"{name}_ms": st.column_config.NumberColumn(f"{name}, ms", format="localized", width="small")
                for name in ("p50", "p95", "p99")
            },
            **{
                name: st.column_config.NumberColumn(name, format="localized", width="small")
                for name in ("events", "errors", "critical", "users", "payments", "refunds", "late")
            },
        },
    )


def draw_lines(view: View, filters: Filters, selection: Selection | None, read_csv: Callable[[], bytes]) -> None:
    """The log lines, or those behind a bar."""
    total = view.lines_total or 0
    shown = f"{total:,}" if total <= len(view.lines) else f"the newest {len(view.lines)} of {total:,}"
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="stretch"):
            st.html(
                markup.head(
                    f"Log lines: {_describe_selection(selection, view.span)}" if selection else "Log lines", shown
                )
            )
        _draw_lines_download(filters, selection, read_csv)
        if selection and st.button("Filter by this", icon=":material/filter_alt:", type="tertiary", key="narrow"):
            apply_filters(narrow_filters(filters, selection, view.span))
            st.rerun()
        if selection and st.button("All lines", icon=":material/close:", type="tertiary", key="all-lines"):
            clear_selection()
            st.rerun()
    if not len(view.lines):
        st.caption("No log lines.")
        return
    event = st.dataframe(
        view.lines.drop("id"),
        hide_index=True,
        height=_height(view.lines),
        # New lines are a new table: a row that was chosen is not another line by then.
        key=f"lines-{hash(tuple(view.lines['id']))}",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "time": st.column_config.DatetimeColumn("time (UTC)", format="YYYY-MM-DD HH:mm:ss.SSS", timezone="UTC"),
            "level": st.column_config.TextColumn(width="small"),
            "service": st.column_config.TextColumn(width="small"),
            "message": st.column_config.TextColumn(width="large"),
            "error_type": st.column_config.TextColumn("error type"),
            "ip": st.column_config.TextColumn("IP address", width="small"),
        },
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(view.documents):
        st.json(dict(view.documents[rows[0]]), expanded=3)
    else:
        st.caption("Choose a line, at its left edge, to see all that was found in it.")


def _draw_lines_download(filters: Filters, selection: Selection | None, read_csv: Callable[[], bytes]) -> None:
    """Two clicks: what the first one fetched stays as it is while the page redraws, so the second one finds it."""
    prepared: _Prepared | None = st.session_state.get("prepared")
    if prepared and (prepared.filters, prepared.selection) == (filters, selection):
        draw_download(f"Save CSV of {prepared.at:%H:%M:%S}", prepared.content, "logsluice-lines.csv", "lines-csv")
        return
    st.button(
        "CSV",
        icon=":material/download:",
        type="tertiary",
        key="lines-fetch",
        on_click=partial(_prepare, filters, selection, read_csv),
        help=f"Fetches the newest {LINES_DOWNLOADED:,} of them at most.",
    )


def _prepare(filters: Filters, selection: Selection | None, read_csv: Callable[[], bytes]) -> None:
    st.session_state["prepared"] = _Prepared(filters, selection, read_csv(), datetime.now(UTC))


def _describe_selection(selection: Selection, span: Span) -> str:
    if selection.kind == "time":
        part = bar_span(int(selection.value), span)
        return f"{selection.level or 'error'} from {part.start:%Y-%m-%d %H:%M:%S} to {part.end:%H:%M:%S} UTC"
    return f"errors, {_KINDS[selection.kind]} {selection.value}"


def narrow_filters(filters: Filters, selection: Selection, span: Span) -> Filters:
    """The filters that show the whole page for the errors behind a bar."""
    level = selection.level or "error"
    if filters.level and LEVELS.index(filters.level) > LEVELS.index(level):
        level = filters.level
    filters = replace(filters, level=level)
    if selection.kind == "time":
        part = bar_span(int(selection.value), span)
        return replace(filters, since=iso_seconds(part.start), until=iso_seconds(part.end))
    if selection.kind == "service":
        return replace(filters, service=selection.value)
    name = {"type": "error.type", "ip": "source.ip"}[selection.kind]
    is_none = (selection.kind, selection.value) == ("type", NO_TYPE)
    condition = f"NOT _exists_:{name}" if is_none else lucene(name, selection.value)
    return replace(filters, query=f"({filters.query}) AND {condition}" if filters.query else condition)


def draw_tables(view: View) -> None:
    """Each table, to be read and taken along."""
    tables = {
        "error types": view.by_type,
        "IP addresses": view.by_ip,
        "services": view.by_service,
        "over time": view.over_time,
        "windows": view.windows,
        "alerts": view.alerts,
    }
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="stretch"):
            st.html(markup.head("Tables"))
        names = list(tables)
        chosen = (
            st.segmented_control(
                "Table", names, default=names[0], required=True, key="table", label_visibility="collapsed"
            )
            or names[0]
        )
        table = tables[chosen]
        draw_download("CSV", csv(table), f"logsluice-{chosen.lower().replace(' ', '-')}.csv", "table-csv")
    st.dataframe(
        table,
        hide_index=True,
        height=_height(table),
        column_config={
            "error_type": "error type",
            "ip": "IP address",
            "error_rate": st.column_config.NumberColumn("error rate", format="percent"),
            "trend": None,
            **{
                name: st.column_config.DatetimeColumn(f"{name} (UTC)", format="YYYY-MM-DD HH:mm:ss", timezone="UTC")
                for name in ("time", "window", "opened", "resolved")
            },
            "url": st.column_config.LinkColumn(display_text="log lines"),
        },
    )


def _height(table: pl.DataFrame) -> int | Literal["content"]:
    return "content" if len(table) <= _FEW_ROWS else _TABLE_HEIGHT
