"""Extraction column by column answers as the oracle does, whatever the lines are."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logsluice.extract import INPUT_SCHEMA, ColumnarExtractor, Registry, few_rows, load_registry
from logsluice.formats import load_formats, timestamps
from logsluice.patterns import PatternRegistry
from logsluice.patterns.model import Pattern
from tests.oracles.reference_extractor import ReferenceExtractor
from tests.shared.log_sets import SYSTEMS, log_file

SEEN_MS = 1_795_000_000_000
EXAMPLES = [example.line for entry in load_formats() for example in entry.examples]
REGISTRY = load_registry()
Extractor = ColumnarExtractor | ReferenceExtractor
_SHIPPED: dict[tuple[type[Extractor], str], Extractor] = {}


@pytest.fixture(autouse=True, scope="module")
def _columns_of_any_length() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timestamps, "FEW_ROWS", 0)
        patch.setattr(few_rows, "MOST_ROWS", 0)
        yield


def batch(
    values: Sequence[bytes | None], *, seen_ms: int = SEEN_MS, cut: frozenset[int] = frozenset()
) -> pa.RecordBatch:
    rows = range(len(values))
    return pa.record_batch(
        [
            pa.array(values, pa.binary()),
            pa.array([seen_ms] * len(values), pa.int64()),
            pa.array([5_000_000 if row in cut else None for row in rows], pa.int64()),
            pa.array(["0" * 64 if row in cut else None for row in rows], pa.string()),
        ],
        schema=INPUT_SCHEMA,
    )


def answers(
    extractor: type[Extractor],
    values: Sequence[bytes | None],
    registry: Registry = REGISTRY,
    zone: str = "UTC",
    **how: Any,
) -> list[dict[str, Any]]:
    return list(_made(extractor, registry, zone).extract(batch(values, **how)).to_pylist())


def _made(extractor: type[Extractor], registry: Registry, zone: str) -> Extractor:
    """Made once for all examples of the shipped registry."""
    if registry is not REGISTRY:
        return extractor(registry, zone)
    if (extractor, zone) not in _SHIPPED:
        _SHIPPED[extractor, zone] = extractor(registry, zone)
    return _SHIPPED[extractor, zone]


def assert_alike(values: Sequence[bytes | None], registry: Registry = REGISTRY, **how: Any) -> None:
    fast, plain = (
        answers(ColumnarExtractor, values, registry, **how),
        answers(ReferenceExtractor, values, registry, **how),
    )
    for value, one, other in zip(values, fast, plain, strict=True):
        assert one == other, {"line": value} | {key: (one[key], other[key]) for key in one if one[key] != other[key]}


def mutations(line: str) -> Iterator[str]:
    """The line with a piece cut out, doubled or replaced."""
    generator = random.Random(line)
    for _ in range(3):
        start = generator.randrange(len(line) + 1)
        end = min(len(line), start + generator.randrange(8))
        yield line[:start] + line[end:]
        yield line[:end] + line[start:]
        yield line[:start] + generator.choice(["é", "\x00", "\n", " ", "9", "中", "]", "Z", "\u2028"]) + line[end:]


LINES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    st.sampled_from(EXAMPLES).map(str.encode),
    st.sampled_from(EXAMPLES).flatmap(lambda line: st.sampled_from(list(mutations(line)))).map(str.encode),
    st.tuples(st.sampled_from(EXAMPLES), st.text(max_size=20)).map("".join).map(str.encode),
    st.dictionaries(
        st.sampled_from(["@timestamp", "level", "message", "source.ip", "http.response.status_code", "x", "log"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.just("10.0.0.1")),
    ).map(lambda event: repr(event).replace("'", '"').replace("None", "null").replace("True", "true").encode()),
    st.none(),
)


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(LINES, min_size=1, max_size=12), st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns"]))
def test_engines_agree_on_anything(values: list[bytes | None], zone: str) -> None:
    assert_alike(values, zone=zone)


@pytest.mark.slow
def test_engines_agree_on_every_example_and_its_mutations() -> None:
    lines = [line.encode() for example in EXAMPLES for line in (example, *mutations(example))]
    assert_alike(lines)


def test_engines_agree_on_hostile_lines() -> None:
    assert_alike(
        [
            b"",
            None,
            b"\x00" * 500,
            b"\xff\xfe\xfd",
            "ünïcode ٣٤ ſK".encode(),
            b"x" * 1_000_000,
            b'{"a":' * 5_000,
            b'{"message":"' + b"\\u0000" * 10 + b'"}',
            b'{"a":1,"a":2}',
            b'{"@timestamp":"not a time","level":7,"source.ip":"nobody","http.response.status_code":"abc"}',
            b'{"message":"x","log":{"level":{"deep":true}}}',
            b"\r\n",
            b"ERROR something\r\n",
            b"\xef\xbb\xbf2026-01-01T00:00:00Z INFO marked",
            b"\x1b[2m2026-01-01T00:00:00Z\x1b[0m \x1b[32m INFO\x1b[0m app: coloured",
            b"\x1b[0m",
        ],
        cut=frozenset({5}),
    )


def test_engines_agree_on_an_empty_batch() -> None:
    assert answers(ColumnarExtractor, []) == answers(ReferenceExtractor, []) == []


def test_what_only_re_can_run_is_run_by_re() -> None:
    def pattern(name: str, regex: str) -> Pattern:
        return Pattern.model_validate(
            {
                "name": name,
                "description": name,
                "regex": regex,
                "fields": {"x": f"labels.{name}"},
                "examples": [{"message": "any"}],
                "counterexamples": ["none"],
            }
        )

    patterns = (
        pattern("ahead", r"(?P<x>\w+)(?=!)"),
        pattern("back", r"(?P<x>(\w)\2)"),
        pattern("unicode_edge", r"\b(?P<x>\w+)\b"),
        pattern("end", r"(?P<x>\w+)$"),
    )
    registry = Registry(REGISTRY.formats, PatternRegistry(1, patterns))
    assert_alike([b"hello world!", "grüße, Füße!".encode(), b"aab", "ſ ß".encode(), b"end\n", b"- -"], registry)
    assert_alike([b'{"level":"broken', b"hello world!", None, b""], registry)
    assert_alike([b'{"level":"broken'], registry)
    first = answers(ColumnarExtractor, ["Füße!".encode()], registry)[0]
    assert first["labels.ahead"] == "Füße"
    assert first["labels.unicode_edge"] == "Füße"


def test_a_pattern_that_blows_up_sends_its_line_away_and_no_other() -> None:
    evil = Pattern.model_validate(
        {
            "name": "evil",
            "description": "blows up",
            "regex": r"(?P<x>x)(?=y)(y+)+(?<!yyy)$",
            "fields": {"x": "labels.evil"},
            "examples": [{"message": "xy"}],
            "counterexamples": ["z"],
        }
    )
    registry = Registry(REGISTRY.formats, PatternRegistry(1, (evil,)))
    rows = answers(ColumnarExtractor, [b"x" + b"y" * 64, b"xy"], registry)
    assert rows[0]["reason"] == "regex_timeout"
    assert rows[1]["reason"] is None
    assert rows[1]["labels.evil"] == "x"


def test_colours_of_a_terminal_do_not_hide_a_format() -> None:
    line = "\x1b[2m2026-01-01T00:00:00.5Z\x1b[0m \x1b[33m WARN\x1b[0m \x1b[1mapp::store\x1b[0m: almost full"
    row = answers(ColumnarExtractor, [line.encode()])[0]
    assert (row["log.level"], row["message"], row["event.original"]) == ("warn", "almost full", line)


@pytest.mark.slow
def test_engines_agree_on_a_hundred_thousand_mixed_lines() -> None:
    real = [line for name in SYSTEMS for line in log_file(name).read_bytes().splitlines()]
    for path in (Path("/var/log/dpkg.log"), Path("/var/log/dpkg.log.1.gz")):
        if path.exists():
            opened = gzip.open if path.suffix == ".gz" else open
            with opened(path, "rb") as file:
                real += file.read().splitlines()[:20_000]
    generated = [line.encode() for example in EXAMPLES for line in (example, *mutations(example))]
    generator = random.Random(7)
    pool = real + generated
    mixed = [generator.choice(pool) for _ in range(100_000)]
    for start in range(0, len(mixed), 10_000):
        assert_alike(mixed[start : start + 10_000])
