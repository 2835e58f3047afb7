"""An environment's own formats are held to their examples when they are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from logsluice.errors import LogsluiceError
from logsluice.extract import load_registry

FORMATS = """
formats:
  - name: till
    description: A shop's till
    regex: 'TILL (?P<timestamp>%{iso8601}) (?P<level>[A-Z]+) (?P<message>%{rest})'
    examples:
      - line: 'TILL 2026-01-02T03:04:05Z WARN drawer open'
        fields: {'@timestamp': '2026-01-02T03:04:05Z', log.level: warn, message: drawer open}
"""


def write(directory: Path, formats: str) -> Path:
    directory.joinpath("patterns.yaml").write_text("revision: 1\n")
    directory.joinpath("formats.yaml").write_text(formats)
    return directory


def test_own_formats_come_first(tmp_path: Path) -> None:
    assert load_registry(write(tmp_path, FORMATS)).formats[0].name == "till"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("message: drawer open", "message: drawer shut"), "message of 'TILL 2026-01-02T03:04:05Z WARN drawer open'"),
        (("regex: 'TILL ", "regex: 'KASSE "), "till: plain takes 'TILL"),
        (("regex: 'TILL ", "regex: '(TILL "), "format 'till'"),
    ],
)
def test_an_example_that_is_not_kept_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(LogsluiceError) as error:
        load_registry(write(tmp_path, FORMATS.replace(*change)))
    assert message in str(error.value)
    assert str(tmp_path / "formats.yaml") in str(error.value)


def test_a_field_within_a_field_that_holds_a_value_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("patterns.yaml").write_text(
        "revision: 1\npatterns:\n- name: till\n  description: A till\n  regex: 'till (?P<till>[0-9]+)'\n"
        "  fields: {till: {field: service, type: keyword}}\n"
        "  examples: [{message: till 3}]\n  counterexamples: [till]\n"
    )
    with pytest.raises(LogsluiceError, match=r"service\.\w+ lies within service"):
        load_registry(tmp_path)
