"""The charts of a report's page, as SVG that takes its colours from the page.

Colours are written as the page's CSS variables, so that one chart serves light and dark.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import altair as alt
import polars as pl
import vl_convert as vlc

from logsluice.reports.report import Report
from logsluice.runtime.time_expressions import iso_seconds

_WIDE: Final = 820
_NARROW: Final = 300
_TALL: Final = 180
_BARS_WIDTH: Final = 230
_BAR_STEP: Final = 24
_MOST_BARS: Final = 10
_LABEL_WIDTH: Final = 160
# A reader's font may be wider than the one with which the labels were measured.
_LABEL_ROOM: Final = 185
_FONT: Final = "Helvetica, Arial, sans-serif"
# Vega wants colours, so each variable has a colour of its own while it draws.
_VARIABLES: Final = {
    "#0a0b01": "var(--ink)",
    "#0a0b02": "var(--muted)",
    "#0a0b03": "var(--grid)",
    "#0a0b04": "var(--error)",
    "#0a0b05": "var(--critical)",
    "#0a0b06": "var(--rate)",
}
_INK, _MUTED, _GRID, _ERROR, _CRITICAL, _RATE = _VARIABLES
_IDENTIFIER: Final = re.compile(r'(\bid="|url\(#|href="#)([A-Za-z_][\w-]*)')
_TIME: Final = "utcFormat(datum.value, utchours(datum.value) || utcminutes(datum.value) ? '%H:%M' : '%d %b')"
_INVISIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_SHORT: Final = timedelta(hours=3)
_LONG: Final = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart as SVG with what it says in words; ``narrow`` is for a narrow screen, where that is another."""

    name: str
    title: str
    caption: str
    wide: str
    narrow: str | None = None


def visible_text(text: str) -> str:
    """A text out of logs without what cannot be seen or would reorder the line: control characters and the like."""
    return _INVISIBLE.sub("", text)


def draw_figures(report: Report) -> list[Figure]:
    """Every chart of a report that has errors; none where there are no errors."""
    if not report.errors:
        return []
    found = [_errors_over_time(report), _rate_over_time(report)]
    for name, title, frame in (
        ("by-type", "Errors by type", report.by_type),
        ("per-service", "Errors per service", report.by_service),
        ("per-ip", "Errors per IP address", report.by_ip),
        ("by-severity", "Errors by severity", report.by_severity),
    ):
        if not frame.is_empty():
            found.append(_bars(name, title, frame))
    return found


def _errors_over_time(report: Report) -> Figure:
    if report.first is None or report.last is None:
        raise ValueError("a report with errors has events")
    if report.last - report.first <= _SHORT:
        step, unit = timedelta(minutes=1), "minute"
        frame = report.minutes.rename({"minute": "begin"}).group_by("begin").agg(pl.col("errors", "critical").sum())
    else:
        step, unit, frame = _hourly_or_daily(report)
    values = [
        {"begin": iso_seconds(begin), "end": iso_seconds(begin + step), "level": level, "low": low, "high": high}
        for begin, errors, critical in frame.select("begin", "errors", "critical").sort("begin").iter_rows()
        for level, low, high in (("critical", 0, critical), ("error", critical, errors))
        if high > low
    ]
    colour = alt.Color(
        "level:N",
        title=None,
        scale=alt.Scale(domain=["error", "critical"], range=[_ERROR, _CRITICAL]),
        legend=alt.Legend(orient="top", symbolType="square"),
    )
    count = alt.Y("high:Q", title=None, axis=alt.Axis(format="~s", tickMinStep=1))
    return _time_figure("over-time", "Errors over time", f"Errors a {unit}, in UTC.", values, count, colour)


