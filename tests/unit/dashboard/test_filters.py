"""The filters of the dashboard and their URL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.dashboard.filters import LONGEST_TEXT, REFRESH_SECONDS, Filters, Span, from_url
from logsluice.errors import LogsluiceError
from logsluice.event.ecs import LEVELS
from logsluice.runtime.time_expressions import iso_seconds

NOW = datetime(2026, 11, 22, 10, 15, 30, tzinfo=UTC)
RELATIVE = st.builds("now-{}{}".format, st.integers(1, 10_000), st.sampled_from("smhdw"))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=LONGEST_TEXT).map(str.strip)


@st.composite
def filters(draw: st.DrawFn) -> Filters:
    times = draw(
        st.lists(
            st.datetimes(datetime(1000, 1, 1)), min_size=2, max_size=2, unique_by=lambda time: int(time.timestamp())
        )
    )
    start, end = (iso_seconds(time.replace(tzinfo=UTC)) for time in sorted(times))
    since, until = draw(st.one_of(st.just((start, end)), RELATIVE.map(lambda since: (since, "now"))))
    return Filters(
        since,
        until,
        draw(st.none() | st.sampled_from(LEVELS)),
        draw(st.none() | TEXT.filter(bool)),
        draw(TEXT),
        draw(st.sampled_from(REFRESH_SECONDS)),
    )


@given(filters())
def test_filters_come_back_from_the_url_that_they_went_into(wanted: Filters) -> None:
    in_browser = parse_qs(urlencode(wanted.to_url()), keep_blank_values=True)
    parsed = from_url({name: values[0] for name, values in in_browser.items()})
    assert parsed == (wanted, [])


@given(st.dictionaries(st.sampled_from(["from", "to", "level", "service", "q", "refresh"]), st.text(max_size=30)))
def test_whatever_stands_in_the_url_there_are_filters_to_go_on_with(parameters: dict[str, str]) -> None:
    parsed = from_url(parameters)
    assert parsed.filters.span(datetime.now(UTC)).bar_seconds > 0
    assert from_url(parsed.filters.to_url()) == (parsed.filters, [])
    assert all("\n" not in problem or problem for problem in parsed.problems)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"from": "soon"}, "soon: is no moment"),
        ({"from": "15m"}, "15m: is no moment"),
        ({"from": "now", "to": "now-1h"}, "from now to now-1h: ends before it begins"),
        ({"level": "loud"}, "level loud: no such level"),
        ({"refresh": "1"}, "refresh 1: one of 0, 5, 10, 30, 60 seconds"),
        ({"q": "x" * (LONGEST_TEXT + 1)}, "q: longer than"),
    ],
)
def test_what_cannot_be_read_is_said_and_the_rest_stands(parameters: dict[str, str], message: str) -> None:
    filters, problems = from_url({"service": "cart"} | parameters)
    assert len(problems) == 1
    assert message in problems[0]
    assert filters == Filters(service="cart")


def test_the_link_of_an_alert_is_understood() -> None:
    found = from_url({"from": "2026-11-22T10:15:00.000Z", "to": "now", "service": "payments", "level": "ERROR"})
    assert found.problems == []
    assert found.filters.level == "error"
    assert found.filters.span(NOW) == Span(NOW.replace(second=0), NOW)


def test_relative_times_are_counted_from_now() -> None:
    assert Filters("now-15m").span(NOW) == Span(NOW - timedelta(minutes=15), NOW)
    assert Filters("now-2w", "now-1d").span(NOW) == Span(NOW - timedelta(days=14), NOW - timedelta(days=1))
    assert Filters("2026-11-22", "2026-11-22T01:00:00+01:00").since == "2026-11-22"
    with pytest.raises(LogsluiceError):
        Filters("2026-11-22", "2026-11-22T01:00:00+01:00").span(NOW)


@given(st.datetimes(datetime(1, 1, 2)), st.datetimes(datetime(1, 1, 2)))
def test_a_chart_has_some_dozens_of_bars_whatever_the_time(one: datetime, other: datetime) -> None:
    start, end = sorted((one.replace(tzinfo=UTC), other.replace(tzinfo=UTC)))
    if end - start < timedelta(seconds=1):
        return
    span = Span(start, end)
    assert (end - start).total_seconds() / span.bar_seconds <= 91
    assert span.before.end == start
    assert span.before.start <= start


@pytest.mark.parametrize(
    ("since", "seconds"), [("now-1m", 1), ("now-15m", 10), ("now-1h", 60), ("now-24h", 1_800), ("now-7d", 10_800)]
)
def test_bars_are_of_round_lengths(since: str, seconds: int) -> None:
    assert Filters(since).span(NOW).bar_seconds == seconds
