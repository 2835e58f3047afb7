"""Ids and index days follow from the record alone and can be read back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.errors import LogsluiceError
from logsluice.event.identity import LONGEST_ID, EventId, bounded_id, dated_index, index_day

IDS = st.builds(
    EventId,
    st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True),
    st.integers(0, 10_000),
    st.integers(0, 2**62),
    st.integers(0, 4_000_000_000_000),
)


@given(IDS)
def test_an_id_reads_back(event_id: EventId) -> None:
    assert EventId.parse(str(event_id)) == event_id


@given(IDS, IDS)
def test_different_records_have_different_ids(one: EventId, other: EventId) -> None:
    assert (str(one) == str(other)) == (one == other)


def test_the_day_is_utc() -> None:
    last = int(datetime(2026, 11, 22, 23, 59, 59, 999_000, tzinfo=UTC).timestamp() * 1000)
    assert index_day(last) == "2026.11.22"
    assert dated_index("dev-logs-index", last + 1) == "dev-logs-index-2026.11.23"


@pytest.mark.parametrize("text", ["", "logs-topic", "logs-topic-0-1", "logs topic-0-1-2", "t-0-0-" + "9" * 5_000])
def test_what_is_no_id_is_said(text: str) -> None:
    with pytest.raises(LogsluiceError, match="not an event id"):
        EventId.parse(text)


@given(st.text(max_size=2_000), st.text(max_size=2_000))
def test_an_id_with_outside_text_is_bounded_unique_and_as_it_was_where_it_fits(one: str, other: str) -> None:
    assert len(bounded_id(one).encode()) <= LONGEST_ID
    assert (bounded_id(one) == bounded_id(other)) == (one == other)
    if len(one.encode()) <= LONGEST_ID:
        assert bounded_id(one) == one
