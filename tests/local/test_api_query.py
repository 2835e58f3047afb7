"""Questions over HTTP, on a real Elasticsearch and, where facts have to come about, the real pipeline."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from elasticsearch import Elasticsearch

from logsluice.documents.extraction_input import extraction_input
from logsluice.documents.log import log_document
from logsluice.documents.result import result_documents
from logsluice.elasticsearch.bulk import BulkWriter, IndexAction
from logsluice.event.records import Records, index_name
from logsluice.extract import ColumnarExtractor, load_registry
from logsluice.settings import Settings
from logsluice.stack.supervisor import LocalStack
from tests.local.api_parts import Api, RedisServer, serving
from tests.local.pipeline import Pipeline
from tests.local.running import Runner, eventually

REGISTRY = load_registry()
SETTLED = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


def store(settings: Settings, lines: Sequence[str], *, first: int = 0, revision: int | None = None) -> list[str]:
    """Events as the index job and the regex job store them; their ids."""
    size = len(lines)
    now = int(time.time() * 1000)
    values = [line.encode() for line in lines]
    records = Records([settings.kafka.topic] * size, [0] * size, list(range(first, first + size)), [now] * size, values)
    extracted = ColumnarExtractor(REGISTRY).extract(extraction_input(records))
    actions, letters = result_documents(records, extracted, revision or REGISTRY.revision, settings.results_index)
    assert letters == []
    raw = [
        IndexAction(
            index_name(settings.logs_index, now),
            str(records.event_id(row)),
            "create",
            None,
            log_document(records.event_id(row), None, values[row]).body,
        )
        for row in range(size)
    ]
    with closing(BulkWriter(settings.elasticsearch, job="test")) as writer:
        assert writer.write([*actions, *raw]).rejected == []
        writer.client.indices.refresh(index=f"{settings.results_index},{settings.logs_index}")
    return [str(records.event_id(row)) for row in range(size)]


def line(minutes_ago: float, rest: str) -> str:
    return f"{datetime.now(UTC) - timedelta(minutes=minutes_ago):%Y-%m-%dT%H:%M:%S.000Z} {rest}"


def messages(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [event["message"] for event in answer.json()["events"]]


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    return str(body["detail"])


@pytest.fixture
def ids(set_up: None, settings: Settings) -> list[str]:
    """Four events of the shop, by their ids, newest first."""
    return store(
        settings,
        [
            line(1, "ERROR [a] com.shop.Pay: payment failed user_id=77 from 10.1.2.3, java.net.SocketTimeoutException"),
            line(5, "INFO [a] com.shop.Pay: payment accepted user_id=78 from 10.1.9.9"),
            line(10, "WARN [a] com.shop.Pay: payment slow user_id=79 <script>alert(1)</script>"),
            line(200, "CRITICAL [a] com.shop.Db: database gone"),
        ],
    )


def test_an_event_and_its_facts_are_found_by_its_id(api: Api, ids: list[str]) -> None:
    event = api.client.get(f"/logs/{ids[0]}").json()
    assert event["event"]["id"] == ids[0]
    assert event["message"].endswith("java.net.SocketTimeoutException")
    result = api.client.get(f"/results/{ids[0]}").json()
    assert result["error"]["type"] == "java.net.SocketTimeoutException"
    assert result["user"]["id"] == "77"
    for path in ("/logs", "/results"):
        assert ids[0][:-1] in problem(api.client.get(f"{path}/{ids[0][:-1]}"), 404)
        for name in ("nothing", "logs-topic-0-1-9" + "9" * 20, "a-1-1-" + "9" * 200, "x" * 300, "*"):
            problem(api.client.get(f"{path}/{name}"), 404)


def test_events_are_listed_by_time_level_source_and_any_field(api: Api, ids: list[str]) -> None:
    fetch = api.client.get
    listed = fetch("/list-logs", params={"size": 100}).json()
    assert sorted(listed["ids"]) == sorted(ids)
    assert listed["total"] == {"value": 4, "relation": "eq"}
    assert [text.split()[0] for text in messages(fetch("/logs"))] == ["payment", "payment", "payment", "database"]
    assert len(messages(fetch("/logs?startTime=now-1h"))) == 3
    assert messages(fetch("/logs?startTime=now-1d&endTime=now-1h")) == ["database gone"]
    assert len(messages(fetch("/logs?level=error&level=warn"))) == 2
    assert len(messages(fetch("/logs?minLevel=error"))) == 2
    assert len(messages(fetch("/logs?user.id=77&user.id=78"))) == 2
    assert len(messages(fetch("/logs?source.ip=10.1.0.0/16&error.type=java.net.SocketTimeoutException"))) == 1
    assert messages(fetch("/logs?source=nobody")) == []
    assert messages(fetch("/logs", params={"message": "gone database"})) == ["database gone"]


def test_with_nothing_stored_yet_everything_is_empty(api: Api) -> None:
    assert api.client.get("/list-logs").json()["ids"] == []
    assert api.client.get("/logs").json()["events"] == []
    assert api.client.get("/search?query=payment").json()["hits"] == []
    stats = api.client.get("/stats").json()
    assert (stats["total"], stats["errors"], stats["levels"], stats["topErrors"]) == (0, 0, [], [])


def test_what_cannot_be_answered_says_why_and_how(api: Api) -> None:
    for path, word in (
        ("/logs?nobody=1", "nobody: no field"),
        ("/logs?event.original=x", "event.original: no field"),
        ("/logs?http.response.status_code=many", "http.response.status_code=many: not a value of type long"),
        ("/logs?level=loud", "level=loud: not a level"),
        ("/logs?startTime=yesterday", "startTime=yesterday: is no moment"),
        ("/logs?startTime=now&endTime=now-1h", "the wrong way round"),
        ("/logs?startTime=1990-01-01&endTime=now", "too long a time"),
        ("/logs?page=11&size=1000", "follow `next`"),
        ("/logs?cursor=nonsense", "no cursor"),
        ("/list-logs?level=error", "level: no parameter of this path"),
        ("/search?query=*ayment", "a wildcard at the beginning"),
        ("/search?query=/.*/", "regular expressions"),
        ("/search?query=nobody:1", "nobody: no field"),
        ("/search?query=a AND (", "cannot be read"),
        ("/stats?minutes=3", "minutes: no parameter"),
    ):
        assert word in problem(api.client.get(path), 400), path
    for path in ("/logs?size=0", "/logs?size=1001", "/logs?page=x", "/search", "/stats?hoursBack=0"):
        problem(api.client.get(path), 422)


def test_words_are_found_and_marked_and_no_log_writes_html(api: Api, ids: list[str]) -> None:
    found = api.client.get("/search", params={"query": "payment AND user.id:79"}).json()
    (hit,) = found["hits"]
    assert hit["event"]["event"]["id"] == ids[2]
    assert "<em>payment</em> slow" in hit["highlight"]
    assert "&lt;script&gt;" in hit["highlight"]
    assert "<script>" not in hit["highlight"]
    assert len(api.client.get("/search?query=payment&level=warn").json()["hits"]) == 1
    assert api.client.get("/search?query=nowhere").json()["total"]["value"] == 0


def test_deep_pages_hold_every_event_once(api: Api, settings: Settings) -> None:
    # Many share a moment, so that pages end between events of the same time.
    stored = store(settings, [line(index // 40, f"INFO [a] com.shop.Pay: payment {index}") for index in range(430)])

    def ids_of(answer: dict[str, Any]) -> list[str]:
        return answer.get("ids") or [event["event"]["id"] for event in answer["events"]]

    def every(path: str) -> list[str]:
        found: list[str] = []
        cursor: str | None = None
        while True:
            answer = api.client.get(path, params={"size": 50, **({"cursor": cursor} if cursor else {})}).json()
            found += ids_of(answer)
            if (cursor := answer["next"]) is None:
                return found

    assert sorted(every("/list-logs")) == sorted(stored)
    in_order = every("/logs")
    assert sorted(in_order) == sorted(stored)
    pages = [api.client.get("/logs", params={"size": 50, "page": page}).json() for page in range(1, 10)]
    assert [name for page in pages for name in ids_of(page)] == in_order
    assert [page["next"] is None for page in pages] == [False] * 8 + [True]
    other = api.client.get("/list-logs?size=1").json()["next"]
    assert "another question" in problem(api.client.get("/logs", params={"cursor": other}), 400)


def test_counts_tell_levels_hours_errors_and_patterns(api: Api, ids: list[str]) -> None:
    stats = api.client.get("/stats?hoursBack=24").json()
    assert (stats["total"], stats["errors"]) == (4, 2)
    assert {row["name"]: row["events"] for row in stats["levels"]} == {"error": 1, "info": 1, "warn": 1, "critical": 1}
    assert sum(hour["events"] for hour in stats["hours"]) == 4
    top = {row["type"]: row for row in stats["topErrors"]}
    assert set(top) == {"java.net.SocketTimeoutException", "no type"}
    assert top["java.net.SocketTimeoutException"]["newest"]["event"]["id"] == ids[0]
    assert {"name": "user_id", "events": 3} in stats["patterns"]
    assert api.client.get("/stats?hoursBack=1").json()["total"] == 3


def test_patterns_are_shown_and_tried_without_being_deployed(api: Api) -> None:
    shown = api.client.get("/patterns").json()
    assert "user_id" in [pattern["name"] for pattern in shown["patterns"]]
    trial = {
        "regex": r"(?a)\border (?P<order>ORD-[0-9]+)",
        "fields": {"order": "labels.order_id"},
        "lines": [line(0, "INFO [a] com.shop.Pay: order ORD-17 paid"), "nothing"],
    }
    trial_result = api.client.post("/patterns/test", json=trial).json()
    assert [row["outcome"] for row in trial_result["results"]] == ["match", "no_match"]
    assert trial_result["results"][0]["fields"] == {"labels.order_id": "ORD-17"}
    assert trial_result["results"][0]["format"] == "log4j"
    assert trial_result["engine"] == "rust"
    assert len(api.client.get("/patterns").json()["patterns"]) == len(shown["patterns"])


def test_a_pattern_that_never_ends_is_ended_and_the_next_one_runs(api: Api) -> None:
    endless = {"regex": "(?=(a+)+b)", "lines": ["a" * 40]}
    (row,) = api.client.post("/patterns/test", json=endless).json()["results"]
    assert row["outcome"] == "regex_timeout"
    many = {"regex": "(?=(a+)+b)", "lines": ["a" * 40 + str(number) for number in range(200)]}
    answer = api.client.post("/patterns/test", json=many)
    assert answer.status_code == 200 or "took longer" in problem(answer, 400)
    for wrong in ({"regex": "("}, {"regex": "(?P<x>a)"}, {"regex": "(?P<x>a)", "fields": {"x": "nobody"}}):
        problem(api.client.post("/patterns/test", json={**wrong, "lines": ["a"]}), 400)
    trial_result = api.client.post("/patterns/test", json={"regex": "a", "lines": ["a"]}).json()
    assert trial_result["results"][0]["outcome"] == "match"


def test_facts_of_others_are_merged_and_outlive_a_replay_but_not_a_newer_revision(
    api: Api, settings: Settings, elasticsearch_client: Elasticsearch
) -> None:
    text = line(0, "INFO [a] com.shop.Pay: payment user_id=5")
    (name,) = store(settings, [text])
    facts = {"eventId": name, "processor": "geo", "fields": {"labels.country": "DE", "event.duration": "5ms"}}
    for _ in range(2):
        merged = api.client.post("/results", json=facts).json()
        assert merged["labels"] == {"country": "DE"}
        assert merged["event"]["duration"] == 5_000_000
        assert merged["user"]["id"] == "5"
    second = {"eventId": name, "processor": "fraud", "fields": {"labels.score": 0.9}}
    assert api.client.post("/results", json=second).json()["logsluice"]["processors"] == ["fraud", "geo"]
    assert api.client.get(f"/results/{name}").json()["labels"] == {"country": "DE", "score": "0.9"}
    stored = elasticsearch_client.get(index=f"{settings.results_index}-{datetime.now(UTC):%Y.%m.%d}", id=name)
    assert stored["_version"] == REGISTRY.revision + 1
    event = dict(stored["_source"]["kafka"])
    for revision, countries in ((REGISTRY.revision, {"country": "DE", "score": "0.9"}), (REGISTRY.revision + 1, None)):
        moment = datetime.fromisoformat(event["timestamp"])
        records = Records(
            [settings.kafka.topic], [0], [event["offset"]], [int(moment.timestamp() * 1000)], [text.encode()]
        )
        extracted = ColumnarExtractor(REGISTRY).extract(extraction_input(records))
        actions, _ = result_documents(records, extracted, revision, settings.results_index)
        with closing(BulkWriter(settings.elasticsearch, job="test")) as writer:
            writer.write(actions)
        assert api.client.get(f"/results/{name}").json().get("labels") == countries


def test_many_processors_at_once_lose_nothing(api: Api, settings: Settings) -> None:
    (name,) = store(settings, [line(0, "INFO [a] com.shop.Pay: payment user_id=5")])

    def post(number: int) -> None:
        fields = {f"labels.n{number}": str(number)}
        body = {"eventId": name, "processor": f"p{number}", "fields": fields}
        assert httpx.post(f"{api.url}/results", json=body, timeout=30).status_code == 200

    threads = [threading.Thread(target=post, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(api.client.get(f"/results/{name}").json()["labels"]) == 20


def test_facts_that_no_result_can_have_are_refused(api: Api, ids: list[str]) -> None:
    def post(fields: dict[str, Any], name: str = ids[0]) -> httpx.Response:
        return api.client.post("/results", json={"eventId": name, "processor": "geo", "fields": fields})

    for fields in (
        {"nobody": "1"},
        {"@timestamp": "2026-11-22"},
        {"kafka.offset": 1},
        {"logsluice.revision": 9},
        {"source.ip": "10.1"},
        {"http.response.status_code": "many"},
        {"event.duration": -1},
    ):
        assert next(iter(fields)) in problem(post(fields), 400)
    problem(post({"user.id": {"nested": 1}}), 422)
    problem(post({}), 422)
    problem(post({"user.id": "1"}, ids[0] + "0"), 404)


def test_an_answer_that_its_client_has_is_not_sent_again(api: Api, ids: list[str]) -> None:
    for path in (f"/logs/{ids[0]}", f"/results/{ids[0]}", f"/logs?endTime={SETTLED}", "/patterns"):
        first = api.client.get(path)
        tag = first.headers["etag"]
        again = api.client.get(path, headers={"If-None-Match": f'"other", W/{tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert "private" in first.headers["cache-control"]
        assert api.client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert "max-age=3600" in api.client.get(f"/logs/{ids[0]}").headers["cache-control"]
    assert "no-cache" in api.client.get("/logs").headers["cache-control"]


def test_elasticsearch_away_is_said_at_once_and_the_api_goes_on_when_it_is_back(
    api: Api, stack: LocalStack, ids: list[str]
) -> None:
    kept = api.client.get(f"/logs/{ids[0]}").json()
    stack.kill_part("elasticsearch")
    for path in ("/logs", "/list-logs", "/search?query=payment", "/stats", f"/results/{ids[0]}"):
        answer = api.client.get(path)
        assert "Elasticsearch does not answer" in problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
    problem(api.client.get("/logs/tail"), 503)
    assert api.client.get(f"/logs/{ids[0]}").json() == kept
    stack.start("elasticsearch")
    eventually(lambda: api.client.get("/logs").status_code == 200)


class Follower:
    """Reads server-sent events on a thread."""

    def __init__(self, url: str, last: str | None = None) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.ended = threading.Event()
        self.following = threading.Event()
        self._client = httpx.Client(timeout=httpx.Timeout(30, read=120))
        headers = {"Last-Event-ID": last} if last else {}
        self._thread = threading.Thread(target=self._read, args=(url, headers), daemon=True)
        self._thread.start()

    def _read(self, url: str, headers: dict[str, str]) -> None:
        data: dict[str, Any] = {}
        try:
            with self._client.stream("GET", url, headers=headers) as answer:
                assert answer.status_code == 200, answer.read()
                assert answer.headers["content-type"].startswith("text/event-stream")
                for text in answer.iter_lines():
                    self.following.set()
                    name, _, value = text.partition(": ")
                    if name == "data":
                        data = json.loads(value)
                    elif name == "id":
                        self.events.append((value, data))
        except httpx.TransportError:
            pass
        finally:
            self.ended.set()

    def messages(self) -> list[str]:
        return [document["message"] for _, document in self.events]

    def close(self) -> None:
        self._client.close()


def test_the_tail_shows_what_comes_and_goes_on_where_it_was(api: Api, settings: Settings) -> None:
    store(settings, [line(0, "ERROR [a] com.shop.Pay: before")])
    follower = Follower(f"{api.url}/logs/tail?level=error&query=shop")
    assert follower.following.wait(30)
    store(
        settings, [line(0, f"{'ERROR' if n % 2 else 'INFO'} [a] com.shop.Pay: shop {n}") for n in range(10)], first=10
    )
    eventually(lambda: len(follower.events) == 5)
    assert follower.messages() == [f"shop {n}" for n in (1, 3, 5, 7, 9)]
    follower.close()
    store(settings, [line(0, "ERROR [a] com.shop.Pay: shop while away")], first=30)
    again = Follower(f"{api.url}/logs/tail?level=error&query=shop", last=follower.events[2][0])
    eventually(lambda: len(again.events) == 3)
    assert again.messages() == ["shop 7", "shop 9", "shop while away"]
    again.close()


def test_the_tail_ends_when_the_api_is_asked_to_stop(api: Api) -> None:
    follower = Follower(f"{api.url}/logs/tail")
    assert follower.following.wait(30)
    assert api.job.terminate() == 0, api.job.output
    assert follower.ended.wait(10)


@pytest.mark.usefixtures("set_up")
def test_no_more_clients_follow_than_may(runner: Runner) -> None:
    with serving(runner, LOGSLUICE_API__TAILS="1") as narrow:
        follower = Follower(f"{narrow.url}/logs/tail")
        assert follower.following.wait(30)
        assert "1 clients follow already" in problem(narrow.client.get("/logs/tail"), 503)
        follower.close()
        narrow.job.terminate()


@pytest.fixture
def two_instances(set_up: None, runner: Runner, redis_server: RedisServer) -> Iterator[tuple[Api, Api]]:
    shared = {"LOGSLUICE_REDIS__URL": redis_server.url, "LOGSLUICE_REDIS__CACHE_URL": redis_server.url}
    with serving(runner, **shared) as one, serving(runner, **shared) as two:
        yield one, two


def cached(api: Api) -> dict[str, float]:
    lines = api.client.get("/metrics").text.splitlines()
    found = [text for text in lines if text.startswith("logsluice_api_cache_total")]
    return {text.partition('outcome="')[2].partition('"')[0]: float(text.split()[-1]) for text in found}


def test_two_instances_share_what_does_not_change_and_a_dead_redis_is_only_a_miss(
    two_instances: tuple[Api, Api], ids: list[str], redis_server: RedisServer
) -> None:
    one, two = two_instances
    start = (datetime.now(UTC) - timedelta(days=2)).date()
    path = f"/logs?startTime={start}&endTime={SETTLED}"
    for number, address in enumerate((f"/logs/{ids[0]}", path)):
        answer = one.client.get(address)
        assert cached(one).get("hit", 0) == 0
        assert two.client.get(address).headers["etag"] == answer.headers["etag"]
        assert cached(two)["hit"] == number + 1
    redis_server.kill()
    for instance in two_instances:
        for _ in range(3):
            assert instance.client.get(f"/logs/{ids[1]}").status_code == 200
            assert messages(instance.client.get(path)) == ["database gone"]
    redis_server.start()
    eventually(lambda: one.client.get("/health").json()["parts"]["redis-cache"]["status"] == "up")
    one.client.get(f"/logs/{ids[2]}")
    hits = cached(two)["hit"]
    eventually(lambda: two.client.get(f"/logs/{ids[2]}").status_code == 200 and cached(two)["hit"] > hits)


def test_a_cache_that_holds_something_else_is_only_a_miss(
    two_instances: tuple[Api, Api], ids: list[str], redis_server: RedisServer
) -> None:
    from redis import Redis

    one, _ = two_instances
    kept = one.client.get(f"/logs/{ids[0]}").content
    with Redis.from_url(redis_server.url) as client:
        for key in client.keys("*:cache:*"):
            client.set(key, b"nonsense")
    assert one.client.get(f"/logs/{ids[0]}").content == kept


def test_processors_on_two_instances_lose_nothing(
    two_instances: tuple[Api, Api], settings: Settings, redis_server: RedisServer
) -> None:
    (name,) = store(settings, [line(0, "INFO [a] com.shop.Pay: payment user_id=5")])

    def post(number: int) -> None:
        body = {"eventId": name, "processor": "many", "fields": {f"labels.n{number}": str(number)}}
        url = f"{two_instances[number % 2].url}/results"
        assert httpx.post(url, json=body, timeout=30).status_code == 200

    threads = [threading.Thread(target=post, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    labels = two_instances[0].client.get(f"/results/{name}").json()["labels"]
    assert len(labels) == 20
    redis_server.kill()
    body = {"eventId": name, "processor": "many", "fields": {"labels.more": "1"}}
    assert "Redis" in problem(two_instances[0].client.post("/results", json=body), 503)


def test_a_posted_event_and_its_facts_are_found_through_the_real_pipeline(
    api: Api, settings: Settings, elasticsearch_client: Elasticsearch, runner: Runner
) -> None:
    pipeline = Pipeline(settings, elasticsearch_client, runner)
    pipeline.index_job()
    pipeline.regex_job()
    follower = Follower(f"{api.url}/logs/tail?minLevel=error")

    def posted(number: int) -> str:
        event = {"level": "error", "source": "shop", "message": f"payment {number} failed user_id={number}"}
        answer = api.client.post("/logs", json=event)
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    def found(path: str) -> dict[str, Any]:
        def fetch() -> dict[str, Any]:
            answer = api.client.get(path)
            return answer.json() if answer.status_code == 200 else {}

        return eventually(fetch, seconds=120)

    # The first one waits until both jobs have started.
    found(f"/results/{posted(1)}")
    name = posted(2)
    assert found(f"/logs/{name}")["event"]["id"] == name
    result = found(f"/results/{name}")
    assert (result["user"]["id"], result["service"]["name"], result["log"]["level"]) == ("2", "shop", "error")
    eventually(lambda: "payment 2 failed user_id=2" in follower.messages())
    eventually(lambda: name in api.client.get("/list-logs").json()["ids"])
    assert [e["event"]["id"] for e in api.client.get("/logs?source=shop&user.id=2").json()["events"]] == [name]
    follower.close()
