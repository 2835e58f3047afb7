"""Charts of Kibana's Lens, as plain data.

A chart has named columns: buckets (over time, the most frequent values, filters), which are nested in the order in
which they are given, and the numbers that are computed in each. What a chart shows where is said by these names.

Source: https://github.com/elastic/kibana, plugin ``lens``, the state of the data source ``formBased`` and of the
visualizations ``lnsXY``, ``lnsMetric``, ``lnsDatatable`` and ``lnsPie``, as version 1 of Lens' items.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def maximum(field: str, label: str, *, data_type: Literal["number", "date"] = "number") -> Column:
    """A field's greatest value."""
    return _number("max", field, label, {"emptyAsNull": True}) | {"dataType": data_type}


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
        by: The column that ranks them.
        others: Whether the rest is shown as one more value, and documents without the field as another.
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
    series: Series = "bar_stacked",
    query: str = "",
    filtered: bool = True,
) -> SavedObject:
    """Bars or lines: time, or else the first bucket, along the x axis; another bucket tells series apart.

    Args:
        query: Of the documents that count, in Lucene's syntax; all of them where left out.
        filtered: False where the documents lack the fields that are chosen by above the dashboard.
    """
    buckets, numbers = _by_kind(columns)
    buckets.sort(key=lambda key: columns[key]["operationType"] != "date_histogram")
    layer: dict[str, Any] = {
        "layerId": _LAYER,
        "layerType": "data",
        "seriesType": series,
        "xAccessor": buckets[0],
        "accessors": numbers,
        "position": "top",
        "showGridlines": False,
    }
    if buckets[1:]:
        layer["splitAccessor"] = buckets[1]
    visualization = {
        "legend": {"isVisible": len(buckets) > 1 or len(numbers) > 1, "position": "right"},
        "valueLabels": "hide",
        "fittingFunction": "None",
        "axisTitlesVisibilitySettings": {"x": False, "yLeft": False, "yRight": False},
        "preferredSeriesType": series,
        "layers": [layer],
    }
    return _chart(name, title, "lnsXY", view, columns, visualization, query, filtered=filtered)


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


def donut(name: str, title: str, *, view: str, columns: Columns, query: str = "") -> SavedObject:
    """Shares of a whole: a bucket, and a number; see :func:`xy_chart`."""
    groups, metrics = _by_kind(columns)
    layer = {
        "layerId": _LAYER,
        "layerType": "data",
        "primaryGroups": groups,
        "metrics": metrics,
        "numberDisplay": "percent",
        "categoryDisplay": "default",
        "legendDisplay": "default",
        "nestedLegend": False,
    }
    return _chart(name, title, "lnsPie", view, columns, {"shape": "donut", "layers": [layer]}, query)


def _by_kind(columns: Columns) -> tuple[list[str], list[str]]:
    """The names of the buckets, and those of the numbers."""
    buckets = [key for key, column in columns.items() if column["isBucketed"]]
    return buckets, [key for key in columns if key not in buckets]


def _number(operation: str, field: str, label: str, params: Mapping[str, Any], query: str | None = None) -> Column:
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


def _chart(
    name: str,
    title: str,
    visualization_type: str,
    view: str,
    columns: Columns,
    visualization: Mapping[str, Any],
    query: str,
    *,
    filtered: bool = True,
) -> SavedObject:
    layer: dict[str, Any] = {
        "columnOrder": list(columns),
        "columns": {key: dict(column) for key, column in columns.items()},
        "incompleteColumns": {},
        "sampling": 1,
    }
    if not filtered:
        layer["ignoreGlobalFilters"] = True
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
