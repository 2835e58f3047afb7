"""The windows job as a child of the benchmark: one Spark, on which a topic is counted again and again.

``python -m bench.windows_child``; each request names a topic, the number of events in it, and an empty folder. The
answer comes when every event is counted.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from bench.servers import answer, requests, wait_until
from logsluice.extract import load_registry
from logsluice.jobs.spark.extractor_spec import ExtractorSpec
from logsluice.jobs.spark.session import spark_session
from logsluice.jobs.windows.frames import STATE
from logsluice.jobs.windows.job import JOB, WindowsJob
from logsluice.jvm.jars import jar_paths
from logsluice.runtime import metrics
from logsluice.runtime.logging import configure_logging
from logsluice.settings import Settings, config_dir, load_settings


def main() -> None:
    """Count topics until there are no more requests."""
    configure_logging()
    settings = load_settings()
    extractor_spec = ExtractorSpec.of(load_registry(config_dir()), settings.time_zone)
    log_file = settings.home / "logs" / "spark-windows.log"
    conf = STATE | {"spark.master": "local[2, 4]"}
    with spark_session("logsluice bench", log_file=log_file, jars=jar_paths("spark-kafka"), conf=conf) as spark:
        for request in requests():
            answer(**_run(spark, settings, extractor_spec, request))


def _run(spark: Any, settings: Settings, extractor_spec: ExtractorSpec, request: dict[str, Any]) -> dict[str, float]:
    """Seconds from the start of the query to the last event counted, and the most that its state held."""
    folder = Path(request["folder"])
    stream = settings.stream.model_copy(update={"checkpoint_location": str(folder / "checkpoints")})
    windows = settings.windows.model_copy(
        update={"output": str(folder / "files"), "max_offsets_per_trigger": request["batch"], "trigger_seconds": 1.0}
    )
    kafka = settings.kafka.model_copy(update={"topic": request["topic"]})
    settings = settings.model_copy(update={"stream": stream, "windows": windows, "kafka": kafka})
    stop, ended = threading.Event(), threading.Event()
    job = WindowsJob(spark, settings, extractor_spec, until_caught_up=False, stop=stop)

    def run() -> None:
        try:
            job.run()
        finally:
            ended.set()

    read = metrics.EVENTS_IN.labels(JOB)
    wanted = _value(read) + request["events"]
    most = {"rows": 0.0, "bytes": 0.0}

    def done() -> bool:
        most["rows"] = max(most["rows"], _value(metrics.STATE_ROWS.labels(JOB)))
        most["bytes"] = max(most["bytes"], _value(metrics.STATE_BYTES.labels(JOB)))
        return bool(_value(read) >= wanted)

    thread = threading.Thread(target=run)
    started_at = time.perf_counter()
    thread.start()
    try:
        wait_until(done, every=0.02, ended=ended)
        return {"seconds": time.perf_counter() - started_at, **most}
    finally:
        stop.set()
        thread.join()
        job.close()


def _value(metric: Any) -> float:
    (sample, *_) = next(iter(metric.collect())).samples
    return float(sample.value)


if __name__ == "__main__":
    main()
