from __future__ import annotations

import pytest

from logsluice.formats import normalize_level, split_priority


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("INFO", "info"),
        ("Information", "info"),
        (" warn ", "warn"),
        ("WARNING", "warn"),
        ("SEVERE", "error"),
        ("Failure", "error"),
        ("ERR", "error"),
        ("FATAL", "critical"),
        ("emerg", "critical"),
        ("DPANIC", "critical"),
        ("alert", "critical"),
        ("crit", "critical"),
        ("FINE", "debug"),
        ("FINEST", "trace"),
        ("VERBOSE", "trace"),
        ("Note", "notice"),
        ("INFORMATIONAL", "info"),
        ("17", None),
        ("", None),
        ("loud", None),
    ],
)
def test_spellings(text: str, level: str | None) -> None:
    assert normalize_level(text) == level


def test_syslog_priorities() -> None:
    assert split_priority(0) == (0, 0, "critical")
    assert split_priority(34) == (4, 2, "critical")
    assert split_priority(165) == (20, 5, "notice")
    assert split_priority(191) == (23, 7, "debug")
