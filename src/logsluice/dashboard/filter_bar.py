"""Draws the bar of filters. Their state is the URL: a change goes there, and all is drawn from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import streamlit as st

from logsluice.dashboard import markup
from logsluice.dashboard.filters import REFRESH_SECONDS, Filters, ParsedFilters
from logsluice.dashboard.placeholders import escape_markdown
from logsluice.dashboard.selection import clear_selection
from logsluice.event.ecs import LEVELS
from logsluice.runtime.time_expressions import iso_seconds

_RANGES: Final = {
    "now-5m": "last 5 min",
    "now-15m": "last 15 min",
    "now-1h": "last hour",
    "now-6h": "last 6 h",
    "now-24h": "last 24 h",
    "now-7d": "last 7 days",
}
_CUSTOM: Final = "custom"
_ANY: Final = ""


def draw_filters(env: str, parsed: ParsedFilters, services: Sequence[str]) -> None:
    """Draw the filters of the URL, and the services that there are to choose from."""
    filters = parsed.filters
    is_preset = filters.until == "now" and filters.since in _RANGES
    state = {
        "range": filters.since if is_preset else _CUSTOM,
        "level": filters.level or _ANY,
        "service": filters.service or _ANY,
        "query": filters.query,
        "refresh": filters.refresh,
    }
    span = filters.span(datetime.now(UTC))
    ends = {"start": span.start.replace(microsecond=0), "end": span.end.replace(microsecond=0)}
    if not is_preset:
        state |= {name: moment.replace(tzinfo=None) for name, moment in ends.items()}
    for key, value in state.items():
        # Setting a value that is there already would take away what is being typed.
        if st.session_state.get(key) != value:
            st.session_state[key] = value
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="filters"):
        with st.container(width=170):
            st.html(markup.title(env))
        changed = partial(_filters_changed, filters, is_preset, ends)
        st.selectbox(
            "Time (UTC)",
            [*_RANGES, _CUSTOM],
            format_func=lambda value: _RANGES.get(value, "from, to"),
            key="range",
            on_change=changed,
            width=150,
        )
        if not is_preset:
            for name, label in (("start", "From"), ("end", "To")):
                st.datetime_input(label, key=name, on_change=changed, step=60, format="YYYY-MM-DD", width=195)
        st.selectbox(
            "Level",
            [_ANY, *LEVELS[1:]],
            format_func=lambda value: f"{value} and worse" if value not in (_ANY, LEVELS[-1]) else value or "any level",
            key="level",
            on_change=changed,
            width=165,
        )
        st.selectbox(
            "Service",
            [_ANY, *sorted({*services, *([filters.service] if filters.service else [])})],
            format_func=lambda value: value or "all services",
            key="service",
            on_change=changed,
            width=180,
        )
        st.text_input(
            "Text",
            key="query",
            on_change=changed,
            placeholder='timeout AND user.id:48213, "payment failed", http.response.status_code:>=500',
            help="Lucene's syntax over all fields; several words are all to be found. Enter applies it.",
            width="stretch",
        )
        st.selectbox(
            "Refresh",
            REFRESH_SECONDS,
            format_func=lambda value: f"every {value} s" if value else "off",
            key="refresh",
            on_change=changed,
            width=125,
        )
    for problem in parsed.problems:
        st.warning(escape_markdown(f"In the URL: {problem}"), icon=":material/link_off:")


def _filters_changed(before: Filters, is_preset: bool, drawn: Mapping[str, datetime]) -> None:
    state = st.session_state
    since, until = before.since, before.until
    if state["range"] != _CUSTOM:
        since, until = state["range"], "now"
    elif is_preset:
        since, until = iso_seconds(drawn["start"]), iso_seconds(drawn["end"])
    elif any(state[name] != moment.replace(tzinfo=None) for name, moment in drawn.items()):
        since, until = iso_seconds(state["start"].replace(tzinfo=UTC)), iso_seconds(state["end"].replace(tzinfo=UTC))
    level, service = state["level"] or None, state["service"] or None
    apply_filters(Filters(since, until, level, service, state["query"].strip(), state["refresh"]))


def apply_filters(filters: Filters) -> None:
    """Put filters in the URL; a bar that was clicked is one of another page then."""
    st.query_params.from_dict(filters.to_url())
    clear_selection()
