"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from logsluice.errors import LogsluiceError
from logsluice.runtime.time_expressions import parse_moment

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", datetime(2026, 11, 21, 12, 0, tzinfo=UTC)),
        ("90m", datetime(2026, 11, 22, 10, 30, tzinfo=UTC)),
        ("now-90m", datetime(2026, 11, 22, 10, 30, tzinfo=UTC)),
        ("now", NOW),
        (" 2w ", datetime(2026, 11, 8, 12, 0, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T08:30:00.5", datetime(2026, 11, 20, 8, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-11-20T08:30:00+02:00", datetime(2026, 11, 20, 6, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read(text: str, moment: datetime) -> None:
    assert parse_moment(text, now=NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "24", "h", "-1h", "now-", "now-1y", "999999w", "2026-13-01"])
def test_what_is_no_moment_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(LogsluiceError, match="is no moment; write 24h"):
        parse_moment(text, now=NOW)
