from __future__ import annotations

from pathlib import Path

import pytest

from logsluice.errors import LogsluiceError
from logsluice.jvm.java import bundled_java, parse_version, system_java


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17),
        ('java version "1.8.0_392"\nJava(TM) SE Runtime Environment', 8),
        ('openjdk version "26-ea" 2026-03-17', 26),
        ('Picked up JAVA_TOOL_OPTIONS: -Dversion=11\nopenjdk version "21.0.5" 2024-10-15 LTS', 21),
        ("zsh: command not found: java", None),
    ],
)
def test_versions_are_read_as_vendors_write_them(text: str, version: int | None) -> None:
    assert parse_version(text) == version


def java_that_prints(folder: Path, text: str) -> Path:
    path = folder / "bin" / "java"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\necho '{text}' >&2\n")
    path.chmod(0o755)
    return path


def test_java_home_comes_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = java_that_prints(tmp_path, 'openjdk version "23.0.1"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert system_java().path == java
    assert system_java().version == 23


def test_an_old_java_is_named_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = java_that_prints(tmp_path, 'openjdk version "11.0.2"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(LogsluiceError, match=r"Java 11 is too old \(taken from JAVA_HOME") as caught:
        system_java()
    assert str(java) in str(caught.value)


def test_a_java_home_without_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(LogsluiceError, match=rf"Java was not found \(JAVA_HOME is {tmp_path}"):
        system_java()


def test_no_java_at_all_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LogsluiceError, match=r"no java on PATH.*install Java 17"):
        system_java()


def test_a_java_that_is_none_shows_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java_that_prints(tmp_path, "The operation could not be completed: no Java runtime")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(LogsluiceError, match="no Java runtime"):
        system_java()


def test_elasticsearch_brings_a_java_that_is_new_enough_for_it() -> None:
    assert bundled_java().version >= 21
    assert bundled_java().path.is_file()
