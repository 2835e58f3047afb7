"""Settings come from a file and the environment; a wrong one is named with the way to correct it."""

from __future__ import annotations

from pathlib import Path

import pytest

from logsluice.errors import LogsluiceError
from logsluice.settings import load_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGSLUICE_ENV", "LOGSLUICE_CONFIG", "PROCESSING_MODE", "LOGSLUICE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("env", "topic"), [("dev", "logs-topic"), ("prod", "prod-logs-topic")])
def test_environments_name_their_own_things(env: str, topic: str) -> None:
    settings = load_settings(ROOT / "config" / env)
    assert settings.kafka.topic == topic
    assert settings.kafka.dead_letter_topic == f"{topic}-dlq"
    assert settings.logs_index == f"{env}-logs-index"
    assert settings.results_index == f"{env}-results-index"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("settings.yaml").write_text("kafka: {partitions: 3, topic: mine}\nprocessing_mode: batch\n")
    monkeypatch.setenv("LOGSLUICE_KAFKA__PARTITIONS", "9")
    assert load_settings(tmp_path).processing_mode == "batch"
    monkeypatch.setenv("PROCESSING_MODE", "optimized")
    settings = load_settings(tmp_path)
    assert (settings.kafka.partitions, settings.kafka.topic) == (9, "mine")
    assert settings.processing_mode == "optimized"


def test_the_environment_is_chosen_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("LOGSLUICE_ENV", "prod")
    assert load_settings().env == "prod"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kafka: {partitions: none}", "kafka.partitions: Input should be a valid integer"),
        ("colour: blue", "colour: Extra inputs are not permitted"),
        ("time_zone: Mars/Olympus", "no time zone is called 'Mars/Olympus'"),
        ("kafka: {security_protocol: SASL_SSL}", "needs username and password"),
        ("processing_mode: quick", "'stream', 'optimized' or 'batch'"),
        ("{", "is not valid YAML"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, text: str, message: str) -> None:
    tmp_path.joinpath("settings.yaml").write_text(text)
    with pytest.raises(LogsluiceError) as error:
        load_settings(tmp_path)
    assert message in str(error.value)
    assert str(tmp_path / "settings.yaml") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogsluiceError, match=r"nowhere/settings\.yaml: there is no such file"):
        load_settings(tmp_path / "nowhere")


def test_a_password_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("settings.yaml").write_text("env: dev\n")
    monkeypatch.setenv("LOGSLUICE_KAFKA__PASSWORD", "s3cret")
    assert "s3cret" not in repr(load_settings(tmp_path))
