"""Requests of the dashboard and the tables in answers, where no server is needed."""

from __future__ import annotations

import csv as standard_csv
import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from logsluice.dashboard import markup, queries
from logsluice.dashboard.consumer_lag import Lag, LagMonitor, parse_lag
from logsluice.dashboard.filters import Filters, Span
from logsluice.dashboard.loader import DataLoader, ServerUnavailableError
from logsluice.dashboard.panels import narrow_filters
from logsluice.dashboard.placeholders import escape_markdown
from logsluice.dashboard.queries import Selection
from logsluice.dashboard.reports import is_report, read_report
from logsluice.dashboard.tables import ALERTS, alerts, build_view, csv
from logsluice.documents.fields import field_value
from logsluice.elasticsearch.queries import NO_TYPE, UNKNOWN
from logsluice.errors import LogsluiceError
from logsluice.settings import ElasticsearchSettings, Settings
from logsluice.stack.ports import free_port

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
SPAN = Span(START, START + timedelta(hours=1))
NO_INDEX = {"_shards": {"total": 0, "failed": 0}, "hits": {"total": {"value": 0}, "hits": []}}


@pytest.mark.slow
def test_the_page_starts_no_spark() -> None:
    """Its process has imported neither Spark nor the bridge to a virtual machine."""
    code = (
        "import sys, logsluice.dashboard.page, logsluice.cli.dashboard; "
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('pyspark', 'py4j')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_indices_that_are_not_there_yet_are_empty_tables() -> None:
    names = queries.requests(Settings.model_construct(env="dev"), Filters(), SPAN, None)
    found = build_view(dict.fromkeys(names, NO_INDEX), Filters(), SPAN)
    assert (found.total, found.errors, found.open_alerts, found.newest, found.ready) == (0, 0, 0, None, False)
    assert found.problems == []
    for table in (found.over_time, found.by_type, found.by_ip, found.by_service, found.windows, found.alerts):
        assert len(table) == 0


def test_a_search_that_is_refused_leaves_the_others_and_is_told_once() -> None:
    refused = {
        "status": 400,
        "error": {
            "type": "search_phase_execution_exception",
            "reason": "all shards failed",
            "failed_shards": [{"reason": {"reason": "Failed to parse", "caused_by": {"reason": "at line 1\nmore"}}}],
        },
    }
    names = queries.requests(Settings.model_construct(env="dev"), Filters(query="("), SPAN, None)
    answers = {name: refused if name not in ("alerts", "windows", "newest") else NO_INDEX for name in names}
    found = build_view(answers, Filters(query="("), SPAN)
    assert found.problems == ["The filter text cannot be read: at line 1"]
    assert (found.total, found.errors, found.lines_total, found.open_alerts) == (None, None, None, 0)


def test_incomplete_answers_are_said_to_be_so() -> None:
    names = queries.requests(Settings.model_construct(env="dev"), Filters(), SPAN, None)
    answers = dict.fromkeys(names, NO_INDEX)
    slow = {**NO_INDEX, "timed_out": True}
    broken = {**NO_INDEX, "_shards": {"total": 2, "failed": 1}}
    found_problems = build_view(answers | {"events": slow, "errors": broken}, Filters(), SPAN).problems
    assert len(found_problems) == 2
    assert all("incomplete" in problem for problem in found_problems)


def test_the_bar_that_was_clicked_becomes_filters() -> None:
    bar = str(int(START.timestamp() * 1000))
    before = Filters(query="a OR b", refresh=5)
    assert narrow_filters(before, Selection("time", bar, "critical"), SPAN) == Filters(
        "2026-11-22T10:00:00Z", "2026-11-22T10:01:00Z", "critical", None, "a OR b", 5
    )
    assert narrow_filters(before, Selection("service", "cart"), SPAN).service == "cart"
    assert (
        narrow_filters(before, Selection("type", 'a "b" \\ c'), SPAN).query
        == '(a OR b) AND error.type:"a \\"b\\" \\\\ c"'
    )
    assert narrow_filters(Filters(), Selection("type", NO_TYPE), SPAN).query == "NOT _exists_:error.type"
    assert narrow_filters(Filters(level="critical"), Selection("ip", "::1"), SPAN) == Filters(
        level="critical", query='source.ip:"::1"'
    )
    assert narrow_filters(Filters(level="info"), Selection("service", UNKNOWN), SPAN) == Filters(
        level="error", service=UNKNOWN
    )


def test_fields_are_found_nested_and_dotted() -> None:
    for document in ({"log": {"level": "info"}}, {"log.level": "info"}):
        assert field_value(document, "log.level") == "info"
    assert field_value({"log": "text"}, "log.level") is None


def test_only_links_of_the_web_are_links_and_text_is_text() -> None:
    hits = [
        {"_source": {"alert": {"status": "open"}, "event": {"url": url}, "message": "<b>&", "@timestamp": "no time"}}
        for url in ("javascript:alert(1)", "https://example.org/?a=1&b=2")
    ]
    table = alerts({"hits": {"hits": hits}})
    assert table["url"].to_list() == [None, "https://example.org/?a=1&b=2"]
    html = markup.alerts(table, START)
    assert "javascript" not in html
    assert "&lt;b&gt;&amp;" in html
    assert "<b>&" not in html


def test_marks_of_markdown_are_shown_as_they_are() -> None:
    assert escape_markdown("a [b](http://c) :red[d] $e$\nf") == r"a \[b\]\(http\://c\) \:red\[d\] \$e\$ f"


def test_a_download_is_no_formula() -> None:
    table = pl.DataFrame({"text": ["=1+1", "-2", "@x", 'a,b\n"c"', None], "number": [-1, 2, 3, 4, 5]})
    rows = list(standard_csv.reader(io.StringIO(csv(table).decode())))
    assert rows[0] == ["text", "number"]
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'-2", "'@x", 'a,b\n"c"', ""]
    assert [row[1] for row in rows[1:]] == ["-1", "2", "3", "4", "5"]
    assert csv(ALERTS.to_frame()).decode().startswith("status,severity,rule,service,message")


def test_the_lag_is_that_of_the_group_furthest_behind() -> None:
    text = (
        "# TYPE logsluice_consumer_lag_events gauge\n"
        'logsluice_consumer_lag_events{group="logsluice-regex",topic="t",partition="0"} 3.0\n'
        'logsluice_consumer_lag_events{group="logsluice-regex",topic="t",partition="1"} 4.0\n'
        'logsluice_consumer_lag_events{group="logsluice-index",topic="t",partition="0"} 5.0\n'
        'logsluice_part_up{part="kafka"} 1.0\n'
    )
    assert parse_lag(text) == Lag({"logsluice-regex": 7, "logsluice-index": 5})
    assert parse_lag(text).events == 7
    away = parse_lag(text.replace('"kafka"} 1.0', '"kafka"} 0.0'))
    assert (away.events, away.reason) == (None, "app-service cannot reach Kafka")
    assert parse_lag("").events is None


def test_an_app_service_that_is_away_is_told_and_waited_for_by_nobody() -> None:
    monitor = LagMonitor(f"http://127.0.0.1:{free_port()}/metrics")
    lag = monitor.latest()
    assert lag.events is None
    assert lag.reason


def test_a_server_that_does_not_answer_is_away() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    loader = DataLoader(Settings.model_construct(env="dev", elasticsearch=ElasticsearchSettings(hosts=url)))
    with pytest.raises(ServerUnavailableError, match="refused"):
        loader.load(Filters(), START)
    loader.close()


def test_the_files_of_a_report_are_read(tmp_path: Path) -> None:
    with pytest.raises(LogsluiceError, match="holds no report"):
        read_report(tmp_path)
    assert not is_report(tmp_path)
    (tmp_path / "csv").mkdir()
    (tmp_path / "json").mkdir()
    files = {
        "errors_by_type": 'error_type,count\nTimeout,3\n"a, b",2\n',
        "errors_by_hour": "hour,count\n2026-11-22T11:00:00Z,4\n2026-11-22 10:00:00,1\n",
        "errors_per_ip": "ip,count\n10.0.0.1,5\n",
        "errors_per_service": "nonsense\n",
    }
    for name, text in files.items():
        (tmp_path / "csv" / f"{name}.csv").write_text(text)
    (tmp_path / "json" / "errors_by_severity.json").write_text(
        '[{"severity": "error", "count": 4}, {"severity": "critical", "count": 1}]'
    )
    report = read_report(tmp_path)
    assert report.errors == 5
    assert report.tables["errors_by_type"].rows() == [("Timeout", 3), ("a, b", 2)]
    assert report.by_hour.rows() == [(START, 1), (START + timedelta(hours=1), 4)]
    assert report.severities == {"error": 4, "critical": 1}
    assert len(report.tables["top_errors"]) == 0
    (problem,) = report.problems
    assert "errors_per_service.csv: is not a file of" in problem
    assert report.events is None
    (tmp_path / "json" / "error_trends.json").write_text('[{"hour": null, "events": 7}, {"hour": "x", "events": 3}]')
    (tmp_path / "json" / "errors_by_severity.json").write_text('{"error": 4}')
    report = read_report(tmp_path)
    assert report.events == 10
    assert report.severities == {}
    assert any("errors_by_severity.json: is not a file of" in problem for problem in report.problems)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_700, "1 h 1 min"), (90_000, "1 d 1 h")]
)
def test_lengths_of_time_are_said_in_two_units(seconds: int, words: str) -> None:
    assert markup.duration_text(seconds) == words
