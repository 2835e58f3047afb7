"""What a file teaches: formats that take its lines as a person would have written them, and what is done with them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.extract import Registry, load_registry
from logsluice.formats import TIME_REMARKS
from logsluice.formats.examples import check_examples, first_match
from logsluice.formats.model import FormatEntry, build_format
from logsluice.learning import learn, learn_formats, learn_keys, write_proposals
from logsluice.learning.headers import NO_NAMES
from logsluice.vocabulary import load_vocabulary

REFERENCE = "2026-11-30T00:00:00+00:00"
MODIFIED_MS = int(datetime.fromisoformat(REFERENCE).timestamp() * 1000)

# Layouts that no program has, so that nothing but their own lines can teach them.
KILN = [
    f"~{day:02}~ 2026-11-{day:02} 10:14:{second:02} <kiln-{day % 3}> [{level}] {name}.Burner => {message}"
    for day, (second, level, name, message) in enumerate(
        [
            (13, "INFO", "north", "lit after 3 tries"),
            (14, "WARN", "north", "flame is weak (pressure=3)"),
            (15, "ERROR", "south", "out: no gas"),
            (16, "INFO", "south", "lit"),
            (17, "INFO", "east", "closed at noon"),
        ]
        * 4,
        start=1,
    )
]


def read(entries: list[FormatEntry], line: str) -> dict[str, str]:
    found = first_match(line, [build_format(entry, NO_NAMES) for entry in entries], MODIFIED_MS)
    return {} if found is None else {name: text for name, text in found[1].items() if name != TIME_REMARKS}


def test_a_layout_of_its_own_is_read_by_what_stands_where() -> None:
    (learned,) = learn_formats(KILN, "kiln", REFERENCE)
    assert learned.lines == len(KILN)
    fields = read([learned.entry], KILN[2])
    moment = datetime.fromisoformat("2026-11-03T10:14:15+00:00")
    assert fields["@timestamp"] == str(int(moment.timestamp()) * 1_000_000)
    assert fields["log.level"] == "error"
    assert fields["message"] == "out: no gas"
    assert "south.Burner" in fields.values()


def test_what_a_place_does_not_say_is_a_label() -> None:
    (learned,) = learn_formats(KILN, "kiln", REFERENCE)
    fields = read([learned.entry], KILN[0])
    assert {name for name in fields if not name.startswith("labels.")} <= {
        "@timestamp", "log.level", "log.logger", "message"
    }  # fmt: skip


def test_learned_formats_hold_their_examples() -> None:
    learned = learn_formats(KILN, "kiln", REFERENCE)
    built = [build_format(each.entry, NO_NAMES) for each in learned]
    assert check_examples(built) == []
    assert all(example.line in KILN for each in learned for example in each.entry.examples)
    assert learned[0].entry.examples


def test_prose_teaches_nothing() -> None:
    assert learn_formats(["the kiln is warm", "nobody is here today", "come again"] * 5, "prose", REFERENCE) == []


def test_two_layouts_in_one_file_are_two_formats() -> None:
    other = [f"{level}|{line}|2026-11-22 10:14:13|started" for line, level in enumerate(["INFO", "WARN"] * 10)]
    assert len(learn_formats(KILN + other, "mixed", REFERENCE)) == 2


def test_it_is_deterministic() -> None:
    assert learn_formats(KILN, "kiln", REFERENCE) == learn_formats(list(KILN), "kiln", REFERENCE)


@given(st.lists(st.text(max_size=60), max_size=30))
def test_whatever_the_lines_what_is_learned_is_valid(lines: list[str]) -> None:
    learned = learn_formats(lines, "any", REFERENCE)
    assert check_examples([build_format(each.entry, NO_NAMES) for each in learned]) == []


def test_keys_that_nobody_knows_become_labels() -> None:
    messages = [f"done kilnTemp={900 + number} src_ip=192.0.2.{number}" for number in range(10)]
    keys = learn_keys(messages, load_vocabulary())
    assert keys.names == []
    (learned,) = keys.patterns
    assert learned.lines == 10
    assert learned.pattern.fields["value"].field == "labels.kiln_temp"
    assert learned.pattern.examples[0].fields == {"labels.kiln_temp": "900"}


def test_a_longer_name_of_what_is_known_is_one_more_name_of_it() -> None:
    messages = [f"done kilnRemoteAddr=192.0.2.{number}" for number in range(10)]
    keys = learn_keys(messages, load_vocabulary())
    assert [(learned.entry.field, learned.entry.names, learned.lines) for learned in keys.names] == [
        ("source.ip", ("kilnRemoteAddr",), 10)
    ]


def test_a_longer_name_whose_values_are_something_else_is_none() -> None:
    messages = [f"done kilnRemoteAddr=left{number}" for number in range(10)]
    keys = learn_keys(messages, load_vocabulary())
    assert keys.names == []
    assert [learned.pattern.name for learned in keys.patterns] == ["kiln_remote_addr"]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    directory = tmp_path / "dev"
    directory.mkdir()
    (directory / "patterns.yaml").write_text("revision: 4\n")
    return directory


def test_learned_entries_are_written_in_front_and_read_the_lines(registry: Registry, environment: Path) -> None:
    lines = [line.encode() for line in KILN]
    proposals = learn(lines, "kiln", registry, modified_ms=MODIFIED_MS)
    assert proposals.unread == len(KILN)
    changed = write_proposals(proposals.entries, environment)
    assert environment / "formats.yaml" in changed
    after = learn(lines, "kiln", load_registry(environment), modified_ms=MODIFIED_MS)
    assert after.unread == 0


def test_writing_twice_is_writing_once(registry: Registry, environment: Path) -> None:
    proposals = learn([line.encode() for line in KILN], "kiln", registry, modified_ms=MODIFIED_MS)
    write_proposals(proposals.entries, environment)
    before = (environment / "formats.yaml").read_text()
    write_proposals(proposals.entries, environment)
    assert (environment / "formats.yaml").read_text() == before


def test_lines_that_a_format_takes_teach_nothing(registry: Registry) -> None:
    lines = [b'{"level":"info","msg":"ready","time":"2026-11-22T10:14:13Z"}'] * 20
    assert learn(lines, "json", registry, modified_ms=MODIFIED_MS).entries == []
