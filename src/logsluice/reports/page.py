"""Renders a report as one page: no script, nothing from the network, light and dark, wide and narrow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from logsluice import __version__
from logsluice.alerts.windows import moment_of
from logsluice.reports.charts import draw_figures
from logsluice.reports.display_text import visible_text
from logsluice.reports.report import Report

_MOST_ROWS: Final = 20
_MOST_ALERTS: Final = 50
_MOST_SOURCES: Final = 10


def render_page(report: Report) -> str:
    """Render a report as HTML."""
    environment = Environment(
        loader=PackageLoader("logsluice.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible_text": visible_text,
        "moment": _moment,
        "minute": lambda minute: _moment(moment_of(minute)),
    }
    return environment.get_template("report.html.j2").render(
        report=report,
        written=datetime.now(UTC),
        version=__version__,
        sources=report.sources[:_MOST_SOURCES],
        more_sources=len(report.sources) - _MOST_SOURCES,
        alerts=report.alerts[:_MOST_ALERTS],
        more_alerts=len(report.alerts) - _MOST_ALERTS,
        figures=[(figure, Markup(figure.wide), Markup(figure.narrow or "")) for figure in draw_figures(report)],  # noqa: S704
        tables=[table for table in _tables(report) if table["rows"]],
    )


def _tables(report: Report) -> list[dict[str, Any]]:
    return [
        _table("Errors by message", "Message", report.by_message, report.errors),
        _table("Errors by type", "Type", report.by_type, report.errors),
        _table("Errors per service", "Service", report.by_service, report.errors),
        _table("Errors per IP address", "IP address", report.by_ip, report.errors),
        _table("Errors per endpoint", "Endpoint", report.by_endpoint, report.errors),
    ]


def _table(title: str, column: str, frame: pl.DataFrame, errors: int) -> dict[str, Any]:
    rows = [(text, count, count / errors) for text, count in frame.head(_MOST_ROWS).iter_rows()]
    return {"title": title, "column": column, "rows": rows, "more": max(0, frame.height - _MOST_ROWS)}


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
