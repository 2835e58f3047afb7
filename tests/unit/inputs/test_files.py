"""Reading lines: what ends one, where it is, and how little memory it takes."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from logsluice.errors import LogsluiceError
from logsluice.event.limits import MAX_VALUE_BYTES, GrowingValue, cut
from logsluice.inputs.files import expand, read_lines, split_lines

BYTES = st.binary(max_size=300) | st.lists(
    st.sampled_from([b"\n", b"\r", b"\r\n", b"\x0c", b"\x85", b"\xe2\x80\xa8", b"a", b"\x00"]), max_size=40
).map(b"".join)


@given(BYTES, st.lists(st.integers(0, 300), max_size=6))
def test_lines_do_not_depend_on_blocks(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(data)]
    blocks = [data[a:b] for a, b in itertools.pairwise(edges)]
    lines = list(split_lines(blocks))
    whole = data.split(b"\n")
    expected = whole if whole[-1] else whole[:-1]
    assert [line.data for line in lines] == [line.removesuffix(b"\r") for line in expected]


@given(BYTES)
def test_offsets_cover_the_input(data: bytes) -> None:
    position = 0
    for line in split_lines([data]):
        assert line.offset == position
        assert data[line.offset : line.end].rstrip(b"\n").removesuffix(b"\r") == line.data
        position = line.end
    assert position == len(data)


@pytest.mark.parametrize(
    "name", ["a.log", "a.log.gz", "a.log.zst", "misnamed", "utf-16", "utf-16-le", "utf-16-be", "utf-16.gz"]
)
def test_compression_is_seen_by_content(tmp_path: Path, name: str) -> None:
    text = b"one\r\ntwo\n\nlast"
    # Two members in one file, as log rotation appends them.
    packed = {
        "a.log.gz": gzip.compress(text[:7]) + gzip.compress(text[7:]),
        "a.log.zst": zstandard.compress(text[:7]) + zstandard.compress(text[7:]),
        "misnamed": gzip.compress(text),
        "utf-16": text.decode().encode("utf-16"),
        "utf-16-le": text.decode().encode("utf-16-le"),
        "utf-16-be": text.decode().encode("utf-16-be"),
        "utf-16.gz": gzip.compress(text.decode().encode("utf-16")),
    }
    path = tmp_path / name
    path.write_bytes(packed.get(name, text))
    assert [(line.data, line.offset) for line in read_lines(path)] == [
        (b"one", 0),
        (b"two", 5),
        (b"", 9),
        (b"last", 10),
    ]
    assert [line.data for line in read_lines(path, 9)] == [b"", b"last"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "no such file"),
        (gzip.compress(bytes(100_000), mtime=0)[:50], "damaged"),
        (zstandard.compress(bytes(range(256)) * 900)[:-9] + b"garbagexx", "damaged"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, content: bytes | None, what: str) -> None:
    path = tmp_path / "x"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LogsluiceError, match=what) as raised:
        list(read_lines(path))
    assert str(path) in str(raised.value)


def test_a_folder_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(LogsluiceError, match="folder"):
        list(read_lines(tmp_path))


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_long_line_is_cut_and_its_whole_is_hashed(tmp_path: Path, end: bytes) -> None:
    whole = "aé漢😀".encode() * 500_000
    path = tmp_path / "long"
    path.write_bytes(whole + end + b"next")
    first, *rest = read_lines(path)
    assert whole.startswith(first.data)
    assert MAX_VALUE_BYTES - 4 < len(first.data) <= MAX_VALUE_BYTES
    first.data.decode()
    assert dict(first.headers) == {
        "logsluice-original-length": str(len(whole if end else whole + b"next")).encode(),
        "logsluice-original-sha256": hashlib.sha256(whole if end else whole + b"next").hexdigest().encode(),
    }
    assert [line.data for line in rest] == ([b"next"] if end else [])
    assert (first.data, first.headers) == cut(whole if end else whole + b"next")


def test_memory_is_bounded_whatever_the_line(tmp_path: Path) -> None:
    path = tmp_path / "endless"
    with path.open("wb") as file:
        for _ in range(60):
            file.write(b"x" * 1_000_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_lines(path)) == 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000


@given(st.binary(max_size=12), st.integers(0, 4))
def test_cut_loses_at_most_an_unfinished_character(tail: bytes, missing: int) -> None:
    value = b"x" * (MAX_VALUE_BYTES - missing) + tail
    kept, headers = cut(value)
    assert value.startswith(kept)
    assert len(kept) >= min(len(value), MAX_VALUE_BYTES) - 3
    assert bool(headers) == (len(value) > MAX_VALUE_BYTES)


@given(st.text(min_size=1, max_size=4))
def test_cut_ends_where_a_character_ends(text: str) -> None:
    value = (text * MAX_VALUE_BYTES).encode("utf-8", "ignore")[: MAX_VALUE_BYTES + 7]
    cut(value)[0].decode()


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_a_growing_value_is_the_sum_of_its_pieces(pieces: list[bytes]) -> None:
    value = GrowingValue()
    for piece in pieces:
        value.add(piece)
    assert value.finish() == (b"".join(pieces).removesuffix(b"\r"), ())


def test_globs_and_names(tmp_path: Path) -> None:
    for name in ("b.log", "a.log", "c[1].log"):
        (tmp_path / name).touch()
    (tmp_path / "folder.log").mkdir()
    base = str(tmp_path)
    assert expand([f"{base}/*.log", f"{base}/a.log", "-", "missing"]) == [
        f"{base}/a.log",
        f"{base}/b.log",
        f"{base}/c[1].log",
        "-",
        "missing",
    ]
    assert expand([f"{base}/c[1].log", f"{base}/no*"]) == [f"{base}/c[1].log", f"{base}/no*"]
