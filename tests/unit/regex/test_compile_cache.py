"""What regular expressions compile to is kept from process to process, and worked out again where it cannot be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from logsluice.regex.compile import Regex, compile_regex
from logsluice.regex.compile_cache import load_with_cache

SOURCES = ("(?a)a(?P<g>[0-9]+)$", r"(?i)é|\w{2}", "(?=x)y")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LOGSLUICE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "regex"


def load(*sources: str) -> list[Regex]:
    return load_with_cache("mine", lambda: [compile_regex(source) for source in sources], lambda loaded: loaded)


def test_it_is_read_as_it_was_written(cache: Path) -> None:
    expected = load(*SOURCES)
    (file,) = cache.glob("mine-*.json")
    written = file.stat()
    compile_regex.cache_clear()
    again = load(*SOURCES)
    assert again == expected
    assert again[0] is not expected[0]
    assert file.stat() == written


def test_it_holds_what_the_registry_has_now(cache: Path) -> None:
    load(*SOURCES)
    load(SOURCES[0], "new")
    (file,) = cache.glob("mine-*.json")
    assert "new" in file.read_text()
    assert SOURCES[2] not in file.read_text()


@pytest.mark.parametrize("content", [b"", b"{}", b'[{"source": 7}]', b"\xff", b'[{"source": "a"'])
def test_a_damaged_file_is_written_anew(cache: Path, content: bytes) -> None:
    expected = load(*SOURCES)
    (file,) = cache.glob("mine-*.json")
    whole = file.read_bytes()
    file.write_bytes(content)
    assert load(*SOURCES) == expected
    assert file.read_bytes() == whole


def test_nothing_is_wanted_of_a_cache_that_cannot_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOGSLUICE_CACHE", str(tmp_path / "file"))
    assert [regex.source for regex in load(*SOURCES)] == [*SOURCES]


@pytest.mark.slow
def test_a_registry_is_the_same_with_and_without(tmp_path: Path) -> None:
    code = (
        "import hashlib; from logsluice.extract import load_registry; found = load_registry(); "
        "print(hashlib.sha256(repr((found.formats, found.patterns, "
        "[pattern.compiled for pattern in found.patterns.patterns])).encode()).hexdigest())"
    )
    first, second = (subprocess.check_output([sys.executable, "-c", code], timeout=120) for _ in range(2))
    assert first == second
