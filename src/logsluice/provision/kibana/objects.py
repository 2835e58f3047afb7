"""Kibana's saved objects as plain data: data views, saved searches and dashboards; charts are in ``lens``.

Each object says the version of its type that it is written in. Kibana brings an older one up to its own when it is
imported, and refuses a newer one, so that these are not the newest there are, but such as every 9.5 has.

Source: https://github.com/elastic/kibana, ``server/saved_objects`` of the plugins ``data_views``, ``saved_search``,
``lens`` and ``dashboard``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import orjson

SavedObject = dict[str, Any]
Kind = Literal["index-pattern", "search", "lens", "dashboard"]

CORE_VERSION: Final = "8.8.0"
TYPE_VERSIONS: Final[dict[Kind, str]] = {
    "index-pattern": "8.0.0",
    "search": "10.13.0",
    "lens": "10.1.0",
    "dashboard": "10.3.0",
}
TIME_FIELD: Final = "@timestamp"

_INDEX: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"


def reference(kind: Kind, other: str, name: str) -> dict[str, str]:
    """That an object needs another one, which its attributes call ``name``."""
    return {"type": kind, "id": other, "name": name}


def saved_object(
    kind: Kind, name: str, attributes: Mapping[str, Any], references: Sequence[Mapping[str, str]]
) -> SavedObject:
    """A saved object as the import takes it; nobody can change it in place, as the next import would undo that."""
    return {
        "type": kind,
        "id": name,
        "attributes": dict(attributes),
        "references": list(references),
        "coreMigrationVersion": CORE_VERSION,
        "typeMigrationVersion": TYPE_VERSIONS[kind],
        "managed": True,
    }


def data_view(name: str, title: str, pattern: str, formats: Mapping[str, Mapping[str, Any]]) -> SavedObject:
    """The documents behind an alias, which need not be there yet; ``formats`` is how Kibana shows numbers, by field."""
    attributes = {
        "title": pattern,
        "name": title,
        "timeFieldName": TIME_FIELD,
        "allowNoIndex": True,
        "fields": "[]",
        "fieldAttrs": "{}",
        "fieldFormatMap": as_json(formats),
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
        "typeMeta": "{}",
    }
    return saved_object("index-pattern", name, attributes, [])


def saved_search(
    name: str,
    title: str,
    description: str,
    *,
    view: str,
    query: str,
    columns: Sequence[str],
    sort: tuple[str, Literal["asc", "desc"]] = (TIME_FIELD, "desc"),
    breakdown: str | None = None,
) -> SavedObject:
    """A search (Lucene) that opens in Discover, with one tab; the field ``breakdown`` colours its histogram."""
    of_view = reference("index-pattern", view, f"tab_{name}.{_INDEX}")
    tab: dict[str, Any] = {
        "columns": list(columns),
        "sort": [list(sort)],
        "grid": {},
        "hideChart": False,
        "hideTable": False,
        "isTextBasedQuery": False,
        "timeRestore": False,
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": as_json(search_source(query) | {"indexRefName": of_view["name"]})
        },
    }
    if breakdown:
        tab["breakdownField"] = breakdown
    attributes = {
        "title": title,
        "description": description,
        "tabs": [{"id": name, "label": title, "attributes": tab}],
    }
    return saved_object("search", name, attributes, [of_view])


def search_source(query: str) -> dict[str, Any]:
    """A query in Lucene's syntax, as attributes have it."""
    return {"query": {"language": "lucene", "query": query}, "filter": []}


def as_json(value: object) -> str:
    """A part of attributes that Kibana keeps as text."""
    return orjson.dumps(value).decode()
