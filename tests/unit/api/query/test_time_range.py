"""The stretch of time that is asked about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.api.query.parameters import SETTLED, read_time_range
from logsluice.errors import LogsluiceError

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MONTH = timedelta(days=31)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, MOMENTS)
def test_two_moments_are_a_range_or_refused(start: datetime, end: datetime) -> None:
    length = end - start
    if timedelta(0) <= length <= MONTH:
        found = read_time_range(start.isoformat(), end.isoformat(), longest=MONTH, now=NOW)
        assert (found.since, found.until) == (start, end)
        assert found.settled == (end <= NOW - SETTLED)
    else:
        with pytest.raises(LogsluiceError, match=r"^startTime, endTime: (too long a time|the wrong way round)"):
            read_time_range(start.isoformat(), end.isoformat(), longest=MONTH, now=NOW)


def test_without_an_end_there_is_none_and_nothing_is_settled() -> None:
    found = read_time_range("now-1h", None, longest=MONTH, now=NOW)
    assert (found.since, found.until, found.settled) == (NOW - timedelta(hours=1), None, False)
    millis = int((NOW - timedelta(hours=1)).timestamp() * 1000)
    assert found.condition == {"range": {"@timestamp": {"format": "epoch_millis", "gte": millis}}}


def test_without_a_start_it_begins_at_a_day_so_that_the_same_question_stays_the_same() -> None:
    first = read_time_range(None, None, longest=MONTH, now=NOW)
    assert first == read_time_range(None, None, longest=MONTH, now=NOW + timedelta(minutes=5))
    assert first.since == datetime(2026, 10, 23, tzinfo=UTC)


def test_an_end_at_the_beginning_of_the_calendar_has_a_start() -> None:
    assert read_time_range(None, "0001-01-01", longest=MONTH, now=NOW).since == datetime(1, 1, 1, tzinfo=UTC)


def test_a_start_ahead_of_the_clock_is_no_mistake() -> None:
    assert read_time_range("2026-11-23", None, longest=MONTH, now=NOW).since == datetime(2026, 11, 23, tzinfo=UTC)


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_is_no_moment_is_refused_by_its_name(start: str, end: str) -> None:
    refusal = "endTime"
    try:
        read_time_range(start, end, longest=MONTH, now=NOW)
    except LogsluiceError as error:
        refusal = str(error)
    assert refusal.startswith(("startTime", "endTime"))
