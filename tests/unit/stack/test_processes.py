from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from logsluice.errors import LogsluiceError
from logsluice.stack.processes import Record, kill, memory, read_record, spawn, terminate
from logsluice.stack.supervisor import LocalStack, failure_reason

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
# A parent that ignores SIGTERM, with a child of its own.
STUBBORN = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(600)
"""


def wait_for_output(path: Path) -> str:
    while not (text := path.read_text()):
        time.sleep(0.01)
    return text


def started(tmp_path: Path, code: str) -> tuple[psutil.Process, subprocess.Popen[bytes], str]:
    output = tmp_path / "logs" / "out"
    child = spawn([sys.executable, "-c", code], record=tmp_path / "r.json", output=output, port=1)
    return psutil.Process(child.pid), child, wait_for_output(output)


def test_a_record_finds_its_process_and_nothing_else(tmp_path: Path) -> None:
    process, child, _ = started(tmp_path, SLEEPER)
    record = read_record(tmp_path / "r.json")
    assert record is not None
    assert record.process() == process
    assert memory(process) > 1_000_000
    recycled = Record(record.pid, record.created - 100, record.port)
    assert recycled.process() is None
    kill(process)
    assert record.process() is None
    child.wait(10)


def test_a_zombie_does_not_count_as_running(tmp_path: Path) -> None:
    child = spawn([sys.executable, "-c", ""], record=tmp_path / "r.json", output=tmp_path / "o", port=1)
    process = psutil.Process(child.pid)
    while process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    record = read_record(tmp_path / "r.json")
    assert record is not None
    assert record.process() is None
    child.wait(10)


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_children_go_with_a_process_that_does_not_listen(tmp_path: Path, how: str) -> None:
    process, child, printed = started(tmp_path, STUBBORN)
    grandchild = psutil.Process(int(printed))
    if how == "terminate":
        terminate(process, patience=0.2)
    else:
        kill(process)
    child.wait(10)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE
    assert not process.is_running()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', json.dumps({"pid": 1, "other": 2})])
def test_half_a_record_is_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    assert read_record(tmp_path / "r.json") is None
    assert read_record(tmp_path / "none.json") is None


def test_the_cause_of_a_death_is_found_in_the_logs(tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    assert failure_reason(out, log) is None
    log.write_text("INFO fine\nINFO still fine\n")
    out.write_text("\nWARNING: Unsafe is old\n")
    assert failure_reason(out, log) is None
    log.write_text("INFO fine\nERROR no space left\nINFO bye\n")
    assert failure_reason(out, log) == "ERROR no space left"
    out.write_text("WARNING: Unsafe is old\nError occurred during initialization of VM\nToo small maximum heap\n")
    assert failure_reason(out, log) == "Error occurred during initialization of VM Too small maximum heap"


def test_two_servers_can_not_share_a_port(tmp_path: Path) -> None:
    with pytest.raises(LogsluiceError, match="9092"):
        LocalStack(tmp_path, 9092, 9092)


def test_a_stack_that_never_ran_is_stopped_and_can_be_stopped_again(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path / "home", 1024, 1025)
    stack.stop()
    stack.remove_data()
    assert [part.state for part in stack.status()] == ["stopped", "stopped"]
    assert stack.pid("kafka") is None
    assert stack.environment() == {
        "LOGSLUICE_HOME": str(tmp_path / "home"),
        "LOGSLUICE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1024",
        "LOGSLUICE_ELASTICSEARCH__HOSTS": "http://127.0.0.1:1025",
    }


def test_a_home_that_can_not_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    stack = LocalStack(tmp_path / "file" / "home", 1024, 1025)
    with pytest.raises(LogsluiceError, match=r"can't be used \(Not a directory\); let LOGSLUICE_HOME"):
        stack.stop()
