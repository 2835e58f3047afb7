"""Who may ask what, how often, how much and how slowly, on a real Redis and with a real issuer of tokens."""

from __future__ import annotations

import base64
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import psutil
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from logsluice.documents.extraction_input import extraction_input
from logsluice.event.records import Records
from logsluice.extract import ColumnarExtractor, load_registry
from tests.local.api_parts import Api, RedisServer, serving
from tests.local.running import Runner, eventually, free_port

MEBIBYTE = 1_048_576
EVENT = {"message": "x"}


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["detail"])


@dataclass
class Keys:
    """A file of API keys, and the command that changes it."""

    runner: Runner
    file: Path

    def add(self, name: str, *scopes: str) -> dict[str, str]:
        """A new key, as the header that it goes into."""
        options = [part for scope in scopes for part in ("--scope", scope)]
        made = self.runner.cli("api-key", "add", name, *options, "--file", self.file)
        assert made.returncode == 0, made.stderr
        return {"Authorization": f"Bearer {made.stdout.strip()}"}


@pytest.fixture
def keys(set_up: None, runner: Runner, tmp_path: Path) -> Keys:
    return Keys(runner, tmp_path / "keys" / "api-keys.yaml")


def test_it_listens_beyond_this_machine_only_with_keys(keys: Keys, runner: Runner) -> None:
    refused = runner.cli("api", "--host", "0.0.0.0", "--port", str(free_port()))
    assert refused.returncode == 1
    assert "will not listen beyond this machine without authentication" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    missing = runner.cli("api", "--port", str(free_port()), env={"LOGSLUICE_API__KEYS_FILE": str(keys.file)})
    assert missing.returncode == 1
    assert "there is no such file" in missing.stderr
    assert "Traceback" not in missing.stderr
    keys.add("one", "ingest")
    environment = {"LOGSLUICE_API__KEYS_FILE": str(keys.file), "LOGSLUICE_API__HOST": "0.0.0.0"}
    with serving(runner, **environment) as api:
        problem(api.client.post("/logs", json=EVENT), 401)
        assert api.job.terminate() == 0


def test_keys_have_scopes_and_can_be_taken_back(keys: Keys, runner: Runner) -> None:
    ingest, query, admin = (keys.add(scope, scope) for scope in ("ingest", "query", "admin"))
    secret = ingest["Authorization"].rpartition("_")[2]
    assert secret not in keys.file.read_text()
    assert keys.file.stat().st_mode & 0o077 == 0
    with serving(runner, LOGSLUICE_API__KEYS_FILE=str(keys.file)) as api:
        client = api.client
        missing = client.post("/logs", json=EVENT)
        assert "Bearer" in problem(missing, 401)
        assert missing.headers["www-authenticate"].startswith("Bearer")
        for wrong in (
            "Bearer ls_aaaaaaaaaaaa_" + "a" * 43,
            ingest["Authorization"][:-1] + "-",
            "Bearer x",
            "Basic eDp4",
        ):
            problem(client.post("/logs", json=EVENT, headers={"Authorization": wrong}), 401)
        assert client.post("/logs", json=EVENT, headers=ingest).status_code == 201
        assert client.post("/logs", json=EVENT, headers=admin).status_code == 201
        as_header = {"X-API-Key": ingest["Authorization"].removeprefix("Bearer ")}
        assert client.post("/logs", json=EVENT, headers=as_header).status_code == 201
        refused = client.post("/logs", json=EVENT, headers=query)
        assert "scope ingest" in problem(refused, 403)
        assert 'scope="ingest"' in refused.headers["www-authenticate"]
        problem(client.get("/patterns", headers=ingest), 403)
        assert client.get("/patterns", headers=query).status_code == 200
        # The health of the process is nobody's secret.
        assert client.get("/health/live").status_code == 200
        listed = runner.cli("api-key", "list", "--file", keys.file).stdout
        assert "never" in listed
        key_id = ingest["Authorization"].split("_")[1]
        assert runner.cli("api-key", "remove", key_id, "--file", keys.file).returncode == 0
        eventually(lambda: client.post("/logs", json=EVENT, headers=ingest).status_code == 401, seconds=10)
        assert client.post("/logs", json=EVENT, headers=admin).status_code == 201
        # A file that cannot be read for once locks nobody out.
        keys.file.write_text("keys: [")
        time.sleep(1.5)
        assert client.post("/logs", json=EVENT, headers=admin).status_code == 201


