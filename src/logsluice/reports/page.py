"""Renders a report as one page: no script, nothing from the network, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from logsluice import __version__
from logsluice.alerts.windows import moment_of
from logsluice.reports.charts import draw_figures, visible_text
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


def _tables(report: Report) -> Iterator[dict[str, Any]]:
    for title, column, frame in (
        ("Errors by message", "Message", report.by_message),
        ("Errors by type", "Type", report.by_type),
        ("Errors per service", "Service", report.by_service),
        ("Errors per IP address", "IP address", report.by_ip),
        ("Errors per endpoint", "Endpoint", report.by_endpoint),
    ):
        rows = [(text, count, count / report.errors) for text, count in frame.head(_MOST_ROWS).iter_rows()]
        yield {"title": title, "column": column, "rows": rows, "more": max(0, frame.height - _MOST_ROWS)}


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
