"""Spark: the jobs' own metrics, and Spark's of drivers, executors and a standalone cluster (PrometheusServlet)."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard
from grafana_foundation_sdk.models.units import BytesIEC, BytesPerSecondIEC, PercentUnit, Seconds

from grafana.panels import EVENTS, Panel, Query, dashboard, lines, number, rate, select

_JOBS: Final = 'job=~"regex|windows|alerts"'
_EXECUTORS: Final = "metrics_executor_"
_DRIVER: Final = "metrics_spark_driver_"
_APPLICATION: Final = "{{application_name}}"
_NANOSECONDS: Final = "1e9"


def spark() -> Dashboard:
    """Whether the jobs keep up, and what they need for it."""
    return dashboard(
        "spark",
        "Spark",
        "Whether the streaming jobs keep up, and what memory and time they need for it.",
        [
            ("Jobs", _jobs()),
            ("Executors", _executors()),
            ("Drivers", _drivers()),
            ("Standalone cluster", _cluster()),
        ],
        environments="metrics_executor_totalCores",
    )


def _jobs() -> list[Panel]:
    return [
        lines(
            "Events read", Query(f"sum by (job) ({rate('logsluice_events_in_total', _JOBS)})", "{{job}}"), unit=EVENTS
        ),
        lines(
            "Duration of a batch, 95 %",
            Query(
                "histogram_quantile(0.95, "
                f"sum by (job, le) ({rate('logsluice_batch_duration_seconds_bucket', _JOBS)}))",
                "{{job}}",
            ),
            unit=Seconds,
            description="Longer than the trigger's interval: the job cannot keep up.",
        ),
        lines(
            "Time spent in batches",
            Query(f"sum by (job) ({rate('logsluice_batch_duration_seconds_sum', _JOBS)})", "{{job}}"),
            unit=PercentUnit,
            description="Seconds a second; 100 % is a job with no room left.",
        ),
        lines("State", Query(f"max by (job) ({select('logsluice_state_bytes')})", "{{job}}"), unit=BytesIEC, width=12),
        lines("Rows of state", Query(f"max by (job) ({select('logsluice_state_rows')})", "{{job}}"), width=12),
    ]


def _executors() -> list[Panel]:
    completed, failed = _EXECUTORS + "completedTasks_total", _EXECUTORS + "failedTasks_total"
    return [
        number(
            "Executors",
            f"count({select(_EXECUTORS + 'totalCores')})",
            bad_below=1,
            description="The driver counts as one.",
        ),
        number("Cores", f"sum({select(_EXECUTORS + 'totalCores')})", bad_below=1),
        number("Tasks running", f"sum({select(_EXECUTORS + 'activeTasks')})"),
        number("Failed tasks, 1 h", f"sum(increase({select(failed)}[1h]))", none="0", bad_above=1),
        lines(
            "Tasks",
            Query(f"sum by (application_name) ({rate(completed)})", f"{_APPLICATION}, done"),
            Query(f"sum by (application_name) ({rate(failed)})", f"{_APPLICATION}, failed"),
            unit="ops",
            width=12,
        ),
        lines(
            "Cores in use",
            Query(
                f"sum by (application_name) ({rate(_EXECUTORS + 'totalDuration_seconds_total')})"
                f" / sum by (application_name) ({select(_EXECUTORS + 'totalCores')})",
                _APPLICATION,
            ),
            unit=PercentUnit,
            description="Time in tasks by the time there was.",
        ),
        lines(
            "Collecting garbage",
            Query(
                f"sum by (application_name) ({rate(_EXECUTORS + 'totalGCTime_seconds_total')})",
                _APPLICATION,
            ),
            unit=PercentUnit,
            description="Seconds a second, over all executors.",
        ),
        lines(
            "Heap",
            Query(
                f"max by (application_name, executor_id) ({select(_EXECUTORS + 'JVMHeapMemory_bytes')})",
                f"{_APPLICATION}, {{{{executor_id}}}}",
            ),
            unit=BytesIEC,
        ),
        lines(
            "Beside the heap",
            Query(
                f"max by (application_name, executor_id) ({select(_EXECUTORS + 'JVMOffHeapMemory_bytes')})",
                f"{_APPLICATION}, {{{{executor_id}}}}",
            ),
            unit=BytesIEC,
            description="Classes, threads, buffers. Python's workers are not in it.",
        ),
        lines(
            "Shuffled",
            Query(
                f"sum by (application_name) ({rate(_EXECUTORS + 'totalShuffleRead_bytes_total')})",
                f"{_APPLICATION}, read",
            ),
            Query(
                f"sum by (application_name) ({rate(_EXECUTORS + 'totalShuffleWrite_bytes_total')})",
                f"{_APPLICATION}, written",
            ),
            unit=BytesPerSecondIEC,
        ),
        lines(
            "Stored by Spark",
            Query(f"sum by (application_name) ({select(_EXECUTORS + 'memoryUsed_bytes')})", f"{_APPLICATION}, memory"),
            Query(f"sum by (application_name) ({select(_EXECUTORS + 'diskUsed_bytes')})", f"{_APPLICATION}, disk"),
            unit=BytesIEC,
        ),
    ]


def _drivers() -> list[Panel]:
    return [
        lines(
            "Heap",
            Query(f"max by (instance) ({select(_DRIVER + 'ExecutorMetrics_JVMHeapMemory_Value')})", "{{instance}}"),
            unit=BytesIEC,
        ),
        lines(
            "CPU",
            Query(f"max by (instance) ({rate(_DRIVER + 'JVMCPU_jvmCpuTime_Value')}) / {_NANOSECONDS}", "{{instance}}"),
            unit=PercentUnit,
            description="Seconds a second: 200 % are two cores.",
        ),
        lines(
            "Jobs of Spark",
            Query(f"sum by (instance) ({rate(_DRIVER + 'appStatus_jobs_succeededJobs_Count')})", "{{instance}}, done"),
            Query(f"sum by (instance) ({rate(_DRIVER + 'appStatus_jobs_failedJobs_Count')})", "{{instance}}, failed"),
            unit="ops",
            description="A micro-batch is one or more.",
        ),
        lines(
            "Stages waiting",
            Query(f"sum by (instance) ({select(_DRIVER + 'DAGScheduler_stage_waitingStages_Value')})", "{{instance}}"),
        ),
        lines(
            "Spilled to disk",
            Query(f"sum by (instance) ({rate(_DRIVER + 'executor_diskBytesSpilled_Count')})", "{{instance}}"),
            unit=BytesPerSecondIEC,
            description="By tasks that run in the driver, as they do on a laptop.",
        ),
        lines(
            "News of tasks dropped",
            Query(
                f"sum by (instance) ({rate(_DRIVER + 'LiveListenerBus_queue_appStatus_numDroppedEvents_Count')})",
                "{{instance}}",
            ),
            unit="ops",
            description="The driver was too busy to count them: the numbers above are too low.",
        ),
    ]


def _cluster() -> list[Panel]:
    return [
        lines(
            "Workers",
            Query(f"max by (instance) ({select('metrics_master_aliveWorkers_Value')})", "alive"),
            Query(f"max by (instance) ({select('metrics_master_workers_Value')})", "known"),
            description="Of a standalone master, as in compose. On Kubernetes there is none.",
        ),
        lines(
            "Applications",
            Query(f"max by (instance) ({select('metrics_master_apps_Value')})", "all"),
            Query(f"max by (instance) ({select('metrics_master_waitingApps_Value')})", "waiting for cores"),
        ),
        lines(
            "Cores of workers",
            Query(f"sum by (instance) ({select('metrics_worker_coresUsed_Value')})", "{{instance}}, used"),
            Query(f"sum by (instance) ({select('metrics_worker_coresFree_Value')})", "{{instance}}, free"),
        ),
    ]
