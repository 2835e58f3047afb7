"""Placeholders for where there is nothing to show: why, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import streamlit as st

from logsluice.dashboard import markup
from logsluice.dashboard.filters import Filters
from logsluice.dashboard.loader import ServerUnavailableError
from logsluice.dashboard.report_page import draw_report
from logsluice.dashboard.reports import is_report
from logsluice.dashboard.tables import View

FALLBACK_REPORTS: Final = Path("reports")
"""The report that is shown while Elasticsearch is away, where there is one."""


def draw_no_index() -> None:
    """The server answers, but was never set up."""
    st.html(
        markup.state(
            "There is no index of events yet",
            "Elasticsearch answers, but nothing has been set up in it.",
            (
                ("logsluice setup", "makes topics and index templates"),
                ("python jobs/regex_job.py", "fills the index from Kafka"),
                ("make demo", "does all that and produces events, too"),
            ),
        )
    )


def draw_empty(view: View, filters: Filters) -> None:
    """No event is let through."""
    if view.newest is None:
        st.html(
            markup.state(
                "No events yet",
                "The index is there and empty. Events come from Kafka through the regex job.",
                (
                    ("python jobs/regex_job.py", "writes the facts, while it runs"),
                    ("python jobs/producer_job.py", "produces the traffic of a made-up shop"),
                    ("logsluice ship app.log", "ships your own file"),
                ),
            )
        )
        return
    narrowing = filters.level or filters.service or filters.query
    st.info(
        escape_markdown(
            f"No events {'like that ' if narrowing else ''}in this time. The newest of all is of "
            f"{view.newest:%Y-%m-%d %H:%M:%S} UTC, {markup.age_text(view.newest, datetime.now(UTC))}: "
            f"choose another time{', level, service or text' if narrowing else ''}."
        ),
        icon=":material/search_off:",
    )


def draw_unavailable(hosts: str, error: Exception) -> None:
    """The server does not answer, or refuses; a report stands in where there is one."""
    if not isinstance(error, ServerUnavailableError):
        st.error(escape_markdown(str(error)), icon=":material/cloud_off:")
    else:
        st.html(
            markup.state(
                "Elasticsearch does not answer",
                f"Asked at {hosts}: {error}. This page goes on by itself when it is back.",
                (
                    ("logsluice status", "says how the local servers are"),
                    ("logsluice up", "starts them; make demo starts everything"),
                    ("logsluice dashboard --reports DIR", "shows a report instead, without a server"),
                ),
            )
        )
    if is_report(FALLBACK_REPORTS):
        st.info(
            escape_markdown(f"Meanwhile, the report in {FALLBACK_REPORTS.absolute()}; filters do not apply to it."),
            icon=":material/description:",
        )
        draw_report(FALLBACK_REPORTS)


def escape_markdown(text: str) -> str:
    """Text that Streamlit's Markdown shows as it is: every mark that could begin something is escaped."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]()<>#+-.!|~$:^=&" else char for char in text.replace("\n", " "))