def _rate_over_time(report: Report) -> Figure:
    step, unit, frame = _hourly_or_daily(report)
    values = [
        {"begin": iso_seconds(begin), "end": iso_seconds(begin + step), "low": 0, "high": errors / events}
        for begin, events, errors in frame.select("begin", "events", "errors").sort("begin").iter_rows()
    ]
    rate = alt.Y("high:Q", title=None, axis=alt.Axis(format="~%"))
    caption = f"Share of errors among the events of each {unit}, in UTC."
    return _time_figure("rate", "Error rate", caption, values, rate, alt.value(_RATE))


def _hourly_or_daily(report: Report) -> tuple[timedelta, str, pl.DataFrame]:
    hours = report.trends.rename({"hour": "begin"})
    if report.first and report.last and report.last - report.first > _LONG:
        days = hours.with_columns(pl.col("begin").dt.truncate("1d"))
        return timedelta(days=1), "day", days.group_by("begin").agg(pl.col("events", "errors", "critical").sum())
    return timedelta(hours=1), "hour", hours


def _time_figure(name: str, title: str, caption: str, values: list[dict[str, Any]], y: alt.Y, colour: Any) -> Figure:
    def drawn(width: int, ticks: int) -> str:
        axis = alt.Axis(title=None, labelExpr=_TIME, labelOverlap=True, tickCount=ticks, grid=False, labelFlush=True)
        chart = (
            alt.Chart(alt.InlineData(values=values), width=width, height=_TALL)
            .mark_rect()
            .encode(
                x=alt.X("begin:T", scale=alt.Scale(type="utc"), axis=axis),
                x2="end",
                y=y,
                y2="low",
                color=colour,
            )
        )
        return _svg(chart, f"{name}-{width}", title)

    return Figure(name, title, caption, drawn(_WIDE, 10), drawn(_NARROW, 4))


def _bars(name: str, title: str, frame: pl.DataFrame) -> Figure:
    labels: list[str] = []
    for text in frame.head(_MOST_BARS).to_series(0):
        label = visible_text(text)
        # Two names that look the same are two bars all the same.
        labels.append(label if label not in labels else f"{label} ({len(labels) + 1})")
    values = [
        {"label": label, "count": count} for label, count in zip(labels, frame["count"].head(_MOST_BARS), strict=True)
    ]
    axis = alt.Axis(
        title=None,
        domain=False,
        ticks=False,
        labelLimit=_LABEL_WIDTH,
        labelPadding=6,
        minExtent=_LABEL_ROOM,
        maxExtent=_LABEL_ROOM,
    )
    base = alt.Chart(alt.InlineData(values=values), width=_BARS_WIDTH, height=alt.Step(_BAR_STEP)).encode(
        y=alt.Y("label:N", sort=None, axis=axis), x=alt.X("count:Q", axis=None)
    )
    colours = [_CRITICAL if name == "by-severity" and label == "critical" else _ERROR for label in labels]
    colour = alt.Color("label:N", scale=alt.Scale(domain=labels, range=colours), legend=None)
    bars = base.mark_bar(cornerRadiusEnd=2).encode(color=colour)
    numbers = base.mark_text(align="left", dx=4, color=_INK, fontSize=12).encode(text=alt.Text("count:Q", format=","))
    cut = frame.height > _MOST_BARS
    caption = f"The {_MOST_BARS} with the most errors, of {frame.height:,}." if cut else ""
    return Figure(name, title, caption, _svg(bars + numbers, name, title))


def _svg(chart: alt.Chart | alt.LayerChart, name: str, title: str) -> str:
    """A chart as SVG: in the page's colours, as wide as there is room, with identifiers of its own."""
    configured = chart.configure(
        background="transparent",
        font=_FONT,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelColor=_MUTED,
            labelFontSize=12,
            domainColor=_GRID,
            tickColor=_GRID,
            gridColor=_GRID,
        ),
        legend=alt.LegendConfig(labelColor=_MUTED, labelFontSize=12),
    )
    svg = vlc.vegalite_to_svg(configured.to_dict(), vl_version=".".join(alt.SCHEMA_VERSION[1:].split(".")[:2]))
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = _IDENTIFIER.sub(rf"\1{name}-\2", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
