"""Nothing is invented: lines that say no time, role, user or level give none."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from logsluice.extract import INPUT_SCHEMA, ColumnarExtractor, load_registry

LINES = Path(__file__).with_name("inventions.txt").read_text(encoding="utf-8").splitlines()
ABSENT = ("log.level", "source.ip", "client.ip", "user.name", "user.email", "event.outcome")
SEEN_MS = 1_795_000_000_000


def test_what_a_line_does_not_say_is_absent() -> None:
    """A time that was made up is tagged so."""
    nothing = [None] * len(LINES)
    batch = pa.record_batch(
        [[line.encode() for line in LINES], [SEEN_MS] * len(LINES), nothing, nothing], schema=INPUT_SCHEMA
    )
    found = ColumnarExtractor(load_registry()).extract(batch).to_pylist()
    invented = [
        (line, name, event[name])
        for line, event in zip(LINES, found, strict=True)
        for name in ABSENT
        if event[name] is not None
    ]
    timed = [
        (line, event["@timestamp"])
        for line, event in zip(LINES, found, strict=True)
        if "timestamp_missing" not in (event["tags"] or ())
    ]
    assert len(LINES) >= 200
    assert invented == []
    assert timed == []
