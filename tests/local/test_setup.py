"""`logsluice setup` on a real broker and a real Elasticsearch."""

from __future__ import annotations

import pytest
from elasticsearch import Elasticsearch
from kafka.admin import ConfigResource, ConfigResourceType

from logsluice.event.ecs import FIELDS
from logsluice.kafka.clients import admin
from logsluice.kafka.topics import describe_topic
from logsluice.provision.setup import run_setup, topic_plans
from logsluice.settings import Settings
from tests.local.running import Runner, free_port

NO_LIFECYCLE = "this server has no lifecycle management: old indices are kept until you delete them"
NO_KIBANA = "there is no Kibana in the settings (kibana.host): its views are left out"
ALIASES = [f"dev-{name}-index" for name in ("logs", "metrics", "results", "windows", "alerts", "dead-letters")]


def test_everything_is_made_once_and_left_alone_after(settings: Settings, elasticsearch_client: Elasticsearch) -> None:
    made = run_setup(settings, FIELDS)
    assert made == [
        f"topic {settings.kafka.topic}: made, with 4 partitions",
        f"topic {settings.kafka.dead_letter_topic}: made, with 1 partitions",
        f"topic {settings.kafka.alerts_topic}: made, with 1 partitions",
        NO_LIFECYCLE,
        *(f"index template {alias}: made" for alias in ALIASES),
        NO_KIBANA,
    ]
    assert run_setup(settings, FIELDS) == [NO_LIFECYCLE, NO_KIBANA]
    for alias in ALIASES:
        template = elasticsearch_client.indices.get_index_template(name=alias)["index_templates"][0]
        assert template["index_template"]["template"]["aliases"] == {alias: {}}


@pytest.mark.usefixtures("settings")
def test_topics_can_be_left_to_somebody_else(runner: Runner, elasticsearch_client: Elasticsearch) -> None:
    no_kafka = {"LOGSLUICE_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}
    done = runner.cli("setup", "--skip-topics", env=no_kafka)
    assert done.returncode == 0, done.stderr
    assert "topic" not in done.stdout
    assert elasticsearch_client.indices.exists_index_template(name="dev-results-index")


def test_a_topic_that_differs_is_corrected_where_it_can_be_and_told(settings: Settings) -> None:
    logs, *_ = topic_plans(settings)
    client = admin(settings, job="test")
    try:
        client.create_topics(
            {logs.name: {"num_partitions": 1, "replication_factor": 1, "configs": {"cleanup.policy": "compact"}}},
            wait_for_metadata=True,
        )
        report = run_setup(settings, FIELDS)
        assert f"topic {logs.name}: 4 partitions instead of 1" in report
        assert f"topic {logs.name}: cleanup.policy is delete instead of compact" in report
        assert f"topic {logs.name}: message.timestamp.type is LogAppendTime instead of CreateTime" in report
        resource = ConfigResource(ConfigResourceType.TOPIC, logs.name, dict.fromkeys(logs.configs))
        configs = client.describe_configs([resource], config_filter="all")["topic"][logs.name]
        assert {name: entry["value"] for name, entry in configs.items()} == logs.configs
        assert len(describe_topic(client, logs.name).partitions) == 4
    finally:
        client.close()


def test_partitions_that_are_too_many_are_told_and_kept(settings: Settings) -> None:
    logs, *_ = topic_plans(settings)
    client = admin(settings, job="test")
    try:
        client.create_topics({logs.name: {"num_partitions": 6, "replication_factor": 1}}, wait_for_metadata=True)
        assert any("has 6 partitions, the settings say 4" in line for line in run_setup(settings, FIELDS))
        assert len(describe_topic(client, logs.name).partitions) == 6
    finally:
        client.close()


def test_an_index_of_yesterday_gets_a_users_new_field(settings: Settings, elasticsearch_client: Elasticsearch) -> None:
    run_setup(settings, FIELDS)
    elasticsearch_client.index(index="dev-results-index-2026.11.21", id="1", document={"message": "x"}, refresh=True)
    report = run_setup(settings, {**FIELDS, "order.total": "double", "user.id": "long"})
    assert "index dev-results-index-2026.11.21: new fields order.total" in report
    assert any("keeps its types of user.id" in line for line in report)
    elasticsearch_client.index(
        index="dev-results-index-2026.11.21", id="2", document={"order": {"total": 12.5}}, refresh=True
    )
    found = elasticsearch_client.search(index="dev-results-index", query={"range": {"order.total": {"gt": 12}}})
    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["2"]
