"""Every option of our pipelines is one that its plugin documents, with a value of the kind that it documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.shared.logstash_pipeline import pipeline_text
from tests.unit.logstash.logstash_config import ConfigError, parse
from tests.unit.logstash.plugin_options import COMMON, OPTIONS

# Documented as jks or PKCS12. The plugin hands the text on to Kafka's client, which knows PEM since 2.7 (KIP-651).
HANDED_ON = {("ssl_truststore_type", "PEM")}


def plugins(kind: str, parts: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every plugin of a section, with the codecs in it."""
    for part in parts:
        for _, inside in part.get("branches", ()):
            yield from plugins(kind, inside)
        if "plugin" in part:
            yield kind, part
            for value in part["options"].values():
                if isinstance(value, dict) and value.keys() == {"plugin", "options"}:
                    yield "codec", value


def kinds(kind: str, plugin: str) -> dict[str, str]:
    """What kind of value each option takes."""
    own = {what: names for what, names in OPTIONS[kind, plugin].items() if what not in ("allowed", "required")}
    return {
        option: what for table in (COMMON[kind], own) for what, options in table.items() for option in options.split()
    }


def is_of(what: str, value: Any) -> bool:
    text = isinstance(value, str)
    match what:
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool) or (text and value.startswith("${"))
        case "array":
            return isinstance(value, list)
        case "hash":
            return isinstance(value, dict) and all(isinstance(inside, str) for inside in value.values())
        case "codec":
            return text or (isinstance(value, dict) and value.keys() == {"plugin", "options"})
        case "uri":
            return text or (isinstance(value, list) and all(isinstance(entry, str) for entry in value))
        case "path":
            return text and value.startswith(("/", "${"))
        case "string" | "password":
            return text or isinstance(value, bool)
    raise AssertionError(what)


def _is_left_open(name: str, value: Any) -> bool:
    return str(value).startswith("${") or (name, value) in HANDED_ON


def complaints(source: str) -> list[str]:
    """What is wrong with the options of a pipeline."""
    found = []
    for section, parts in parse(source).items():
        for kind, part in plugins(section, parts):
            plugin = part["plugin"]
            if (kind, plugin) not in OPTIONS:
                found.append(f"{kind} {plugin}: not known")
                continue
            table, known = OPTIONS[kind, plugin], kinds(kind, plugin)
            found += [
                f"{kind} {plugin}: {name} is missing"
                for name in table.get("required", ())
                if name not in part["options"]
            ]
            for name, value in part["options"].items():
                allowed = table.get("allowed", {}).get(name, [])
                spelled = str(value).lower() if isinstance(value, bool) else value
                if name not in known:
                    found.append(f"{kind} {plugin}: no option {name}")
                elif not is_of(known[name], value):
                    found.append(f"{kind} {plugin}: {name} takes a {known[name]}, not {value!r}")
                elif allowed and spelled not in allowed and not _is_left_open(name, value):
                    found.append(f"{kind} {plugin}: {name} is one of {allowed}, not {value!r}")
    return found


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_every_option_is_documented(environment: str) -> None:
    assert complaints(pipeline_text(environment)) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("input { kafka { topic => 'x' } }", "input kafka: no option topic"),
        ("input { beats { host => 'x' } }", "input beats: port is missing"),
        ("input { beats { port => '5044' } }", "input beats: port takes a number, not '5044'"),
        ("input { kafka { topics => 'x' } }", "input kafka: topics takes a array, not 'x'"),
        ("input { kafka { codec => plain { encoding => 'x' } } }", "codec plain: no option encoding"),
        ("input { stdin { } }", "input stdin: not known"),
        ("filter { mutate { add_fields => { 'a' => 'b' } } }", "filter mutate: no option add_fields"),
        (
            "output { kafka { topic_id => 'x' acks => 'some' } }",
            "output kafka: acks is one of ['0', '1', 'all']",
        ),
        ("output { elasticsearch { ilm_enabled => sometimes } }", "output elasticsearch: ilm_enabled is one of"),
        ("output { if [a] { elasticsearch { ssl_key => 'relative' } } }", "output elasticsearch: ssl_key takes a path"),
    ],
)
def test_what_is_not_documented_is_found(source: str, message: str) -> None:
    [complaint] = complaints(source)
    assert complaint.startswith(message)


@pytest.mark.parametrize(
    "source",
    [
        "inputs { }",
        "input { kafka { topics => ['a' 'b'] } }",
        "input { kafka { topics => ['a'] topics => ['b'] } }",
        "input { kafka { topics => } }",
        "input { kafka { topics ['a'] } }",
        "input { kafka { ",
        "filter { if [a] == 'b' { } }",
        "filter { if [a] =~ /b/ { } }",
        "filter { if 'b' in [a] { } }",
        "filter { if [a] and [b] { } }",
        "filter { else { } }",
        'filter { mutate { add_field => { "a" "b" } } }',
        "filter { mutate { add_field => { a => 'b' } } }",
        "output { kafka { topic_id => 'x } }",
    ],
)
def test_what_is_not_read_here_is_refused(source: str) -> None:
    with pytest.raises(ConfigError):
        parse(source)
