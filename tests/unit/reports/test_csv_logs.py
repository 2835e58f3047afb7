"""CSV logs: their header, their rows, and the rows that are none."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from logsluice.errors import LogsluiceError
from logsluice.patterns import load_patterns
from logsluice.reports.csv_logs import UnreadableRow, detect_layout, plan_csv, read_rows
from logsluice.reports.events import Span, count_events, events_of_rows, patterns_read
from tests.shared.bad_rows import GOOD, HEADER, KINDS, QUOTED, UNQUOTED, BadRow, with_good_rows

SEEN_MS = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000)

PATTERNS = patterns_read(load_patterns(None).patterns)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.csv"


def read(path: Path, part_bytes: int = 1 << 20, zone: str = "UTC") -> tuple[pl.DataFrame, list[UnreadableRow]]:
    """All events of a CSV log with the lines of bad rows, read part by part."""
    layout = detect_layout(path, str(path))
    assert layout is not None
    layout, parts = plan_csv(path, str(path), layout, part_bytes=part_bytes)
    frames, bad = [], []
    for part in parts:
        before = path.read_bytes()[: part.start].count(b"\n") if part.start else 0
        before += part.start > 0 and path.read_bytes()[part.start - 1 : part.start] != b"\n"
        for rows in read_rows(part, layout):
            events, wrong = events_of_rows(rows, layout, PATTERNS, SEEN_MS, zone)
            frames.append(events)
            bad += [entry._replace(line=entry.line + before) for entry in wrong]
    return pl.concat(frames) if frames else pl.DataFrame(), sorted(bad)


@pytest.mark.parametrize("bad", [UNQUOTED, QUOTED, KINDS], ids=["unquoted", "quoted", "both"])
def test_bad_rows_are_set_aside_with_line_and_reason(bad: list[BadRow], log: Path) -> None:
    text, expected = with_good_rows(bad)
    log.write_bytes(text.encode())
    events, found = read(log)
    assert [tuple(entry) for entry in found] == expected
    assert events.height == len(bad) + 1
    assert events["message"].unique().to_list() == ["boom"]


def test_there_are_twenty_kinds() -> None:
    assert len({row.text for row in KINDS}) >= 20


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_columns_in_any_order_and_case(separator: str, line_end: str, log: Path) -> None:
    rows = [
        ["Service", "IP", "Extra", " Message ", "LOG_LEVEL", "Timestamp", "endpoint"],
        ["auth", "10.0.0.1", "?", f'a "b"{separator} c\nd', "fatal", "2026-11-22T10:15:30Z", "/pay/7?x=1"],
        ["", "nowhere", "", "plain", "Info", "1795342530", ""],
    ]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=line_end).writerows(rows)
    log.write_bytes(b"\xef\xbb\xbf\n" + text.getvalue().encode())
    events, bad = read(log)
    assert bad == []
    found = events.sort("level").select("instant", "level", "message", "service", "ip", "endpoint")
    assert found.rows() == [
        (1_795_342_530_000_000, "critical", f'a "b"{separator} c\nd', "auth", "10.0.0.1", "/pay/7?x=1"),
        (1_795_342_530_000_000, "info", "plain", None, None, None),
    ]


def test_a_message_in_the_last_column_needs_no_quotes(log: Path) -> None:
    log.write_text('timestamp,level,message\n2026-11-22 10:15:30,ERROR,lost, found, "lost"\n')
    assert read(log)[0]["message"].to_list() == ['lost, found, "lost"']
    log.write_text("timestamp,level,message\n2026-11-22 10:15:30,ERROR,lost, found\n")
    assert read(log)[0]["message"].to_list() == ["lost, found"]


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-22T10:15:30Z",
        "2026-11-22 10:15:30",
        "2026-11-22 11:15:30+01:00",
        "2026-11-22 10:15:30.000",
        "1795342530",
        "1795342530000",
        "2026/11/22 10:15:30",
        "11/22/2026 10:15:30 AM",
        "22/11/2026 10:15:30",
        "22.11.2026 10:15:30",
        "22-11-2026 10:15:30",
        "22/Nov/2026:10:15:30 +0000",
        "Sun, 22 Nov 2026 10:15:30 GMT",
        "20261122101530",
        "20261122T101530Z",
        "Nov 22 10:15:30",
        "Sun Nov 22 10:15:30 2026",
        "2026.11.22 10:15:30",
        "22 Nov 2026 10:15:30",
    ],
)
def test_timestamps(written: str, log: Path) -> None:
    log.write_text(f'timestamp,log_level,message\n"{written}",ERROR,boom\n')
    assert read(log)[0]["instant"].to_list() == [1_795_342_530_000_000]


def test_the_zone_that_is_set_holds(log: Path) -> None:
    log.write_text("timestamp,log_level,message\n2026-11-22 11:15:30,ERROR,boom\n")
    assert read(log, zone="Europe/Berlin")[0]["instant"].to_list() == [1_795_342_530_000_000]


@pytest.mark.parametrize(
    ("other", "day"), [("25/04/2026 00:00:00", "2026-04-03"), ("04/25/2026 00:00:00", "2026-03-04")]
)
def test_one_date_tells_how_all_are_written(other: str, day: str, log: Path) -> None:
    log.write_text(f"timestamp,log_level,message\n03/04/2026 00:00:00,ERROR,boom\n{other},ERROR,boom\n")
    instant = read(log)[0]["instant"][0]
    assert datetime.fromtimestamp(instant / 1e6, UTC).date().isoformat() == day


def test_facts_of_errors_are_found_in_their_messages(log: Path) -> None:
    log.write_text(
        "timestamp,log_level,message\n"
        "2026-11-22 10:15:30,ERROR,java.io.IOException from 10.1.2.3: GET /pay status=503\n"
        "2026-11-22 10:15:30,INFO,java.io.IOException from 10.1.2.3\n"
    )
    counts = count_events(read(log)[0], Span())
    assert counts.select("level", "error_type", "ip", "endpoint", "service", "events").sort("level").rows() == [
        ("error", "java.io.IOException", "10.1.2.3", "/pay", "unknown", 1),
        ("info", None, None, None, "unknown", 1),
    ]


def test_an_answer_of_500_and_more_is_an_error_whatever_the_level(log: Path) -> None:
    log.write_text(
        "timestamp,log_level,message,http_status\n"
        "2026-11-22 10:15:30,INFO,answered,503\n"
        "2026-11-22 10:15:30,INFO,answered,404\n"
        "2026-11-22 10:15:30,INFO,GET /a HTTP/1.1 502 12,\n"
        "2026-11-22 10:15:30,INFO,GET /errors/500 HTTP/1.1 200 12,\n"
        "2026-11-22 10:15:30,INFO,wrote 500 rows,\n"
        "2026-11-22 10:15:30,CRITICAL,gave up,500\n"
    )
    counts = count_events(read(log)[0], Span())
    assert counts.group_by("level").agg(pl.col("events").sum()).sort("level").rows() == [
        ("critical", 1),
        ("error", 2),
        ("info", 3),
    ]
    assert counts.filter(pl.col("level") == "error")["error_type"].sort().to_list() == ["HTTP 502", "HTTP 503"]


def test_an_unclosed_quote_costs_one_row(log: Path) -> None:
    log.write_text("\n".join([HEADER, '2026-11-22 10:15:30,ERROR,"open', *[GOOD] * 3_000]))
    events, bad = read(log)
    assert events.height == 3_000
    assert [(entry.line, entry.reason) for entry in bad] == [(2, "a quote is opened and never closed")]


def test_compressed_logs_are_read_as_plain_ones(tmp_path: Path) -> None:
    text, expected = with_good_rows(KINDS)
    packed = tmp_path / "app.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert [tuple(entry) for entry in read(packed)[1]] == expected


def test_what_is_not_utf8_is_read_all_the_same(log: Path) -> None:
    log.write_bytes(b"timestamp,log_level,message\n2026-11-22 10:15:30,ERROR,caf\xe9\n")
    assert read(log)[0]["message"].to_list() == ["caf\ufffd"]


@pytest.mark.parametrize(
    ("name", "header", "reason"),
    [
        ("a.csv", "timestamp,message", "has no column log_level"),
        ("a.csv", "when,what,message", "has no column timestamp and no column log_level"),
        ("a.log", "Timestamp;Message;ip", "has no column log_level"),
    ],
)
def test_a_missing_column_is_named(name: str, header: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(f"{header}\n1,2,3\n")
    with pytest.raises(LogsluiceError) as caught:
        detect_layout(path, str(path))
    assert str(caught.value).startswith(f"{path}: {reason} (its columns are ")


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"\n\n",
        b"2026-11-22 10:15:30,250 ERROR boom\n",
        b'{"timestamp": 1, "level": "x"}\n',
        b"\x00\xff\xfa",
        b"a,b\n",
    ],
)
def test_other_files_are_no_csv_logs(beginning: bytes, log: Path) -> None:
    log.write_bytes(beginning)
    assert detect_layout(log, str(log)) is None


def test_utf16_is_read(log: Path) -> None:
    log.write_bytes("timestamp,log_level,message\n2026-11-22T08:00:00Z,error,caf\u00e9\n".encode("utf-16"))
    layout = detect_layout(log, str(log))
    assert layout is not None
    layout, parts = plan_csv(log, str(log), layout, part_bytes=10)
    assert [text for part in parts for rows in read_rows(part, layout) for text in rows.columns["message"]] == [
        "caf\u00e9"
    ]


_FIELDS = st.text(st.sampled_from(list("ab \",;\n\té\u2028='")), max_size=8)


@given(st.lists(st.tuples(_FIELDS, _FIELDS), max_size=30), st.integers(1, 400), st.booleans())
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=hypothesis_settings().max_examples // 3
)
def test_what_a_csv_writer_wrote_is_read_in_parts_of_any_size(
    log: Path, rows: list[tuple[str, str]], part_bytes: int, quote: bool
) -> None:
    if not quote:
        rows = [tuple(field.translate({34: None, 44: None, 10: None}) for field in row) for row in rows]  # type: ignore[misc]
    with log.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["timestamp", "log_level", "message", "service"])
        writer.writerows(["2026-11-22 10:15:30", "INFO", f"m{message}", service] for message, service in rows)
    events, bad = read(log, part_bytes)
    assert bad == []
    assert events.rows() if rows else events.is_empty()
    found = events.select("message", "service").rows() if rows else []
    assert found == [(f"m{message}".strip(), service.strip() or None) for message, service in rows]
