"""What Kibana asks Elasticsearch for: of a saved search, and of a chart of Lens, for the subset of both that we use.

Anything else is refused. Stretches of time are of 30 seconds, which Kibana chooses by the time that is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def lucene(query: Json) -> Json:
    """A query as Kibana's data plugin makes it, with its default options for query_string."""
    assert query.keys() == {"language", "query"}
    assert query["language"] == "lucene", query
    if not query["query"]:
        return {"match_all": {}}
    return {"query_string": {"query": query["query"], "analyze_wildcard": True}}


def search_body(search: Json) -> tuple[str, Json]:
    """The data view and the request of a saved search."""
    [tab] = search["attributes"]["tabs"]
    attributes = tab["attributes"]
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    [view] = [reference["id"] for reference in search["references"] if reference["name"] == source["indexRefName"]]
    assert source["filter"] == []
    body = {
        "query": lucene(source["query"]),
        "sort": [{field: {"order": order}} for field, order in attributes["sort"]],
        "fields": attributes["columns"],
        "size": 500,
    }
    if field := attributes.get("breakdownField"):
        body["aggs"] = {"breakdown": {"terms": {"field": field}}}
    return view, body


def chart_body(chart: Json) -> tuple[str, Json]:
    """The data view and the request of a chart."""
    state = chart["attributes"]["state"]
    assert state["filters"] == []
    [layer] = state["datasourceStates"]["formBased"]["layers"].values()
    [reference] = chart["references"]
    columns = [(name, layer["columns"][name]) for name in layer["columnOrder"]]
    numbers = {name: _number(column) for name, column in columns if not column["isBucketed"]}
    aggregations = {name: aggregation for name, aggregation in numbers.items() if aggregation}
    for name, column in reversed([entry for entry in columns if entry[1]["isBucketed"]]):
        # Each level has the numbers too: they rank its values.
        aggregations = {name: _bucket(column, layer["columns"]) | ({"aggs": aggregations} if aggregations else {})}
        aggregations |= {number: aggregation for number, aggregation in numbers.items() if aggregation}
    return reference["id"], {"query": lucene(state["query"]), "size": 0, "track_total_hits": True, "aggs": aggregations}


def _number(column: Json) -> Json | None:
    """None is the count of the bucket itself."""
    field, params = column["sourceField"], column["params"]
    match column["operationType"]:
        case "count":
            assert field == "___records___"
            aggregation = None
        case "unique_count":
            aggregation = {"cardinality": {"field": field}}
        case "max":
            aggregation = {"max": {"field": field}}
        case "percentile":
            aggregation = {"percentiles": {"field": field, "percents": [params["percentile"]]}}
        case unknown:
            raise AssertionError(unknown)
    if "filter" in column:
        filtered: Json = {"filter": lucene(column["filter"])}
        return filtered | ({"aggs": {"value": aggregation}} if aggregation else {})
    return aggregation


def _bucket(column: Json, columns: Json) -> Json:
    params = column["params"]
    match column["operationType"]:
        case "date_histogram":
            assert params["interval"] == "auto"
            return {"date_histogram": {"field": column["sourceField"], "fixed_interval": "30s", "min_doc_count": 1}}
        case "terms":
            by = params["orderBy"]["columnId"]
            assert "filter" not in columns[by], "a filtered number ranks nothing here"
            key = "_count" if columns[by]["operationType"] == "count" else by
            order = {key: params["orderDirection"]}
            terms = {"field": column["sourceField"], "size": params["size"], "order": order}
            # Kibana asks for the rest in a second request.
            if params["otherBucket"] and params["missingBucket"]:
                terms["missing"] = "__missing__"
            return {"terms": terms}
        case "filters":
            named = {entry["label"]: lucene(entry["input"]) for entry in params["filters"]}
            return {"filters": {"filters": named}}
        case unknown:
            raise AssertionError(unknown)


def rows(chart: Json, answer: Json) -> Iterator[Json]:
    """The rows that a chart shows: the key of each bucket and the value of each number."""
    [layer] = chart["attributes"]["state"]["datasourceStates"]["formBased"]["layers"].values()
    yield from _rows(layer, layer["columnOrder"], answer.get("aggregations", {}), answer["hits"]["total"]["value"], {})


def _rows(layer: Json, names: list[str], level: Json, count: int, keys: Json) -> Iterator[Json]:
    name, *others = names
    if layer["columns"][name]["isBucketed"]:
        buckets = level[name]["buckets"]
        named = buckets.items() if isinstance(buckets, dict) else ((bucket["key"], bucket) for bucket in buckets)
        for key, bucket in named:
            yield from _rows(layer, others, bucket, bucket["doc_count"], keys | {name: key})
        return
    yield keys | {number: _value(level.get(number), count) for number in names}


def _value(found: Json | None, count: int) -> float | None:
    if found is None:
        return count
    if "doc_count" in found:
        return _value(found.get("value"), found["doc_count"])
    value = found["value"] if "value" in found else next(iter(found["values"].values()))
    return None if value is None else float(value)
