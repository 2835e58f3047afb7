"""How the demo starts its jobs."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event

import pytest

from logsluice.demo.pipeline import Job, running
from logsluice.errors import LogsluiceError

READER = """
import time
time.sleep(0.5)
print('{"log.level":"info","message":"reading"}', flush=True)
time.sleep(60)
"""
PRODUCER = """
import pathlib, time
pathlib.Path("seen").write_text(pathlib.Path("logs/reader.log").read_text())
time.sleep(60)
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Job, ...]:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "reader.py").write_text(READER)
    (tmp_path / "jobs" / "producer.py").write_text(PRODUCER)
    monkeypatch.chdir(tmp_path)
    return Job("reader", "reader.py", 0, reads=True), Job("producer", "producer.py", 0)


def test_the_producer_waits_for_those_that_read(jobs: tuple[Job, ...]) -> None:
    with running(jobs, Path("logs"), os.environ, Event()):
        while not (seen := Path("seen")).exists() or not seen.read_text():
            Event().wait(0.05)
        assert "reading" in seen.read_text()


def test_a_job_that_ends_meanwhile_is_said(jobs: tuple[Job, ...]) -> None:
    Path("jobs/reader.py").write_text("raise SystemExit('no port')")
    with (
        pytest.raises(LogsluiceError, match=r"job reader: ended with 1 .no port"),
        running(jobs, Path("logs"), os.environ, Event()),
    ):
        raise AssertionError


def test_asked_to_stop_it_waits_no_longer(jobs: tuple[Job, ...]) -> None:
    Path("jobs/reader.py").write_text("import time; time.sleep(60)")
    stop = Event()
    stop.set()
    with running(jobs, Path("logs"), os.environ, stop) as started:
        assert [entry.job.name for entry in started] == ["reader", "producer"]
