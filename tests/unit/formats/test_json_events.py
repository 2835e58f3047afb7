from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.formats import KeyedEvent, load_formats, read_json

FORMATS = tuple(entry for entry in load_formats(None) if entry.kind == "json")


def read(text: str) -> KeyedEvent:
    event = read_json(text, FORMATS)
    assert event is not None
    return event


def test_nested_and_dotted_keys_are_the_same() -> None:
    nested = read('{"log":{"level":"warn"},"a":{"b":{"c":1}},"message":"m"}')
    dotted = read('{"log.level":"warn","a.b.c":1,"message":"m"}')
    assert nested == dotted
    assert nested.level == "warn"
    assert nested.labels == {"a.b.c": "1"}


def test_values_become_texts() -> None:
    labels = read(
        '{"s":"x","i":12,"f":1.5,"t":true,"n":null,"l":[1,{"a":null}],"e":{},"big":12345678901234567890}'
    ).labels
    assert labels == {
        "s": "x",
        "i": "12",
        "f": "1.5",
        "t": "true",
        "l": '[1,{"a":null}]',
        "big": "12345678901234567890",
    }


def test_ecs_fields_keep_their_names() -> None:
    event = read(
        '{"message":"m","user":{"id":"7"},"event":{"dataset":"theirs","duration":17},"http.request.method":"GET"}'
    )
    assert event.fields == {"user.id": "7", "event.duration": "17", "http.request.method": "GET"}
    assert event.labels == {"event.dataset": "theirs"}


def test_the_first_key_that_says_something_wins() -> None:
    event = read(
        '{"level":"loud","severity":"ERROR","time":"12ms","ts":1709633472,"service":"","app":"shop","msg":"m"}'
    )
    assert event.level == "error"
    assert event.timestamp == "1709633472"
    assert event.fields == {"service.name": "shop"}
    assert event.labels == {"level": "loud", "time": "12ms", "service": ""}


def test_of_a_key_given_twice_the_last_holds() -> None:
    assert read('{"message":"a","message":"b"}').message == "b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        "17",
        '"text"',
        '{"a":1e999999}',
        '{"a":"\\ud800"}',
        '{"a":"\ud800"}',
        '{"a":' * 5000 + "1" + "}" * 5000,
        "not json",
        "{'a': unknown}",
    ],
)
def test_what_is_not_a_json_object_gives_none_or_an_event(text: str) -> None:
    event = read_json(text, FORMATS)
    assert event is None or text == '{"a":1e999999}'


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('{"message":"m","a":NaN,"b":-Infinity}', {"a": "NaN", "b": "-Infinity"}),
        ('{"message":"m","a":1} and more', {"a": "1"}),
        ('{"message":"m","a":1},', {"a": "1"}),
        ("{'message': 'm', 'a': None, 'b': True, 'c': \"it's\"}", {"b": "true", "c": "it's"}),
        ('{"message":"m\n","a":"tab\there"}', {"a": "tab\there"}),
    ],
)
def test_what_is_nearly_json_is_read(text: str, labels: dict[str, str]) -> None:
    event = read(text)
    assert event.message in ("m", "m\n")
    assert event.labels == labels


def test_a_message_that_is_json_is_the_event() -> None:
    event = read(
        '{"host":"web1","message":"{\\"level\\":\\"warn\\",\\"msg\\":\\"slow\\",\\"client_ip\\":\\"192.0.2.7\\"}"}'
    )
    assert (event.level, event.message) == ("warn", "slow")
    assert event.fields == {"host.name": "web1", "source.ip": "192.0.2.7"}
    assert event.labels == {}


def test_a_message_of_bytes_is_text() -> None:
    assert read('{"MESSAGE":[102,97,105,108,13,10]}').message == "fail"


def test_deep_nesting_stays_text() -> None:
    event = read('{"a":' * 100 + '"x"' + "}" * 100)
    ((key, text),) = event.labels.items()
    assert key == ".".join("a" * 16)
    assert text.startswith('{"a":')
    assert text.count("{") == 84
    lists = read('{"a":' + "[" * 1000 + "]" * 1000 + "}")
    assert lists.labels == {"a": "[nested too deep]"}


def test_many_keys() -> None:
    keys = {f"k{number}": number for number in range(5000)}
    event = read(orjson.dumps({"level": "info", **keys}).decode())
    assert event.level == "info"
    assert len(event.labels) == 5000


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=30,
)
names = st.text() | st.sampled_from(
    sorted({key for entry in FORMATS for keys in entry.keys.values() for key in keys if isinstance(key, str)})
)


@given(st.dictionaries(names, values, max_size=12))
def test_no_object_makes_it_fail(value: dict[str, object]) -> None:
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        return
    event = read(text)
    assert all(isinstance(item, str) for item in (*event.fields.values(), *event.labels.values()))
    assert {"@timestamp", "log.level", "message"}.isdisjoint(event.fields)


@given(st.text())
def test_no_text_makes_it_fail(text: str) -> None:
    read_json(text, FORMATS)
    read_json("{" + text + "}", FORMATS)
