"""The event's schema in a real schema registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from logsluice.kafka.schema_registry import event_schema
from logsluice.stack.ports import is_open
from logsluice.stack.supervisor import LocalStack
from tests.local.running import Runner, eventually, free_port


@pytest.fixture(scope="module")
def registry(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a registry that runs for this module; its Kafka and Elasticsearch are not started."""
    home = tmp_path_factory.mktemp("registry")
    alone = LocalStack(home, stack.port("kafka"), stack.port("elasticsearch"), free_port())
    try:
        alone.start("schema-registry")
        yield alone.environment()["LOGSLUICE_SCHEMA_REGISTRY__URL"]
    finally:
        alone.stop("schema-registry")


@pytest.fixture
def schema(settings: object, registry: str, runner: Runner) -> Any:
    def run(*arguments: str | Path) -> tuple[int, str]:
        done = runner.cli("schema", *arguments, env={"LOGSLUICE_SCHEMA_REGISTRY__URL": registry})
        return done.returncode, done.stdout + done.stderr

    return run


def changed(folder: Path, **properties: Any) -> Path:
    """A file with the event's schema and further rules."""
    path = folder / "changed.json"
    path.write_text(json.dumps(event_schema() | properties))
    return path


def test_the_schema_is_registered_once_and_held_to_it(schema: Any, registry: str, tmp_path: Path) -> None:
    code, output = schema("check")
    assert code == 0
    assert "nothing is registered yet" in output
    for _ in range(2):
        code, output = schema("register")
        assert code == 0, output
        assert "version 1," in output
    subject = output.split(":")[0]
    stored = httpx.get(f"{registry}/subjects/{subject}/versions/latest").json()
    assert json.loads(stored["schema"]) == event_schema()
    assert stored["schemaType"] == "JSON"
    assert "compatible with version 1" in schema("check")[1]

    stricter = changed(tmp_path, required=["message", "service"])
    for command in ("check", "register"):
        code, output = schema(command, "--file", stricter)
        assert code == 1
        assert "not compatible with the registered schema" in output
        assert len(output.strip().splitlines()) == 1
    assert httpx.get(f"{registry}/subjects/{subject}/versions").json() == [1]

    wider = changed(tmp_path, maxProperties=1_000)
    assert schema("check", "--file", wider)[0] == 0
    assert "version 2," in schema("register", "--file", wider)[1]


def test_what_is_no_schema_is_one_line(schema: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    for content, word in (("{", "is not JSON"), ('{"type": "nothing"}', "is no JSON Schema"), ("[]", "JSON Schema")):
        wrong.write_text(content)
        code, output = schema("check", "--file", wrong)
        assert code == 1
        assert word in output
        assert len(output.strip().splitlines()) == 1
    assert "cannot be read" in schema("check", "--file", tmp_path / "missing.json")[1]


@pytest.mark.usefixtures("settings")
def test_a_registry_that_is_not_there_is_one_line(runner: Runner) -> None:
    away = runner.cli("schema", "check", env={"LOGSLUICE_SCHEMA_REGISTRY__URL": "http://127.0.0.1:9/apis"})
    none = runner.cli("schema", "check", env={"LOGSLUICE_SCHEMA_REGISTRY__URL": ""})
    for answer, word in ((away, "does not answer"), (none, "--with-schema-registry")):
        assert answer.returncode == 1
        assert word in answer.stderr
        assert len(answer.stderr.strip().splitlines()) == 1


def test_what_was_registered_outlives_a_restart_and_a_crash(
    stack: LocalStack, tmp_path: Path, settings: object, runner: Runner
) -> None:
    del settings
    own = LocalStack(tmp_path / "own", stack.port("kafka"), stack.port("elasticsearch"), free_port())
    try:
        own.start("schema-registry")
        environment = {"LOGSLUICE_SCHEMA_REGISTRY__URL": own.environment()["LOGSLUICE_SCHEMA_REGISTRY__URL"]}
        assert "version 1," in runner.cli("schema", "register", env=environment).stdout
        own.kill_part("schema-registry")
        eventually(lambda: not is_open(own.port("schema-registry")))
        own.start("schema-registry")
        assert "compatible with version 1" in runner.cli("schema", "check", env=environment).stdout
        own.stop("schema-registry")
        assert not is_open(own.port("schema-registry"))
    finally:
        own.stop("schema-registry")
