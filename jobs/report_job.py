"""Counts the errors in logs and writes a report: ``logsluice report``, for ``spark-submit``."""

from __future__ import annotations

from logsluice.cli.report import report
from logsluice.runtime.entrypoint import run_job

if __name__ == "__main__":
    run_job(report)
