"""Charts of Kibana's Lens, as plain data.

A chart has named columns: buckets (over time, the most frequent values, filters), which are nested in the order in
which they are given, and the numbers that are computed in each. What a chart shows where is said by these names.

Source: https://github.com/elastic/kibana, plugin ``lens``, the state of the data source ``formBased`` and of the
visualizations ``lnsXY``, ``lnsMetric``, ``lnsDatatable`` and ``lnsPie``, as version 1 of Lens' items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from logsluice.provision.kibana.objects import TIME_FIELD, Reference, SavedObject, saved_object

Column = dict[str, Any]
Columns = Mapping[str, Column]
Series = Literal["bar_stacked", "bar_horizontal", "bar_horizontal_stacked", "line"]

ITEM_VERSION: Final = 1
_LAYER: Final = "layer"
_RECORDS: Final = "___records___"


def count(label: str, *, query: str | None = None) -> Column:
    """How many documents there are; of those that ``query`` (Lucene) finds, where one is given."""
    return _number("count", _RECORDS, label, {"emptyAsNull": False}, query)


def distinct(field: str, label: str, *, query: str | None = None) -> Column:
    """How many different values a field has."""
    return _number("unique_count", field, label, {"emptyAsNull": False}, query)


def maximum(field: str, label: str) -> Column:
    """A field's greatest value."""
    return _number("max", field, label, {"emptyAsNull": True})


def percentile(field: str, percent: int, label: str) -> Column:
    """The value below which so many percent of a field's values are."""
    return _number("percentile", field, label, {"percentile": percent})


def over_time() -> Column:
    """Stretches of time, as long as fits the time that is shown."""
    return {
        "operationType": "date_histogram",
        "sourceField": TIME_FIELD,
        "label": TIME_FIELD,
        "dataType": "date",
        "isBucketed": True,
        "scale": "interval",
        "params": {"interval": "auto", "includeEmptyRows": True, "dropPartials": False},
    }


def top(
    field: str,
    label: str,
    *,
    by: str,
    size: int = 10,
    others: bool = False,
    data_type: Literal["string", "ip"] = "string",
) -> Column:
    """A field's most frequent values, or those with the greatest number in the column ``by``.

    Args:
        field: The field.
        label: What users see.
        by: The column that ranks them.
        size: How many.
        others: Whether the rest is shown as one more value, and documents without the field as another.
        data_type: Of the field.
    """
    return {
        "operationType": "terms",
        "sourceField": field,
        "label": label,
        "customLabel": True,
        "dataType": data_type,
        "isBucketed": True,
        "scale": "ordinal",
        "params": {
            "size": size,
            "orderBy": {"type": "column", "columnId": by},
            "orderDirection": "desc",
            "otherBucket": others,
            "missingBucket": others,
            "parentFormat": {"id": "terms"},
        },
    }


def filters(label: str, queries: Mapping[str, str]) -> Column:
    """Documents by what they match: queries (Lucene) by what users see."""
    return {
        "operationType": "filters",
        "label": label,
        "customLabel": True,
        "dataType": "string",
        "isBucketed": True,
        "scale": "ordinal",
        "params": {
            "filters": [
                {"label": name, "input": {"language": "lucene", "query": query}} for name, query in queries.items()
            ]
        },
    }


def xy_chart(
    name: str,
    title: str,
    *,
    view: str,
    columns: Columns,
    x: str,
    y: Sequence[str],
    split: str | None = None,
    series: Series = "bar_stacked",
    query: str = "",
) -> SavedObject:
    """Bars or lines.

    Args:
        name: Id.
        title: What users see.
        view: Id of the data view.
        columns: The columns.
        x: The column along the x axis.
        y: The columns with the numbers.
        split: The column that tells series apart.
        series: What is drawn.
        query: Of the documents that count, in Lucene's syntax; all of them where left out.
    """
    layer: dict[str, Any] = {
        "layerId": _LAYER,
        "layerType": "data",
        "seriesType": series,
        "xAccessor": x,
        "accessors": list(y),
        "position": "top",
        "showGridlines": False,
    }
    if split:
        layer["splitAccessor"] = split
    visualization = {
        "legend": {"isVisible": bool(split) or len(y) > 1, "position": "right"},
        "valueLabels": "hide",
        "fittingFunction": "None",
        "axisTitlesVisibilitySettings": {"x": False, "yLeft": False, "yRight": False},
        "preferredSeriesType": series,
        "layers": [layer],
    }
    return _chart(name, title, "lnsXY", view, columns, visualization, query)


def metric_chart(name: str, title: str, *, view: str, column: Column, query: str = "") -> SavedObject:
    """One large number; see :func:`xy_chart`."""
    visualization = {"layerId": _LAYER, "layerType": "data", "metricAccessor": "number"}
    return _chart(name, title, "lnsMetric", view, {"number": column}, visualization, query)


def table(name: str, title: str, *, view: str, columns: Columns, query: str = "") -> SavedObject:
    """A table of all columns; see :func:`xy_chart`."""
    visualization = {
        "layerId": _LAYER,
        "layerType": "data",
        "columns": [{"columnId": column, "isTransposed": False} for column in columns],
    }
    return _chart(name, title, "lnsDatatable", view, columns, visualization, query)


def donut(
    name: str, title: str, *, view: str, columns: Columns, group: str, number: str, query: str = ""
) -> SavedObject:
    """Shares of a whole; see :func:`xy_chart`."""
    visualization = {
        "shape": "donut",
        "layers": [
            {
                "layerId": _LAYER,
                "layerType": "data",
                "primaryGroups": [group],
                "metrics": [number],
                "numberDisplay": "percent",
                "categoryDisplay": "default",
                "legendDisplay": "default",
                "nestedLegend": False,
            }
        ],
    }
    return _chart(name, title, "lnsPie", view, columns, visualization, query)


def _number(
    operation: str, field: str, label: str, params: Mapping[str, Any], query: str | None = None
) -> dict[str, Any]:
    column: Column = {
        "operationType": operation,
        "sourceField": field,
        "label": label,
        "customLabel": True,
        "dataType": "number",
        "isBucketed": False,
        "scale": "ratio",
        "params": dict(params),
    }
    if query is not None:
        column["filter"] = {"language": "lucene", "query": query}
    return column


def unfiltered(chart: SavedObject) -> SavedObject:
    """The chart as it is whatever is chosen above the dashboard: its documents lack the fields to choose by."""
    attributes = chart["attributes"]
    state = attributes["state"]
    layer = state["datasourceStates"]["formBased"]["layers"][_LAYER] | {"ignoreGlobalFilters": True}
    states = {"formBased": {"layers": {_LAYER: layer}}}
    return {**chart, "attributes": {**attributes, "state": {**state, "datasourceStates": states}}}


def _chart(
    name: str,
    title: str,
    visualization_type: str,
    view: str,
    columns: Columns,
    visualization: Mapping[str, Any],
    query: str,
) -> SavedObject:
    layer = {
        "columnOrder": list(columns),
        "columns": {key: dict(column) for key, column in columns.items()},
        "incompleteColumns": {},
        "sampling": 1,
    }
    attributes = {
        "title": title,
        "description": "",
        "visualizationType": visualization_type,
        "version": ITEM_VERSION,
        "state": {
            "datasourceStates": {"formBased": {"layers": {_LAYER: layer}}},
            "visualization": dict(visualization),
            "query": {"language": "lucene", "query": query},
            "filters": [],
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }
    reference = Reference("index-pattern", view, f"indexpattern-datasource-layer-{_LAYER}")
    return saved_object("lens", name, attributes, [reference])
