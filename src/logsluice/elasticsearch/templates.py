"""Index templates, mappings and the lifecycle policy of the indices, as plain data.

Both mappings are closed (``dynamic: false``): a field that they do not name is kept in the document, but not
indexed, so that arbitrary JSON can never make the mapping grow. Fields are leaves with dots in their names
(``subobjects: false``), so that an event with ``"host": "web1"`` stands beside ``host.name`` instead of being
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from logsluice.event.ecs import FIELDS, LEVELS, FieldType
from logsluice.settings import Settings

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
_LONG: dict[str, Any] = {"type": "long"}
_DOUBLE: dict[str, Any] = {"type": "double"}
_DATE: dict[str, Any] = {"type": "date"}
_FLATTENED: dict[str, Any] = {"type": "flattened", "ignore_above": 1024}
_RECORD: Properties = {
    "event.id": _KEYWORD,
    "event.original": _STORED_ONLY,
    "kafka.offset": _LONG,
    "kafka.partition": _LONG,
    "kafka.timestamp": _DATE,
    "kafka.topic": _KEYWORD,
    "tags": _KEYWORD,
}
_EVENT: Properties = _RECORD | {"kafka.key": _KEYWORD, "related.ip": {"type": "ip"}}
_RESULTS: Properties = {
    "labels": _FLATTENED,
    "logsluice.original_bytes": _STORED_ONLY,
    "logsluice.original_length": _LONG,
    "logsluice.patterns": _KEYWORD,
    "logsluice.processors": _KEYWORD,
    "logsluice.revision": _LONG,
}
_WINDOWS: Properties = {
    **dict.fromkeys(("@timestamp", "window.start", "window.end"), _DATE),
    **dict.fromkeys(("service.name", "tags"), _KEYWORD),
    **dict.fromkeys(("window.events", "window.errors", "window.critical", "window.late", "window.users"), _LONG),
    "window.error_rate": _DOUBLE,
    **{f"window.levels.{level}": _LONG for level in LEVELS},
    "window.durations": _LONG,
    **{f"window.duration.p{percent}": _LONG for percent in (50, 95, 99)},
    **dict.fromkeys(("window.payments", "window.refunds"), _LONG),
    # By ISO 4217 code, decimal text: amounts of different currencies have no sum.
    **dict.fromkeys(("window.payment_amounts", "window.refund_amounts"), _FLATTENED),
}
_ALERTS: Properties = {
    **dict.fromkeys(("@timestamp", "event.start", "event.end", "alert.last_seen"), _DATE),
    **dict.fromkeys(("alert.id", "alert.status", "alert.severity", "alert.pending"), _KEYWORD),
    **dict.fromkeys(("alert.value", "alert.threshold"), _DOUBLE),
    **dict.fromkeys(("error.type", "event.kind", "rule.description", "rule.name", "service.name", "tags"), _KEYWORD),
    "event.duration": _LONG,
    "event.url": _LONG_KEYWORD,
}
_DEAD_LETTERS: Properties = _RECORD | {
    "@timestamp": _DATE,
    "dead_letter.consumer": _KEYWORD,
    "dead_letter.reason": _KEYWORD,
    "dead_letter.detail": _LONG_KEYWORD,
}


class IndexPlan(NamedTuple):
    """The dated indices behind an alias; if lenient, a field of the wrong type refuses no document, but is left out."""

    alias: str
    properties: Properties
    lenient: bool


@dataclass(frozen=True)
class ServerFeatures:
    """What a server has beyond Elasticsearch's core: the compact text type for messages, and lifecycle management."""

    match_only_text: bool = False
    lifecycle: bool = False


def field_mapping(name: str, kind: FieldType, features: ServerFeatures) -> dict[str, Any]:
    """How a field of ours is indexed."""
    if kind == "text":
        return {"type": "match_only_text" if features.match_only_text else "text"}
    if kind in ("keyword", "level"):
        return _LONG_KEYWORD if name in _LONG_VALUES else _KEYWORD
    return {"type": "long" if kind == "duration" else kind}


def logs_properties(features: ServerFeatures) -> Properties:
    """The fields of the logs index: those of Elastic Common Schema where a JSON event brings them."""
    return {name: field_mapping(name, kind, features) for name, kind in FIELDS.items()} | _EVENT


def results_properties(fields: Mapping[str, FieldType], features: ServerFeatures) -> Properties:
    """The fields of the results index: all that formats and patterns can fill; ``labels`` need no mapping each."""
    named = {
        name: field_mapping(name, kind, features) for name, kind in fields.items() if not name.startswith("labels.")
    }
    return named | _EVENT | _RESULTS


def index_plans(settings: Settings, fields: Mapping[str, FieldType], features: ServerFeatures) -> list[IndexPlan]:
    """Every index of an environment; ``fields`` is what formats and patterns can fill."""
    message = {"message": field_mapping("message", "text", features)}
    return [
        IndexPlan(settings.logs_index, logs_properties(features), True),
        IndexPlan(settings.metrics_index, logs_properties(features), True),
        IndexPlan(settings.results_index, results_properties(fields, features), False),
        IndexPlan(settings.windows_index, _WINDOWS, False),
        IndexPlan(settings.alerts_index, _ALERTS | message, False),
        IndexPlan(settings.dead_letters_index, _DEAD_LETTERS | message, False),
    ]


def index_template(
    alias: str, properties: Properties, *, replicas: int, lenient: bool, lifecycle: str | None
) -> dict[str, Any]:
    """The template of the dated indices (``<alias>-<day>``) behind an alias, which also puts each new one behind it.

    See :class:`IndexPlan`; ``replicas`` are copies of each shard, ``lifecycle`` names a policy, where there are any.
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


def new_and_changed(current: Mapping[str, Any], declared: Properties) -> tuple[Properties, list[str]]:
    """What an existing index lacks: the fields to add, and those that it has with another type."""
    new = {name: mapping for name, mapping in declared.items() if name not in current}
    changed = [
        name for name, mapping in declared.items() if name in current and current[name].get("type") != mapping["type"]
    ]
    return new, changed
