"""``logsluice ship`` against a real broker: every line once, whatever happens on the way."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import zstandard

from logsluice.provision.setup import set_up_kafka
from logsluice.settings import Settings
from logsluice.stack.supervisor import LocalStack
from tests.local.kafka_reading import count, stored, values
from tests.local.running import LOGSLUICE, Job, Runner, eventually
from tests.shared.log_sets import LINES_OF_EACH, SYSTEMS, log_file

TRACE = (
    "2026-11-22 10:14:13,123 ERROR a.b.C - no\n"
    "java.lang.IllegalStateException: no\n"
    "\tat a.b.C.d(C.java:1)\n"
    "\n"
    "Caused by: java.io.IOException: x\n"
    "\t... 3 more\n"
)


@pytest.fixture(autouse=True)
def _topic(settings: Settings) -> None:
    set_up_kafka(settings)


def lines(path: Path, how_many: int, first: int = 0) -> list[bytes]:
    """Add lines to a file; gives those that were added."""
    added = [
        f"2026-11-22 10:14:13,123 INFO a.b.C - line {number}".encode() for number in range(first, first + how_many)
    ]
    with path.open("ab") as file:
        file.write(b"".join(line + b"\n" for line in added))
    return added


def has_sent(settings: Settings, events: int) -> bool:
    return count(settings) >= events


def has_ended_or_sent(job: Job, settings: Settings, events: int) -> bool:
    return has_sent(settings, events) or job.process.poll() is not None


def test_logs_of_six_systems_arrive_line_for_line(settings: Settings, runner: Runner) -> None:
    files = [log_file(name) for name in SYSTEMS]
    done = runner.cli("ship", *files)
    assert done.returncode == 0, done.stderr
    assert f"6 files, {6 * LINES_OF_EACH:,} lines (0 blank), {6 * LINES_OF_EACH:,} events" in done.stderr
    expected = Counter(line.removesuffix(b"\r") for file in files for line in file.read_bytes().split(b"\n") if line)
    assert values(settings) == expected

    again = runner.cli("ship", *files)
    assert again.returncode == 0
    assert "0 files, 6 unchanged" in again.stderr
    assert "nothing new" in again.stderr
    assert count(settings) == 6 * LINES_OF_EACH

    assert runner.cli("ship", "--again", files[0]).returncode == 0
    assert count(settings) == 7 * LINES_OF_EACH


def test_where_each_event_is_from(settings: Settings, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    data = b"\n" + TRACE.encode() + b"plain words\n" + "é".encode() * 600_000 + b"\n"
    path.write_bytes(data)
    done = runner.cli("ship", path)
    assert "3 events (1 of several lines, 1 cut to 1,000,000 bytes)" in done.stderr
    assert "(1 blank)" in done.stderr
    by_offset = {int(record.headers["log.offset"]): record for record in stored(settings)}
    assert {record.headers["log.file.path"] for record in by_offset.values()} == {os.fsencode(path)}
    assert by_offset[1].value == TRACE.rstrip().encode()
    cut = by_offset[data.index("é".encode())]
    assert cut.value == "é".encode() * 500_000
    assert cut.headers["logsluice-original-length"] == b"1200000"
    assert cut.headers["logsluice-original-sha256"] == hashlib.sha256("é".encode() * 600_000).hexdigest().encode()

    assert runner.cli("ship", "--again", "--no-join", path).returncode == 0
    assert count(settings) == 3 + 5 + 2


def test_compressed_files_and_globs_and_standard_input(settings: Settings, runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"one\ntwo")
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(b"three\n"))
    (tmp_path / "c.log.zst").write_bytes(zstandard.compress(b"four\nfive\n"))
    assert runner.cli("ship", f"{tmp_path}/*.log*").returncode == 0
    assert "0 files, 3 unchanged" in runner.cli("ship", f"{tmp_path}/*.log*").stderr
    assert runner.cli("ship", "-", stdin=b"six\n\n  seven").returncode == 0
    assert runner.cli("ship", "-", stdin=gzip.compress(b"eight\n")).returncode == 0
    expected = [b"one", b"two", b"three", b"four", b"five", b"six\n\n  seven", b"eight"]
    assert values(settings) == Counter(expected)


def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    settings: Settings, runner: Runner, tmp_path: Path
) -> None:
    good = tmp_path / "good.log"
    lines(good, 10)
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(b"\n".join(lines(tmp_path / "x", 5)))[:-12])
    done = runner.cli("ship", tmp_path / "missing.log", broken, tmp_path, "x" * 5_000, good)
    assert done.returncode == 1
    assert f"{tmp_path}/missing.log: there is no such file" in done.stderr
    assert f"{broken}: its compressed data is damaged" in done.stderr
    assert f"{tmp_path}: is a folder" in done.stderr
    assert "File name too long" in done.stderr
    assert "4 failed" in done.stderr
    assert "Traceback" not in done.stderr
    assert count(settings) >= 10


def test_a_file_that_grew_goes_on(settings: Settings, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    expected = lines(path, 100)
    assert runner.cli("ship", path).returncode == 0
    expected += lines(path, 50, 100)
    assert "50 events" in runner.cli("ship", path).stderr
    renamed = path.rename(tmp_path / "app.log.1")
    assert "1 unchanged" in runner.cli("ship", renamed).stderr
    # Another file of the same name.
    expected += lines(path, 10, 1_000)
    assert "10 events" in runner.cli("ship", path).stderr
    # Written anew in its place.
    path.write_bytes(b"")
    expected += lines(path, 300, 2_000)
    assert "300 events" in runner.cli("ship", path).stderr
    assert values(settings) == Counter(expected)


def test_killed_at_any_time_every_line_is_there_once(settings: Settings, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    expected: Counter[bytes] = Counter()
    for number in range(600):
        expected.update(lines(path, 98, number * 100))
        trace = TRACE.replace("no", f"no {number}")
        with path.open("a") as file:
            file.write(f"\n{trace}\n")
        expected[trace.rstrip().encode()] += 1
    chance = random.Random(7)
    killed = 0
    for _ in range(5):
        before = count(settings)
        job = runner.start(LOGSLUICE, "ship", path)
        goal = before + chance.randrange(1, 12_000)
        eventually(partial(has_ended_or_sent, job, settings, goal), every=0.01)
        if job.process.poll() is None:
            job.process.kill()
            killed += 1
        job.wait()
    assert killed >= 3
    done = runner.cli("ship", path)
    assert done.returncode == 0, done.stderr
    assert values(settings) == expected
    assert "1 unchanged" in runner.cli("ship", path).stderr


def test_a_stop_keeps_where_it_was(settings: Settings, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    expected = lines(path, 5_000)
    job = runner.start(LOGSLUICE, "ship", "--rate", "200", path)
    eventually(lambda: count(settings) > 100)
    assert job.terminate() == 130
    assert "not to the end" in job.output
    assert 100 < count(settings) < 5_000
    done = runner.cli("ship", path)
    assert "interrupted" not in done.stderr
    assert "going on where it stopped" in done.stderr
    assert values(settings) == Counter(expected)


def test_the_broker_away_in_the_middle(settings: Settings, stack: LocalStack, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    expected = lines(path, 60_000)
    job = runner.start(LOGSLUICE, "ship", path)
    eventually(lambda: count(settings) > 2_000, every=0.01)
    stack.kill_part("kafka")
    eventually(lambda: "waiting for kafka" in job.output)
    stack.start("kafka")
    assert job.wait() == 0, job.output
    assert values(settings) == Counter(expected)


def test_a_stop_while_the_broker_is_away(settings: Settings, stack: LocalStack, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    expected = lines(path, 5_000)
    job = runner.start(LOGSLUICE, "ship", "--rate", "500", path)
    eventually(lambda: count(settings) > 100)
    stack.kill_part("kafka")
    eventually(lambda: "waiting for kafka" in job.output)
    assert job.terminate() == 130
    assert "does not acknowledge" in job.output
    assert "Traceback" not in job.output
    stack.start("kafka")
    assert runner.cli("ship", path).returncode == 0
    assert values(settings) == Counter(expected)


def test_two_at_once_do_not_ship_the_same_file(settings: Settings, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    lines(path, 3_000)
    job = runner.start(LOGSLUICE, "ship", "--rate", "20", path)
    eventually(lambda: count(settings) > 1)
    second = runner.cli("ship", path)
    assert second.returncode == 1
    assert "is being shipped already" in second.stderr
    job.terminate()


def test_follow_grows_rotates_and_is_truncated(settings: Settings, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    job = runner.start(LOGSLUICE, "ship", "--follow", path)

    def wait_for(expected: list[bytes]) -> None:
        eventually(lambda: count(settings) >= len(expected))

    eventually(lambda: "waiting for the file" in job.output)
    expected = lines(path, 100)
    wait_for(expected)
    # Half a line waits for its other half; a trace is one event although it comes in pieces.
    with path.open("ab", buffering=0) as file:
        file.write(b"2026-11-22 10:14:14 INFO ha")
        wait_for(expected)
        file.write(b"lf\n")
        file.write(TRACE[:60].encode())
        file.write(TRACE[60:].encode())
    expected += [b"2026-11-22 10:14:14 INFO half", TRACE.rstrip().encode()]
    wait_for(expected)
    # Rotated by a rename; its writer goes on for a moment.
    old = path.rename(tmp_path / "app.log.1")
    expected += lines(old, 5, 500)
    expected += lines(path, 20, 1_000)
    wait_for(expected)
    # Copied and truncated.
    os.truncate(path, 0)
    eventually(lambda: "truncated or written anew" in job.output)
    expected += lines(path, 7, 2_000)
    wait_for(expected)
    assert job.terminate() == 0
    # What comes while nobody looks is shipped by the next run.
    expected += lines(path, 3, 3_000)
    job = runner.start(LOGSLUICE, "ship", "--follow", path)
    wait_for(expected)
    job.process.send_signal(signal.SIGINT)
    assert job.wait() == 0
    assert values(settings) == Counter(expected)


def test_followed_and_killed_every_line_is_there_once(settings: Settings, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    expected: list[bytes] = []
    for number in range(4):
        expected += lines(path, 2_000, number * 10_000)
        job = runner.start(LOGSLUICE, "ship", "--follow", path)
        goal = len(expected) - 1_000
        eventually(partial(has_sent, settings, goal), every=0.01)
        expected += lines(path, 500, number * 10_000 + 5_000)
        job.process.kill()
        job.wait()
    assert runner.cli("ship", path).returncode == 0
    assert values(settings) == Counter(expected)
