"""Draws the page of a report's files, for where there is no server."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from logsluice.dashboard import charts, markup
from logsluice.dashboard.reports import read_report
from logsluice.dashboard.tables import csv
from logsluice.errors import LogsluiceError


def draw_report(folder: Path) -> None:
    """Draw what ``logsluice report`` wrote into a folder; says so where that is nothing."""
    try:
        report = read_report(folder)
    except LogsluiceError as error:
        st.html(
            markup.state(
                "There is no report to show",
                f"{error.where}: {error.what}.",
                ((f"logsluice report app.log --out {folder}", "writes one from a log file"),),
            )
        )
        return
    for problem in report.problems:
        st.html(markup.state("A file was left out", problem))
    st.html(
        markup.head(
            "Report",
            f"{report.folder.absolute()}, written {report.written_at:%Y-%m-%d %H:%M} UTC. It holds sums, so there is "
            "nothing to filter and there are no log lines: that needs Elasticsearch.",
        )
    )
    types, ips = report.tables["errors_by_type"], report.tables["errors_per_ip"]
    services = report.tables["errors_per_service"]
    figures = [("Errors", f"{report.errors:,}")]
    if report.events:
        figures = [("Events", f"{report.events:,}"), *figures, ("Error rate", f"{report.errors / report.events:.1%}")]
    figures += [(f"Level {name}", f"{count:,}") for name, count in report.severities.items()]
    counted = (("Error types", types), ("IP addresses", ips), ("Services", services))
    figures += [(label, f"{len(table):,}") for label, table in counted]
    for column, (label, value) in zip(st.columns(len(figures), gap="small"), figures, strict=True):
        column.metric(label, value, border=True)
    with st.container(border=True):
        st.html(markup.head("Errors by hour"))
        if len(report.by_hour):
            st.altair_chart(charts.errors_by_hour(report.by_hour), key="report-hours")
        else:
            st.caption("No errors with a time.")
    for column, (heading, table) in zip(
        st.columns(3, gap="small"),
        (("Error types", types), ("Errors per IP address", ips), ("Errors per service", services)),
        strict=True,
    ):
        with column, st.container(border=True):
            st.html(markup.head(heading))
            if len(table):
                st.altair_chart(
                    charts.ranking(table, table.columns[0], clickable=False), key=f"report-{table.columns[0]}"
                )
            else:
                st.caption("None.")
    with st.container(border=True):
        name = st.segmented_control(
            "File", list(report.tables), default="top_errors", required=True, key="report-file",
            format_func=lambda name: name.replace("_", " "), label_visibility="collapsed",
        )  # fmt: skip
        chosen = report.tables[name or "top_errors"]
        st.dataframe(chosen, hide_index=True, height="content" if len(chosen) <= 10 else 388)
        draw_download("CSV", csv(chosen), f"{name}.csv", "report-csv")


def draw_download(label: str, content: bytes, file_name: str, key: str) -> None:
    """Draw a button that saves a table; the page is not drawn anew for it."""
    icon = ":material/download:"
    st.download_button(label, content, file_name, "text/csv", icon=icon, type="tertiary", on_click="ignore", key=key)
