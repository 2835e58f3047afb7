from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from logsluice.errors import LogsluiceError
from logsluice.formats import load_formats
from logsluice.formats.examples import first_match

OWN = """
formats:
  - name: shop
    description: ours
    regex: '#(?P<timestamp>%{iso8601})# (?P<level>[A-Z]) (?P<basket>[0-9]+) (?P<message>%{rest})'
    fields: {basket: labels.basket}
    levels: {X: critical}
    defaults: {service.name: shop}
    examples:
      - line: '#2024-03-05 10:11:12# X 17 gone'
        fields: {log.level: critical, labels.basket: 17, message: gone, service.name: shop}
"""


def written(folder: Path, text: str) -> Path:
    (folder / "formats.yaml").write_text(text, encoding="utf-8")
    return folder


def refused(folder: Path, text: str) -> str:
    with pytest.raises(LogsluiceError) as caught:
        load_formats(written(folder, text))
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder / "formats.yaml") in message
    return message


def one(entry: str) -> str:
    return "formats:\n  - name: mine\n    description: d\n" + entry


def test_without_a_file_the_shipped_formats_are_there(tmp_path: Path) -> None:
    assert load_formats(tmp_path) == load_formats(None)


def test_own_formats_come_first(tmp_path: Path) -> None:
    formats = load_formats(written(tmp_path, OWN))
    assert formats[0].name == "shop"
    found = first_match("#2024-03-05 10:11:12# X 17 gone", formats, 0)
    assert found is not None
    assert found[0].name == "shop"
    assert found[1]["log.level"] == "critical"
    assert found[1]["service.name"] == "shop"


def test_an_own_format_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    formats = load_formats(written(tmp_path, OWN.replace("name: shop\n", "name: nginx-error\n", 1)))
    assert [entry.description for entry in formats if entry.name == "nginx-error"] == ["ours"]


def test_shipped_formats_can_be_disabled(tmp_path: Path) -> None:
    names = [entry.name for entry in load_formats(written(tmp_path, "disabled: [npm]"))]
    assert "npm" not in names
    assert len(names) == len(load_formats(None)) - 1


def test_formats_go_to_other_processes() -> None:
    formats = pickle.loads(pickle.dumps(load_formats(None)))
    found = first_match("WARNING:root:disk is full", formats, 0)
    assert found is not None
    assert found[0].name == "python-basic"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("    regex: '(?P<message>.*'", "not a regular expression: missing ), unterminated subpattern at character 1"),
        ("    regex: '%{iso8601} (x'", "at character 12"),
        ("    regex: '(?P<message>%{nothing})'", "no fragment is called 'nothing'"),
        ("    regex: '(?P<basket>.*)'", "the group 'basket' has no field"),
        (
            "    regex: '.*'\n    fields: {basket: user.id}",
            "fields or pairs names a group 'basket' that the regex has not",
        ),
        ("    regex: '(?P<basket>.*)'\n    fields: {basket: shop.basket}", "no field is called 'shop.basket'"),
        ("    regex: '(?P<timestamp>.*)'", "no syntax for the timestamp"),
        ("    regex: '.*'\n    timestamp: [noon]", "no syntax is called 'noon'"),
        ("    regex: '.*'\n    levels: {x: bad}", "'bad' is none of"),
        ("    regex: '.*'\n    wrap: true", "wrap: Extra inputs are not permitted"),
        ("    kind: json\n    regex: '.*'", "regex: needed for the kind regex, and for no other"),
        ("    regex: '.*'\n    requires: {a: any}", "requires and keys are for the kinds json and logfmt"),
        ("", "regex: needed for the kind regex"),
    ],
)
def test_a_wrong_entry_is_named_with_what_is_wrong(tmp_path: Path, entry: str, reason: str) -> None:
    message = refused(tmp_path, one(entry))
    assert "format 'mine'" in message
    assert reason in message


def test_other_mistakes_are_named(tmp_path: Path) -> None:
    assert "line 2" in refused(tmp_path, "formats:\n  - name: ]\n")
    assert "there are two formats of this name" in refused(tmp_path, one("    regex: a") + one("    regex: b")[8:])
    assert "number 1" in refused(tmp_path, "formats: [{description: d, regex: a}]")
    assert "disabled names 'nope'" in refused(tmp_path, "disabled: [nope]")
    assert "'plain' cannot be replaced or disabled" in refused(tmp_path, "disabled: [plain]")
    assert "Extra inputs" in refused(tmp_path, "format: []")
