"""Charts from tables: a click on a bar selects it, under :data:`SELECTION_NAME`."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from logsluice.dashboard.filters import Span
from logsluice.dashboard.queries import ERROR_LEVELS

SELECTION_NAME: Final = "selected_bar"
TOP: Final = 8
HEIGHT: Final = 236

# Seen well on light and on dark ground, and told apart by those who do not see red and green as two.
COLORS: Final = {"error": "#e8833a", "critical": "#c9265e"}
_NEUTRAL: Final = "#4690b4"
_NUMBERS: Final = "#84909c"
_FADED: Final = 0.3
_SECONDS_SHOWN_UP_TO: Final = 600
_TIMES_ALONE_UP_TO: Final = 36 * 3_600


def errors_over_time(table: pl.DataFrame, span: Span) -> alt.Chart:
    """Stacked bars of errors by level, of a table with ``time`` and a column a level."""
    seconds = span.bar_seconds
    bars = (
        table.select("time", *ERROR_LEVELS)
        .with_columns(
            end=pl.col("time").dt.offset_by(f"{seconds}s"),
            bar=pl.col("time").dt.epoch("ms"),
            when=pl.col("time").dt.strftime("%Y-%m-%d %H:%M:%S UTC"),
            critical_from=pl.col("error"),
        )
        .unpivot(list(ERROR_LEVELS), index=["time", "end", "bar", "when", "critical_from"], variable_name="level",
                 value_name="count")
        .filter(pl.col("count") > 0)
        .with_columns(low=pl.when(pl.col("level") == "critical").then("critical_from").otherwise(0))
        .with_columns(high=pl.col("low") + pl.col("count"))
        .with_columns(description=pl.format("{}: {} {}", "when", "count", "level"))
        .drop("critical_from")
    )  # fmt: skip
    first = table["time"].min() if len(table) else span.start
    scale = alt.Scale(type="utc", domain=[int(moment.timestamp() * 1000) for moment in (first, span.end)])  # type: ignore[union-attr]
    selected = alt.selection_point(name=SELECTION_NAME, fields=["bar", "level"], toggle=False)
    chart: alt.Chart = (
        alt.Chart(bars, height=HEIGHT + 16)
        .mark_bar(cursor="pointer", binSpacing=0, stroke=None)
        .encode(
            x=alt.X("time:T", scale=scale, title=None, axis=_time_axis(span)),
            x2="end:T",
            y=alt.Y("low:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=4, format="~s")),
            y2="high:Q",
            color=alt.Color(
                "level:N",
                scale=alt.Scale(domain=list(COLORS), range=list(COLORS.values())),
                legend=None,
            ),
            opacity=alt.condition(selected, alt.value(1), alt.value(_FADED)),
            tooltip=[
                alt.Tooltip("when:N", title="from"),
                alt.Tooltip("level:N"),
                alt.Tooltip("count:Q", title="errors"),
            ],
            description=alt.Description("description:N"),
        )
        .add_params(selected)
    )
    return chart


def errors_by_hour(table: pl.DataFrame) -> alt.Chart:
    """Bars of errors by hour, of a table with ``time`` and ``count``."""
    bars = table.with_columns(
        end=pl.col("time").dt.offset_by("1h"), when=pl.col("time").dt.strftime("%Y-%m-%d %H:%M UTC")
    )
    chart: alt.Chart = (
        alt.Chart(bars, height=HEIGHT)
        .mark_bar(binSpacing=0, color=COLORS["error"])
        .encode(
            x=alt.X("time:T", scale=alt.Scale(type="utc"), title=None, axis=alt.Axis(grid=False, format="%b %d %H:%M")),
            x2="end:T",
            y=alt.Y("count:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=4, format="~s")),
            tooltip=[alt.Tooltip("when:N", title="from"), alt.Tooltip("count:Q", title="errors")],
        )
    )
    return chart


def ranking(table: pl.DataFrame, name: str, *, clickable: bool = True) -> alt.LayerChart | alt.FacetChart:
    """Horizontal bars, most first, with their counts; the tooltip shows every column of the table."""
    top = table.head(TOP)
    most = int(top["count"].max() or 1)  # type: ignore[arg-type]
    base = alt.Chart(top, height=HEIGHT).encode(
        y=alt.Y(
            f"{name}:N",
            sort=None,
            title=None,
            axis=alt.Axis(labelLimit=170, ticks=False, domain=False, labelPadding=6),
            scale=alt.Scale(paddingInner=0.32),
        ),
        # Room for the numbers beyond the longest bar.
        x=alt.X("count:Q", title=None, axis=None, scale=alt.Scale(domain=[0, most * 1.18], nice=False)),
        tooltip=[alt.Tooltip(f"{column}", format=_tooltip_format(column)) for column in top.columns],
    )
    bars = base.mark_bar(color=_NEUTRAL, cornerRadiusEnd=2, cursor="pointer" if clickable else "default")
    if clickable:
        selected = alt.selection_point(name=SELECTION_NAME, fields=[name], toggle=False)
        bars = bars.encode(opacity=alt.condition(selected, alt.value(1), alt.value(_FADED))).add_params(selected)
    numbers = base.mark_text(align="left", dx=4, fontSize=11, color=_NUMBERS).encode(
        text=alt.Text("count:Q", format=",")
    )
    return alt.layer(bars, numbers)


def _tooltip_format(column: str) -> str:
    return {"count": ",", "events": ",", "error_rate": ".1%"}.get(column, "")


def _time_axis(span: Span) -> alt.Axis:
    seconds = (span.end - span.start).total_seconds()
    if seconds <= _SECONDS_SHOWN_UP_TO:
        text = "%H:%M:%S"
    elif seconds <= _TIMES_ALONE_UP_TO:
        text = "%H:%M"
    else:
        text = "%b %d %H:%M"
    return alt.Axis(grid=False, format=text, labelOverlap=True, tickCount=8)
