"""Questions about fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.api.query.conditions import (
    field_conditions,
    level_condition,
    searchable_field,
    searchable_fields,
    severity_condition,
)
from logsluice.errors import LogsluiceError
from logsluice.event.ecs import FIELDS

KNOWN = searchable_fields(FIELDS)


@pytest.mark.parametrize(
    ("name", "value", "condition"),
    [
        ("user.id", "48213", {"term": {"user.id": "48213"}}),
        ("http.response.status_code", "500", {"term": {"http.response.status_code": 500}}),
        ("event.duration", "35ms", {"term": {"event.duration": 35_000_000}}),
        ("source.ip", "10.1.0.0/16", {"term": {"source.ip": "10.1.0.0/16"}}),
        ("labels.order_id", "ORD-17", {"term": {"labels.order_id": "ORD-17"}}),
        ("message", "payment failed", {"match": {"message": {"query": "payment failed", "operator": "and"}}}),
        ("log.level", "WARNING", {"terms": {"log.level": ["warn"]}}),
        (
            "@timestamp",
            "1970-01-01T00:00:01",
            {"range": {"@timestamp": {"gte": 1_000, "lt": 2_000, "format": "epoch_millis"}}},
        ),
    ],
)
def test_a_value_is_asked_for_by_its_type(name: str, value: str, condition: dict[str, object]) -> None:
    assert field_conditions([(name, value)], KNOWN) == [condition]


def test_values_of_one_field_are_alternatives_and_fields_hold_together() -> None:
    one, two = field_conditions([("user.id", "1"), ("host.name", "a"), ("user.id", "2")], KNOWN)
    assert one["bool"] == {
        "should": [{"term": {"user.id": "1"}}, {"term": {"user.id": "2"}}],
        "minimum_should_match": 1,
    }
    assert two == {"term": {"host.name": "a"}}


@pytest.mark.parametrize(
    "name", ["nobody", "event.original", "logsluice.original_bytes", "labels", "labels.", "", "_id"]
)
def test_a_field_that_cannot_be_searched_is_named(name: str) -> None:
    with pytest.raises(LogsluiceError, match=f"^{name}(: )?no field that can be searched"):
        searchable_field(name, KNOWN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http.response.status_code", "5xx"),
        ("http.response.status_code", "9" * 30),
        ("source.ip", "10.1.2"),
        ("source.ip", "fe80::1%eth0"),
        ("source.ip", "10.0.0.0/99"),
        ("kafka.timestamp", "yesterday"),
        ("log.level", "loud"),
        ("user.id", "x" * 1_001),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: str) -> None:
    with pytest.raises(LogsluiceError):
        field_conditions([(name, value)], KNOWN)


@given(st.sampled_from(sorted(KNOWN)), st.text(max_size=30))
def test_any_value_is_a_condition_or_refused(name: str, value: str) -> None:
    try:
        (condition,) = field_conditions([(name, value)], KNOWN)
    except LogsluiceError:
        return
    assert len(condition) == 1


def test_levels_are_exact_or_a_least_one() -> None:
    assert level_condition(["error", "FATAL"]) == {"terms": {"log.level": ["error", "critical"]}}
    assert severity_condition("warning") == {"terms": {"log.level": ["warn", "error", "critical"]}}
    with pytest.raises(LogsluiceError, match="minLevel=loud: not a level"):
        severity_condition("loud")
