"""Makes what the jobs and their users expect to find: topics, index templates, lifecycle policy, Kibana's saved
objects, the backup. Safe to run again at any time.

Jobs check and wait for these things; nothing else makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from threading import Event
from typing import Any, NamedTuple

from elasticsearch import Elasticsearch
from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from logsluice.elasticsearch import snapshots
from logsluice.elasticsearch.client import common_modules, connect, retry_request
from logsluice.elasticsearch.templates import (
    Properties,
    ServerFeatures,
    index_plans,
    index_template,
    lifecycle_policy,
    new_and_changed,
)
from logsluice.errors import LogsluiceError
from logsluice.event.ecs import FieldType
from logsluice.kafka.clients import admin
from logsluice.kafka.clients import is_unavailable as is_kafka_unavailable
from logsluice.kafka.topics import TopicNotReadyError, describe_topic
from logsluice.provision.kibana import import_objects, saved_objects
from logsluice.runtime.retry import RetryContext, retry_on_unavailable
from logsluice.settings import Settings

JOB = "setup"
_SOURCE_MAX_BYTES = 1_048_588
_DEAD_LETTER_MAX_BYTES = 2_097_152
_IN_SYNC_OF_THREE = 2


class TopicPlan(NamedTuple):
    """A topic as it should be."""

    name: str
    partitions: int
    replication_factor: int
    configs: dict[str, str]


def topic_plans(settings: Settings) -> list[TopicPlan]:
    """The topics of an environment.

    The broker's own clock and no compaction, because an event's id is made of its offset and of the broker's
    timestamp. Dead letters are few: one partition, in which larger records fit than in the source.
    """
    kafka = settings.kafka
    common = {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}
    if kafka.replication_factor > _IN_SYNC_OF_THREE:
        common["min.insync.replicas"] = str(_IN_SYNC_OF_THREE)
    topics = (
        (kafka.topic, kafka.partitions, _SOURCE_MAX_BYTES),
        (kafka.dead_letter_topic, 1, _DEAD_LETTER_MAX_BYTES),
        (kafka.alerts_topic, 1, _SOURCE_MAX_BYTES),
    )
    return [
        TopicPlan(name, partitions, kafka.replication_factor, common | {"max.message.bytes": str(size)})
        for name, partitions, size in topics
    ]


def run_setup(
    settings: Settings, fields: Mapping[str, FieldType], *, topics: bool = True, stop: Event | None = None
) -> list[str]:
    """Make everything, waiting for Kafka, Elasticsearch and Kibana where they are not up yet.

    Args:
        fields: Every field that formats and patterns can fill (``Registry.fields``).
        topics: Whether to make the topics; on Kubernetes that is Strimzi's part.

    Returns:
        What was made, changed, or cannot be had, a line each.

    Raises:
        LogsluiceError: A server refuses.
        StoppedError: ``stop`` was set while a server is away.
    """
    changes = set_up_kafka(settings, stop=stop) if topics else []
    changes += set_up_elasticsearch(settings, fields, stop=stop) + set_up_kibana(settings, stop=stop)
    # Last: a backup that fails is reported, and keeps nobody from working.
    return changes + set_up_snapshots(settings, stop=stop)


def set_up_kafka(settings: Settings, *, stop: Event | None = None) -> list[str]:
    """Make the topics; see :func:`run_setup`."""
    where = settings.kafka.bootstrap_servers
    context = RetryContext("kafka", where, JOB, stop=stop)
    changes: list[str] = []
    with closing(admin(settings, job=JOB, stop=stop)) as client:
        try:
            for plan in topic_plans(settings):
                changes += retry_on_unavailable(partial(_set_up_topic, client, plan), is_kafka_unavailable, context)
        except kafka_errors.KafkaError as error:
            raise LogsluiceError("Kafka refuses", where=where, why=str(error)) from None
    return changes


def set_up_elasticsearch(
    settings: Settings, fields: Mapping[str, FieldType], *, stop: Event | None = None
) -> list[str]:
    """Make lifecycle policy and templates, and give existing indices new fields; see :func:`run_setup`."""
    return _call_elasticsearch(lambda client: _set_up_indices(client, settings, fields), settings, stop)


def set_up_snapshots(settings: Settings, *, stop: Event | None = None) -> list[str]:
    """Register the backup, where the settings name a bucket for it; see :func:`run_setup`."""
    return _call_elasticsearch(lambda client: snapshots.set_up(client, settings), settings, stop)


def _call_elasticsearch(
    work: Callable[[Elasticsearch], list[str]], settings: Settings, stop: Event | None
) -> list[str]:
    server = settings.elasticsearch
    with closing(connect(server)) as client:
        return retry_request(lambda: work(client), server, job=JOB, stop=stop)


def set_up_kibana(settings: Settings, *, stop: Event | None = None) -> list[str]:
    """Import Kibana's saved objects, where there is a Kibana; see :func:`run_setup`."""
    if settings.kibana.host is None:
        return ["there is no Kibana in the settings (kibana.host): its views are left out"]
    objects = saved_objects(settings)
    import_objects(settings.kibana, objects, job=JOB, stop=stop)
    return [f"Kibana at {settings.kibana.host}: {len(objects)} saved objects are as they should be"]