@dataclass
class Issuer:
    """An OpenID Connect issuer: discovery, keys, and tokens."""

    port: int = field(default_factory=free_port)
    requests: int = 0
    hangs: bool = False

    def __post_init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                while issuer.hangs:
                    time.sleep(0.1)
                if self.path == "/.well-known/openid-configuration":
                    body: dict[str, Any] = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
                else:
                    issuer.requests += 1
                    public = RSAAlgorithm.to_jwk(issuer.private.public_key(), as_dict=True)
                    body = {"keys": [{**public, "kid": "k1", "use": "sig", "alg": "RS256"}]}
                content = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, *, key: Any = None, algorithm: str = "RS256", kid: str = "k1", **claims: Any) -> dict[str, str]:
        now = int(time.time())
        given = {"iss": self.url, "aud": "logsluice", "sub": "ann", "exp": now + 300, "scope": "ingest", **claims}
        wanted = {name: value for name, value in given.items() if value is not None}
        text = jwt.encode(wanted, self.private if key is None else key, algorithm, headers={"kid": kid})
        return {"Authorization": f"Bearer {text}"}


def signed_by_hand(issuer: Issuer, algorithm: str, secret: bytes | None) -> dict[str, str]:
    """A token as a forger makes it, which the library that makes the others refuses to."""
    _, claims, _ = issuer.token()["Authorization"].removeprefix("Bearer ").split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "k1"}).encode()).rstrip(b"=").decode()
    signature = hmac.digest(secret, f"{header}.{claims}".encode(), "sha256") if secret else b""
    text = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    return {"Authorization": f"Bearer {header}.{claims}.{text}"}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    try:
        yield issuer
    finally:
        issuer.server.shutdown()
        issuer.server.server_close()


def test_tokens_of_the_issuer_are_taken_and_no_others(keys: Keys, runner: Runner, issuer: Issuer) -> None:
    of_key = keys.add("one", "ingest")
    environment = {"LOGSLUICE_API__OIDC__ISSUER": issuer.url, "LOGSLUICE_API__KEYS_FILE": str(keys.file)}
    with serving(runner, **environment) as api:

        def post(headers: dict[str, str]) -> httpx.Response:
            return api.client.post("/logs", json=EVENT, headers=headers)

        assert post(issuer.token()).status_code == 201
        assert post(issuer.token(scope=["query", "ingest"])).status_code == 201
        assert post(of_key).status_code == 201
        problem(post(issuer.token(scope="query openid")), 403)
        problem(post(issuer.token(scope=None)), 403)
        public = issuer.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        refused = {
            "expired": issuer.token(exp=int(time.time()) - 300),
            "without end": issuer.token(exp=None),
            "for another": issuer.token(aud="shop"),
            "of another": issuer.token(iss="http://elsewhere"),
            "not yet": issuer.token(nbf=int(time.time()) + 300),
            "by a stranger's key": issuer.token(key=stranger),
            "by the public key as a secret": signed_by_hand(issuer, "HS256", public),
            "unsigned": signed_by_hand(issuer, "none", None),
            "by an unknown key": issuer.token(kid="other"),
        }
        for name, headers in refused.items():
            assert post(headers).status_code == 401, name
        for _ in range(20):
            post(issuer.token(kid="other"))
        # Tokens that name keys nobody has do not make the issuer work.
        assert issuer.requests <= 2
        issuer.server.shutdown()
        issuer.server.server_close()
        assert post(issuer.token()).status_code == 201


def test_an_issuer_that_does_not_answer_is_answered_for(set_up: None, runner: Runner, issuer: Issuer) -> None:
    issuer.server.shutdown()
    issuer.server.server_close()
    with serving(runner, LOGSLUICE_API__OIDC__ISSUER=issuer.url) as api:
        answer = api.client.post("/logs", json=EVENT, headers=issuer.token())
        problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        problem(api.client.post("/logs", json=EVENT, headers={"Authorization": "Bearer x.y.z"}), 401)


def test_an_issuer_that_hangs_holds_up_nobody_whose_key_is_known(
    set_up: None,
    runner: Runner,
    issuer: Issuer,
) -> None:
    settings = {"LOGSLUICE_API__OIDC__ISSUER": issuer.url, "LOGSLUICE_API__OIDC__JWKS_SECONDS": "1"}
    with serving(runner, **settings) as api:
        assert api.client.post("/logs", json=EVENT, headers=issuer.token()).status_code == 201
        issuer.hangs = True
        try:
            # Longer than from one question to the next.
            end, slowest = time.monotonic() + 14, 0.0
            while time.monotonic() < end:
                began = time.monotonic()
                assert api.client.post("/logs", json=EVENT, headers=issuer.token()).status_code == 201
                slowest = max(slowest, time.monotonic() - began)
            assert slowest < 3
        finally:
            issuer.hangs = False


