"""What the indices look like: index templates and their mappings, as plain data.

Both mappings are closed (``dynamic: false``): a field that they do not name is kept in the document, but not
indexed, so that arbitrary JSON can never make the mapping grow. Fields are leaves with dots in their names
(``subobjects: false``), so that an event with ``"host": "web1"`` stands beside ``host.name`` instead of being
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logsluice.fields import FIELDS, FieldType

Properties = dict[str, dict[str, Any]]

_PRIORITY = 200
_KEYWORD: dict[str, Any] = {"type": "keyword", "ignore_above": 1024}
# As many characters as Lucene's longest term has room for, whatever they are.
_LONG_KEYWORD: dict[str, Any] = {"type": "keyword", "ignore_above": 8191}
_STORED_ONLY: dict[str, Any] = {"type": "keyword", "index": False, "doc_values": False}
_LONG_VALUES = frozenset(
    {
        "http.request.referrer",
        "log.file.path",
        "log.syslog.structured_data",
        "url.full",
        "url.original",
        "url.path",
        "url.query",
        "user_agent.original",
    }
)
_COMMON: Properties = {
    "event.id": _KEYWORD,
    "event.original": _STORED_ONLY,
    "kafka.key": _KEYWORD,
    "kafka.offset": {"type": "long"},
    "kafka.partition": {"type": "long"},
    "kafka.timestamp": {"type": "date"},
    "kafka.topic": _KEYWORD,
    "tags": _KEYWORD,
}
_RESULTS: Properties = {
    "labels": {"type": "flattened", "ignore_above": 1024},
    "logsluice.original_bytes": _STORED_ONLY,
    "logsluice.original_length": {"type": "long"},
    "logsluice.patterns": _KEYWORD,
    "logsluice.revision": {"type": "long"},
}


@dataclass(frozen=True)
class Abilities:
    """What a server has beyond Elasticsearch's core.

    Attributes:
        match_only_text: The compact text type for messages.
        lifecycle: Index lifecycle management, which deletes old days.
    """

    match_only_text: bool = False
    lifecycle: bool = False


def field_mapping(name: str, kind: FieldType, abilities: Abilities) -> dict[str, Any]:
    """How a field of ours is indexed."""
    if kind == "text":
        return {"type": "match_only_text" if abilities.match_only_text else "text"}
    if kind in ("keyword", "level"):
        return _LONG_KEYWORD if name in _LONG_VALUES else _KEYWORD
    return {"type": "long" if kind == "duration" else kind}


def logs_properties(abilities: Abilities) -> Properties:
    """The fields of the logs index: those of Elastic Common Schema where a JSON event brings them."""
    return {name: field_mapping(name, kind, abilities) for name, kind in FIELDS.items()} | _COMMON


def results_properties(fields: Mapping[str, FieldType], abilities: Abilities) -> Properties:
    """The fields of the results index.

    Args:
        fields: Every field that formats and patterns can fill; those of ``labels`` need no mapping of their
        own. abilities: Of the server.
    """
    named = {
        name: field_mapping(name, kind, abilities) for name, kind in fields.items() if not name.startswith("labels.")
    }
    return named | _COMMON | _RESULTS


def index_template(
    alias: str, properties: Properties, *, replicas: int, lenient: bool, lifecycle: str | None
) -> dict[str, Any]:
    """The template of the dated indices behind an alias, which also puts each new one behind it.

    Args:
        alias: The alias; the indices are called ``<alias>-<day>``.
        properties: Their fields.
        replicas: Copies of each shard.
        lenient: Leave a field of the wrong type out of the index instead of refusing the document.
        lifecycle: Name of the lifecycle policy, where the server knows any.
    """
    settings: dict[str, Any] = {
        "index.number_of_shards": 1,
        "index.number_of_replicas": replicas,
        "index.refresh_interval": "1s",
        "index.mapping.ignore_malformed": lenient,
        "index.mapping.total_fields.limit": max(1_000, 2 * len(properties)),
    }
    if lifecycle:
        settings["index.lifecycle.name"] = lifecycle
    return {
        "index_patterns": [f"{alias}-*"],
        "priority": _PRIORITY,
        "template": {
            "settings": settings,
            "aliases": {alias: {}},
            "mappings": {"dynamic": False, "subobjects": False, "properties": properties},
        },
        "_meta": {"managed_by": "logsluice"},
    }


def lifecycle_policy(retention_days: int) -> dict[str, Any]:
    """The policy that deletes an index that many days after it was made."""
    return {
        "phases": {
            "hot": {"actions": {}},
            "delete": {"min_age": f"{retention_days}d", "actions": {"delete": {}}},
        }
    }


def new_and_changed(current: Mapping[str, Any], wanted: Properties) -> tuple[Properties, list[str]]:
    """What an existing index lacks: the fields to add, and those that it has with another type."""
    new = {name: mapping for name, mapping in wanted.items() if name not in current}
    changed = [
        name for name, mapping in wanted.items() if name in current and current[name].get("type") != mapping["type"]
    ]
    return new, changed
