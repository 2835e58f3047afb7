"""Loading patterns: what is shipped keeps its examples, what is wrong is named."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from logsluice.errors import LogsluiceError
from logsluice.extract import load_registry
from logsluice.extract.facts import check_pattern
from logsluice.patterns import Pattern, load_patterns

GOOD = """
  - name: order
    description: An order's number
    regex: '(?a)\\border (?P<order>ORD-[0-9]+)'
    fields: {order: labels.order_id}
    examples: [{message: 'order ORD-17 paid', fields: {labels.order_id: ORD-17}}]
    counterexamples: ['order nothing']
"""
SHIPPED = load_patterns().patterns


def write(directory: Path, patterns: str, revision: str = "7") -> Path:
    directory.joinpath("patterns.yaml").write_text(f"revision: {revision}\npatterns:{patterns or ' []'}\n")
    return directory


@pytest.mark.parametrize("pattern", SHIPPED, ids=lambda pattern: pattern.name)
def test_shipped_patterns_keep_their_examples_on_the_fast_engine(pattern: Pattern) -> None:
    assert list(check_pattern(pattern)) == []
    assert pattern.compiled.rust is not None
    assert not pattern.compiled.needs_ascii


def test_the_promised_patterns_are_shipped() -> None:
    assert {pattern.name for pattern in SHIPPED} >= {
        "error", "warning", "ip", "timestamp", "user_id", "session_id", "request_id", "http_method", "url_path",
        "http_status", "duration", "exception", "email", "uuid",
    }  # fmt: skip


def test_own_patterns_come_first_and_bring_their_fields(tmp_path: Path) -> None:
    registry = load_registry(write(tmp_path, GOOD))
    assert registry.revision == 7
    assert registry.patterns.patterns[0].name == "order"
    assert registry.fields["labels.order_id"] == "keyword"


def test_a_shipped_pattern_can_be_replaced_and_disabled(tmp_path: Path) -> None:
    tmp_path.joinpath("patterns.yaml").write_text(
        "revision: 2\ndisabled: [uuid]\npatterns:" + GOOD.replace("name: order", "name: email")
    )
    names = [pattern.name for pattern in load_patterns(tmp_path).patterns]
    assert names.count("email") == 1
    assert names[0] == "email"
    assert "uuid" not in names


def test_a_registry_travels_to_workers(tmp_path: Path) -> None:
    registry = load_registry(write(tmp_path, GOOD))
    assert pickle.loads(pickle.dumps(registry)).patterns == registry.patterns


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("(?P<order>ORD-[0-9]+)", "(?P<order>ORD-[0-9]+"), "pattern 'order': regex: not a regular expression"),
        (("labels.order_id}", "order.number}"), "order.number is not a known field: give its type"),
        (
            ("ORD-[0-9]+", "x" * 30_000),
            "pattern 'order': regex: a regular expression may have 20,000 characters, this one",
        ),
        (
            ("ORD-[0-9]+", "(x)" * 300),
            "pattern 'order': regex: a regular expression may have 200 groups, this one has 301",
        ),
        (("order: labels.order_id}", "order: {field: source.ip, type: long}}"), "source.ip is of type ip, not long"),
        (("{order: labels", "{other: labels"), "group 'order' fills no field"),
        (("order ORD-17 paid", "nothing of the kind"), "does not match its example"),
        (("labels.order_id: ORD-17", "labels.order_id: ORD-18"), "gives labels.order_id = 'ORD-17', not 'ORD-18'"),
        (("'order nothing'", "'order ORD-1'"), "matches its counterexample 'order ORD-1'"),
        (("name: order", "nam: order"), "pattern number 1: name: Field required"),
        (("name: order", "name: Order 1"), "pattern 'Order 1': name: String should match"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    write(tmp_path, GOOD.replace(*change))
    with pytest.raises(LogsluiceError) as error:
        load_registry(tmp_path)
    assert message in str(error.value)
    assert str(tmp_path / "patterns.yaml") in str(error.value)
    assert len(str(error.value)) < 1_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("revision: [", "is not valid YAML"),
        ("- a list", "must be a mapping"),
        ("patterns: []", "revision: Field required"),
        ("revision: 0", "revision: Input should be greater than or equal to 1"),
        ("revision: 1\ndisabled: [nope]", "disabled names 'nope', which is no shipped pattern"),
        (f"revision: 1\npatterns:{GOOD}{GOOD}", "pattern 'order': stands twice"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    tmp_path.joinpath("patterns.yaml").write_text(text)
    with pytest.raises(LogsluiceError) as error:
        load_patterns(tmp_path)
    assert message in str(error.value)
    assert "patterns.yaml" in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogsluiceError, match=r"patterns\.yaml: there is no such file"):
        load_patterns(tmp_path)
