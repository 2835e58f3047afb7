"""Posting events over HTTP, on a real Kafka and a real Redis."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import psutil
import pytest
import zstandard
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from redis import Redis

from logsluice.settings import Settings
from tests.local.api_parts import Api, RedisServer, serving
from tests.local.kafka_reading import by_id, count, stored
from tests.local.running import Runner

JSON = {"Content-Type": "application/json"}
PLAIN = {"Content-Type": "text/plain"}
NDJSON = {"Content-Type": "application/x-ndjson"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}
ECS = {
    "@timestamp": "2026-11-22T10:15:30.250Z",
    "log": {"level": "warn"},
    "message": "slow",
    "service": {"name": "pay"},
}
MEBIBYTE = 1_048_576


@pytest.fixture
def keyed_api(set_up: None, runner: Runner, redis_server: RedisServer) -> Iterator[Api]:
    """The API with a Redis."""
    with serving(runner, LOGSLUICE_REDIS__URL=redis_server.url) as api:
        yield api


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert content["status"] == status
    assert content["detail"]
    assert content["instance"] == answer.headers["x-request-id"]
    return content


def test_an_event_is_in_the_topic_under_the_id_that_is_answered(api: Api, settings: Settings) -> None:
    posted = {
        json.dumps(ECS): (JSON, ECS),
        json.dumps({"level": "ERR", "message": "gone", "source": "shop", "timestamp": 1_763_806_530}): (
            JSON,
            {"@timestamp": 1_763_806_530, "log": {"level": "error"}, "message": "gone", "service": {"name": "shop"}},
        ),
        json.dumps({"message": "m", "metadata": {"trace.id": "t1", "order": 7}}): (
            JSON,
            {"message": "m", "trace.id": "t1", "labels": {"order": 7}},
        ),
    }
    ids = {}
    for body, (headers, expected) in posted.items():
        answer = api.client.post("/logs", content=body, headers=headers)
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"] == f"/logs/{answer.json()['id']}"
        ids[answer.json()["id"]] = expected
    trace = b"ERROR boom\n  at com.shop.Pay(Pay.java:1)\xff"
    plain = api.client.post("/logs", content=trace + b"\n", headers=PLAIN)
    found = by_id(settings)
    assert found.pop(plain.json()["id"]) == trace
    assert {event_id: orjson.loads(value) for event_id, value in found.items()} == ids


def test_an_event_in_ecs_is_kept_byte_for_byte(api: Api, settings: Settings) -> None:
    body = b'{ "@timestamp":"2026-11-22T10:15:30Z", "message":"caf\\u00e9", "n": 1.0, "n": 12345678901234567890 }'
    answer = api.client.post("/logs", content=body, headers={"Content-Type": "application/json; charset=utf-8"})
    assert by_id(settings) == {answer.json()["id"]: body}


def test_events_of_one_service_stay_in_one_partition_in_order(api: Api, settings: Settings) -> None:
    for number in range(20):
        assert api.client.post("/logs", json={"message": str(number), "source": "shop"}).status_code == 201
    records = stored(settings)
    assert len({record.partition for record in records}) == 1
    assert {record.key for record in records} == {b"shop"}
    assert [orjson.loads(record.value or b"")["message"] for record in records] == [str(n) for n in range(20)]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, b'[{"message":"a"},{"level":[]},{"message":"b"}]'),
        (NDJSON, b'{"message":"a"}\r\n\n{"level":[]}\n{"message":"b"}'),
        (JSON, b'{"message":"a"}\n{"level":[]}\n{"message":"b"}\n'),
    ],
)
def test_each_event_of_a_batch_has_its_outcome(api: Api, settings: Settings, headers: Any, body: bytes) -> None:
    answer = api.client.post("/logs/batch", content=body, headers=headers)
    assert answer.status_code == 207
    content = answer.json()
    assert (content["stored"], content["refused"], content["failed"]) == (2, 1, 0)
    first, second, third = content["items"]
    assert second["status"] == 422
    assert second["pointer"] == "/level"
    assert by_id(settings) == {first["id"]: b'{"message":"a"}', third["id"]: b'{"message":"b"}'}


def test_plain_lines_are_events_each(api: Api, settings: Settings) -> None:
    lines = [f"2026-11-22 10:00:00 INFO line {number}".encode() for number in range(5_000)]
    answer = api.client.post("/logs/batch", content=b"\n\n".join(lines) + b"\n", headers=PLAIN)
    assert answer.status_code == 201
    found = by_id(settings)
    assert [found[item["id"]] for item in answer.json()["items"]] == lines


def test_a_batch_of_which_nothing_is_right_is_a_problem(api: Api, settings: Settings) -> None:
    content = problem(api.client.post("/logs/batch", content=b"{}\n[]\n", headers=NDJSON), 422)
    assert [item["status"] for item in content["items"]] == [422, 422]
    problem(api.client.post("/logs/batch", content=b"[]", headers=JSON), 422)
    problem(api.client.post("/logs/batch", content=b"\n \n", headers=NDJSON), 422)
    problem(api.client.post("/logs/batch", content=b"", headers=JSON), 400)
    assert count(settings) == 0


def test_opentelemetry_is_understood_in_both_forms(api: Api, settings: Settings) -> None:
    text = {
        "resourceLogs": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]},
                "scopeLogs": [
                    {
                        "scope": {"name": "com.shop.Cart"},
                        "logRecords": [
                            {
                                "timeUnixNano": "1763806530250000000",
                                "severityNumber": 17,
                                "body": {"stringValue": "no stock"},
                                "traceId": "5B8EFFF798038103D269B633813FC60C",
                                "spanId": "EEE19B7EC3C1B174",
                                "attributes": [
                                    {"key": "exception.type", "value": {"stringValue": "OutOfStock"}},
                                    {"key": "items", "value": {"arrayValue": {"values": [{"intValue": "3"}]}}},
                                ],
                            }
                        ],
                    }
                ],
            }
        ]
    }
    answer = api.client.post("/v1/logs", json=text)
    assert (answer.status_code, answer.json()) == (200, {})
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="service.name").value.string_value = "cart"
    scope = group.scope_logs.add()
    scope.scope.name = "com.shop.Cart"
    record = scope.log_records.add(
        time_unix_nano=1_763_806_530_250_000_000,
        severity_number=17,
        trace_id=bytes.fromhex("5b8efff798038103d269b633813fc60c"),
        span_id=bytes.fromhex("eee19b7ec3c1b174"),
    )
    record.body.string_value = "no stock"
    record.attributes.add(key="exception.type").value.string_value = "OutOfStock"
    record.attributes.add(key="items").value.array_value.values.add().int_value = 3
    compressed = gzip.compress(request.SerializeToString())
    answer = api.client.post("/v1/logs", content=compressed, headers={**PROTOBUF, "Content-Encoding": "gzip"})
    assert answer.status_code == 200
    assert not ExportLogsServiceResponse.FromString(answer.content).HasField("partial_success")
    one, other = (orjson.loads(value) for value in by_id(settings).values())
    assert one == other
    assert one == {
        "@timestamp": "2025-11-22T10:15:30.250000000Z",
        "message": "no stock",
        "log.level": "error",
        "log.logger": "com.shop.Cart",
        "service.name": "cart",
        "trace.id": "5b8efff798038103d269b633813fc60c",
        "span.id": "eee19b7ec3c1b174",
        "error.type": "OutOfStock",
        "items": [3],
    }


def test_opentelemetry_is_told_in_its_own_words(api: Api, settings: Settings) -> None:
    answer = api.client.post("/v1/logs", content=b"\xff\xff", headers=PROTOBUF)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert Status.FromString(answer.content).code == 3
    huge = {"logRecords": [{"body": {"stringValue": "x" * 300_000}}, {"body": {"stringValue": "fits"}}]}
    answer = api.client.post("/v1/logs", json={"resourceLogs": [{"scopeLogs": [huge]}]})
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1"
    assert count(settings) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_bodies_may_be_compressed(api: Api, settings: Settings, encoding: str) -> None:
    compressions: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "zstd": zstandard.compress,
    }
    lines = [f"INFO line {number}".encode() for number in range(3_000)]
    headers = {**PLAIN, "Content-Encoding": encoding}
    answer = api.client.post("/logs/batch", content=compressions[encoding](b"\n".join(lines)), headers=headers)
    assert answer.json()["stored"] == len(lines)
    assert Counter(by_id(settings).values()) == Counter(lines)


def nested(depth: int) -> bytes:
    return b'{"message":"x","a":' + b"[" * depth + b"]" * depth + b"}"


HOSTILE = {
    "deep": (nested(100_000), JSON, 400),
    "rather deep": (nested(30), JSON, 422),
    "many fields": (json.dumps({"message": "x", **{str(n): n for n in range(2_000)}}).encode(), JSON, 422),
    "huge number": (b'{"message":"x","timestamp":1e999}', JSON, (400, 422)),
    "negative time": (b'{"message":"x","timestamp":-1}', JSON, 422),
    "invalid UTF-8": (b'{"message":"\xff\xfe"}', JSON, 400),
    "half a surrogate": (b'{"message":"\\ud800"}', JSON, 400),
    "NUL": (b"\0\0\0", PLAIN, 422),
    "empty": (b"", JSON, 400),
    "array": (b"[]", JSON, 422),
    "wrong type": (b'{"message":5}', JSON, 422),
    "another type": (b"<log/>", {"Content-Type": "text/xml"}, 415),
    "another encoding": (b"x", {**PLAIN, "Content-Encoding": "br"}, 415),
    "not gzip": (b"x", {**PLAIN, "Content-Encoding": "gzip"}, 400),
    "cut gzip": (gzip.compress(b"INFO x" * 1_000)[:-20], {**PLAIN, "Content-Encoding": "gzip"}, 400),
    "gzip bomb": (gzip.compress(b"\0" * 200 * MEBIBYTE, 1), {**PLAIN, "Content-Encoding": "gzip"}, 413),
    "zstd bomb": (zstandard.compress(b"\0" * 200 * MEBIBYTE), {**PLAIN, "Content-Encoding": "zstd"}, 413),
    "large": (b'{"message":"' + b"x" * MEBIBYTE + b'"}', JSON, 413),
}


def test_hostile_bodies_are_refused_and_memory_is_bounded(api: Api, settings: Settings) -> None:
    api.client.post("/logs", json={"message": "warm"})
    process = psutil.Process(api.job.pid)
    before = process.memory_info().rss
    for name, (body, headers, status) in HOSTILE.items():
        answer = api.client.post("/logs", content=body, headers=headers)
        assert answer.status_code in (status if isinstance(status, tuple) else (status,)), (name, answer.text)
        problem(answer, answer.status_code)
        batch = api.client.post("/logs/batch", content=body, headers=headers)
        assert batch.status_code < 500, (name, batch.text)
    assert process.memory_info().rss - before < 150 * MEBIBYTE
    assert api.client.post("/logs", json={"message": "still here"}).status_code == 201
    assert count(settings) <= 4


def test_a_hundred_megabytes_without_a_length_are_cut_off(api: Api) -> None:
    process = psutil.Process(api.job.pid)
    before = process.memory_info().rss

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * MEBIBYTE

    # A client that goes on sending may find the connection closed before it has read the answer.
    with contextlib.suppress(httpx.TransportError):
        assert api.client.post("/logs/batch", content=endless(), headers=PLAIN).status_code == 413
    assert 'route="/logs/batch",status="413"} 1.0' in api.client.get("/metrics").text
    assert process.memory_info().rss - before < 150 * MEBIBYTE
    assert api.client.get("/health/live").status_code == 200


def test_a_long_line_is_cut_with_its_length_and_hash(set_up: None, runner: Runner, settings: Settings) -> None:
    with serving(runner, LOGSLUICE_API__LIMITS__BODY_BYTES=str(4 * MEBIBYTE)) as api:
        answer = api.client.post("/logs/batch", content=b"ERROR " + b"x" * 2 * MEBIBYTE, headers=PLAIN)
    assert answer.status_code == 201
    (record,) = stored(settings)
    assert len(record.value or b"") == 1_000_000
    assert record.headers["logsluice-original-length"] == str(2 * MEBIBYTE + 6).encode()


def test_without_redis_a_keyed_post_is_refused(api: Api, settings: Settings) -> None:
    answer = api.client.post("/logs", json={"message": "x"}, headers={"Idempotency-Key": "one"})
    problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert count(settings) == 0


def test_a_post_with_a_key_is_stored_once_and_answered_alike(keyed_api: Api, settings: Settings) -> None:
    key = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
    batch: list[dict[str, Any]] = [{"message": str(number), "source": f"s{number % 7}"} for number in range(300)]
    batch.append({"level": []})
    first = keyed_api.client.post("/logs/batch", json=batch, headers=key)
    again = keyed_api.client.post("/logs/batch", json=batch, headers=key)
    assert (first.status_code, again.status_code) == (207, 207)
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    problem(keyed_api.client.post("/logs/batch", json=[{"message": "other"}], headers=key), 422)
    # Another path is another post.
    assert keyed_api.client.post("/logs", json={"message": "other"}, headers=key).status_code == 201
    problem(keyed_api.client.post("/logs", json={"message": "x"}, headers={"Idempotency-Key": "a b"}), 400)
    assert count(settings) == 301


def test_posts_at_the_same_time_with_one_key_are_one_event_on_two_instances(
    keyed_api: Api, runner: Runner, redis_server: RedisServer, settings: Settings
) -> None:
    with serving(runner, LOGSLUICE_REDIS__URL=redis_server.url) as other:
        answers: list[httpx.Response] = []

        def post(number: int) -> None:
            url = (keyed_api, other)[number % 2].url
            answers.append(
                httpx.post(f"{url}/logs", json={"message": "x"}, headers={"Idempotency-Key": "k"}, timeout=30)
            )

        threads = [threading.Thread(target=post, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for answer in answers:
            if answer.status_code == 409:
                assert int(answer.headers["retry-after"]) > 0
        ids = {answer.json()["id"] for answer in answers if answer.status_code == 201}
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert ids == set(by_id(settings))
        assert len(ids) == 1
        assert other.client.post("/logs", json={"message": "x"}, headers={"Idempotency-Key": "k"}).json()["id"] in ids


def test_a_key_whose_holder_died_is_looked_for_in_the_topic(
    keyed_api: Api, redis_server: RedisServer, settings: Settings
) -> None:
    batch = [{"message": str(number), "source": f"s{number % 5}"} for number in range(50)]
    key = {"Idempotency-Key": "k"}
    first = keyed_api.client.post("/logs/batch", json=batch, headers=key).json()
    for number in range(200):
        keyed_api.client.post("/logs", json={"message": f"between {number}"})
    with Redis.from_url(redis_server.url) as client:
        (name,) = client.keys("logsluice:post:*")
        # As an instance leaves it that is killed once Kafka has the events and before it could say so.
        client.hdel(name, "answer")
        client.hset(name, mapping={"state": "pending", "until": 0})
    again = keyed_api.client.post("/logs/batch", json=batch, headers=key)
    assert again.status_code == 201
    assert again.json() == first
    assert count(settings) == 250
    with Redis.from_url(redis_server.url) as client:
        assert client.hget(name, "state") == b"done"


def test_a_key_whose_holder_stored_nothing_is_stored_now(
    keyed_api: Api, redis_server: RedisServer, settings: Settings
) -> None:
    key = {"Idempotency-Key": "k"}
    keyed_api.client.post("/logs", json={"message": "warm"}, headers=key)
    with Redis.from_url(redis_server.url) as client:
        (name,) = client.keys("logsluice:post:*")
        known = client.hgetall(name)
        client.delete(name)
        ends = {number: end + 1_000 for number, end in orjson.loads(known[b"starts"]).items()}
        # What a topic of that name ended at before it was made again is no place to look from.
        pending = {**known, b"state": b"pending", b"until": b"0", b"topic": b"another", b"starts": orjson.dumps(ends)}
        pending.pop(b"answer")
        client.hset(name, mapping=pending)
    found = keyed_api.client.post("/logs", json={"message": "warm"}, headers=key)
    assert found.status_code == 201
    assert list(by_id(settings)) == [found.json()["id"]]


def test_what_came_in_is_counted(api: Api) -> None:
    api.client.post("/logs", json={"message": "x"})
    api.client.post("/logs", json={"message": 5})
    api.client.post("/logs/batch", content=b"a\nb", headers=PLAIN)
    text = api.client.get("/metrics").text
    assert 'logsluice_api_events_total{kind="single",outcome="stored"} 1.0' in text
    assert 'logsluice_api_events_total{kind="single",outcome="refused"} 1.0' in text
    assert 'logsluice_api_events_total{kind="batch",outcome="stored"} 2.0' in text
    assert 'logsluice_api_requests_total{method="POST",route="/logs",status="422"} 1.0' in text
    assert 'logsluice_api_breaker_state{part="kafka",state="closed"} 1.0' in text
