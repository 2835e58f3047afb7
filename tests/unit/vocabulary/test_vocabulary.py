from __future__ import annotations

from pathlib import Path

import pytest

from logsluice.errors import LogsluiceError
from logsluice.formats import load_formats, read_json
from logsluice.regex.compile import compile_regex
from logsluice.vocabulary import load_vocabulary
from logsluice.vocabulary.key_folding import fold
from logsluice.vocabulary.searches import text_searches
from logsluice.vocabulary.values import READERS, duration


def fields(text: str, directory: Path | None = None) -> dict[str, str]:
    event = read_json(text, [entry for entry in load_formats(directory) if entry.kind == "json"])
    assert event is not None
    return event.fields


@pytest.mark.parametrize("name", ["remote_addr", "remoteAddr", "Remote-Addr", "REMOTE ADDR", "request.remote.addr"])
def test_case_separators_and_nesting_do_not_count(name: str) -> None:
    assert fields(f'{{"message":"m","{name}":"192.0.2.7:4012"}}')["source.ip"] == "192.0.2.7"


def test_a_value_that_does_not_fit_is_passed_over() -> None:
    found = fields('{"message":"m","user":{"username":"AnonymousUser"},"context":{"username":"ann"},"client_ip":"-"}')
    assert found == {"user.name": "ann"}


def test_plain_words_mean_a_field_on_the_event_itself_alone() -> None:
    assert "source.ip" not in fields('{"message":"m","cluster":{"node":{"ip":"192.0.2.7"}}}')
    assert fields('{"message":"m","context":{"ip":"192.0.2.7"}}')["source.ip"] == "192.0.2.7"


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("12", "ms", "12ms"),
        ("12", None, None),
        ("792.538\u03bcs", "s", "792.538\u00b5s"),
        ("1m30s", None, "90.000000000s"),
        ("00:00:01.5", None, "1.500000000s"),
        ("soon", "s", None),
    ],
)
def test_a_duration_has_its_own_unit_or_its_name_s(text: str, unit: str | None, expected: str | None) -> None:
    assert duration(text, unit) == expected


@pytest.mark.parametrize("text", ["-", "N/A", "null", "(null)", "unknown", "", "{}", "[]"])
def test_placeholders_are_no_users(text: str) -> None:
    assert READERS["user"](text) is None


def test_an_environment_s_names_come_first(tmp_path: Path) -> None:
    tmp_path.joinpath("vocabulary.yaml").write_text(
        "ignored: client\nvocabulary:\n  - field: source.ip\n    names: kiosk_address\n", encoding="utf-8"
    )
    assert fields('{"kioskAddress":"192.0.2.7","client_ip":"192.0.2.8"}', tmp_path)["source.ip"] == "192.0.2.7"
    assert "source.ip" not in fields('{"client":"192.0.2.7"}', tmp_path)


def test_a_wrong_entry_is_named(tmp_path: Path) -> None:
    tmp_path.joinpath("vocabulary.yaml").write_text("vocabulary:\n  - field: no.such\n    names: x\n", encoding="utf-8")
    with pytest.raises(LogsluiceError, match="no field is called"):
        load_vocabulary(tmp_path)


def test_every_search_runs_on_the_fast_engine() -> None:
    searches = text_searches(load_vocabulary())
    assert [search.field for search in searches if compile_regex(search.pattern.pattern).reason] == []
    assert [search.field for search in searches if search.probe.reason] == []


def test_an_at_sign_tells_names_apart() -> None:
    assert fold("@x") != fold("x")
