"""What is read of a line by its shape is what is read of it alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.extract import known_shapes
from logsluice.extract.known_shapes import KnownShapes
from logsluice.formats import KeyedEvent, labels_text, load_formats, read_json, read_logfmt
from logsluice.formats.shapes import Notation, json_notation, logfmt_notation

JSON = tuple(entry for entry in load_formats(None) if entry.kind == "json")
LOGFMT = tuple(entry for entry in load_formats(None) if entry.kind == "logfmt")

NAME_WORDS = (
    "@timestamp ts time level severity log.level log message msg text service app user user.id source.ip src status "
    "duration duration_ms ecs.version labels.a a caller logger error err k value stringValue body Records"
)
TEXT_WORDS = "- N/A null unknown info WARN loud 2024-03-05T09:11:12Z 1709633472 10.0.0.1 u-1 12ms 200 /a GET café"
PLAIN_NAMES = st.sampled_from(NAME_WORDS.split())
NAMES = PLAIN_NAMES | st.sampled_from(["", "é", "a b", 'q"', "b\\", "\x02"])
PLAIN_TEXTS = st.sampled_from(TEXT_WORDS.split())
ODD_TEXTS = [
    "",
    "a, b",
    'say "x"',
    "C:\\tmp\\",
    "\n",
    "\x01",
    "\x02",
    '{"level":"error"}',
    "{'a': 1}",
    "[1]",
    "\U0001f600",
]
TEXTS = PLAIN_TEXTS | PLAIN_TEXTS | st.sampled_from(ODD_TEXTS) | st.text(max_size=6)
NUMBERS = st.sampled_from([0, -0.0, 1, 200, -7, 1.5, 1e300, 1e-7, 10**17, 10**19, 1709633472.387617]) | st.floats(
    allow_nan=True
)
LEAVES = TEXTS | NUMBERS | st.booleans() | st.none()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=4
)
PLAIN_OBJECTS = st.recursive(
    PLAIN_TEXTS | st.integers(0, 999) | st.booleans(),
    lambda inner: st.dictionaries(PLAIN_NAMES, inner, min_size=1, max_size=6),
    max_leaves=12,
).filter(lambda value: isinstance(value, dict))
OBJECTS = PLAIN_OBJECTS | PLAIN_OBJECTS | st.dictionaries(NAMES, VALUES, min_size=1, max_size=8)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :")])


@pytest.fixture(autouse=True)
def learn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_shapes, "LEAST_UNREAD", 2)
    monkeypatch.setattr(known_shapes, "FEWEST", 1)


@st.composite
def like(draw: st.DrawFn, value: object) -> object:
    """A value with the same keys, and often of the same type."""
    if isinstance(value, dict):
        return {key: draw(like(item)) for key, item in value.items()}
    if draw(st.integers(0, 29)) == 0:
        return draw(VALUES)
    if isinstance(value, str):
        return draw(TEXTS)
    return draw(NUMBERS) if isinstance(value, float) or type(value) is int else value


@st.composite
def changed(draw: st.DrawFn, text: str) -> str:
    """A text with a few characters put in or taken out."""
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(text)))
        put = draw(
            st.sampled_from(["", "", '"', "\\", "\\u0041", "\\ud800", " ", ",", "0", "-", "e", ".", "{", "}", "\x01"])
        )
        text = text[:place] + put + text[place + draw(st.integers(0, 1)) :]
    return text


@st.composite
def json_lines(draw: st.DrawFn) -> list[str]:
    model, separators, ascii_alone = draw(OBJECTS), draw(SEPARATORS), draw(st.booleans())
    objects = [model, model, *(draw(like(model)) for _ in range(6))]
    texts = [json.dumps(each, separators=separators, ensure_ascii=ascii_alone) for each in objects]
    return [*texts[:2], *(draw(changed(text)) for text in texts[2:])]


@st.composite
def logfmt_lines(draw: st.DrawFn) -> list[str]:
    keys = draw(
        st.lists(NAMES.filter(lambda name: name.replace(".", "a").isidentifier()), min_size=2, max_size=6, unique=True)
    )
    blanks = draw(st.sampled_from([" ", "  "]))
    quotes = [draw(st.booleans()) for _ in keys]
    lines = []
    for _ in range(8):
        texts = draw(st.sampled_from([PLAIN_TEXTS, PLAIN_TEXTS, TEXTS]))
        values = [draw(texts).replace("\n", "") for _ in keys]
        pairs = [
            f"{key}={json.dumps(value) if quoted else value.replace(' ', '')}"
            for key, value, quoted in zip(keys, values, quotes, strict=True)
        ]
        lines.append(draw(changed(blanks.join(pairs))))
    return lines


def assert_same(shapes: KnownShapes, lines: Sequence[str], alone: Callable[[str], KeyedEvent | None]) -> int:
    """Compare what is read together with what is read alone; returns the number of lines that were read together."""
    blocks, others = shapes.read(lines)
    rows = [row for block in blocks for row in block.rows]
    assert sorted([*rows, *others]) == list(range(len(lines)))
    for block in blocks:
        found = block.events
        for place, row in enumerate(block.rows):
            event = alone(lines[row])
            assert event is not None
            fields = {field: text for field, cells in found.fields.items() if (text := cells[place]) is not None}
            header = found.format, found.timestamp[place], found.level[place], found.message[place], fields
            assert header == event[:5], lines[row]
            assert found.labels[place] == (labels_text(event.labels) if event.labels else None), lines[row]
    return len(rows)


def is_text(lines: Sequence[str]) -> bool:
    return all(not any("\ud800" <= character <= "\udfff" for character in line) for line in lines)


@given(st.lists(json_lines().filter(is_text), min_size=1, max_size=3))
def test_json_lines_are_read_by_their_shapes_as_alone(batches: list[list[str]]) -> None:
    shapes = KnownShapes(json_notation(), JSON)
    for lines in (*batches, list(chain(*batches))):
        assert_same(shapes, lines, lambda text: read_json(text, JSON))


@given(st.lists(logfmt_lines().filter(is_text), min_size=1, max_size=3))
def test_logfmt_lines_are_read_by_their_shapes_as_alone(batches: list[list[str]]) -> None:
    shapes = KnownShapes(logfmt_notation(LOGFMT), LOGFMT)
    for lines in (*batches, list(chain(*batches))):
        assert_same(shapes, lines, lambda text: read_logfmt(text, LOGFMT))


@pytest.mark.parametrize(
    ("notation", "lines", "together"),
    [
        (json_notation(), ['{"level":"info","msg":"a","n":1}', '{"level":"-","msg":"","n":-1.50}'], 2),
        (json_notation(), ['{"msg":"say \\"a\\" \\\\","b":{"c":true}}', '{"msg":"\\u00e9\\n","b":{"c":false}}'], 2),
        (
            json_notation(),
            ['{"msg":"a","n":1}', '{"msg":"b","n":2}', '{"msg":"\\ud800","n":1}', '{"msg":"a","n":01}'],
            2,
        ),
        (json_notation(), ['{"msg":"a"}', '{"msg":"b"}', "{\"msg\":\"{'level': 'error'}\"}"], 2),
        (json_notation(), ['{"msg":"a","msg":"b"}', '{"msg":"a","msg":"b"}'], 0),
        (json_notation(), ['{"a":[1]}', '{"a":[1]}'], 0),
        (logfmt_notation(LOGFMT), ['level=info msg="a b" n=1', 'level=- msg="" n=x,'], 1),
        (logfmt_notation(LOGFMT), ["level=info n=1", "level=info, n=1", "level=warn n=2"], 2),
    ],
)
def test_which_lines_are_read_together(notation: Notation, lines: list[str], together: int) -> None:
    formats, alone = (JSON, read_json) if notation.escapes else (LOGFMT, read_logfmt)
    shapes = KnownShapes(notation, formats)
    shapes.read(lines[:2])
    assert assert_same(shapes, lines, lambda text: alone(text, formats)) == together


def test_few_lines_teach_no_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_shapes, "LEAST_UNREAD", 5)
    shapes = KnownShapes(json_notation(), JSON)
    lines = ['{"msg":"a"}', '{"msg":"b"}']
    assert [len(shapes.read(lines)[1]) for _ in range(3)] == [2, 2, 0]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_shapes, "MOST_KINDS", 2)
    shapes = KnownShapes(json_notation(), JSON)
    kinds = [["{" + ",".join(f'"k{n}":"x"' for n in range(count)) + "}"] * 2 for count in (1, 2, 3)]
    assert [len(shapes.read(lines)[1]) for lines in kinds] == [0, 0, 0]
    monkeypatch.setattr(known_shapes, "LEAST_UNREAD", 9)
    assert [len(shapes.read(lines)[1]) for lines in kinds] == [2, 0, 0]
