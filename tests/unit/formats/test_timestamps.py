from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logsluice.formats import parse_timestamp, parse_timestamps, timestamps
from logsluice.formats import zones as written
from logsluice.formats.syntaxes import SYNTAXES
from logsluice.formats.zones import AMBIGUOUS_ZONES, ZONES

SEEN = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
EVERY_ZONE = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")


@pytest.fixture(autouse=True, scope="module")
def _columns_of_any_length() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timestamps, "FEW_ROWS", 0)
        yield


def millis(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def both(text: str, *syntaxes: str, zone: str = "UTC", seen: datetime = SEEN) -> datetime | None:
    """What the two implementations say, which must be the same."""
    one = parse_timestamp(text, syntaxes, millis(seen), zone)
    column = parse_timestamps(pl.Series([text]), syntaxes, pl.Series([millis(seen)]), zone)
    assert column.to_list() == [one]
    return None if one is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=one)


@pytest.mark.parametrize(
    ("syntax", "text", "expected"),
    [
        ("iso8601", "2024-01-31T10:15:30.123456789+02:00", "2024-01-31T08:15:30.123456Z"),
        ("iso8601", "2024-01-31 10:15:30,123 +0200", "2024-01-31T08:15:30.123Z"),
        ("iso8601", "2024-01-31T10:15Z", "2024-01-31T10:15:00Z"),
        ("iso8601", "2024-01-31 10:15:30-07", "2024-01-31T17:15:30Z"),
        ("iso8601", "2024-01-31 10:15:30.5 UTC", "2024-01-31T10:15:30.5Z"),
        ("iso8601", "2024-01-31  3:04:05", "2024-01-31T03:04:05Z"),
        ("iso8601", "2024-06-30T10:15:30+02:00[Europe/Paris]", "2024-06-30T08:15:30Z"),
        ("iso8601", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("iso8601", "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        ("iso8601", "2016-12-31T23:59:60.25Z", "2017-01-01T00:00:00.25Z"),
        ("iso8601", "2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"),
        ("iso_basic", "20240131T101530.123Z", "2024-01-31T10:15:30.123Z"),
        ("iso_basic", "20240131101530", "2024-01-31T10:15:30Z"),
        ("iso_ampm", "2024-01-31 12:15:30 AM", "2024-01-31T00:15:30Z"),
        ("slash_ymd", "2024/01/31 10:15:30.123", "2024-01-31T10:15:30.123Z"),
        ("slash_ymd", "2024/01/31 - 10:15:30", "2024-01-31T10:15:30Z"),
        ("slash_yymd", "17/06/09 20:10:40", "2017-06-09T20:10:40Z"),
        ("slash_yymd", "69/06/09 20:10:40", "1969-06-09T20:10:40Z"),
        ("slash_mdy", "1/31/2024 3:04:05 PM", "2024-01-31T15:04:05Z"),
        ("slash_mdy", "01/31/2024, 12:04:05 a.m.", "2024-01-31T00:04:05Z"),
        ("slash_mdyy", "1/31/24 15:04:05:678 UTC", "2024-01-31T15:04:05.678Z"),
        ("slash_dmy", "31/01/2024 15:04:05", "2024-01-31T15:04:05Z"),
        ("dot_dmy", "31.01.2024 15:04:05,6", "2024-01-31T15:04:05.6Z"),
        ("dot_ymd", "2024.01.31-15.04.05:678", "2024-01-31T15:04:05.678Z"),
        ("dash_dmy", "31-01-2024 15:04:05", "2024-01-31T15:04:05Z"),
        ("compact_yymd", "081109 203615", "2008-11-09T20:36:15Z"),
        ("compact_yymd", "131014  3:22:41", "2013-10-14T03:22:41Z"),
        ("compact_loose", "20171223-22:15:29:606", "2017-12-23T22:15:29.606Z"),
        ("compact_loose", "20171223-0:5:9:6", "2017-12-23T00:05:09.006Z"),
        ("dotted_clock", "2005-06-03-15.42.50.675872", "2005-06-03T15:42:50.675872Z"),
        (
            "bgl",
            "1117838570 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50.675872",
            "2005-06-03T22:42:50.675872Z",
        ),
        ("clf", "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z"),
        ("ctime", "Sun Dec 04 04:47:44.123456 2005", "2005-12-04T04:47:44.123456Z"),
        ("ctime", "Sun Dec  4 04:47:44 MSK 2005", "2005-12-04T01:47:44Z"),
        ("syslog", "Nov 22 09:59:59.5", "2026-11-22T09:59:59.5Z"),
        ("month_day_year", "Jan 02, 2024 3:04:05 PM", "2024-01-02T15:04:05Z"),
        ("month_day_year", "Sept 2 2024 03:04:05", "2024-09-02T03:04:05Z"),
        ("day_month_year", "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"),
        ("day_month_year", "26-Jul-2024 10:00:00 Europe/Berlin", "2024-07-26T08:00:00Z"),
        ("day_month_year", "26-Jul-2024 10:00:00 Europe/Olympus", "2024-07-26T10:00:00Z"),
        ("day_month_year", "15-Mär-2024 18:54:42.585", "2024-03-15T18:54:42.585Z"),
        ("day_month_year", "12 juil. 2024 à 10:11:12 PM", "2024-07-12T22:11:12Z"),
        ("day_month_year", "12 de julho de 2024, 10:11:12", "2024-07-12T10:11:12Z"),
        ("day_month_year", "12. Dezember 2024 um 10:11", "2024-12-12T10:11:00Z"),
        ("day_month_year", "12 июля 2024 10:11:12", "2024-07-12T10:11:12Z"),
        ("day_month_year", "Fri 12 Jul 2024 10:11:12 AM UTC", "2024-07-12T10:11:12Z"),
        ("day_month_year", "12-JUL-2024 10:11:12", "2024-07-12T10:11:12Z"),
        ("date_dmy", "Fr 12. Jul 10:11:12 CEST 2024", "2024-07-12T08:11:12Z"),
        ("month_day_year", "Juli 12, 2024 10:11:12 NACHM.", "2024-07-12T22:11:12Z"),
        ("month_day_year", "7月 12, 2024 10:11:12 下午", "2024-07-12T22:11:12Z"),
        ("month_day_year", "Fri Jul 12 2024 10:11:12 GMT+0200 (Central European Summer Time)", "2024-07-12T08:11:12Z"),
        ("month_day_year", "jul/12/2024 10:11:12", "2024-07-12T10:11:12Z"),
        ("month_day_year", "Oct 26, 2025 at 7:59:41.239\u202fPM", "2025-10-26T19:59:41.239Z"),
        ("month_day_year", "July 4th, 2024 7:59 am PDT", "2024-07-04T14:59:00Z"),
        ("weekday_iso", "Fri 2024-07-12 10:11:12 CEST", "2024-07-12T08:11:12Z"),
        ("iso8601", "2024-07-12 18:26:29.123 +09", "2024-07-12T09:26:29.123Z"),
        ("iso8601", "2024-07-12 00:02:40 GMT+3", "2024-07-12T03:02:40Z"),
        ("iso8601", "2024-07-12 00:02:40 Etc/GMT+3", "2024-07-12T03:02:40Z"),
        ("iso8601", "2024-07-12 12:02:40 GMT+03:00", "2024-07-12T09:02:40Z"),
        ("iso8601", "2024-07-12 12:02:40 UTC+3", "2024-07-12T09:02:40Z"),
        ("iso8601", "2024-07-12 12:02:40, UTC", "2024-07-12T12:02:40Z"),
        ("iso8601", "2024-07-12 12:02:40 [PDT]", "2024-07-12T19:02:40Z"),
        ("iso8601", "2024-07-12T12:02:40[Europe/Berlin]", "2024-07-12T10:02:40Z"),
        ("iso8601", "2024-07-12, 12:02:40", "2024-07-12T12:02:40Z"),
        ("slash_mdy", "07/12/2024-10:11:12.345678", "2024-07-12T10:11:12.345678Z"),
        ("slash_mdy", "7/12/2024, 10:11 PM GMT+2", "2024-07-12T20:11:00Z"),
        ("slash_mdy", "Fri 07/12/2024 10:11:12.34", "2024-07-12T10:11:12.34Z"),
        ("month_day", "07/12-10:11:12.345678", "2026-07-12T10:11:12.345678Z"),
        ("year_month_day", "2024 Jul 7 16:37:22.849 AEDT", "2024-07-07T05:37:22.849Z"),
        ("dash_mdy", "01-31-2024 10:00:00", "2024-01-31T10:00:00Z"),
        ("iso_basic", "20240712.101112", "2024-07-12T10:11:12Z"),
        ("slash_two_digits", "07/12/24 10:11:12.345678", "2024-07-12T10:11:12.345678Z"),
        ("slash_two_digits", "24/07/12 10:11:12", "2024-07-12T10:11:12Z"),
        ("slash_two_digits", "31/12/24, 10:11:12 pm", "2024-12-31T22:11:12Z"),
        ("dot_two_digits", "12.07.24 10:11:12", "2024-07-12T10:11:12Z"),
        ("dash_two_digits", "24-07-12 10:11:12", "2024-07-12T10:11:12Z"),
        ("named_two_digits", "Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z"),
        ("named_two_digits", "12-JUL-24 10.11.12.345678 PM +02:00", "2024-07-12T20:11:12.345678Z"),
        ("zone_fraction", "12/17/22, 10:31:29 PM MST.557710", "2022-12-18T05:31:29.557710Z"),
        ("epoch_exponent", "1.6656692709539523e+09", "2022-10-13T13:54:30.953952Z"),
        ("epoch_exponent", "1.720778472345e12", "2024-07-12T10:01:12.345Z"),
        ("tai64n", "@4000000037c219bf2ef02e94", "1999-08-24T04:04:05.787492Z"),
        ("ordinal", "2024-194T10:11:12Z", "2024-07-12T10:11:12Z"),
        ("iso_basic_clock", "2024-07-12T101112Z", "2024-07-12T10:11:12Z"),
        ("colon_ymd", "2024:07:12-10:11:12", "2024-07-12T10:11:12Z"),
        ("dot_dmy_dotted", "12.7.2024 klo 10.11.12", "2024-07-12T10:11:12Z"),
        ("east_asian", "2024年7月12日 下午3:04:05", "2024-07-12T15:04:05Z"),
        ("east_asian", "2024. 7. 12. 오전 12:04:05", "2024-07-12T00:04:05Z"),
        ("east_asian", "2024年07月12日(金) 15時04分05秒", "2024-07-12T15:04:05Z"),
        ("clock_iso", "10:11:12.345 2024-07-12", "2024-07-12T10:11:12.345Z"),
        ("clock_mdy", "16:37:22.849 AEDT Sun Jul 7 2024", "2024-07-07T05:37:22.849Z"),
        ("clock_dmy", "10:11:12 PM 12 Jul 2024", "2024-07-12T22:11:12Z"),
        ("dotnet", "/Date(1720778472345)/", "2024-07-12T10:01:12.345Z"),
        ("day_month_year", "2-Jan-2024::03:04:05", "2024-01-02T03:04:05Z"),
        ("day_month", "14 Nov 07:01:22.119", "2026-11-14T07:01:22.119Z"),
        ("month_day", "03-17 16:13:38.811", "2026-03-17T16:13:38.811Z"),
        ("dot_month_day", "10.30 16:49:06", "2026-10-30T16:49:06Z"),
        ("klog", "0102 15:04:05.000001", "2026-01-02T15:04:05.000001Z"),
        ("klog_year", "240131 15:04:05.000001", "2024-01-31T15:04:05.000001Z"),
        ("glued_month", "31Jan2024 15:04:05.678", "2024-01-31T15:04:05.678Z"),
        ("year_month_day", "2024 Jan 31 10:15:30.123", "2024-01-31T10:15:30.123Z"),
        ("epoch", "1286536309", "2010-10-08T11:11:49Z"),
        ("epoch", "1286536309.586", "2010-10-08T11:11:49.586Z"),
        ("epoch", "1286536309586", "2010-10-08T11:11:49.586Z"),
        ("epoch", "1286536309586123", "2010-10-08T11:11:49.586123Z"),
        ("epoch", "1286536309586123456", "2010-10-08T11:11:49.586123Z"),
        ("kitchen", "3:04PM", "2026-11-21T15:04:00Z"),
        ("time_of_day", "10:00:00", "2026-11-22T10:00:00Z"),
        ("time_of_day", "10:00:00.001", "2026-11-21T10:00:00.001Z"),
    ],
)
def test_known_instants(syntax: str, text: str, expected: str) -> None:
    assert both(text, syntax) == datetime.fromisoformat(expected)


def test_every_syntax_has_a_known_instant() -> None:
    mark = next(mark for mark in test_known_instants.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    assert {case[0] for case in mark.args[1]} == set(SYNTAXES)


@pytest.mark.parametrize(
    ("syntax", "text"),
    [
        ("iso8601", "2023-02-29T00:00:00Z"),
        ("iso8601", "1900-02-29T00:00:00Z"),
        ("iso8601", "2024-00-10T00:00:00Z"),
        ("iso8601", "2024-13-10T00:00:00Z"),
        ("iso8601", "2024-04-31T00:00:00Z"),
        ("iso8601", "0000-01-01T00:00:00Z"),
        ("iso8601", "2024-01-31T24:00:00Z"),
        ("iso8601", "2024-01-31T23:60:00Z"),
        ("iso8601", "2024-01-31T23:00:61Z"),
        ("iso8601", "2024-01-31T23:00:00+24:00"),
        ("iso8601", "2024-01-31T23:00:00Z\n"),
        ("iso8601", "٢٠٢٤-01-31T23:00:00Z"),
        ("iso8601", "0001-01-01T00:00:00+02:00"),
        ("iso8601", "9999-12-31T23:00:00-02:00"),
        ("slash_mdy", "1/31/2024 13:04:05 PM"),
        ("slash_mdy", "1/31/2024 0:04:05 AM"),
        ("ctime", "Sun Foo 04 04:47:44 2005"),
        ("syslog", "Feb 30 04:47:44"),
        ("epoch", "12345"),
        ("epoch", "9999999999999999999"),
        ("iso8601", ""),
    ],
)
def test_what_is_no_time(syntax: str, text: str) -> None:
    assert both(text, syntax) is None


@pytest.mark.parametrize(
    ("text", "seen", "expected"),
    [
        ("Dec 31 23:59:59", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z"),
        ("Jan  1 00:00:00", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("Jan  1 00:00:01", "2026-01-01T00:00:00Z", "2025-01-01T00:00:01Z"),
        ("Feb 29 12:00:00", "2026-06-01T00:00:00Z", "2024-02-29T12:00:00Z"),
        ("Feb 29 12:00:00", "2024-02-29T11:59:59Z", "2020-02-29T12:00:00Z"),
        ("Feb 29 12:00:00", "2103-01-01T00:00:00Z", "2096-02-29T12:00:00Z"),
        ("Jan  1 00:30:00 +0200", "2025-12-31T22:45:00Z", "2025-12-31T22:30:00Z"),
        ("Dec 31 23:30:00 -0800", "2026-01-01T01:00:00Z", "2025-01-01T07:30:00Z"),
    ],
)
def test_a_time_without_a_year_is_the_latest_that_is_not_in_the_future(text: str, seen: str, expected: str) -> None:
    assert both(text, "syslog", seen=datetime.fromisoformat(seen)) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-07-01 12:00:00", "2024-07-01T10:00:00Z"),
        ("2024-01-01 12:00:00", "2024-01-01T11:00:00Z"),
        ("2024-07-01 12:00:00Z", "2024-07-01T12:00:00Z"),
        ("2024-10-27 02:30:00", "2024-10-27T00:30:00Z"),
        ("2024-03-31 02:30:00", "2024-03-31T01:30:00Z"),
        ("2024-07-01 12:00:00 CST", "2024-07-01T10:00:00Z"),
    ],
    ids=["summer", "winter", "own offset", "occurs twice", "skipped", "ambiguous abbreviation"],
)
def test_the_zone_holds_where_the_text_names_none(text: str, expected: str) -> None:
    assert both(text, "iso8601", zone="Europe/Berlin") == datetime.fromisoformat(expected)


def test_syntaxes_are_tried_in_order_until_one_gives_a_date() -> None:
    assert both("31/01/2024 10:00:00", "slash_mdy", "slash_dmy") == datetime(2024, 1, 31, 10, tzinfo=UTC)
    assert both("02/01/2024 10:00:00", "slash_mdy", "slash_dmy") == datetime(2024, 2, 1, 10, tzinfo=UTC)
    column = pl.Series(["31/01/2024 10:00:00", None, "nothing", "2024-01-31T10:00:00Z"])
    found = parse_timestamps(column, ("slash_mdy", "iso8601", "slash_dmy"), pl.Series([millis(SEEN)] * 4), "UTC")
    noon = millis(datetime(2024, 1, 31, 10, tzinfo=UTC)) * 1000
    assert found.to_list() == [noon, None, None, noon]
    assert found.dtype == pl.Int64


def test_an_empty_column_stays_empty() -> None:
    nothing = pl.Series([], dtype=pl.String)
    for name in SYNTAXES:
        assert parse_timestamps(nothing, (name,), pl.Series([], dtype=pl.Int64), "Europe/Berlin").to_list() == []


def test_abbreviations_in_the_syntaxes_are_those_of_the_tables() -> None:
    known = {*ZONES, *AMBIGUOUS_ZONES}
    alternatives = re.compile(written.ABBREVIATION)
    assert all(alternatives.fullmatch(name) for name in known)
    assert both("2024-01-31 10:00:00 XYZ", "iso8601") is None


texts = st.one_of(
    st.text(max_size=40),
    *(
        st.from_regex(syntax.python, fullmatch=True, alphabet=st.characters(codec="utf-8"))
        for syntax in SYNTAXES.values()
    ),
)
instants = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda moment: moment.replace(tzinfo=UTC))


@settings(max_examples=settings().max_examples * 3 // 2, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(texts, instants), min_size=1, max_size=30),
    st.lists(st.sampled_from(sorted(SYNTAXES)), min_size=1, max_size=4, unique=True),
    st.sampled_from(EVERY_ZONE),
)
def test_both_implementations_agree_on_anything(
    rows: list[tuple[str, datetime]], syntaxes: list[str], zone: str
) -> None:
    column, seen = [text for text, _ in rows], [millis(instant) for _, instant in rows]
    one_by_one = [parse_timestamp(text, tuple(syntaxes), ms, zone) for text, ms in zip(column, seen, strict=True)]
    at_once = parse_timestamps(pl.Series(column, dtype=pl.String), tuple(syntaxes), pl.Series(seen), zone)
    assert at_once.to_list() == one_by_one


@given(st.sampled_from(sorted(SYNTAXES)), st.data(), st.sampled_from(EVERY_ZONE), instants)
def test_both_implementations_agree_on_each_syntax(name: str, data: st.DataObject, zone: str, seen: datetime) -> None:
    text = data.draw(st.from_regex(SYNTAXES[name].python, fullmatch=True))
    both(text, name, zone=zone, seen=seen)


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2068, 12, 30)),
    st.sampled_from(EVERY_ZONE),
    st.sampled_from(
        [
            ("iso8601", "%Y-%m-%dT%H:%M:%S.%f%z"),
            ("iso8601", "%Y-%m-%d %H:%M:%S,%f %z"),
            ("slash_ymd", "%Y/%m/%d %H:%M:%S.%f%z"),
            ("clf", "%d/%b/%Y:%H:%M:%S.%f %z"),
            ("ctime", "%a %b %d %H:%M:%S.%f %z %Y"),
            ("day_month_year", "%a, %d %b %Y %H:%M:%S.%f %z"),
            ("month_day_year", "%B %d, %Y %I:%M:%S.%f %p %z"),
            ("dot_dmy", "%d.%m.%Y %H:%M:%S.%f %z"),
        ]
    ),
)
def test_what_strftime_writes_is_read_back(moment: datetime, zone: str, how: tuple[str, str]) -> None:
    syntax, layout = how
    instant = moment.replace(tzinfo=ZoneInfo(zone))
    assert both(instant.strftime(layout), syntax, zone="Asia/Tokyo") == instant


@given(st.datetimes(datetime(1971, 1, 1), datetime(2050, 1, 1)), st.sampled_from(EVERY_ZONE))
def test_local_times_are_those_of_zoneinfo(moment: datetime, zone: str) -> None:
    assert both(moment.isoformat(sep=" "), "iso8601", zone=zone) == moment.replace(tzinfo=ZoneInfo(zone))
