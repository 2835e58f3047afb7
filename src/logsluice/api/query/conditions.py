"""Filters on a result's fields as Elasticsearch query clauses: pure functions."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from logsluice.elasticsearch.queries import Body, any_of, at_least, time_range
from logsluice.elasticsearch.templates import ServerFeatures, results_properties
from logsluice.errors import LogsluiceError
from logsluice.event.ecs import LEVELS, FieldType
from logsluice.event.moments import to_millis
from logsluice.extract.values import read_value
from logsluice.formats import normalize_level
from logsluice.runtime.time_expressions import parse_moment

Searchable = Mapping[str, str]
"""Elasticsearch's type of each field that can be searched, by name."""

LABELS: Final = "labels."
LONGEST_VALUE: Final = 1_000
_DURATION: Final = "event.duration"


def searchable_fields(fields: Mapping[str, FieldType]) -> dict[str, str]:
    """The indexed fields of the results index, of all that formats and patterns can fill."""
    properties = results_properties(fields, ServerFeatures())
    return {name: mapping["type"] for name, mapping in properties.items() if mapping.get("index", True)}


def searchable_field(name: str, fields: Searchable) -> str:
    """The type of a field that can be searched.

    Raises:
        LogsluiceError: There is no such field, or it is kept without being indexed.
    """
    if name.startswith(LABELS) and len(name) > len(LABELS):
        return "keyword"
    if name not in fields or fields[name] == "flattened":
        raise LogsluiceError(
            "no field that can be searched", where=name, hint="use an ECS field such as user.id, or labels.<name>"
        )
    return fields[name]


def field_conditions(pairs: Iterable[tuple[str, str]], fields: Searchable) -> list[Body]:
    """Bodys that fields have these values; of several values for the same field, one of them.

    Raises:
        LogsluiceError: A field is not known, or a value is not of its type.
    """
    by_field: dict[str, list[Body]] = {}
    for name, text in pairs:
        by_field.setdefault(name, []).append(_condition(name, text, searchable_field(name, fields)))
    return [conditions[0] if len(conditions) == 1 else any_of(*conditions) for conditions in by_field.values()]


def level_condition(levels: Iterable[str]) -> Body:
    """A condition that an event is of one of these levels, in any of their usual spellings.

    Raises:
        LogsluiceError: A word is no level.
    """
    return {"terms": {"log.level": [_level(word, "level") for word in levels]}}


def severity_condition(least: str) -> Body:
    """A condition that an event is of this level or a worse one.

    Raises:
        LogsluiceError: The word is no level.
    """
    return at_least(_level(least, "minLevel"))


def _level(word: str, where: str) -> str:
    level = normalize_level(word)
    if level not in LEVELS:
        raise LogsluiceError("not a level", where=f"{where}={word}", hint=f"one of {', '.join(LEVELS)}")
    return level


def _condition(name: str, text: str, kind: str) -> Body:
    if len(text) > LONGEST_VALUE:
        raise LogsluiceError("too long", where=name, why=f"more than {LONGEST_VALUE} characters")
    if name == "log.level":
        return level_condition([text])
    if kind in ("text", "match_only_text"):
        return {"match": {name: {"query": text, "operator": "and"}}}
    if kind == "date":
        # People write seconds; events carry more digits.
        second = to_millis(parse_moment(text))
        return time_range(second, second + 1_000, name)
    return {"term": {name: _value(name, text, kind)}}


def _value(name: str, text: str, kind: str) -> Any:
    if kind == "keyword":
        return text
    if kind == "ip":
        return _network(name, text)
    value = read_value(text, "duration" if name == _DURATION else cast(FieldType, kind))
    if value is None:
        raise LogsluiceError(f"not a value of type {kind}", where=f"{name}={text}", hint=f"write {_EXAMPLES[kind]}")
    return value


def _network(name: str, text: str) -> str:
    try:
        if "%" in text:
            raise ValueError("a zone says nothing to other machines")
        return str(ipaddress.ip_network(text, strict=False) if "/" in text else ipaddress.ip_address(text))
    except ValueError:
        raise LogsluiceError(
            "not an address", where=f"{name}={text}", hint="write 10.1.2.3, 2001:db8::1, or a network as 10.0.0.0/8"
        ) from None


_EXAMPLES: Final = {"long": "200", "double": "0.5", "boolean": "true"}