def _set_up_topic(client: KafkaAdminClient, plan: TopicPlan) -> list[str]:
    if plan.name not in client.list_topics():
        try:
            layout = {"num_partitions": plan.partitions, "replication_factor": plan.replication_factor}
            client.create_topics({plan.name: {**layout, "configs": plan.configs}})
        except kafka_errors.TopicAlreadyExistsError:
            pass  # Somebody else set up at the same moment; what differs is found below.
        else:
            return [f"topic {plan.name}: made, with {plan.partitions} partitions"]
    return _correct_partitions(client, plan) + _correct_configs(client, plan)


def _correct_partitions(client: KafkaAdminClient, plan: TopicPlan) -> list[str]:
    try:
        there = len(describe_topic(client, plan.name).partitions)
    except TopicNotReadyError as reason:
        raise kafka_errors.LeaderNotAvailableError(str(reason)) from None
    if there < plan.partitions:
        client.create_partitions({plan.name: plan.partitions})
        return [f"topic {plan.name}: {plan.partitions} partitions instead of {there}"]
    if there > plan.partitions:
        return [
            f"topic {plan.name}: has {there} partitions, the settings say {plan.partitions}; "
            "they can't be taken away, so it stays as it is"
        ]
    return []


def _correct_configs(client: KafkaAdminClient, plan: TopicPlan) -> list[str]:
    resource = ConfigResource(ConfigResourceType.TOPIC, plan.name, dict.fromkeys(plan.configs))
    current = client.describe_configs([resource], config_filter="all")["topic"][plan.name]
    differing = {key: value for key, value in plan.configs.items() if current[key]["value"] != value}
    if not differing:
        return []
    answer = client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, plan.name, differing)])
    if answer["topic"][plan.name] != "OK":
        raise LogsluiceError("Kafka refuses a setting", where=plan.name, why=answer["topic"][plan.name])
    return [
        f"topic {plan.name}: {key} is {value} instead of {current[key]['value']}" for key, value in differing.items()
    ]


def _set_up_indices(client: Elasticsearch, settings: Settings, fields: Mapping[str, FieldType]) -> list[str]:
    modules = common_modules(client)
    features = ServerFeatures(match_only_text="mapper-extras" in modules, lifecycle="x-pack-ilm" in modules)
    server = settings.elasticsearch
    changes: list[str] = []
    lifecycle = f"{settings.env}-logsluice" if features.lifecycle else None
    if lifecycle:
        policy = lifecycle_policy(server.retention_days)
        if not _same(_policy(client, lifecycle), policy):
            client.ilm.put_lifecycle(name=lifecycle, policy=policy)
            changes.append(f"lifecycle policy {lifecycle}: deletes indices after {server.retention_days} days")
    else:
        changes.append("this server has no lifecycle management: old indices are kept until you delete them")
    for alias, properties, lenient in index_plans(settings, fields, features):
        template = index_template(alias, properties, replicas=server.replicas, lenient=lenient, lifecycle=lifecycle)
        changes += _write_template(client, alias, template)
        changes += _add_fields(client, alias, properties)
    return changes


def _write_template(client: Elasticsearch, name: str, template: dict[str, Any]) -> list[str]:
    existed = bool(client.indices.exists_index_template(name=name))
    before = client.indices.get_index_template(name=name).body if existed else None
    client.indices.put_index_template(name=name, body=template)
    if not existed:
        return [f"index template {name}: made"]
    after = client.indices.get_index_template(name=name).body
    return [] if before == after else [f"index template {name}: changed, for indices made from now on"]


def _add_fields(client: Elasticsearch, alias: str, properties: Properties) -> list[str]:
    """Add the fields that indices made by an older template lack; a type can't be changed in place."""
    changes = []
    indices = client.indices.get_mapping(index=f"{alias}-*", allow_no_indices=True).body
    for index, entry in sorted(indices.items()):
        new, changed = new_and_changed(entry["mappings"].get("properties", {}), properties)
        if new:
            client.indices.put_mapping(index=index, properties=new)
            changes.append(f"index {index}: new fields {', '.join(sorted(new))}")
        if changed:
            changes.append(
                f"index {index}: keeps its types of {', '.join(sorted(changed))}; "
                "extract its events again into a new index to have the new types"
            )
    return changes


def _policy(client: Elasticsearch, name: str) -> dict[str, Any]:
    found = client.options(ignore_status=404).ilm.get_lifecycle(name=name).body
    policy: dict[str, Any] = found.get(name, {}).get("policy", {})
    return policy


def _same(current: dict[str, Any], policy: dict[str, Any]) -> bool:
    """Whether a stored policy says what is wanted; the server adds defaults of its own."""
    ages = {phase: plan.get("min_age", "0ms") for phase, plan in current.get("phases", {}).items()}
    return ages == {phase: plan.get("min_age", "0ms") for phase, plan in policy["phases"].items()}
