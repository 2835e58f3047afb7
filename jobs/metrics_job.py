"""The exporter: consumer lag, freshness and size of the indices, and HTTP requests counted from the events."""

from __future__ import annotations

from logsluice.jobs.exporter import run_exporter
from logsluice.runtime.entrypoint import ConfigOption, run_job, start_job


def main(config: ConfigOption = None) -> None:
    """Serve what no single job can tell, until SIGTERM or Ctrl-C."""
    job = start_job(config, lambda metrics: metrics.app_service)
    run_exporter(job.settings, job.directory, job.stop)


if __name__ == "__main__":
    run_job(main)
