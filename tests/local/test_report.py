"""Reports by Spark: every file, held against counts that were made without it."""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import orjson
import pytest
import typer
from elasticsearch import Elasticsearch

from logsluice.cli import report as command
from logsluice.elasticsearch.bulk import BulkWriter, IndexAction
from logsluice.errors import LogsluiceError
from logsluice.extract import load_registry
from logsluice.formats import normalize_level
from logsluice.jobs.spark.session import spark_session
from logsluice.provision.setup import set_up_elasticsearch
from logsluice.settings import Settings
from tests.local.running import ROOT, Runner
from tests.shared.bad_rows import KINDS, with_good_rows
from tests.shared.log_sets import LINES_OF_EACH, labels, log_file

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.timeout(1_200)

CONFIG = ROOT / "config" / "dev"
FILES = {
    "csv/errors_by_type.csv": "error_type,count",
    "csv/errors_by_hour.csv": "hour,count",
    "csv/top_errors.csv": "message,count",
    "csv/errors_per_ip.csv": "ip,count",
    "csv/errors_per_service.csv": "service,count",
    "json/error_trends.json": None,
    "json/errors_by_day.json": None,
    "json/errors_by_severity.json": None,
    "rejected.csv": "source,line,reason,row",
    "report.html": None,
}
EXAMPLE = """timestamp,log_level,message,ip,service
2026-11-22 10:15:30,ERROR,java.net.SocketTimeoutException: order 17 took 3000ms,10.0.0.1,payment
2026-11-22 10:15:40,error,java.net.SocketTimeoutException: order 18 took 5ms,10.0.0.2,payment
2026-11-22 10:59:59,FATAL,Disk /dev/sda1 is full,10.0.0.1,storage
2026-11-22 11:00:00,INFO,served GET /cart,10.0.0.3,cart
2026-11-23 00:00:00,SEVERE,"Payment declined: card ""4000"", expired",10.0.0.1,payment
2026-11-23 00:00:01,LOUD,what is this,10.0.0.1,payment
2026-11-23 00:00:02,WARN,slow,10.0.0.1,payment
"""
EXPECTED = {
    "csv/errors_by_type.csv": "error_type,count\njava.net.SocketTimeoutException,2\n"
    "Disk {path} is full,1\nPayment declined,1\n",
    "csv/errors_by_hour.csv": "hour,count\n2026-11-22T10:00:00Z,3\n2026-11-23T00:00:00Z,1\n",
    "csv/top_errors.csv": "message,count\njava.net.SocketTimeoutException: order {number} took {number}ms,2\n"
    'Disk {path} is full,1\n"Payment declined: card ""{value}"", expired",1\n',
    "csv/errors_per_ip.csv": "ip,count\n10.0.0.1,3\n10.0.0.2,1\n",
    "csv/errors_per_service.csv": "service,count\npayment,3\nstorage,1\n",
}


SHAPES = [
    # Kind of error, its message in SQL, its template.
    (
        "java.net.SocketTimeoutException",
        "'java.net.SocketTimeoutException: order ' || i || ' took ' || i % 900 || 'ms'",
        "java.net.SocketTimeoutException: order {number} took {number}ms",
    ),
    (
        "HTTP 503",
        "'upstream answered status=503 for 10.9.' || i % 250 || '.7'",
        "upstream answered status={number} for {ip}",
    ),
    (
        "Payment declined",
        "'Payment declined: card \"' || i || '\" of user u-' || i",
        'Payment declined: card "{value}" of user u-{number}',
    ),
    ("ECONNREFUSED", "'connect ECONNREFUSED ' || md5(i::text)::uuid", "connect ECONNREFUSED {uuid}"),
]


QUICK_START = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1"}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One Spark for this file."""
    log_file = tmp_path_factory.mktemp("spark") / "spark.log"
    with spark_session("test", log_file=log_file, conf=QUICK_START) as session:
        yield session


