"""What happens to posted events when the broker, Redis or the API itself is killed: what was acknowledged is in the
topic once, and nothing of one idempotency key is there twice.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import httpx
import orjson
import pytest
from redis import Redis

from logsluice.settings import Settings
from logsluice.stack.supervisor import LocalStack
from tests.local.api_parts import Api, RedisServer, serving
from tests.local.kafka_reading import by_id, count
from tests.local.running import Runner, eventually, free_port

IN_FLIGHT = 500
EVENTS = 2_000
SECONDS = 180
# The broker is given up soon, so that the breaker is seen to work.
QUICK = {"LOGSLUICE_API__DELIVERY_SECONDS": "3", "LOGSLUICE_API__BREAKER_SECONDS": "1"}


@pytest.fixture
def durable_redis(redis_server: RedisServer) -> RedisServer:
    """A Redis that keeps what it acknowledges."""
    redis_server.kill()
    redis_server.durable = True
    redis_server.start()
    return redis_server


@pytest.fixture
def forgetful_redis(tmp_path: Path, durable_redis: RedisServer) -> Iterator[RedisServer]:
    """A small Redis that evicts."""
    folder = tmp_path / "redis-cache"
    folder.mkdir()
    server = RedisServer(folder, options=("--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def api(set_up: None, runner: Runner, durable_redis: RedisServer) -> Iterator[Api]:
    """The API with such a Redis."""
    with serving(runner, LOGSLUICE_REDIS__URL=durable_redis.url, **QUICK) as api:
        yield api


class Flow:
    """Posts that are sent again until they are acknowledged, many at a time.

    Args:
        url: Of the API.
        keyed: Whether each post has an idempotency key. Where none has one, it is sent once.
        events: How many posts.
    """

    def __init__(self, url: str, *, keyed: bool, events: int = EVENTS) -> None:
        self.acknowledged: dict[str, str] = {}
        self.statuses: Counter[int | str] = Counter()
        self._url = url
        self._keyed = keyed
        self._names = [uuid.uuid4().hex for _ in range(events)]
        self._thread = Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()

    def until(self, acknowledged: int) -> None:
        """Come back when so many are acknowledged."""
        eventually(lambda: len(self.acknowledged) >= acknowledged, seconds=SECONDS, every=0.05)

    def join(self) -> None:
        """Come back when all are over."""
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), self.statuses

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
        names = iter(self._names)
        async with httpx.AsyncClient(base_url=self._url, limits=limits, timeout=60) as client:

            async def work() -> None:
                for name in names:
                    await self._post(client, name)

            await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))

    async def _post(self, client: httpx.AsyncClient, name: str) -> None:
        headers = {"Idempotency-Key": name} if self._keyed else {}
        while True:
            try:
                answer = await client.post("/logs", json={"message": name, "source": name[:2]}, headers=headers)
            except httpx.TransportError as error:
                self.statuses[type(error).__name__] += 1
                if not self._keyed:
                    return
                await asyncio.sleep(0.5)
                continue
            self.statuses[answer.status_code] += 1
            if answer.status_code == 201:
                self.acknowledged[name] = answer.json()["id"]
                return
            # Hundreds of clients on one thread may each be too slow for the API.
            assert answer.status_code in (408, 409, 503), answer.text
            assert answer.status_code == 408 or int(answer.headers["retry-after"]) > 0
            if not self._keyed:
                return
            await asyncio.sleep(0.5)


def messages(settings: Settings) -> dict[str, str]:
    """What each event of the topic says, by its id."""
    return {event_id: orjson.loads(value)["message"] for event_id, value in by_id(settings).items()}


def transitions(api: Api) -> dict[str, float]:
    """How often the breaker came to each state."""
    text = api.client.get("/metrics").text
    found = re.findall(r'breaker_transitions_total\{part="kafka",state="([a-z-]+)"\} ([0-9.]+)', text)
    return {state: float(number) for state, number in found}


def assert_once(settings: Settings, flow: Flow) -> None:
    """Everything that was acknowledged is there, where it was said to be, and once."""
    stored = messages(settings)
    twice = {name: times for name, times in Counter(stored.values()).items() if times > 1}
    assert not twice
    lost = {name for name, event_id in flow.acknowledged.items() if stored.get(event_id) != name}
    assert not lost


@pytest.mark.timeout(600)
def test_a_broker_that_is_killed_and_comes_back(api: Api, stack: LocalStack, settings: Settings) -> None:
    keyed = Flow(api.url, keyed=True)
    keyed.until(EVENTS // 5)
    stack.kill_part("kafka")
    eventually(lambda: transitions(api).get("open", 0) >= 1, seconds=SECONDS)
    refused = eventually(lambda: _refused_at_once(api), seconds=SECONDS)
    assert "Kafka does not answer" in refused
    assert api.client.get("/health").json()["status"] == "degraded"
    assert api.client.get("/health/live").status_code == 200
    time.sleep(10)
    stack.start("kafka")
    keyed.join()
    assert len(keyed.acknowledged) == EVENTS
    assert_once(settings, keyed)
    assert len(messages(settings)) == EVENTS
    assert keyed.statuses[503] > 0
    assert {"open", "half-open", "closed"} <= transitions(api).keys()
    assert 'breaker_state{part="kafka",state="closed"} 1.0' in api.client.get("/metrics").text
    assert api.client.get("/health").json()["status"] == "up"


def _refused_at_once(api: Api) -> str:
    began = time.monotonic()
    answer = api.client.post("/logs", json={"message": "while it is away"})
    if answer.status_code != 503 or time.monotonic() - began > 2:
        return ""
    return str(answer.json()["detail"])


@pytest.mark.long
@pytest.mark.timeout(600)
def test_without_keys_what_is_acknowledged_is_there_after_the_broker_was_killed(
    api: Api, stack: LocalStack, settings: Settings
) -> None:
    flow = Flow(api.url, keyed=False)
    flow.until(EVENTS // 5)
    stack.kill_part("kafka")
    time.sleep(5)
    stack.start("kafka")
    flow.join()
    assert flow.acknowledged
    assert_once(settings, flow)


@pytest.mark.timeout(600)
def test_an_api_that_is_killed_with_hundreds_of_posts_at_hand(api: Api, settings: Settings) -> None:
    flow = Flow(api.url, keyed=True)
    for part in (5, 3, 2):
        flow.until(EVENTS // part)
        api.restart()
    flow.join()
    assert len(flow.acknowledged) == EVENTS
    assert_once(settings, flow)
    assert len(messages(settings)) == EVENTS


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_redis_that_is_killed_and_comes_back(api: Api, durable_redis: RedisServer, settings: Settings) -> None:
    flow = Flow(api.url, keyed=True)
    flow.until(EVENTS // 5)
    durable_redis.kill()

    def refused() -> bool:
        answer = api.client.post("/logs", json={"message": "keyed"}, headers={"Idempotency-Key": "k"})
        return answer.status_code == 503 and "Redis" in answer.json()["detail"]

    eventually(refused)
    # Who has no key needs no Redis.
    assert api.client.post("/logs", json={"message": "unkeyed", "source": "x"}).status_code == 201
    assert api.client.get("/health").json()["parts"]["redis"]["status"] == "down"
    durable_redis.start()
    flow.join()
    assert len(flow.acknowledged) == EVENTS
    assert_once(settings, flow)
    assert sorted(messages(settings).values()) == sorted([*flow.acknowledged, "unkeyed"])


@pytest.mark.timeout(600)
def test_events_wait_on_disk_for_the_broker_through_a_kill_of_the_api(
    set_up: None,
    runner: Runner,
    durable_redis: RedisServer,
    stack: LocalStack,
    settings: Settings,
    tmp_path: Path,
) -> None:
    buffered = {"LOGSLUICE_API__BUFFER__DIRECTORY": str(tmp_path / "buffer"), "LOGSLUICE_REDIS__URL": durable_redis.url}
    with serving(runner, **QUICK, **buffered) as api:
        first = api.client.post("/logs", json={"message": "before", "source": "s"})
        assert first.status_code == 201
        stack.kill_part("kafka")
        tickets: dict[str, list[str]] = {}

        def take(names: list[str], **headers: str) -> str:
            answer = api.client.post(
                "/logs/batch", json=[{"message": name, "source": "s"} for name in names], headers=headers
            )
            assert answer.status_code == 202, answer.text
            ticket = str(answer.json()["ticket"])
            assert answer.headers["location"] == f"/tickets/{ticket}"
            tickets[ticket] = names
            return ticket

        for number in range(20):
            take([f"{number}.{item}" for item in range(10)])
        keyed = take(["keyed"], **{"Idempotency-Key": "k"})
        api.restart()
        assert take(["keyed"], **{"Idempotency-Key": "k"}) == keyed
        for number in range(20, 40):
            take([f"{number}.{item}" for item in range(10)])
        ticket = next(iter(tickets))
        waiting = api.client.get(f"/tickets/{ticket}").json()
        assert waiting["status"] == "waiting"
        assert {item["status"] for item in waiting["items"]} == {"waiting"}
        assert "logsluice_api_buffer_events 401.0" in api.client.get("/metrics").text
        stack.start("kafka")
        # Killed while it empties the buffer, it goes on where it was.
        eventually(lambda: count(settings) > 1, seconds=SECONDS)
        api.restart()
        eventually(lambda: "logsluice_api_buffer_events 0.0" in api.client.get("/metrics").text, seconds=SECONDS)
        stored = messages(settings)
        assert Counter(stored.values()) == Counter(["before", *(name for names in tickets.values() for name in names)])
        for ticket, names in tickets.items():
            ended = api.client.get(f"/tickets/{ticket}").json()
            assert ended["status"] == "ended"
            assert [stored[item["id"]] for item in ended["items"]] == names
        # They were of one service, so they are in one partition, in the order in which they came.
        offsets = {name: int(event_id.split("-")[-2]) for event_id, name in stored.items()}
        in_order = [name for names in tickets.values() for name in names if name != "keyed"]
        assert in_order == sorted(in_order, key=offsets.__getitem__)
        assert api.client.post("/logs", json={"message": "after", "source": "s"}).status_code == 201


def test_a_full_buffer_says_so(
    set_up: None,
    runner: Runner,
    stack: LocalStack,
    tmp_path: Path,
) -> None:
    directory = tmp_path / "buffer"
    limits = {"LOGSLUICE_API__BUFFER__DIRECTORY": str(directory), "LOGSLUICE_API__BUFFER__MAX_BYTES": "2000"}
    with serving(runner, **QUICK, **limits) as api:
        assert api.client.post("/logs", json={"message": "x"}).status_code == 201
        # Another instance may not have the same folder.
        other = runner.cli("api", "--port", str(free_port()), env=limits)
        assert other.returncode == 1
        assert "a folder of its own" in other.stderr
        stack.kill_part("kafka")
        statuses = [api.client.post("/logs", json={"message": "y" * 300}).status_code for _ in range(6)]
        assert statuses[0] == 202
        assert statuses[-1] == 507
        stack.start("kafka")


def test_a_full_redis_forgets_no_key_and_says_that_it_takes_no_new_one(
    set_up: None,
    runner: Runner,
    durable_redis: RedisServer,
    forgetful_redis: RedisServer,
    settings: Settings,
) -> None:
    event = {"message": "hello"}
    variables = {"LOGSLUICE_REDIS__URL": durable_redis.url, "LOGSLUICE_REDIS__CACHE_URL": forgetful_redis.url}
    with serving(runner, **variables) as api, Redis.from_url(durable_redis.url) as store:
        known = api.client.post("/logs", json=event, headers={"Idempotency-Key": "known"})
        assert known.status_code == 201
        store.config_set("maxmemory-policy", "noeviction")
        store.set("filler", b"x" * 1_000_000)
        store.config_set("maxmemory", store.info("memory")["used_memory"])

        answer = api.client.post("/logs", json=event, headers={"Idempotency-Key": "new"})
        assert answer.status_code == 503
        assert "need Redis: Redis is full and takes no more writes" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) == 30
        # What needs no new key goes on, and what was acknowledged is not taken again.
        assert api.client.post("/logs", json=event).status_code == 201
        again = api.client.post("/logs", json=event, headers={"Idempotency-Key": "known"})
        assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
        assert again.json() == known.json()
        assert api.client.get("/health").json()["parts"]["redis"]["status"] == "up"
        metrics = api.client.get("/metrics").text
        assert 'logsluice_redis_refusals_total{part="redis",reason="full"} 1.0' in metrics
        assert 'logsluice_redis_bytes{part="redis"}' in metrics
        (most,) = re.findall(r'^logsluice_redis_most_bytes{part="redis"} (.+)$', metrics, re.MULTILINE)
        assert float(most) == int(store.config_get("maxmemory")["maxmemory"])

        store.delete("filler")
        assert api.client.post("/logs", json=event, headers={"Idempotency-Key": "new"}).status_code == 201
        assert count(settings) == 3


def test_what_may_be_forgotten_lies_apart_from_what_may_not(
    set_up: None,
    runner: Runner,
    durable_redis: RedisServer,
    forgetful_redis: RedisServer,
) -> None:
    variables = {"LOGSLUICE_REDIS__URL": durable_redis.url, "LOGSLUICE_REDIS__CACHE_URL": forgetful_redis.url}
    with (
        serving(runner, **variables) as api,
        Redis.from_url(durable_redis.url) as kept,
        Redis.from_url(forgetful_redis.url) as cache,
    ):
        posted = api.client.post("/logs", json={"message": "hello"}, headers={"Idempotency-Key": "k"})
        api.client.get("/logs?endTime=2020-01-02&startTime=2020-01-01")
        assert {key.split(b":")[1] for key in kept.scan_iter()} == {b"post"}
        assert {key.split(b":")[1] for key in cache.scan_iter()} == {b"limit", b"cache"}
        forgetful_redis.kill()
        again = api.client.post("/logs", json={"message": "hello"}, headers={"Idempotency-Key": "k"})
        assert again.json() == posted.json()
        assert api.client.get("/health").json()["parts"]["redis-cache"]["status"] == "down"
