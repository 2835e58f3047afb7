"""The index job: every raw event of the topic into the logs index, where there is no Logstash."""

from __future__ import annotations

from logsluice.jobs.index.job import run_index_job
from logsluice.runtime.entrypoint import ConfigOption, run_job, start_job


def main(config: ConfigOption = None) -> None:
    """Index every event of the topic as it came, until SIGTERM or Ctrl-C."""
    job = start_job(config, lambda metrics: metrics.index)
    run_index_job(job.settings, job.stop)


if __name__ == "__main__":
    run_job(main)
