"""What every dashboard has in common: its variables, and how a number, a line and a heat map look.

Sizes are those of Grafana's grid, 24 columns wide. The types are those of Grafana 10, the oldest that shows the
dashboards; every later one reads them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    FieldColor,
    QueryVariable,
    Row,
    TextBoxVariable,
    ThresholdsConfig,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as kinds
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.units import EventsPerSecond, Seconds, Short

KIBANA: Final = "http://127.0.0.1:5601"
"""Where Kibana is when nobody says otherwise; the variable ``kibana`` of a dashboard says otherwise."""

EVENTS: Final = EventsPerSecond
_DATASOURCE: Final = kinds.DataSourceRef(type_val="prometheus", uid="${datasource}")
_TIME: Final = "_g=(time:(from:'${__from:date:iso}',to:'${__to:date:iso}'))"
_CHOSEN: Final = 'environment=~"$environment"'
_HEIGHT: Final = 8

Panel = Builder[kinds.Panel]


@dataclass(frozen=True)
class Query:
    """An expression and what its lines are called, with Prometheus' labels in double braces."""

    expression: str
    legend: str = ""


def select(metric: str, *matchers: str) -> str:
    """A metric's series in the chosen environment."""
    return metric + "{" + ", ".join((_CHOSEN, *matchers)) + "}"


def rate(metric: str, *matchers: str) -> str:
    """How fast a counter grows, a second."""
    return f"rate({select(metric, *matchers)}[$__rate_interval])"


def discover(search: str, query: str = "") -> str:
    """The address of a saved search in Kibana at the dashboard's time, narrowed by a KQL query."""
    return f"${{kibana:raw}}/app/discover#/view/{search}?{_TIME}{_narrowed(query)}"


def discover_view(data_view: str, query: str) -> str:
    """The address of a data view in Kibana's Discover at the dashboard's time."""
    source = f"dataSource:(dataViewId:{data_view},type:dataView)"
    return f"${{kibana:raw}}/app/discover#/?{_TIME}{_narrowed(query, source)}"


def kibana_dashboard(name: str) -> str:
    """The address of a dashboard in Kibana at the dashboard's time."""
    return f"${{kibana:raw}}/app/dashboards#/view/{name}?{_TIME}"


def link(title: str, url: str) -> Builder[kinds.DashboardLink]:
    """A link that opens beside Grafana."""
    return DashboardLink(title).type(kinds.DashboardLinkType.LINK).url(url).target_blank(True)


