"""alerts.yaml: the shipped rules, and one line for what is wrong in others."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from logsluice.alerts.job import run_alerts_job
from logsluice.alerts.rules import load_rules
from logsluice.alerts.thresholds import breach_episodes, detect_breach
from logsluice.alerts.windows import Window
from logsluice.errors import LogsluiceError
from logsluice.settings import Settings, WindowsSettings

CONFIG = Path(__file__).parents[3] / "config"
RULES = load_rules(CONFIG / "dev")


def write(directory: Path, rule: str) -> Path:
    path = directory / "alerts.yaml"
    path.write_text(f"rules:\n  - {rule}\n")
    return path


def one(directory: Path, text: str):  # type: ignore[no-untyped-def]
    (rule,) = load_rules(write(directory, f"{{name: r, severity: warning, description: d, {text}}}"))
    return rule


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_promised_rules_are_shipped(environment: str) -> None:
    rules: dict[str, Any] = {rule.kind: rule for rule in load_rules(CONFIG / environment)}
    assert set(rules) == {
        "error_rate", "error_count", "critical_count", "unusual", "new_error", "silence", "refunds", "pipeline",
    }  # fmt: skip
    assert (rules["error_rate"].threshold, rules["error_count"].threshold, rules["critical_count"].threshold) == (
        0.1, 100, 5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: nothing", "rule 'r': kind: 'nothing' is no kind of rule; one of error_rate, error_count"),
        ("kind: error_rate, threshold: 12", "rule 'r': threshold: Input should be less than 1"),
        ("kind: error_count, treshold: 12", "rule 'r': treshold: Extra inputs are not permitted"),
        ("kind: error_count, for: soon", "rule 'r': for: 'soon' is no stretch of time"),
        ("kind: error_count, for: 0", "rule 'r': for: Input should be greater than or equal to 1"),
        ("kind: error_count, for: 2h", "rule 'r': for: Input should be less than or equal to 60"),
        ("kind: error_count, text: '{who} fails'", "rule 'r': text: {who} is not known here; these are: service"),
        ("kind: error_count, text: '{service.a}'", "rule 'r': text: {service.a} is not known here"),
        ("kind: error_count, text: '{service'", "rule 'r': text: expected '}'"),
        ("kind: error_count, text: '{service:.1f}'", "rule 'r': text: "),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LogsluiceError) as error:
        one(tmp_path, text)
    assert f"{tmp_path / 'alerts.yaml'}, {message}" in str(error.value)


def test_a_rule_without_kind_or_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogsluiceError, match="rule number 1: kind: is missing; one of"):
        load_rules(write(tmp_path, "{severity: warning}"))
    twice = "{name: a, kind: pipeline, severity: warning, description: d}"
    with pytest.raises(LogsluiceError, match="rule 'a': stands twice; rename one"):
        load_rules(write(tmp_path, f"{twice}\n  - {twice}"))
    with pytest.raises(LogsluiceError, match="there is no such file"):
        load_rules(tmp_path / "nowhere.yaml")


def test_an_environment_takes_the_common_rules_or_its_own(tmp_path: Path) -> None:
    rule = "{{name: {}, kind: pipeline, severity: warning, description: d}}"
    for name in ("common", "dev", "prod"):
        (tmp_path / name).mkdir()
    write(tmp_path / "common", rule.format("shared"))
    write(tmp_path / "prod", rule.format("own"))
    assert [rule.name for rule in load_rules(tmp_path / "dev")] == ["shared"]
    assert [rule.name for rule in load_rules(tmp_path / "prod")] == ["own"]
    (tmp_path / "common" / "alerts.yaml").unlink()
    with pytest.raises(LogsluiceError, match=r"dev/alerts.yaml: there is no such file"):
        load_rules(tmp_path / "dev")


def test_times_are_windows_or_text_and_services_are_patterns(tmp_path: Path) -> None:
    rule = one(
        tmp_path, "kind: error_count, for: 5m, resolve_after: 3, services: {include: ['pay*'], exclude: [payee]}"
    )
    assert (rule.hold, rule.resolve_after) == (5, 3)
    assert "payment" in rule.services
    assert "payee" not in rule.services
    assert "auth" not in rule.services


def test_a_text_of_ones_own_is_on_one_line_and_printable(tmp_path: Path) -> None:
    rule = one(tmp_path, "kind: error_count, threshold: 1, text: '{service} has {errors} of {events}, {value:.1f}'")
    breach = detect_breach(rule, Window(7, "a\x1b[31m\nb", 9, 4))
    assert breach is not None
    assert breach.text == "a [31m b has 4 of 9, 4.0"


def test_thresholds_are_exceeded_by_more_and_not_by_as_much() -> None:
    windows = [
        Window(1, "a", 100, 10, 5),
        Window(2, "a", 100, 11, 6),
        Window(3, "a", 99, 40, 0),
        Window(4, "a", 2_000, 100, 0),
        Window(5, "a", 2_000, 101, 0),
    ]
    found = [(window, rule, breach) for window in windows for rule in RULES if (breach := detect_breach(rule, window))]
    assert [(window.minute, rule.name, breach.value) for window, rule, breach in found] == [
        (2, "error-rate", 0.11),
        (2, "critical-count", 6),
        (5, "error-count", 101),
    ]
    text = found[0][2].text
    assert all(word in text for word in ("a:", "11.0%", "10.0%", "11 of 100"))


def test_breaches_next_to_each_other_are_one() -> None:
    errors = [0, 11, 50, 0, 20, 0, 0, 30]
    found = breach_episodes(RULES, [Window(minute, "a", 100, count) for minute, count in enumerate(errors)][::-1])
    assert [(each.first, each.last, each.worst) for each in found] == [(1, 4, 0.5), (7, 7, 0.3)]
    assert "50.0%" in found[0].text


def test_windows_of_another_length_are_refused(tmp_path: Path) -> None:
    settings = Settings(windows=WindowsSettings(window_seconds=300))
    with pytest.raises(LogsluiceError, match=r"window_seconds: .*windows of 60 seconds.*300.*set it to 60"):
        run_alerts_job(settings, tmp_path, Event())
