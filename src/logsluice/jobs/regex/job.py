"""The regex job: facts out of the topic, in one of three modes."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Literal

from logsluice.elasticsearch.client import connect, wait_for_templates
from logsluice.extract import load_registry
from logsluice.jobs.regex.batch import reprocess_logs_index, reprocess_topic
from logsluice.jobs.regex.stats import JOB
from logsluice.jobs.regex.stream import RegexStreamJob
from logsluice.jobs.regex.workers import RegexTaskSpec
from logsluice.jobs.spark.extractor_spec import ExtractorSpec
from logsluice.jobs.spark.passwords import leave_this_machine
from logsluice.jobs.spark.session import kafka_jars, spark_session
from logsluice.runtime.metrics import serve_metrics
from logsluice.runtime.retry import StoppedError
from logsluice.settings import ProcessingMode, Settings

Source = Literal["kafka", "logs"]


def run_regex(
    settings: Settings,
    directory: Path | None,
    *,
    stop: Event,
    mode: ProcessingMode | None = None,
    source: Source = "kafka",
    since: datetime | None = None,
    until_caught_up: bool = False,
    metrics_port: int | None = None,
) -> None:
    """Run the job until it is done or asked to stop.

    Args:
        mode: ``settings.processing_mode`` where left out.
        source: ``batch`` reads Kafka, or the logs index past Kafka's retention.
        since: ``batch`` leaves out events that Kafka appended before.
        until_caught_up: ``stream`` and ``optimized`` end when all was read that was there at the start.
        metrics_port: Where ``/metrics`` is served; ``settings.metrics.regex`` where left out.

    Raises:
        LogsluiceError: The registry is wrong, the port taken, Java missing, or a server refuses.
    """
    mode = mode or settings.processing_mode
    extractor_spec = ExtractorSpec.of(load_registry(directory), settings.time_zone)
    serve_metrics(settings.metrics.host, metrics_port or settings.metrics.regex)
    log_file = settings.home.absolute() / "logs" / "spark-regex.log"
    with suppress(StoppedError):
        with closing(connect(settings.elasticsearch)) as client:
            wait_for_templates(client, settings.elasticsearch, [settings.results_index], job=JOB, stop=stop)
        with spark_session(f"logsluice regex, {mode}", log_file=log_file, jars=kafka_jars()) as spark:
            task = RegexTaskSpec(settings, extractor_spec, remote=leave_this_machine(spark.sparkContext))
            if mode != "batch":
                optimized = mode == "optimized"
                RegexStreamJob(spark, task, optimized=optimized, until_caught_up=until_caught_up, stop=stop).run()
            elif source == "kafka":
                reprocess_topic(spark, task, since=since, stop=stop)
            else:
                reprocess_logs_index(spark, task, since=since, stop=stop)