def test_a_client_that_asks_too_often_is_told_on_every_instance(
    set_up: None,
    runner: Runner,
    redis_server: RedisServer,
    keys: Keys,
) -> None:
    one, other = keys.add("one", "ingest"), keys.add("other", "ingest")
    environment = {
        "LOGSLUICE_REDIS__URL": redis_server.url,
        "LOGSLUICE_API__KEYS_FILE": str(keys.file),
        "LOGSLUICE_API__LIMITS__REQUESTS_PER_SECOND": "1",
        "LOGSLUICE_API__LIMITS__BURST": "30",
    }
    with serving(runner, **environment) as first, serving(runner, **environment) as second:
        began = time.monotonic()
        answers = [(first, second)[number % 2].client.post("/logs", json=EVENT, headers=one) for number in range(100)]
        taken = [answer for answer in answers if answer.status_code == 201]
        limited = [answer for answer in answers if answer.status_code == 429]
        assert len(taken) + len(limited) == 100
        assert 30 <= len(taken) <= 31 + time.monotonic() - began
        problem(limited[0], 429)
        assert int(limited[0].headers["retry-after"]) >= 1
        assert limited[0].headers["ratelimit"].startswith('"client";r=0;t=')
        assert limited[0].headers["ratelimit-policy"] == '"client";q=30;w=30'
        assert taken[0].headers["ratelimit"].startswith('"client";r=29;t=')
        # Others are not held up by it.
        assert second.client.post("/logs", json=EVENT, headers=other).status_code == 201
        # Without Redis each instance counts by itself.
        redis_server.kill()
        alone = [first.client.post("/logs", json=EVENT, headers=one).status_code for _ in range(60)]
        assert alone.count(201) >= 30
        assert alone[-1] == 429
        assert 'logsluice_api_refused_total{reason="rate"}' in first.client.get("/metrics").text


def test_a_busy_client_is_held_to_its_rate_though_requests_are_taken_in_groups(
    set_up: None,
    runner: Runner,
    redis_server: RedisServer,
) -> None:
    environment = {
        "LOGSLUICE_REDIS__URL": redis_server.url,
        "LOGSLUICE_API__LIMITS__REQUESTS_PER_SECOND": "200",
        "LOGSLUICE_API__LIMITS__BURST": "400",
    }
    with serving(runner, **environment) as first, serving(runner, **environment) as second:
        statuses: list[int] = []
        end = time.monotonic() + 4

        def request(url: str) -> None:
            with httpx.Client(base_url=url, timeout=30) as client:
                while time.monotonic() < end:
                    statuses.append(client.get("/tickets/" + "0" * 32).status_code)

        threads = [threading.Thread(target=request, args=(api.url,)) for api in (first, second) for _ in range(4)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - began
        # The bucket, and what flows into it, which happens by whole seconds.
        assert statuses.count(404) <= 400 + 200 * (seconds + 1)
        assert set(statuses) <= {404, 429}


def test_while_it_runs_open_only_this_machine_is_answered(api: Api) -> None:
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"127.0.0.1:{api.port}", "Origin": "https://evil.example"},
        {"Host": "127.0.0.1.evil.example", "Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "null"},
    ):
        problem(api.client.post("/logs", content=b"forged", headers={"Content-Type": "text/plain", **headers}), 403)
    for host in (f"localhost:{api.port}", f"[::1]:{api.port}"):
        assert api.client.post("/logs", json=EVENT, headers={"Host": host}).status_code == 201
    own = {"Origin": api.url}
    assert api.client.post("/logs", json=EVENT, headers=own).status_code == 201


