"""The alerts job: evaluates the rules of alerts.yaml over the windows, and notifies of what opens and resolves."""

from __future__ import annotations

from logsluice.alerts.job import run_alerts_job
from logsluice.runtime.entrypoint import ConfigOption, run_job, start_job


def main(config: ConfigOption = None) -> None:
    """Judge the windows by the clock, until SIGTERM or Ctrl-C."""
    job = start_job(config, lambda metrics: metrics.alerts)
    run_alerts_job(job.settings, job.directory, job.stop)


if __name__ == "__main__":
    run_job(main)
