"""How one run is made of a job's manifest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from logsluice.errors import LogsluiceError
from logsluice.kubernetes.applications import run_manifest, run_status, with_options

NOW = datetime(2026, 11, 22, 8, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "options", "result"),
    [
        (["--mode", "stream"], [("--mode", "batch"), ("--since", "24h")], ["--mode", "batch", "--since", "24h"]),
        ([], [("--mode", "batch")], ["--mode", "batch"]),
        (["--rate", "50", "--fast"], [], ["--rate", "50", "--fast"]),
        (["--source", "--mode"], [("--mode", "batch")], ["--source", "--mode", "--mode", "batch"]),
    ],
)
def test_an_option_takes_the_place_of_the_one_that_was_there(
    arguments: list[str], options: list[tuple[str, str]], result: list[str]
) -> None:
    assert with_options(arguments, options) == result


def test_a_run_is_the_job_once_with_other_arguments() -> None:
    spec: dict[str, Any] = {
        "image": "logsluice@sha256:1",
        "restartPolicy": {"type": "Always", "onFailureRetryInterval": 10},
        "arguments": ["--mode", "stream"],
        "driver": {"cores": 1},
    }
    run = run_manifest("regex-job", spec, ["--mode", "batch"], namespace="logsluice", now=NOW)
    assert run["metadata"]["name"] == "regex-job-20261122083005"
    assert run["metadata"]["namespace"] == "logsluice"
    assert run["spec"] == {
        "image": "logsluice@sha256:1",
        "restartPolicy": {"type": "Never"},
        "arguments": ["--mode", "batch"],
        "driver": {"cores": 1},
        "timeToLiveSeconds": 86_400,
    }
    run["spec"]["driver"]["cores"] = 2
    assert spec["driver"] == {"cores": 1}
    assert spec["restartPolicy"]["type"] == "Always"


def test_a_name_leaves_room_for_what_spark_adds_to_it() -> None:
    run = run_manifest("j" * 80, {}, [], namespace="logsluice", now=NOW)
    assert len(run["metadata"]["name"] + "-driver-svc") == 63
    assert run["metadata"]["name"].endswith("-20261122083005")


@pytest.mark.parametrize("mode", ["stream", "optimized"])
def test_two_streams_never_share_a_checkpoint(mode: str) -> None:
    with pytest.raises(LogsluiceError, match="would share its checkpoint"):
        run_manifest("regex-job", {}, ["--mode", mode], namespace="logsluice", now=NOW)


def test_how_a_run_stands_is_read_from_what_the_operator_wrote() -> None:
    metadata = {"name": "regex-job-1"}
    assert run_status({"metadata": metadata}) == ("regex-job-1", "NEW", "", "")
    status = {
        "applicationState": {"state": "FAILED", "errorMessage": "driver\n  failed"},
        "driverInfo": {"podName": "regex-job-1-driver"},
    }
    run = run_status({"metadata": metadata, "status": status})
    assert run == ("regex-job-1", "FAILED", "driver failed", "regex-job-1-driver")
    assert (run.ended, run.succeeded) == (True, False)