@pytest.fixture
def report(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """The command, on the Spark of this file; gives its ``--json``, its exit code and what it said."""
    monkeypatch.setattr(command, "spark_session", lambda *_names, **_options: nullcontext(spark))

    def run(*sources: str | Path, **options: Any) -> dict[str, Any]:
        code = 0
        try:
            command.report(
                [str(source) for source in sources],
                **{"out": tmp_path / "out", "config": CONFIG, "as_json": True, **options},
            )
        except typer.Exit as ended:
            code = ended.exit_code
        printed = capsys.readouterr()
        summary = orjson.loads(printed.out) if printed.out else {}
        return {**summary, "code": code, "messages": printed.err.splitlines()}

    return run


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def counts(path: Path) -> dict[str, int]:
    return {name: int(count) for name, count in rows(path)}


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.texts.append(text)

    @property
    def sections(self) -> set[str]:
        return {str(attributes["id"]) for tag, attributes in self.tags if tag == "section" and "id" in attributes}


CHARTS = {"over-time", "rate", "by-type", "per-service", "per-ip", "by-severity"}


def page_of(out: Path) -> Page:
    """The page, which is whole and asks nothing of anybody."""
    text = (out / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert not {tag for tag, _ in page.tags} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "image",
        "use",
        "a",
        "base",
    }
    for _, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name in ("xmlns", "xmlns:xlink") or "://" not in (value or "")
    assert "url(" not in text.replace("url(#", "")
    assert "@import" not in text
    return page


def test_every_file_comes_of_the_example(report: Callable[..., dict[str, Any]], out: Path, tmp_path: Path) -> None:
    source = tmp_path / "app.csv"
    source.write_text(EXAMPLE)
    found = report(source)
    assert found["code"] == 0
    assert files_in(out) == set(FILES)
    for name, content in EXPECTED.items():
        assert (out / name).read_text() == content
    assert rows(out / "rejected.csv") == [
        [str(source), "7", "log_level 'LOUD' is no level", "2026-11-23 00:00:01,LOUD,what is this,10.0.0.1,payment"]
    ]
    assert orjson.loads((out / "json/errors_by_day.json").read_bytes()) == [
        {"day": "2026-11-22", "count": 3},
        {"day": "2026-11-23", "count": 1},
    ]
    assert orjson.loads((out / "json/errors_by_severity.json").read_bytes()) == [
        {"severity": "critical", "count": 1},
        {"severity": "error", "count": 3},
    ]
    assert orjson.loads((out / "json/error_trends.json").read_bytes()) == [
        {"hour": "2026-11-22T10:00:00Z", "events": 3, "errors": 3, "critical": 1, "error_rate": 1.0},
        {"hour": "2026-11-22T11:00:00Z", "events": 1, "errors": 0, "critical": 0, "error_rate": 0.0},
        {"hour": "2026-11-23T00:00:00Z", "events": 2, "errors": 1, "critical": 0, "error_rate": 0.5},
    ]
    expected = {"events": 6, "errors": 4, "critical": 1, "rejected": 1, "alerts": [], "damage": []}
    assert {name: found[name] for name in expected} == expected
    assert (found["first"], found["last"]) == ("2026-11-22T10:15:00.000Z", "2026-11-23T00:00:00.000Z")
    assert {Path(name) for name in found["files"]} == {out / name for name in FILES}
    page = page_of(out)
    assert page.sections == CHARTS | {"alerts"}
    assert {"java.net.SocketTimeoutException", "Disk {path} is full", "66.67%"} <= set(page.texts)


def test_twenty_kinds_of_bad_rows_are_set_aside(
    report: Callable[..., dict[str, Any]], out: Path, tmp_path: Path
) -> None:
    text, expected = with_good_rows(KINDS)
    source = tmp_path / "bad.csv"
    source.write_bytes(text.encode())
    found = report(source)
    assert (found["code"], found["rejected"], found["errors"]) == (0, len(KINDS), len(KINDS) + 1)
    assert rows(out / "rejected.csv") == [[str(source), str(line), *rest] for line, *rest in expected]
    assert set(FILES) == files_in(out)
    assert counts(out / "csv/errors_by_type.csv") == {"boom": len(KINDS) + 1}


def test_counts_equal_those_of_duckdb(report: Callable[..., dict[str, Any]], out: Path, tmp_path: Path) -> None:
    """Half a million events in any order, in three files, one of them with quotes."""
    message = " ".join(f"WHEN {shape} THEN {text}" for shape, (_, text, _) in enumerate(SHAPES))
    database = duckdb.connect()
    database.execute(f"""
        CREATE TABLE events AS SELECT i, kind,
          TIMESTAMP '2026-11-20 00:00:00' + to_microseconds(((h >> 8) % 259200000000)::BIGINT) AS ts,
          CASE WHEN (h >> 40) % 1000 < 93 THEN 'ERROR' WHEN (h >> 40) % 1000 < 100 THEN 'FATAL'
               WHEN (h >> 40) % 2 = 0 THEN 'INFO' ELSE 'WARN' END AS level,
          CASE WHEN (h >> 40) % 1000 < 100 THEN CASE kind {message} END ELSE 'served in ' || i || 'ms' END AS message,
          '10.0.' || (h >> 13) % 4 || '.' || (h >> 17) % 50 AS ip,
          ['auth', 'cart', 'payment', 'search'][((h >> 23) % 4 + 1)::INT] AS service
        FROM (SELECT i, hash(i) AS h, (hash(i + 7) % {len(SHAPES)})::INT AS kind FROM range(500000) t(i))""")
    for number, shape in enumerate(("kind IN (0, 1)", "kind = 3", "kind = 2")):
        database.execute(f"""
            COPY (SELECT strftime(ts, '%Y-%m-%d %H:%M:%S.%f') AS timestamp, level AS log_level,
                         message, ip AS IP, service
                  FROM events WHERE {shape}) TO '{tmp_path}/{number}.csv' (HEADER)""")
    assert '"' in (tmp_path / "2.csv").read_text()
    assert '"' not in (tmp_path / "0.csv").read_text()

    def counted(expression: str, of: str = "level IN ('ERROR', 'FATAL')") -> dict[Any, int]:
        return dict(database.execute(f"SELECT {expression}, count(*) FROM events WHERE {of} GROUP BY 1").fetchall())

    # So many events in three days are few in a minute.
    config = shutil.copytree(CONFIG, tmp_path / "config")
    rules = (CONFIG.parent / "common" / "alerts.yaml").read_text()
    assert "min_events: 100" in rules
    (config / "alerts.yaml").write_text(rules.replace("min_events: 100", "min_events: 20"))
    found = report(tmp_path / "*.csv", config=config)
    assert (found["code"], found["events"], found["rejected"]) == (0, 500_000, 0)
    assert found["errors"] == sum(counted("level").values())
    by_kind = counted("kind")
    assert counts(out / "csv/errors_by_type.csv") == {SHAPES[kind][0]: count for kind, count in by_kind.items()}
    assert counts(out / "csv/top_errors.csv") == {SHAPES[kind][2]: count for kind, count in by_kind.items()}
    assert counts(out / "csv/errors_per_ip.csv") == counted("ip")
    assert counts(out / "csv/errors_per_service.csv") == counted("service")
    hour = "strftime(date_trunc('hour', ts), '%Y-%m-%dT%H:00:00Z')"
    assert counts(out / "csv/errors_by_hour.csv") == counted(hour)
    for name in ("errors_by_type", "top_errors", "errors_per_ip", "errors_per_service"):
        listed = rows(out / f"csv/{name}.csv")
        assert listed == sorted(listed, key=lambda row: (-int(row[1]), row[0]))
    hours = [name for name, _ in rows(out / "csv/errors_by_hour.csv")]
    assert hours == sorted(hours)
    days = orjson.loads((out / "json/errors_by_day.json").read_bytes())
    assert {entry["day"]: entry["count"] for entry in days} == counted("strftime(ts, '%Y-%m-%d')")
    severities = orjson.loads((out / "json/errors_by_severity.json").read_bytes())
    levels = counted("level")
    assert severities == [
        {"severity": "critical", "count": levels["FATAL"]},
        {"severity": "error", "count": levels["ERROR"]},
    ]
    events = counted(hour, "true")
    errors, critical = counted(hour), counted(hour, "level = 'FATAL'")
    for entry in orjson.loads((out / "json/error_trends.json").read_bytes()):
        of_hour = events.pop(entry["hour"]), errors.get(entry["hour"], 0), critical.get(entry["hour"], 0)
        assert (entry["events"], entry["errors"], entry["critical"]) == of_hour
        assert entry["error_rate"] == round(of_hour[1] / of_hour[0], 6)
    assert events == {}
    check_alerts(found["alerts"], database)


def check_alerts(alerts: list[dict[str, Any]], database: duckdb.DuckDBPyConnection) -> None:
    """Every minute over a threshold is in an alert, and every alert begins and ends with one."""
    windows = database.execute("""
        SELECT strftime(date_trunc('minute', ts), '%Y-%m-%dT%H:%M:00.000Z') AS minute, service, count(*),
               count(*) FILTER (level IN ('ERROR', 'FATAL')), count(*) FILTER (level = 'FATAL')
        FROM events GROUP BY ALL""").fetchall()
    over: dict[tuple[str, str], dict[str, float]] = {}
    for minute, service, events, errors, critical in windows:
        values = {
            "error-rate": errors / events if events >= 20 else 0,
            "error-count": errors,
            "critical-count": critical,
        }
        for rule, threshold in (("error-rate", 0.1), ("error-count", 100), ("critical-count", 5)):
            if values[rule] > threshold:
                over.setdefault((rule, service), {})[minute] = values[rule]
    assert {(alert["rule"], alert["service"]) for alert in alerts} == set(over)
    for alert in alerts:
        minutes = over[alert["rule"], alert["service"]]
        inside = {minute: value for minute, value in minutes.items() if alert["first"] <= minute <= alert["last"]}
        assert {alert["first"], alert["last"]} <= set(inside)
        assert alert["worst"] == max(inside.values())
        for minute in inside:
            del minutes[minute]
    assert not any(over.values())


def test_logs_are_counted_as_people_labelled_them(report: Callable[..., dict[str, Any]], out: Path) -> None:
    wanted: Counter[str] = Counter()
    severe: Counter[str] = Counter()
    instants: dict[str, Callable[[dict[str, str]], datetime]] = {
        "Apache": lambda row: datetime.strptime(row["Time"], "%a %b %d %H:%M:%S %Y"),
        "Zookeeper": lambda row: datetime.strptime(f"{row['Date']} {row['Time']}", "%Y-%m-%d %H:%M:%S,%f"),
        "BGL": lambda row: datetime.fromtimestamp(int(row["Timestamp"]), UTC),
    }
    for name, instant in instants.items():
        for row in labels(name):
            if row["Level"] in ("error", "ERROR", "SEVERE", "FAILURE", "FATAL"):
                wanted[instant(row).strftime("%Y-%m-%dT%H:00:00Z")] += 1
                severe["critical" if row["Level"] == "FATAL" else "error"] += 1
    found = report(*(log_file(name) for name in instants))
    assert (found["code"], found["events"], found["rejected"]) == (0, 3 * LINES_OF_EACH, 0)
    assert counts(out / "csv/errors_by_hour.csv") == wanted
    severities = orjson.loads((out / "json/errors_by_severity.json").read_bytes())
    assert {entry["severity"]: entry["count"] for entry in severities} == severe


def test_sources_are_mixed_and_each_is_recognised(
    report: Callable[..., dict[str, Any]], out: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.csv.gz").write_bytes(gzip.compress(EXAMPLE.encode()))
    trace = [
        "2026-11-22 10:20:00,250 ERROR [main] com.shop.Cart: java.lang.IllegalStateException: cart 7 is gone",
        "java.lang.IllegalStateException: cart 7 is gone",
        "\tat com.shop.Cart.error(Cart.java:17)",
        "Caused by: java.io.IOException: fatal error",
        "2026-11-22 10:20:01,000 INFO [main] com.shop.Cart: fine",
    ]
    (logs / "b.log").write_text("\n".join(trace) + '\n{"message": "broken\n')
    (logs / "c.jsonl").write_text(
        '{"@timestamp":"2026-11-22T10:21:00Z","level":"error","message":"x 1","service":"cart","ip":"10.0.0.1"}\n'
    )
    damaged = tmp_path / "d.log.gz"
    damaged.write_bytes(gzip.compress(b"INFO fine\n" * 100_000)[:-20])
    missing = tmp_path / "missing.log"
    found = report(logs / "*", logs / "c.jsonl", missing, tmp_path, damaged)
    assert found["code"] == 1
    assert f"{missing}: there is no such file" in found["messages"]
    assert any(line.startswith(f"{tmp_path}: is a folder") for line in found["messages"])
    assert any(line.startswith(f"{damaged}: its compressed data is damaged") for line in found["messages"])
    assert len(found["damage"]) == 1
    assert found["errors"] == 4 + 1 + 1
    assert counts(out / "csv/errors_by_type.csv")["java.lang.IllegalStateException"] == 1
    assert counts(out / "csv/errors_per_service.csv") == {"payment": 3, "cart": 1, "storage": 1, "unknown": 1}
    rejected = rows(out / "rejected.csv")
    assert [row[:3] for row in rejected[:2]] == [
        [str(damaged), "", found["damage"][0].removeprefix(f"{damaged}: ")],
        [str(logs / "a.csv.gz"), "7", "log_level 'LOUD' is no level"],
    ]
    assert [row[1:] for row in rejected[2:]] == [["6", "invalid json", '{"message": "broken']]
    assert "damage" in page_of(out).sections


@pytest.mark.parametrize(
    ("content", "printed"),
    [
        ("", "There are no events."),
        ("timestamp,log_level,message\n", "There are no events."),
        ("timestamp,log_level,message\n2026-11-22 10:15:30,INFO,fine\n", "No event is an error."),
    ],
    ids=["empty", "header", "no errors"],
)
def test_nothing_to_report_is_a_report_too(
    content: str, printed: str, report: Callable[..., dict[str, Any]], out: Path, tmp_path: Path
) -> None:
    source = tmp_path / "app.csv"
    source.write_text(content)
    found = report(source)
    assert (found["code"], found["errors"]) == (0, 0)
    for name, header in FILES.items():
        if header:
            assert (out / name).read_text() == f"{header}\n"
    assert orjson.loads((out / "json/errors_by_day.json").read_bytes()) == []
    assert printed in page_of(out).texts


def test_a_second_report_takes_the_place_of_the_first(
    report: Callable[..., dict[str, Any]], out: Path, tmp_path: Path
) -> None:
    source = tmp_path / "app.csv"
    source.write_text(EXAMPLE)
    report(source)
    killed = out / ".unfinished-report-999999999-x"
    killed.mkdir()
    (killed / "top_errors.csv").touch()
    first = {name: (out / name).read_bytes() for name in FILES}
    report(source, until="2026-11-22T12:00:00")
    assert {path.name for path in out.iterdir()} == {"csv", "json", "rejected.csv", "report.html"}
    assert counts(out / "csv/errors_by_hour.csv") == {"2026-11-22T10:00:00Z": 3}
    report(source)
    again = {name: (out / name).read_bytes() for name in FILES}
    assert {name for name in FILES if first[name] != again[name]} <= {"report.html"}
    wrong = report(tmp_path / "missing.csv")
    assert (wrong["code"], wrong["messages"]) == (1, [f"{tmp_path}/missing.csv: there is no such file"])
    assert {name: (out / name).read_bytes() for name in FILES} == again


def test_only_events_of_a_time_are_counted(report: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    source = tmp_path / "app.csv"
    source.write_text(EXAMPLE)
    found = report(source, since="2026-11-22T10:15:40", until="2026-11-23")
    assert (found["events"], found["errors"]) == (3, 2)
    with pytest.raises(LogsluiceError, match="is not after --since"):
        report(source, since="2026-11-23", until="2026-11-22")


@pytest.mark.parametrize(("out", "printed"), [("{tmp}/file", "is not a folder"), ("/proc/report", "cannot be written")])
def test_a_folder_that_cannot_be_written_is_one_line(
    out: str, printed: str, report: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    folder = Path(out.format(tmp=tmp_path))
    with pytest.raises(LogsluiceError, match=printed) as caught:
        report(tmp_path / "file", out=folder)
    assert str(caught.value).startswith(f"{folder}: ")


def test_a_column_that_is_missing_is_one_line(report: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "app.csv").write_text("timestamp,message\n2026-11-22,boom\n")
    found = report(tmp_path / "app.csv")
    assert found["code"] == 1
    assert len(found["messages"]) == 1
    assert found["messages"][0].startswith(f"{tmp_path}/app.csv: has no column log_level")


def test_hostile_text_is_shown_and_does_nothing(
    report: Callable[..., dict[str, Any]], out: Path, tmp_path: Path
) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;{{ 7*7 }}\u202e\x1b]0;x\x07"
    source = tmp_path / "<b>app.csv"
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "log_level", "message", "service", "error_type", "ip"])
        writer.writerow(["2026-11-22 10:15:30", "ERROR", hostile, hostile, hostile, "10.0.0.1"])
        writer.writerow(["2026-11-22 10:15:30", "FATAL", "=cmd|' /C calc'!A0", "</svg></style>", "]]>", "::1"])
    found = report(source)
    assert (found["code"], found["errors"]) == (0, 2)
    page = page_of(out)
    shown = (
        "<script>alert({number})</script><img src=x onerror=alert({number})>&amp;{{ {number}*{number} }} ]{number};x"
    )
    assert shown in page.texts
    assert page.sections >= CHARTS
    assert "\u202e" not in "".join(page.texts)


def test_elasticsearch_gives_the_same_report(
    report: Callable[..., dict[str, Any]],
    out: Path,
    settings: Settings,
    elasticsearch_client: Elasticsearch,
) -> None:
    missing = report("es:nowhere")
    assert missing["code"] == 1
    assert "there is no such index" in missing["messages"][0]
    registry = load_registry(CONFIG)
    set_up_elasticsearch(settings, registry.fields)
    actions = []
    for number, row in enumerate(csv.DictReader(io.StringIO(EXAMPLE))):
        level = normalize_level(row["log_level"])
        if level is None:
            continue
        document = {
            "@timestamp": row["timestamp"].replace(" ", "T") + ".000Z",
            "event": {"id": str(number)},
            "log": {"level": level},
            "message": row["message"],
            "service": {"name": row["service"]},
            "source": {"ip": row["ip"]},
        }
        if row["message"].startswith("java"):
            document["error"] = {"type": "java.net.SocketTimeoutException"}
        index = f"{settings.results_index}-2026.11.23"
        actions.append(IndexAction(index, str(number), "index", 1, orjson.dumps(document)))
    writer = BulkWriter(settings.elasticsearch, job="test")
    assert writer.write(actions).written == 6
    writer.close()
    elasticsearch_client.indices.refresh(index=settings.results_index)
    found = report("elasticsearch")
    assert (found["code"], found["events"], found["errors"], found["critical"]) == (0, 6, 4, 1)
    for name, content in EXPECTED.items():
        assert (out / name).read_text() == content
    found = report("es:", since="2026-11-22T10:15:40", until="2026-11-23")
    assert (found["events"], found["errors"]) == (3, 2)


def test_it_runs_as_it_is_typed_and_fails_on_an_alert(tmp_path: Path) -> None:
    begin = datetime(2026, 11, 22, 8, tzinfo=UTC)
    lines = [
        f"{begin + timedelta(milliseconds=100 * number):%Y-%m-%dT%H:%M:%S.%fZ},ERROR,boom {number}"
        for number in range(150)
    ]
    runner = Runner(tmp_path, os.environ)
    stdin = "\n".join(["timestamp,log_level,message", *lines]).encode()
    done = runner.cli(
        "report", "-", "--out", tmp_path / "out", "--fail-on-alert", "--config", CONFIG, stdin=stdin, seconds=590
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr == ""
    printed = done.stdout.splitlines()
    assert [line.split() for line in printed[:2]] == [["events", "150"], ["errors", "150"]]
    assert any("unknown" in line and "150" in line and "100" in line for line in printed)
    assert counts(tmp_path / "out/csv/top_errors.csv") == {"boom {number}": 150}
    assert files_in(tmp_path / "out") == set(FILES)