def test_pages_of_other_origins_may_ask_only_where_it_is_set(keys: Keys, runner: Runner) -> None:
    key = keys.add("page", "query")
    request = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    environment = {"LOGSLUICE_API__KEYS_FILE": str(keys.file)}
    with serving(runner, **environment) as api:
        assert "access-control-allow-origin" not in api.client.options("/patterns", headers=request).headers
        assert "access-control-allow-origin" not in api.client.get("/patterns", headers={**key, **request}).headers
    with serving(runner, **environment, LOGSLUICE_API__CORS_ORIGINS='["https://shop.example"]') as api:
        allowed = api.client.options("/patterns", headers=request)
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        evil = api.client.options("/patterns", headers={**request, "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in evil.headers


def test_requests_have_ids_and_lines_that_are_understood_here(api: Api) -> None:
    given = api.client.post("/logs", json=EVENT, headers={"X-Request-ID": "trace-17", "User-Agent": 'a "b" c'})
    assert given.headers["x-request-id"] == "trace-17"
    made = api.client.get("/nothing", headers={"X-Request-ID": "not\tone"})
    assert len(made.headers["x-request-id"]) == 32
    # A line is written when its answer has been sent.
    eventually(lambda: '"http.response.status_code":404' in api.job.output)
    lines = [line for line in api.job.output.splitlines() if '"http.response.status_code"' in line]
    size = len(lines)
    values = [line.encode() for line in lines]
    records = Records(["t"] * size, [0] * size, list(range(size)), [int(time.time() * 1000)] * size, values)
    events = ColumnarExtractor(load_registry()).extract(extraction_input(records)).to_pylist()
    first = next(event for event in events if event["http.request.id"] == "trace-17")
    assert first["http.request.method"] == "POST"
    assert first["http.response.status_code"] == 201
    assert first["url.path"] == "/logs"
    assert first["source.ip"] == "127.0.0.1"
    assert first["user_agent.original"] == 'a "b" c'
    assert first["event.duration"] > 0
    assert first["log.level"] == "info"
    assert first["service.name"] == "logsluice"
    assert any(event["http.response.status_code"] == 404 for event in events)


def test_only_a_trusted_proxy_is_believed(keys: Keys, runner: Runner) -> None:
    key = keys.add("one", "ingest")
    environment = {"LOGSLUICE_API__KEYS_FILE": str(keys.file)}
    headers = {**key, "X-Forwarded-For": "203.0.113.7"}
    with serving(runner, **environment) as api:
        api.client.post("/logs", json=EVENT, headers=headers)
        eventually(lambda: '"source.ip":"127.0.0.1"' in api.job.output)
        assert "203.0.113.7" not in api.job.output
    with serving(runner, **environment, LOGSLUICE_API__TRUSTED_PROXIES='["127.0.0.1"]') as api:
        api.client.post("/logs", json=EVENT, headers=headers)
        eventually(lambda: '"source.ip":"203.0.113.7"' in api.job.output)


def talk(port: int, *pieces: bytes, pause: float = 0.0, seconds: float = 30) -> bytes:
    """Send pieces with pauses between them, and give what is answered until the connection is closed."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=seconds)) as connection:
        answered = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            while received := connection.recv(65_536):
                answered += received
        except (ConnectionError, TimeoutError):
            pass
        return answered


HEAD = b"POST /logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"


def test_hostile_connections_are_answered_and_closed(set_up: None, runner: Runner) -> None:
    limits = {
        "LOGSLUICE_API__LIMITS__HEADER_SECONDS": "1",
        "LOGSLUICE_API__LIMITS__BODY_SECONDS": "1",
        "LOGSLUICE_API__LIMITS__CONCURRENCY": "50",
    }
    with serving(runner, **limits) as api:
        port = api.port
        process = psutil.Process(api.job.pid)
        before = process.memory_info().rss
        many = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 100) for number in range(1_000))
        assert talk(port, HEAD + many + b"\r\n").startswith(b"HTTP/1.1 431 ")
        # One header that never ends, of which nothing is kept.
        endless = talk(port, HEAD + b"X: ", *[b"a" * MEBIBYTE] * 50)
        assert endless == b"" or endless.startswith(b"HTTP/1.1 431 ")
        assert talk(port, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(
            b"HTTP/1.1 431 "
        )
        assert talk(port, b"P", b"O", pause=0.2).startswith(b"HTTP/1.1 408 ")
        assert talk(port, HEAD, b"X: a\r\n", pause=0.2).startswith(b"HTTP/1.1 408 ")
        assert talk(port, HEAD + b"Content-Length: 1000\r\n\r\n", b"a", pause=0.2).startswith(b"HTTP/1.1 408 ")
        assert talk(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").startswith(b"HTTP/1.1 400 ")
        assert talk(port, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        both = HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n"
        assert talk(port, both).startswith(b"HTTP/1.1 400 ")
        assert talk(port, HEAD + b"Content-Length: -1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert talk(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx").startswith(
            b"HTTP/1.1 400 "
        )
        # Nothing said at all: closed without a word.
        assert talk(port, b"") == b""
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
        try:
            assert talk(port, HEAD + b"\r\n").startswith(b"HTTP/1.1 503 ")
        finally:
            for connection in held:
                connection.close()
        assert process.memory_info().rss - before < 50 * MEBIBYTE
        assert eventually(lambda: api.client.post("/logs", json=EVENT).status_code == 201)
        refused = api.client.get("/metrics").text
        for reason in ("headers", "slow", "http", "connections"):
            assert f'logsluice_api_refused_total{{reason="{reason}"}}' in refused


def test_sigterm_lets_requests_at_hand_finish(api: Api) -> None:
    answers: list[bytes] = []
    body = b"x" * 10

    def slowly() -> None:
        head = HEAD + b"Content-Length: 10\r\nConnection: close\r\n\r\n"
        answers.append(talk(api.port, head, body[:5], body[5:], pause=1.0))

    thread = threading.Thread(target=slowly)
    thread.start()
    time.sleep(0.5)
    assert api.job.terminate() == 0
    thread.join()
    assert answers[0].startswith(b"HTTP/1.1 201 ")
    assert "Traceback" not in api.job.output
