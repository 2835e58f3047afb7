"""``logsluice extract`` as it is typed: Spark, and no server."""

from __future__ import annotations

import base64
import gzip
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
import zstandard

from logsluice.extract import INPUT_SCHEMA, documents, load_registry
from tests.local.lines import HOSTILE, mixed
from tests.local.running import LOGSLUICE, ROOT, Runner, eventually
from tests.oracles.reference_extractor import ReferenceExtractor

MODIFIED = 1_795_000_000


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path, os.environ)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    os.utime(path, (MODIFIED, MODIFIED))
    return path


def expected(lines: list[bytes], path: Path) -> list[dict[str, Any]]:
    """What the oracle says of each line, without Spark."""
    batch = pa.record_batch(
        [lines, [MODIFIED * 1000] * len(lines), pa.nulls(len(lines), pa.int64()), pa.nulls(len(lines), pa.string())],
        schema=INPUT_SCHEMA,
    )
    found = ReferenceExtractor(load_registry(ROOT / "config" / "dev")).extract(batch)
    rendered = documents(found, {"log.file.path": [str(path)] * len(lines)})
    return [orjson.loads(document) if document else {} for document in rendered]


def records(output: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in output.split("\n")[:-1]]


def test_records_are_those_of_the_reference_in_the_order_of_the_input(runner: Runner, tmp_path: Path) -> None:
    lines = list(mixed(6_000))
    contents = [lines[:5_000], lines[5_000:5_500], lines[5_500:]]
    paths = [tmp_path / "a.log", tmp_path / "b.log.gz", tmp_path / "c.log.zst"]
    write(paths[0], b"\n".join(contents[0]) + b"\n")
    write(paths[1], gzip.compress(b"\r\n".join(contents[1])))
    write(paths[2], zstandard.compress(b"\n".join(contents[2]) + b"\n"))
    assert paths[0].stat().st_size > 2 << 20, "more than one part, or nothing is shown"
    out = tmp_path / "out.jsonl"
    done = runner.cli("extract", tmp_path / "[ab].log*", paths[2], "--config", ROOT / "config/dev", "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    found = records(out.read_text())
    wanted = [record for path, part in zip(paths, contents, strict=True) for record in expected(part, path)]
    blank = sum(not line.strip() for line in lines)
    rejected = sum("reason" in record.get("logsluice", {}) for record in found)
    assert len(found) == len(lines) - blank
    assert rejected
    texts = [line.decode("utf-8", "replace") for line in lines if line.strip()]
    assert [record["event"]["original"] for record in found] == texts
    readable = [record for record in found if "reason" not in record.get("logsluice", {})]
    assert readable == [record for record in wanted if record]
    summary = {line.rsplit(None, 1)[0].strip(): line.split()[-1] for line in done.stderr.splitlines() if line.strip()}
    assert summary["lines"] == f"{len(lines):,}"
    assert summary["blank"] == f"{blank:,}"
    assert int(summary["invalid_json"]) + int(summary["empty"]) == rejected
    assert {"seconds", "lines per second", "recognised by format", "matches by pattern"} <= {
        line.split("  ")[0].strip() for line in done.stderr.splitlines()
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "b.log.gz", "c.log.zst", "out.jsonl"]


def test_standard_input_goes_to_standard_output(runner: Runner) -> None:
    lines = [b"INFO first", b"", *HOSTILE, b"INFO last, with no end"]
    done = runner.cli("extract", "-", stdin=b"\n".join(lines))
    assert done.returncode == 0, done.stderr
    found = records(done.stdout)
    assert [record["event"]["original"] for record in found] == [
        line.decode("utf-8", "replace") for line in lines if line.strip()
    ]
    broken = found[1]
    assert broken["tags"] == ["invalid_utf8", "timestamp_missing"]
    assert base64.b64decode(broken["logsluice"]["original_bytes"]) == HOSTILE[0]
    assert {"reason": "invalid_json"}.items() <= found[2]["logsluice"].items()
    assert "file" not in found[0].get("log", {})


def test_nothing_comes_of_nothing(runner: Runner, tmp_path: Path) -> None:
    done = runner.cli("extract", write(tmp_path / "empty.log", b""))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_bad_files_are_named_and_the_rest_goes_on(runner: Runner, tmp_path: Path) -> None:
    lines = [os.urandom(30).hex().encode() for _ in range(20_000)]
    write(tmp_path / "cut.gz", gzip.compress(b"\n".join(lines))[:-200_000])
    write(tmp_path / "good.log", b"INFO good\n")
    done = runner.cli("extract", tmp_path / "missing.log", tmp_path, tmp_path / "cut.gz", tmp_path / "good.log")
    assert done.returncode == 1
    messages = done.stderr.splitlines()
    assert f"{tmp_path}/missing.log: there is no such file" in messages
    assert any(line.startswith(f"{tmp_path}: is a folder") for line in messages)
    assert any(line.startswith(f"{tmp_path}/cut.gz: its compressed data is damaged") for line in messages)
    assert "Traceback" not in done.stderr
    found = [record["event"]["original"].encode() for record in records(done.stdout)]
    assert found[-1] == b"INFO good"
    assert len(found) > 1_000
    assert found[:-1] == lines[: len(found) - 1]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--out", "no/such/folder/out.jsonl"], "no/such/folder: there is no such folder (--out)"),
        (["--config", "no/such/folder"], "no/such/folder: there is no such folder (--config)"),
    ],
)
def test_mistakes_are_told_in_one_line(runner: Runner, tmp_path: Path, arguments: list[str], line: str) -> None:
    done = runner.cli("extract", write(tmp_path / "good.log", b"INFO good\n"), *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip().endswith(line)
    assert len(done.stderr.strip().splitlines()) == 1


def test_lines_of_one_event_are_joined_on_demand(runner: Runner, tmp_path: Path) -> None:
    event = b"2026-11-22 10:00:00,123 ERROR [payment] failed\njava.io.IOException: no\n\tat a.B.c(B.java:1)"
    path = write(tmp_path / "trace.log", event + b"\n\n2026-11-22 10:00:01,000 INFO fine\n")
    done = runner.cli("extract", "--join", path)
    assert done.returncode == 0, done.stderr
    first, second = records(done.stdout)
    assert first["event"]["original"].encode() == event
    assert second["event"]["original"] == "2026-11-22 10:00:01,000 INFO fine"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_behind(runner: Runner, tmp_path: Path, number: signal.Signals) -> None:
    source = write(tmp_path / "large.log", b"".join(line + b"\n" for line in mixed(5_000)) * 40)
    folder = tmp_path / "out"
    folder.mkdir()
    command = [str(LOGSLUICE), "extract", str(source), "--out", str(folder / "out.jsonl")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=runner.environment) as process:
        eventually(lambda: list(folder.glob(".logsluice-extract-*/*.jsonl")), seconds=300, every=0.05)
        process.send_signal(number)
        _, messages = process.communicate(timeout=120)
    assert process.returncode == 130, messages
    assert messages == ""
    assert list(folder.iterdir()) == []


def test_a_reader_that_has_seen_enough_ends_it_quietly(runner: Runner, tmp_path: Path) -> None:
    source = write(tmp_path / "large.log", b"".join(line + b"\n" for line in mixed(5_000)) * 10)
    command = f"'{LOGSLUICE}' extract '{source}' | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, env=runner.environment, check=True)
    assert done.stdout.count(b"\n") == 1
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr
