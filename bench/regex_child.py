"""The regex job as a child of the benchmark: one Spark, started once, on which the modes are run in turn.

``python -m bench.regex_child``; each request names a mode, the number of events in the topic, and an empty
folder for the checkpoint. The answer comes when every event's document is acknowledged.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from bench.servers import answer, requests, wait_until
from logsluice.extract import load_registry
from logsluice.jobs.regex.job import RegexStreamJob
from logsluice.jobs.regex.stats import DESTINATION, JOB
from logsluice.jobs.regex.workers import RegexTaskSpec
from logsluice.jobs.spark.extractor_spec import ExtractorSpec
from logsluice.jobs.spark.session import spark_session
from logsluice.jvm.jars import jar_paths
from logsluice.runtime import metrics
from logsluice.runtime.logging import configure_logging
from logsluice.settings import config_dir, load_settings


def main() -> None:
    """Run modes until there are no more requests."""
    configure_logging()
    settings = load_settings()
    task = RegexTaskSpec(settings, ExtractorSpec.of(load_registry(config_dir()), settings.time_zone))
    log_file = settings.home / "logs" / "spark-regex.log"
    conf = {"spark.master": "local[2, 4]"}
    with spark_session("logsluice bench", log_file=log_file, jars=jar_paths("spark-kafka"), conf=conf) as spark:
        for request in requests():
            answer(seconds=_run(spark, task, request))


def _run(spark: Any, task: RegexTaskSpec, request: dict[str, Any]) -> float:
    """Seconds from the start of the query to the last acknowledgement."""
    stream = task.settings.stream.model_copy(update={"checkpoint_location": str(Path(request["checkpoint"]))})
    kafka = task.settings.kafka.model_copy(update={"topic": request["topic"]})
    settings = task.settings.model_copy(update={"stream": stream, "kafka": kafka})
    stop, ended = threading.Event(), threading.Event()
    job = RegexStreamJob(
        spark,
        RegexTaskSpec(settings, task.extractor_spec),
        optimized=request["mode"] == "optimized",
        until_caught_up=False,
        stop=stop,
    )

    def run() -> None:
        try:
            job.run()
        finally:
            ended.set()

    written = metrics.EVENTS_OUT.labels(JOB, DESTINATION)
    wanted = _value(written) + request["events"]
    thread = threading.Thread(target=run)
    started_at = time.perf_counter()
    thread.start()
    try:
        wait_until(lambda: _value(written) >= wanted, every=0.02, ended=ended)
        return time.perf_counter() - started_at
    finally:
        stop.set()
        thread.join()


def _value(counter: Any) -> float:
    (sample, *_) = next(iter(counter.collect())).samples
    return float(sample.value)


if __name__ == "__main__":
    main()
