"""Windows as rows, documents and files, and events as rows, without Spark."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from logsluice.errors import LogsluiceError
from logsluice.jobs.spark import object_store
from logsluice.jobs.spark.object_store import Store
from logsluice.jobs.windows import tables
from logsluice.jobs.windows.clock import CLOCK_ROW, HOUR, SECOND, LatenessEvaluation, PartitionClock, WindowRules
from logsluice.jobs.windows.events import parse_amount, window_rows, with_lateness, with_money
from logsluice.jobs.windows.files import EventFiles, HourFiles, hour_folder
from logsluice.settings import WindowsSettings

START = 1_790_000_000 * SECOND // HOUR * HOUR
MINUTE = 60 * SECOND
RULES = WindowRules.of(WindowsSettings())


def spark_row(money: str | None = None, **values: Any) -> dict[str, Any]:
    levels = dict.fromkeys((name for name in tables.WINDOW_SCHEMA if name.startswith("level_")), 0)
    common = {"start": START, "service": "payment", "money": money, "events": 10, "users": 3, "durations": 0}
    rest = {"quantiles": None, "payments": 2, "refunds": 0, "amount": None, "scale": None, "appended": START}
    return {**common, **levels, **rest, **values}


def a_row(**values: Any) -> dict[str, Any]:
    found = tables.finished_windows(
        [
            spark_row(CLOCK_ROW, service=None),
            spark_row(level_error=2, level_critical=1, level_info=6, durations=4, quantiles=[1, 2, 3]),
            spark_row("payment EUR", amount=Decimal("12.500000000"), scale=2),
            spark_row("payment JPY", amount=Decimal("500.000000000"), scale=0),
            spark_row("refund EUR", amount=Decimal("-0.125000000"), scale=3),
        ],
        MINUTE,
    )
    ((_, row),) = found.rows.items()
    return row | {"late": 4} | values


def test_the_id_of_a_service_with_a_long_name_is_one_that_elasticsearch_takes() -> None:
    names = ["ü" * 240, "ü" * 300, "ü" * 299 + "x"]
    ids = [make(a_row(service=name), "w").id for name in names for make in (tables.index_action, tables.late_action)]
    assert ids[0] == f"2026-09-21T14:00:00.000Z|{names[0]}", "as they always were"
    assert max(len(name.encode()) for name in ids) <= 512
    assert len(set(ids)) == len(names)


def test_a_document_is_as_agreed() -> None:
    action = tables.index_action(a_row(), "dev-windows-index")
    assert (action.op, action.index, action.id) == (
        "index",
        "dev-windows-index-2026.09.21",
        "2026-09-21T14:00:00.000Z|payment",
    )
    document = orjson.loads(action.document)
    assert document["@timestamp"] == document["window"]["start"] == "2026-09-21T14:00:00.000Z"
    assert document["service"] == {"name": "payment"}
    window = document["window"]
    assert window["end"] == "2026-09-21T14:01:00.000Z"
    assert (window["errors"], window["critical"], window["error_rate"], window["late"]) == (3, 1, 0.3, 4)
    assert window["duration"] == {"p50": 1, "p95": 2, "p99": 3}
    assert window["payment_amounts"] == {"EUR": "12.50", "JPY": "500"}
    assert window["refund_amounts"] == {"EUR": "-0.125"}


def test_late_events_alone_change_one_number_of_a_document() -> None:
    action = tables.late_action(tables.empty_window((START, "auth"), MINUTE) | {"late": 7}, "dev-windows-index")
    change = orjson.loads(action.document)
    assert action.op == "update"
    assert change["doc"] == {"window": {"late": 7}}
    assert change["upsert"]["window"]["events"] == 0
    assert "duration" not in change["upsert"]["window"]


def test_a_table_holds_what_was_put_in() -> None:
    row = a_row()
    assert tables.windows_by_key(tables.windows_frame([row])) == {(START, "payment"): row}


def test_windows_written_again_are_there_once_and_hours_are_apart(tmp_path: Path) -> None:
    files = HourFiles(str(tmp_path), "id")
    files.write_windows(tables.windows_frame([a_row(), a_row(start=START + HOUR)]))
    files.write_windows(tables.windows_frame([a_row(), a_row(service="auth"), a_row(late=9)]))
    content = (tmp_path / "windows/csv" / hour_folder(START) / "windows.csv").read_text().splitlines()
    assert [line.split(",")[2] for line in content] == ["service", "auth", "payment"]
    assert content[2].startswith("2026-09-21T14:00:00Z,2026-09-21T14:01:00Z,payment,10,3,1,0.3,")
    assert content[2].endswith(",9")
    assert files.windows_of([START])[START, "payment"]["late"] == 9
    assert len(list(tmp_path.glob("windows/parquet/*/*/windows.parquet"))) == 2
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def events(offsets: list[int], minute: int = 0, late: bool = False) -> pl.DataFrame:
    count = len(offsets)
    frame = pl.DataFrame(
        {
            "event.id": [f"t-0-{offset}-1" for offset in offsets],
            "partition": pl.Series([0] * count, dtype=pl.Int32),
            "offset": offsets,
            "service.name": ["auth"] * count,
            "own": [START] * count,
            "appended": [START] * count,
        }
    )
    time = pl.Series([START + minute * MINUTE + offset for offset in offsets])
    flags = pl.Series([late] * count)
    return with_lateness(frame, LatenessEvaluation(time, flags, flags, PartitionClock(0, 0, 0)), RULES)


def put(folder: Path, offsets: list[int], *, topic: str = "id", **options: Any) -> None:
    files = EventFiles(str(folder), topic)
    files.add(0, offsets[0], events(offsets, **options))
    files.write()


def published(folder: Path) -> list[int]:
    found = [pl.read_parquet(path) for path in folder.glob("events/*/*/*.parquet")]
    return sorted(pl.concat(found)["kafka.offset"]) if found else []


def test_an_hour_is_published_once_it_is_finished_and_again_after_a_kill(tmp_path: Path) -> None:
    files = HourFiles(str(tmp_path), "id")
    put(tmp_path, [0, 1])
    put(tmp_path, [2, 3], minute=59)
    put(tmp_path, [4], minute=60)
    assert files.publish(None, START + HOUR - 1) == []
    assert published(tmp_path) == []
    for _ in range(2):
        assert files.publish(START, START + HOUR) == [START]
        assert published(tmp_path) == [0, 1, 2, 3]
    assert files.publish(START + HOUR, START + HOUR) == []
    assert not (tmp_path / "_spool/id" / str(START)).exists()
    assert published(tmp_path) == [0, 1, 2, 3]


def test_what_was_read_twice_in_other_batches_is_published_once(tmp_path: Path) -> None:
    for offsets in ([0, 1, 2], [2, 3], [1, 2, 3, 4]):
        put(tmp_path, offsets)
    HourFiles(str(tmp_path), "id").publish(None, START + HOUR)
    assert published(tmp_path) == [0, 1, 2, 3, 4]


def test_what_a_deleted_topic_left_is_published(tmp_path: Path) -> None:
    put(tmp_path, [0, 1], topic="_old")
    put(tmp_path, [7])
    HourFiles(str(tmp_path), "id").publish_remaining()
    assert published(tmp_path) == [0, 1]
    assert [path.name for path in (tmp_path / "_spool").iterdir()] == ["id"]


def test_late_events_are_counted_by_what_is_kept_of_them(tmp_path: Path) -> None:
    files = HourFiles(str(tmp_path), "id")
    assert files.late_counts([START]) == {}
    for offsets in ([0, 1], [0, 1], [1, 5]):
        put(tmp_path, offsets, late=True)
    put(tmp_path, [9], late=True, minute=1)
    assert files.late_counts([START, START + HOUR]) == {(START, "auth"): 3, (START + MINUTE, "auth"): 1}


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        *(("12.50", "12.50"), ("500", "500"), ("-3.5", "-3.5"), ("1e3", None), ("", None), (None, None), ("1,5", None)),
        *(("0.1234567890", None), ("NaN", None), ("12345678901234567890", None), ("٣", None)),
    ],
)
def test_amounts_are_plain_decimals(text: str | None, amount: str | None) -> None:
    assert parse_amount(text) == (None if amount is None else Decimal(amount))


def test_money_is_found_in_labels_and_in_plain_messages() -> None:
    frame = pl.DataFrame(
        {
            "labels": [orjson.dumps({"labels.amount": "1.5", "labels.currency": "EUR"}).decode(), None, None],
            "message": [
                "paid",
                "ok [x=1 event.action=refund event.outcome=success labels.amount=2 labels.currency=USD]",
                "not event.action=payments",
            ],
            "event.action": ["payment", None, "login"],
            "event.outcome": ["success", None, None],
        },
        schema_overrides={"labels": pl.String},
    )
    found = with_money(frame)
    assert found["event.action"].to_list() == ["payment", "refund", "login"]
    assert found["labels.amount"].to_list() == ["1.5", "2", None]
    assert found["labels.currency"].to_list() == ["EUR", "USD", None]


def test_a_payment_is_an_event_and_an_amount() -> None:
    count = 4
    frame = pl.DataFrame(
        {
            "service.name": ["payment"] * count,
            "log.level": ["info"] * count,
            "http.response.status_code": [200] * count,
            "user.id": ["u"] * count,
            "event.duration": [1] * count,
            "event.action": ["payment", "payment", "refund", "payment"],
            "event.outcome": ["success", "failure", "success", "success"],
            "labels.amount": ["1.50", "2", "3", "much"],
            "labels.currency": ["EUR", "EUR", None, "EUR"],
            "appended": [START] * count,
            "time": [START] * count,
        }
    )
    main, money = window_rows(frame)
    assert main["paid"].to_pylist() == ["payment", None, "refund", "payment"]
    assert money["money"].to_pylist() == ["payment EUR", "refund XXX"]
    assert money["amount"].to_pylist() == [Decimal("1.50"), Decimal(3)]
    assert money["scale"].to_pylist() == [2, 0]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write("a/b", b"old")

    def fail() -> None:
        with store.replacing("a/b") as file:
            file.write(b"ne")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.read("a/b") == b"old"
    assert store.names("a") == ["b"]
    assert store.read("a/c") is None
    store.delete("a")
    store.delete("a")
    assert store.folders("") == []


def test_a_place_that_nobody_can_write_to_is_said() -> None:
    with pytest.raises(LogsluiceError, match="no way to write there"):
        Store("ftp://host/folder")


def test_credentials_of_a_pod_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import http.server
    import threading

    requests: list[str] = []

    class Agent(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(orjson.dumps({"AccessKeyId": "key", "SecretAccessKey": "secret", "Token": "session"}))

        def log_message(self, *_: object) -> None:
            pass

    assert object_store.pod_identity() == {}
    token = tmp_path / "token"
    token.write_text("word\n")
    with http.server.HTTPServer(("127.0.0.1", 0), Agent) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_port}/v1")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
        found = object_store.pod_identity()
    assert requests == ["word"]
    assert found == {"access_key": "key", "secret_key": "secret", "session_token": "session"}
