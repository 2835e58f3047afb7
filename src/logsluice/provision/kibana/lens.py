"""Charts of Kibana's Lens, as plain data.

A chart has named columns: buckets (over time, the most frequent values, filters), which are nested in the order in
which they are given, and the numbers that are computed in each. What a chart shows where is named by these.

Source: https://github.com/elastic/kibana, plugin ``lens``, the state of the data source ``formBased`` and of the
visualizations ``lnsXY``, ``lnsMetric``, ``lnsDatatable`` and ``lnsPie``, as version 1 of Lens' items.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from logsluice.provision.kibana.objects import TIME_FIELD, SavedObject, reference, saved_object

Column = dict[str, Any]
Columns = Mapping[str, Column]
Kind = Literal["metric", "table", "donut", "bar_stacked", "bar_horizontal", "bar_horizontal_stacked", "line"]

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
    """A field's values with the greatest number in the column ``by``; ``others`` are the rest, and those without."""
    params = {
        "size": size,
        "orderBy": {"type": "column", "columnId": by},
        "orderDirection": "desc",
        "otherBucket": others,
        "missingBucket": others,
        "parentFormat": {"id": "terms"},
    }
    return {**_groups("terms", label, params), "sourceField": field, "dataType": data_type}


def filters(label: str, queries: Mapping[str, str]) -> Column:
    """Documents by what they match: queries (Lucene) by what users see."""
    conditions = [{"label": name, "input": {"language": "lucene", "query": query}} for name, query in queries.items()]
    return _groups("filters", label, {"filters": conditions})


def _groups(operation: str, label: str, params: Mapping[str, Any]) -> Column:
    return {
        "operationType": operation,
        "label": label,
        "customLabel": True,
        "dataType": "string",
        "isBucketed": True,
        "scale": "ordinal",
        "params": params,
    }


def chart(
    name: str, title: str, kind: Kind, *, view: str, columns: Columns, query: str = "", filtered: bool = True
) -> SavedObject:
    """A chart of the documents of a data view.

    Bars and lines have time, or else the first bucket, along the x axis; another bucket tells series apart. ``query``
    is in Lucene's syntax; not ``filtered`` are documents that lack the fields that are chosen by above the dashboard.
    """
    visualization_type, visualization = _visualization(kind, columns)
    layer: dict[str, Any] = {
        "columnOrder": list(columns),
        "columns": columns,
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
            "visualization": visualization,
            "query": {"language": "lucene", "query": query},
            "filters": [],
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }
    return saved_object(
        "lens", name, attributes, [reference("index-pattern", view, f"indexpattern-datasource-layer-{_LAYER}")]
    )


def _visualization(kind: Kind, columns: Columns) -> tuple[str, dict[str, Any]]:
    """The name of Lens' visualization, and its state."""
    layer: dict[str, Any] = {"layerId": _LAYER, "layerType": "data"}
    buckets = [key for key, column in columns.items() if column["isBucketed"]]
    numbers = [key for key in columns if key not in buckets]
    match kind:
        case "metric":
            return "lnsMetric", {**layer, "metricAccessor": numbers[0]}
        case "table":
            return "lnsDatatable", {**layer, "columns": [{"columnId": key, "isTransposed": False} for key in columns]}
        case "donut":
            layer |= {
                "primaryGroups": buckets,
                "metrics": numbers,
                "numberDisplay": "percent",
                "categoryDisplay": "default",
                "legendDisplay": "default",
                "nestedLegend": False,
            }
            return "lnsPie", {"shape": "donut", "layers": [layer]}
    x, *splits = sorted(buckets, key=lambda key: columns[key]["operationType"] != "date_histogram")
    layer |= {
        "seriesType": kind,
        "xAccessor": x,
        "accessors": numbers,
        "position": "top",
        "showGridlines": False,
    }
    if splits:
        layer["splitAccessor"] = splits[0]
    return "lnsXY", {
        "legend": {"isVisible": bool(splits) or len(numbers) > 1, "position": "right"},
        "valueLabels": "hide",
        "fittingFunction": "None",
        "axisTitlesVisibilitySettings": {"x": False, "yLeft": False, "yRight": False},
        "preferredSeriesType": kind,
        "layers": [layer],
    }


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
