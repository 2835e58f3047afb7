"""A bulk that Elasticsearch refuses as a whole costs its guilty documents and no other.

The stand-in answers as Elasticsearch 9.x does: ``RestBulkAction`` and ``BulkRequest.validate`` refuse a request, and
``IncrementalBulkService`` (server/src/main/java/org/elasticsearch/action/bulk), which cuts a large one into parts
while the server is busy, gives each item of a part the refusal of that part.
"""

from __future__ import annotations

import gzip
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import ApiError, Elasticsearch

from logsluice.elasticsearch import client
from logsluice.elasticsearch.bulk import BulkWriter, IndexAction
from logsluice.settings import ElasticsearchSettings

VALIDATION = {"type": "action_request_validation_exception", "reason": "id is too long"}
TOO_LARGE = {"type": "content_too_long_exception", "reason": "too large"}


class Server:
    """Stores documents, refusing a part as a whole where an id in it is too long.

    Args:
        part: Documents after which a request is cut.
        most_bytes: Of a request.
    """

    def __init__(self, part: int = 10_000, most_bytes: int = 1 << 30) -> None:
        self.part, self.most_bytes = part, most_bytes
        self.stored: list[str] = []
        self.requests = 0

    def perform_request(self, _method: str, _path: str, *, body: bytes, **_options: Any) -> Any:
        self.requests += 1
        if len(body) > self.most_bytes:
            raise refused(413, TOO_LARGE)
        ids = [orjson.loads(line)["create"]["_id"] for line in body.splitlines()[::2]]
        items: list[dict[str, Any]] = []
        failed = False
        for begin in range(0, len(ids), self.part):
            part = ids[begin : begin + self.part]
            if failed or any(len(name) > 512 for name in part):
                if not begin:
                    raise refused(400, VALIDATION)
                failed = True
                items += [{"create": {"status": 400, "error": VALIDATION}} for _ in part]
            else:
                self.stored += part
                items += [{"create": {"status": 201}} for _ in part]
        return SimpleNamespace(body={"errors": failed, "items": items})


def refused(status: int, error: dict[str, str]) -> ApiError:
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.0, NodeConfig("http", "localhost", 9200))
    return ApiError(error["type"], meta, {"error": error, "status": status})


def writer_on(server: Server) -> BulkWriter:
    return BulkWriter(ElasticsearchSettings(), job="test", client=cast(Elasticsearch, server))


def actions(ids: list[str], document: bytes = b"{}") -> list[IndexAction]:
    return [IndexAction("index", name, "create", None, document) for name in ids]


@pytest.mark.parametrize("part", [10_000, 100, 7])
def test_the_guilty_stand_alone_and_the_rest_is_written(part: int) -> None:
    guilty = {3, 500, 999}
    ids = [f"{number}" + "x" * 600 * (number in guilty) for number in range(1_000)]
    server = Server(part)
    outcome = writer_on(server).write(actions(ids))
    assert [refusal.position for refusal in outcome.rejected] == sorted(guilty)
    assert all("id is too long" in refusal.reason for refusal in outcome.rejected)
    assert sorted(server.stored) == sorted(set(ids) - {ids[number] for number in guilty})
    assert outcome.written == 997


def test_few_requests_find_one_guilty_document() -> None:
    server = Server()
    writer_on(server).write(actions(["x" * 600, *map(str, range(4_999))]))
    assert server.requests <= 2 * 13 + 1


def test_what_is_too_large_together_is_written_in_parts_and_what_is_too_large_alone_is_refused() -> None:
    server = Server(most_bytes=100_000)
    small, large = actions(list(map(str, range(50))), b'"' + b"x" * 10_000 + b'"'), actions(["large"], b" " * 200_000)
    outcome = writer_on(server).write([*small, *large])
    assert (outcome.written, len(server.stored)) == (50, 50)
    (only,) = outcome.rejected
    assert (only.action.id, only.position) == ("large", 50)
    assert "413" in only.reason


def test_requests_over_a_network_are_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[tuple[str | None, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.headers["content-encoding"], body))
            answer = gzip.compress(b'{"errors":false,"items":[]}')
            self.send_response(200)
            for name, value in {
                "X-Elastic-Product": "Elasticsearch",
                "Content-Type": "application/json",
                "Content-Encoding": "gzip",
                "Content-Length": str(len(answer)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

    monkeypatch.setattr(client, "LOOPBACK", frozenset())
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.handle_request, daemon=True).start()
        settings = ElasticsearchSettings(hosts=f"http://127.0.0.1:{server.server_port}")
        with closing(BulkWriter(settings, job="test")) as writer:
            outcome = writer.write(actions(["a"]))
    assert outcome.written == 1
    assert [(name, gzip.decompress(body)) for name, body in received] == [
        ("gzip", b'{"create":{"_index":"index","_id":"a"}}\n{}\n')
    ]


def test_a_request_says_of_each_document_what_to_do_with_it() -> None:
    bodies: list[bytes] = []

    class Listener:
        def perform_request(self, *_: Any, body: bytes, **_options: Any) -> Any:
            bodies.append(body)
            return SimpleNamespace(body={"errors": False})

    writer = BulkWriter(ElasticsearchSettings(), job="test", client=cast(Elasticsearch, Listener()))
    writer.write([IndexAction("days", 'a"b', "index", 7, b"{}"), IndexAction("days", "c", "create", None, b"[1]")])
    assert bodies == [
        b'{"index":{"_index":"days","_id":"a\\"b","version":7,"version_type":"external_gte"}}\n{}\n'
        b'{"create":{"_index":"days","_id":"c"}}\n[1]\n'
    ]
