"""Rows below headers: each as an object of its columns, from whatever place the file is read."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logsluice.inputs.files import Line, read_lines, split_lines
from logsluice.inputs.tables import HEAD_BYTES, TableRows

IIS = "#Fields: date time s-ip s-port cs-username c-ip cs(User-Agent) sc-status time-taken"
IIS_ROW = "2024-03-05 10:11:12 192.0.2.5 443 - 198.51.100.7 Mozilla/5.0+(X11) 200 15"
ZEEK = ["#separator \\x09", "#empty_field\t(empty)", "#unset_field\t-", "#fields\tts\tid.orig_h\ttags\turi"]
ZEEK_ROW = "1709633472.345678\t192.0.2.1\t(empty)\t/a\\x09b"


def objects(*lines: str) -> list[Any]:
    rows = TableRows()
    data = "\n".join(lines).encode()
    return [None if (row := rows.read(line)) is line else {**orjson.loads(row.data)} for line in split_lines([data])]


def test_a_row_is_an_object_of_the_columns_with_its_text_as_message() -> None:
    assert objects("#Version: 1.0", IIS, IIS_ROW) == [
        None,
        None,
        {
            "message": IIS_ROW,
            "@timestamp": "2024-03-05T10:11:12Z",
            "s-ip": "192.0.2.5",
            "server-port": "443",
            "c-ip": "198.51.100.7",
            "cs(User-Agent)": "Mozilla/5.0+(X11)",
            "sc-status": "200",
            "time-taken": "15ms",
        },
    ]


def test_zeek_says_how_it_separates_and_what_is_not_there() -> None:
    assert objects(*ZEEK, ZEEK_ROW)[-1] == {
        "message": ZEEK_ROW, "ts": "1709633472.345678", "id.orig_h": "192.0.2.1", "uri": "/a\tb"
    }  # fmt: skip


def test_another_separator_than_a_tab() -> None:
    assert objects("#separator |", "#unset_field|!", "#fields|ts|host", "12|!")[-1] == {"message": "12|!", "ts": "12"}


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("#Fields: cs-method\tx-note", 'GET\ta "b', {"cs-method": "GET", "x-note": 'a "b'}),
        ("#Fields: cs-method x-note", 'GET "a ""b"""', {"cs-method": "GET", "x-note": 'a "b"'}),
        ("#Fields: date-time,subject", '2024,"Hello, you"', {"date-time": "2024", "subject": "Hello, you"}),
        (
            "#Fields: date time time-taken",
            "2024-03-05 10:11:12 0.5",
            {"@timestamp": "2024-03-05T10:11:12Z", "time-taken": "0.5s"},
        ),
    ],
)
def test_how_columns_are_separated(header: str, row: str, expected: dict[str, str]) -> None:
    assert objects(header, row)[-1] == {"message": row, **expected}


def test_a_clock_alone_has_the_date_of_the_file_unless_midnight_may_have_passed() -> None:
    found = objects("#Date: 2024-03-05 10:00:00", "#Fields: time c-ip", "10:11:12 192.0.2.1", "00:01:02 192.0.2.1")
    assert found[2]["@timestamp"] == "2024-03-05T10:11:12Z"
    assert "@timestamp" not in found[3]


def test_a_header_in_the_middle_names_other_columns() -> None:
    found = objects(IIS, IIS_ROW, "#Fields: cs-method c-ip", "GET 192.0.2.1", IIS_ROW)
    assert found[3] == {"message": "GET 192.0.2.1", "cs-method": "GET", "c-ip": "192.0.2.1"}
    assert found[4] is None


@pytest.mark.parametrize("header", ["#Fields:", "#Fields: one", "#Fields: a b a", '#Fields: "x y', "#fields"])
def test_behind_a_header_that_cannot_be_read_rows_stay_as_they_are(header: str) -> None:
    assert objects(IIS, header, IIS_ROW) == [None] * 3


def test_a_header_far_into_a_file_that_began_without_one_is_none() -> None:
    filler = "x" * HEAD_BYTES
    assert objects(filler, IIS, IIS_ROW) == [None] * 3


def test_a_cut_row_stays_as_it_is() -> None:
    rows = TableRows()
    rows.read(Line(IIS.encode(), 0, len(IIS) + 1))
    assert rows.read_values([IIS_ROW.encode()] * 2, {0}) != [IIS_ROW.encode()] * 2
    assert rows.read_values([IIS_ROW.encode()], {0}) == [IIS_ROW.encode()]


LINES = st.lists(
    st.sampled_from(["x", "#Fields: cs-method c-ip", "#Fields:", "GET 192.0.2.1", IIS, IIS_ROW, *ZEEK, ZEEK_ROW]),
    max_size=30,
)


@given(texts=LINES, packed=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reading_from_any_line_on_finds_the_same(texts: list[str], packed: bool, tmp_path: Path) -> None:
    data = "".join(f"{text}\n" for text in texts).encode()
    path = tmp_path / "a.log"
    path.write_bytes(gzip.compress(data) if packed else data)
    rows = TableRows()
    for line in read_lines(path):
        there = TableRows.at(path, line.offset)
        assert there.read(line) == rows.read(line)


def test_far_into_a_file_its_last_header_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(
        "\n".join([IIS, *[IIS_ROW] * 40_000, "#Fields: cs-method c-ip", *["GET 192.0.2.1"] * 200_000]) + "\n"
    )
    last = path.stat().st_size - len("GET 192.0.2.1\n")
    row = Line(b"GET 192.0.2.1", last, last + 14)
    assert TableRows.at(path, last).read(row) != row
    first = len(IIS) + 1 + 30_000 * (len(IIS_ROW) + 1)
    row = Line(IIS_ROW.encode(), first, first + len(IIS_ROW) + 1)
    assert TableRows.at(path, first).read(row) != row
