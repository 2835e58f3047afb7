"""Everything that the OpenAPI document promises, held to requests that were made up from it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.api_parts import Api, RedisServer, serving
from tests.local.running import Runner

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
LEFT_OUT = (
    # Bounds of two parameters together (page and size), Lucene's syntax and the groups of a pattern stand in no schema:
    # what breaks them is answered by 400, as declared.
    "positive_data_acceptance",
)


@pytest.fixture
def guarded(set_up: None, runner: Runner, redis_server: RedisServer, tmp_path: Path) -> Iterator[tuple[Api, str]]:
    """The API with Redis and keys, and a key that may do everything."""
    keys = tmp_path / "keys.yaml"
    made = runner.cli("api-key", "add", "test", "--scope", "admin", "--file", keys)
    assert made.returncode == 0, made.stderr
    variables = {"LOGSLUICE_API__KEYS_FILE": str(keys), "LOGSLUICE_REDIS__URL": redis_server.url}
    with serving(runner, **variables) as api:
        yield api, made.stdout.strip()


@pytest.mark.parametrize("phase", ["examples,coverage", "fuzzing", "stateful"])
def test_no_answer_is_a_server_error_or_undeclared(guarded: tuple[Api, str], runner: Runner, phase: str) -> None:
    api, key = guarded
    done = runner.run(
        SCHEMATHESIS,
        "run",
        f"{api.url}/openapi.json",
        "--checks=all",
        f"--exclude-checks={','.join(LEFT_OUT)}",
        # It never ends.
        "--exclude-path=/logs/tail",
        f"--phases={phase}",
        "--max-examples=25",
        "--generation-deterministic",
        "--continue-on-failure",
        "--request-timeout=120",
        "--no-color",
        f"--header=Authorization: Bearer {key}",
        env={"SCHEMATHESIS_HOOKS": str(HOOKS)},
        seconds=580,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert api.job.process.poll() is None
