from __future__ import annotations

from typing import Any

from logsluice.elasticsearch.templates import (
    ServerFeatures,
    field_mapping,
    index_plans,
    index_template,
    lifecycle_policy,
    logs_properties,
    new_and_changed,
    results_properties,
)
from logsluice.event.ecs import FIELDS
from logsluice.settings import Settings

CORE, FULL = ServerFeatures(), ServerFeatures(match_only_text=True, lifecycle=True)


def test_every_field_of_ours_is_mapped_to_a_type_that_elasticsearch_has() -> None:
    kinds = {"keyword", "text", "long", "double", "boolean", "ip", "date"}
    for properties in (logs_properties(CORE), results_properties(FIELDS, CORE)):
        assert FIELDS.keys() <= properties.keys()
        assert {entry["type"] for entry in properties.values()} <= kinds | {"flattened"}


def test_types_follow_the_fields() -> None:
    expected = {"source.ip": "ip", "event.duration": "long", "log.level": "keyword", "@timestamp": "date"}
    mapped = results_properties(FIELDS, CORE)
    assert {name: mapped[name]["type"] for name in expected} == expected
    assert mapped["event.original"] == {"type": "keyword", "index": False, "doc_values": False}
    assert mapped["labels"]["type"] == "flattened"


def test_the_compact_text_type_is_taken_where_the_server_has_it() -> None:
    assert field_mapping("message", "text", CORE)["type"] == "text"
    assert field_mapping("message", "text", FULL)["type"] == "match_only_text"


def test_long_values_are_indexed_as_far_as_a_term_may_be_long() -> None:
    assert field_mapping("url.full", "keyword", CORE)["ignore_above"] * 4 <= 32_766
    assert field_mapping("host.name", "keyword", CORE)["ignore_above"] == 1_024


def test_a_users_fields_are_mapped_and_labels_need_no_mapping_of_their_own() -> None:
    mapped = results_properties({**FIELDS, "order.total": "double", "labels.shop": "keyword"}, CORE)
    assert mapped["order.total"] == {"type": "double"}
    assert "labels.shop" not in mapped


def test_the_logs_index_takes_any_labels() -> None:
    assert "labels" not in logs_properties(CORE)


def test_every_index_of_a_full_server_is_deleted_by_its_lifecycle() -> None:
    plans = index_plans(Settings(env="prod"), FIELDS, FULL)
    assert len(plans) == 6
    for plan in plans:
        template = index_template(plan.alias, plan.properties, replicas=1, lenient=plan.lenient, lifecycle="prod-x")
        assert template["template"]["settings"]["index.lifecycle.name"] == "prod-x"
        assert template["index_patterns"] == [f"{plan.alias}-*"]


def test_a_template_is_closed_and_puts_its_indices_behind_the_alias() -> None:
    template = index_template("dev-logs-index", logs_properties(CORE), replicas=1, lenient=True, lifecycle=None)
    assert template["index_patterns"] == ["dev-logs-index-*"]
    assert template["template"]["aliases"] == {"dev-logs-index": {}}
    assert template["template"]["mappings"]["dynamic"] is False
    assert template["template"]["settings"]["index.number_of_replicas"] == 1
    assert "index.lifecycle.name" not in template["template"]["settings"]


def test_a_lifecycle_is_named_where_there_is_one() -> None:
    template = index_template("a", {}, replicas=0, lenient=False, lifecycle="dev-logsluice")
    assert template["template"]["settings"]["index.lifecycle.name"] == "dev-logsluice"
    assert lifecycle_policy(30)["phases"]["delete"]["min_age"] == "30d"


def test_an_old_index_gets_new_fields_and_keeps_its_types() -> None:
    current: dict[str, dict[str, Any]] = {"a": {"type": "keyword", "ignore_above": 256}, "b": {"type": "text"}}
    wanted: dict[str, dict[str, Any]] = {
        "a": {"type": "keyword", "ignore_above": 1024},
        "b": {"type": "long"},
        "c": {"type": "ip"},
    }
    assert new_and_changed(current, wanted) == ({"c": {"type": "ip"}}, ["b"])
