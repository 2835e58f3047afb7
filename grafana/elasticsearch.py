"""Elasticsearch, by its exporter (k8s/components/monitoring/elasticsearch-exporter.yaml)."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard
from grafana_foundation_sdk.models.units import BytesIEC, OpsPerSecond, Percent, PercentUnit, Seconds, Short

from grafana.panels import Panel, Query, dashboard, lines, number, rate, select, states

_HEALTH: Final = "elasticsearch_cluster_health_"
_INDICES: Final = "elasticsearch_indices_"
_RED: Final = 'color="red"'
_YELLOW: Final = 'color="yellow"'
_HEAP: Final = 'area="heap"'
_ITSELF: Final = 'part="elasticsearch"'
_POOLS: Final = 'type=~"write|search|get"'


def elasticsearch() -> Dashboard:
    """Whether Elasticsearch is whole, keeps up, and has room."""
    return dashboard(
        "elasticsearch",
        "Elasticsearch",
        "Whether Elasticsearch is whole, keeps up with writes and searches, and has room.",
        [("Now", _now()), ("Work", _work()), ("Room", _room()), ("Our indices", _ours())],
        environments="elasticsearch_cluster_health_number_of_nodes",
    )


def _now() -> list[Panel]:
    return [
        number(
            "Red clusters",
            f"sum({select(_HEALTH + 'status', _RED)})",
            bad_above=1,
            description="An index cannot be read or written whole.",
        ),
        number("Yellow clusters", f"sum({select(_HEALTH + 'status', _YELLOW)})", bad_above=1),
        number("Nodes", f"max({select(_HEALTH + 'number_of_nodes')})", bad_below=1),
        number("Shards", f"max({select(_HEALTH + 'active_shards')})"),
        number("Unassigned shards", f"max({select(_HEALTH + 'unassigned_shards')})", bad_above=1),
        number("Pending tasks", f"max({select(_HEALTH + 'number_of_pending_tasks')})", bad_above=50),
        number(
            "Least disk left",
            f"min({select('elasticsearch_filesystem_data_available_bytes')}"
            f" / {select('elasticsearch_filesystem_data_size_bytes')})",
            unit=PercentUnit,
            bad_below=0.2,
        ),
        number("Documents", f"sum({select(_INDICES + 'docs')})"),
    ]


def _work() -> list[Panel]:
    return [
        lines(
            "Documents indexed",
            Query(f"sum by (name) ({rate(_INDICES + 'indexing_index_total')})", "{{name}}"),
            unit=OpsPerSecond,
        ),
        lines(
            "Searches",
            Query(f"sum by (name) ({rate(_INDICES + 'search_query_total')})", "{{name}}"),
            unit=OpsPerSecond,
        ),
        lines(
            "Time for a document and a search",
            Query(
                f"sum({rate(_INDICES + 'indexing_index_time_seconds_total')})"
                f" / sum({rate(_INDICES + 'indexing_index_total')})",
                "document",
            ),
            Query(
                f"sum({rate(_INDICES + 'search_query_time_seconds')}) / sum({rate(_INDICES + 'search_query_total')})",
                "search",
            ),
            unit=Seconds,
        ),
        lines(
            "Time spent on upkeep",
            Query(f"sum({rate(_INDICES + 'refresh_time_seconds_total')})", "refresh"),
            Query(f"sum({rate(_INDICES + 'merges_total_time_seconds_total')})", "merge"),
            Query(f"sum({rate(_INDICES + 'flush_time_seconds')})", "flush"),
            unit=PercentUnit,
            description="Seconds a second, over all threads.",
        ),
        lines(
            "Waiting in thread pools",
            Query(
                f"sum by (type) ({select('elasticsearch_thread_pool_queue_count', _POOLS)})",
                "{{type}}",
            ),
        ),
        lines(
            "Refused by thread pools",
            Query(f"sum by (type) ({rate('elasticsearch_thread_pool_rejected_count', _POOLS)})", "{{type}}"),
            unit=OpsPerSecond,
            description="More writes or searches than the node can queue.",
        ),
    ]


def _room() -> list[Panel]:
    return [
        lines(
            "Heap",
            Query(
                f"max by (name) ({select('elasticsearch_jvm_memory_used_bytes', _HEAP)}"
                f" / {select('elasticsearch_jvm_memory_max_bytes', _HEAP)})",
                "{{name}}",
            ),
            unit=PercentUnit,
            most=1,
        ),
        lines(
            "Collecting garbage",
            Query(f"sum by (name, gc) ({rate('elasticsearch_jvm_gc_collection_seconds_sum')})", "{{name}}: {{gc}}"),
            unit=PercentUnit,
            description="Seconds a second.",
        ),
        lines(
            "Requests refused to save memory",
            Query(
                f"sum by (name, breaker) (increase({select('elasticsearch_breakers_tripped')}[$__rate_interval]))",
                "{{name}}: {{breaker}}",
            ),
        ),
        lines(
            "CPU",
            Query(f"max by (name) ({select('elasticsearch_process_cpu_percent')})", "{{name}}"),
            unit=Percent,
            most=100,
        ),
        lines(
            "Disk left",
            Query(
                f"min by (name) ({select('elasticsearch_filesystem_data_available_bytes')}"
                f" / {select('elasticsearch_filesystem_data_size_bytes')})",
                "{{name}}",
            ),
            unit=PercentUnit,
            most=1,
            description="At 5 % an index becomes read-only.",
        ),
        lines("Stored", Query(f"sum by (name) ({select(_INDICES + 'store_size_bytes')})", "{{name}}"), unit=BytesIEC),
    ]


def _ours() -> list[Panel]:
    return [
        lines(
            "Documents by index",
            Query(f"max by (index) ({select('logsluice_index_documents')})", "{{index}}"),
            unit=Short,
        ),
        lines(
            "Age of the newest event",
            Query(f"min by (index) ({select('logsluice_index_freshness_seconds')})", "{{index}}"),
            unit=Seconds,
        ),
        states("Answers", Query(f"min by (part) ({select('logsluice_part_up', _ITSELF)})", "{{part}}")),
    ]