def lines(
    title: str,
    *queries: Query,
    unit: str = Short,
    width: int = 8,
    description: str = "",
    most: float | None = None,
    stacked: bool = False,
    links: Sequence[Builder[kinds.DashboardLink]] = (),
    series_links: Sequence[Builder[kinds.DashboardLink]] = (),
) -> Panel:
    """Lines over time, from zero.

    Args:
        title: Of the panel.
        queries: What is drawn.
        unit: Grafana's name of the unit.
        width: Columns.
        description: What a reader cannot know.
        most: The upper end of the axis, where it has one.
        stacked: Whether the lines add up.
        links: Of the whole panel.
        series_links: Of each line, with its labels.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .unit(unit)
        .min(0)
        .span(width)
        .height(_HEIGHT)
        .datasource(_DATASOURCE)
        .fill_opacity(30 if stacked else 10)
        .show_points(models.VisibilityMode.NEVER)
        .legend(common.VizLegendOptions().show_legend(True).placement(models.LegendPlacement.BOTTOM))
        .tooltip(common.VizTooltipOptions().mode(models.TooltipDisplayMode.MULTI).sort(models.SortOrder.DESCENDING))
        .targets(_targets(queries))
        .links(list(links))
        .data_links(list(series_links))
    )
    if description:
        panel.description(description)
    if most is not None:
        panel.max(most)
    if stacked:
        panel.stacking(common.StackingConfig().mode(models.StackingMode.NORMAL))
    return panel


def number(
    title: str,
    expression: str,
    *,
    unit: str = Short,
    description: str = "",
    bad_above: float | None = None,
    bad_below: float | None = None,
    none: str = "-",
    width: int = 3,
    links: Sequence[Builder[kinds.DashboardLink]] = (),
) -> Panel:
    """The latest value of one series, red where it is bad, with its past behind it.

    Args:
        title: Of the panel.
        expression: One series.
        unit: Grafana's name of the unit.
        description: What a reader cannot know.
        bad_above: A value from which on it is red.
        bad_below: A value below which it is red.
        none: Shown where there is no value.
        width: Columns.
        links: Of the panel.
    """
    steps = [kinds.Threshold(color="green")]
    if bad_above is not None:
        steps.append(kinds.Threshold(value=bad_above, color="red"))
    if bad_below is not None:
        steps = [kinds.Threshold(color="red"), kinds.Threshold(value=bad_below, color="green")]
    panel = (
        stat.Panel()
        .title(title)
        .unit(unit)
        .span(width)
        .height(4)
        .datasource(_DATASOURCE)
        .no_value(none)
        .thresholds(ThresholdsConfig().mode(kinds.ThresholdsMode.ABSOLUTE).steps(steps))
        .color_scheme(FieldColor().mode(kinds.FieldColorModeId.THRESHOLDS))
        .graph_mode(models.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .targets(_targets([Query(expression)]))
        .links(list(links))
    )
    return panel.description(description) if description else panel


def heat_map(
    title: str,
    expression: str,
    *,
    width: int = 12,
    description: str = "",
    links: Sequence[Builder[kinds.DashboardLink]] = (),
) -> Panel:
    """A histogram over time: the expression gives its buckets by ``le``, in seconds."""
    target = prometheus.Dataquery().expr(expression).legend_format("{{le}}").ref_id("A").datasource(_DATASOURCE)
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .span(width)
        .height(_HEIGHT)
        .datasource(_DATASOURCE)
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
        .cell_gap(1)
        .y_axis(heatmap.YAxisConfig().unit(Seconds))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .show_legend()
        .show_tooltip()
        .targets([target.format(PromQueryFormat.HEATMAP)])
        .links(list(links))
    )


def rows(
    title: str,
    expression: str,
    *,
    width: int = 12,
    description: str = "",
    none: str = "nothing",
    links: Sequence[Builder[kinds.DashboardLink]] = (),
    series_links: Sequence[Builder[kinds.DashboardLink]] = (),
) -> Panel:
    """A table of what is so now: a row a series, a column a label."""
    target = prometheus.Dataquery().expr(expression).instant().format(PromQueryFormat.TABLE).ref_id("A")
    hidden = kinds.DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True, "Value": True}})
    return (
        table.Panel()
        .title(title)
        .description(description)
        .span(width)
        .height(_HEIGHT)
        .datasource(_DATASOURCE)
        .no_value(none)
        .with_target(target.datasource(_DATASOURCE))
        .with_transformation(hidden)
        .links(list(links))
        .data_links(list(series_links))
    )


def states(title: str, query: Query, *, width: int = 8, description: str = "") -> Panel:
    """Whether things were up (1) or not (0), over time."""
    shown = kinds.ValueMap(
        {
            "0": kinds.ValueMappingResult(text="down", color="red"),
            "1": kinds.ValueMappingResult(text="up", color="green"),
        }
    )
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .span(width)
        .height(_HEIGHT)
        .datasource(_DATASOURCE)
        .mappings([shown])
        .thresholds(
            ThresholdsConfig()
            .mode(kinds.ThresholdsMode.ABSOLUTE)
            .steps([kinds.Threshold(color="red"), kinds.Threshold(value=1, color="green")])
        )
        .color_scheme(FieldColor().mode(kinds.FieldColorModeId.THRESHOLDS))
        .targets(_targets([query]))
    )


def by_labels(title: str, label: str, name: str, metric: str) -> Builder[kinds.VariableModel]:
    """A variable over the values of a metric's label; all of them, and series without it, when nothing is
    chosen."""
    scope = metric if name == "environment" else select(metric)
    return (
        QueryVariable(name)
        .label(title)
        .datasource(_DATASOURCE)
        .query({"query": f"label_values({scope}, {label})", "refId": name})
        .refresh(kinds.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(kinds.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(kinds.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def dashboard(
    name: str,
    title: str,
    description: str,
    sections: Sequence[tuple[str, Sequence[Panel]]],
    *,
    environments: str,
    variables: Sequence[Builder[kinds.VariableModel]] = (),
) -> kinds.Dashboard:
    """A dashboard of titled rows of panels.

    Args:
        name: Part of its address, after ``logsluice-``.
        title: Shown after ``logsluice``.
        description: What it answers.
        sections: Titles of the rows with their panels.
        environments: A metric that is there in every environment.
        variables: Further variables.
    """
    builder = (
        Dashboard(f"logsluice {title}")
        .uid(f"logsluice-{name}")
        .description(description)
        .tags(["logsluice"])
        .readonly()
        .refresh("30s")
        .time("now-15m", "now")
        .timezone("browser")
        .tooltip(kinds.DashboardCursorSync.CROSSHAIR)
        .annotations([])
        .with_variable(
            DatasourceVariable("datasource")
            .label("Prometheus")
            .type("prometheus")
            .current(kinds.VariableOption(selected=True, text="Prometheus", value="prometheus"))
        )
        .with_variable(by_labels("Environment", "environment", "environment", environments))
    )
    for variable in variables:
        builder.with_variable(variable)
    kibana = kinds.VariableOption(selected=True, text=KIBANA, value=KIBANA)
    builder.with_variable(TextBoxVariable("kibana").label("Kibana").default_value(KIBANA).current(kibana))
    builder.link(
        DashboardLink("logsluice")
        .type(kinds.DashboardLinkType.DASHBOARDS)
        .tags(["logsluice"])
        .include_vars(True)
        .keep_time(True)
    )
    builder.link(link("Kibana", kibana_dashboard("logsluice-overview")))
    for heading, panels in sections:
        builder.with_row(Row(heading))
        for panel in panels:
            builder.with_panel(panel)
    built = builder.build()
    built.schema_version = 39
    for position, placed in enumerate(built.panels or [], start=1):
        placed.id_val = position
    return built


def _targets(queries: Sequence[Query]) -> list[Builder[Dataquery]]:
    return [
        prometheus.Dataquery()
        .expr(query.expression)
        .legend_format(query.legend)
        .ref_id(chr(ord("A") + number))
        .datasource(_DATASOURCE)
        for number, query in enumerate(queries)
    ]


def _narrowed(query: str, *state: str) -> str:
    """Kibana's application state in its own notation, Rison; what Grafana fills in stays readable to it."""
    filter_clause = f"query:(language:kuery,query:'{quote(query, safe='${}:_.*')}')" if query else ""
    parts = [part for part in (*state, filter_clause) if part]
    return f"&_a=({','.join(parts)})" if parts else ""
