"""Kafka, by the JMX exporter in each broker (k8s/base/kafka/metrics.yaml)."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard
from grafana_foundation_sdk.models.units import (
    BytesIEC,
    BytesPerSecondIEC,
    MessagesPerSecond,
    Milliseconds,
    PercentUnit,
)

from grafana.panels import Panel, Query, dashboard, lines, number, rate, select

_TOPICS: Final = "kafka_server_brokertopicmetrics_"
_REPLICAS: Final = "kafka_server_replicamanager_"
_SLOWEST: Final = 'quantile="0.99"'
_LAG: Final = f"max by (group, topic, partition) ({select('logsluice_consumer_lag_events')})"


def kafka() -> Dashboard:
    """Whether Kafka keeps every copy, keeps up, and has room."""
    return dashboard(
        "kafka",
        "Kafka",
        "Whether Kafka keeps every copy, keeps up with its clients, and has room.",
        [("Now", _now()), ("Traffic", _traffic()), ("Copies", _copies()), ("Brokers", _brokers())],
        environments="kafka_server_replicamanager_partitioncount",
    )


def _now() -> list[Panel]:
    return [
        number(
            "Brokers",
            f"max({select('kafka_controller_activebrokercount')})",
            bad_below=1,
            description="As the active controller counts them.",
        ),
        number("Active controllers", f"sum({select('kafka_controller_activecontrollercount')})", bad_below=1),
        number("Partitions without a leader", f"max({select('kafka_controller_offlinepartitionscount')})", bad_above=1),
        number("Partitions lacking a copy", f"sum({select(_REPLICAS + 'underreplicatedpartitions')})", bad_above=1),
        number(
            "Partitions that take no writes",
            f"sum({select(_REPLICAS + 'underminisrpartitioncount')})",
            bad_above=1,
            description="Fewer copies in sync than min.insync.replicas.",
        ),
        number("Topics", f"max({select('kafka_controller_globaltopiccount')})"),
        number("Messages in", f"sum({rate(_TOPICS + 'messagesin_all_topics_total')})", unit=MessagesPerSecond),
        number("Stored", f"sum({select('kafka_log_size_bytes')})", unit=BytesIEC),
    ]


def _traffic() -> list[Panel]:
    return [
        lines(
            "Messages in by topic",
            Query(f"sum by (topic) ({rate(_TOPICS + 'messagesin_total')})", "{{topic}}"),
            unit=MessagesPerSecond,
        ),
        lines(
            "Bytes in by topic",
            Query(f"sum by (topic) ({rate(_TOPICS + 'bytesin_total')})", "{{topic}}"),
            unit=BytesPerSecondIEC,
        ),
        lines(
            "Bytes out by topic",
            Query(f"sum by (topic) ({rate(_TOPICS + 'bytesout_total')})", "{{topic}}"),
            unit=BytesPerSecondIEC,
            description="To consumers; followers' copies are not in it.",
        ),
        lines(
            "Lag by group", Query(f"sum by (group) ({_LAG})", "{{group}}"), description="Events not read yet.", width=12
        ),
        lines("Lag by partition", Query(_LAG, "{{group}}: {{topic}}-{{partition}}"), width=12),
        lines(
            "Requests, 99 %",
            Query(f"max by (request) ({select('kafka_network_request_total_time_ms', _SLOWEST)})", "{{request}}"),
            unit=Milliseconds,
            description="Fetches wait for data when there is none: up to the consumer's fetch.max.wait.ms.",
        ),
        lines(
            "Failed requests",
            Query(f"sum({rate(_TOPICS + 'failedproducerequests_all_topics_total')})", "produce"),
            Query(f"sum({rate(_TOPICS + 'failedfetchrequests_all_topics_total')})", "fetch"),
            unit="reqps",
        ),
        lines("Size by topic", Query(f"sum by (topic) ({select('kafka_log_size_bytes')})", "{{topic}}"), unit=BytesIEC),
    ]


def _copies() -> list[Panel]:
    return [
        lines(
            "Partitions lacking a copy",
            Query(f"sum by (instance) ({select(_REPLICAS + 'underreplicatedpartitions')})", "{{instance}}"),
        ),
        lines(
            "Copies falling behind and catching up",
            Query(f"sum({rate(_REPLICAS + 'isrshrinks_total')})", "fell behind"),
            Query(f"sum({rate(_REPLICAS + 'isrexpands_total')})", "caught up"),
            unit="ops",
        ),
        lines("Leaders by broker", Query(f"sum by (instance) ({select(_REPLICAS + 'leadercount')})", "{{instance}}")),
    ]


def _brokers() -> list[Panel]:
    return [
        lines(
            "Idle request handlers",
            Query(f"min by (instance) ({select('kafka_server_request_handler_idle_ratio')})", "{{instance}}"),
            unit=PercentUnit,
            most=1,
            description="Below 30 % a broker is short of threads or disks.",
        ),
        lines(
            "CPU",
            Query(f"max by (instance) ({select('jvm_processcpuload')})", "{{instance}}"),
            unit=PercentUnit,
            most=1,
        ),
        lines(
            "Heap",
            Query(
                f"max by (instance) ({select('jvm_heap_used_bytes')} / {select('jvm_heap_max_bytes')})", "{{instance}}"
            ),
            unit=PercentUnit,
            most=1,
        ),
        lines("Open files", Query(f"max by (instance) ({select('jvm_openfiledescriptorcount')})", "{{instance}}")),
        lines(
            "Controllers' commits",
            Query(f"max by (instance) ({select('kafka_server_raft_commit_latency_avg')})", "{{instance}}"),
            unit=Milliseconds,
        ),
        lines(
            "Active controller",
            Query(f"max by (environment) ({select('kafka_server_raft_current_leader')})", "node"),
            description="The id of the node; every step is an election.",
        ),
    ]
