import gzip
import hashlib
import os
from pathlib import Path

import pytest
import zstandard
from hypothesis import assume, given
from hypothesis import strategies as st

from logsluice.errors import LogsluiceError
from logsluice.event.limits import ORIGINAL_LENGTH, ORIGINAL_SHA256
from logsluice.inputs.files import begins_compressed
from logsluice.jobs.spark.files import LineBlock, plan_parts, read_events, read_part

CONTENT = st.lists(
    st.sampled_from(
        [b"\n", b"\r\n", b"\r", b"\x0b", b"\x0c", b"\xe2\x80\xa8", b"\x85", b"\xff", b"\x00", b"line", b"x"]
    )
).map(b"".join)


def expected(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


def read_all(path: Path, **options: int) -> list[bytes]:
    return [
        value
        for part in plan_parts(path, path.name, part_bytes=options.get("part_bytes", 1 << 20))
        for lines in read_part(part, rows=options.get("rows", 1000))
        for value in lines.values
    ]


@given(content=CONTENT, part_bytes=st.integers(1, 40), rows=st.integers(1, 5))
def test_parts_hold_every_line_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, part_bytes: int, rows: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.log"
    path.write_bytes(content)
    # What begins like UTF-16 is read as that.
    assume(not begins_compressed(content))
    assert read_all(path, part_bytes=part_bytes, rows=rows) == expected(content)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_compressed_files_are_one_part_and_read_alike(tmp_path: Path, compress: type[bytes]) -> None:
    content = b"".join(b"%d\r\n" % number for number in range(100_000)) + b"end"
    path = tmp_path / "lines"
    path.write_bytes(compress(content[:400_000]) + compress(content[400_000:]))
    assert len(plan_parts(path, path.name, part_bytes=1000)) == 1
    assert read_all(path) == expected(content)


def test_an_empty_file_has_no_part(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert plan_parts(tmp_path / "empty", "empty") == []


def test_a_line_across_many_blocks_is_whole(tmp_path: Path) -> None:
    long = os.urandom(6_000_000).replace(b"\n", b"")
    path = tmp_path / "long.log"
    path.write_bytes(b"before\n" + long + b"\r\nafter")
    assert read_all(path, part_bytes=1_000_000) == [b"before", long, b"after"]


@pytest.mark.parametrize("end", [b"\nafter\n", b""])
def test_a_line_beyond_the_limit_is_cut_and_its_length_and_hash_are_kept(tmp_path: Path, end: bytes) -> None:
    long = b"0123456789" * 700_000
    path = tmp_path / "long.log"
    path.write_bytes(b"before\n" + long + end)
    (part,) = plan_parts(path, path.name)
    found: list[LineBlock] = list(read_part(part, rows=1000, longest_line=2_500_000))
    values = [value for lines in found for value in lines.values]
    assert values == [b"before", long[:1_000_000], *([b"after"] if end else [])]
    headers = dict(next(headers for lines in found for headers in lines.cut.values()))
    assert headers[ORIGINAL_LENGTH] == b"7000000"
    assert headers[ORIGINAL_SHA256] == hashlib.sha256(long).hexdigest().encode()


def test_blocks_hold_no_more_rows_than_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "short.log"
    path.write_bytes(b"\n" * 2_500)
    (part,) = plan_parts(path, path.name)
    assert [len(lines.values) for lines in read_part(part, rows=1000)] == [1000, 1000, 500]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_damaged_file_gives_what_could_be_read_and_says_so(tmp_path: Path, compress: type[bytes]) -> None:
    lines = [os.urandom(40).hex().encode() for _ in range(30_000)]
    path = tmp_path / "damaged"
    path.write_bytes(compress(b"\n".join(lines))[:-300_000])
    (part,) = plan_parts(path, path.name)
    read: list[bytes] = []
    with pytest.raises(LogsluiceError, match="damaged"):
        read.extend(value for block in read_part(part, rows=1000) for value in block.values)
    assert 10_000 < len(read) < 30_000
    assert read == lines[: len(read)]


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(LogsluiceError, match=r"missing\.log: there is no such file"):
        plan_parts(tmp_path / "missing.log", "missing.log")
    with pytest.raises(LogsluiceError, match="is a folder"):
        plan_parts(tmp_path, "folder")


def test_events_are_joined_and_every_line_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "trace.log"
    path.write_bytes(
        b"2026-11-22 10:00:00 ERROR failed\njava.io.IOException: no\n\tat a.B.c(B.java:1)\n\n"
        b"2026-11-22 10:00:01 INFO fine\n\n"
    )
    (part,) = plan_parts(path, path.name, whole=True)
    found = list(read_events(part, rows=10))
    values = [value for lines in found for value in lines.values]
    assert values == [
        b"2026-11-22 10:00:00 ERROR failed\njava.io.IOException: no\n\tat a.B.c(B.java:1)",
        b"2026-11-22 10:00:01 INFO fine",
    ]
    assert len(values) + sum(lines.joined_lines + lines.left_out for lines in found) == 6
