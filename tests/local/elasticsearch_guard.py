"""Stands before an Elasticsearch that has no security, and lets through what the roles of its users allow.

It knows the requests that logsluice sends and nothing else, by the names of Elasticsearch's actions. What a privilege
covers is what Elasticsearch says it covers
(https://www.elastic.co/docs/reference/elasticsearch/security-privileges); of each only what is asked for here.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from logsluice.elasticsearch.roles import Role

PASSWORD = "of every user"

CLUSTER_PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    "monitor": ("cluster:monitor/*", "indices:admin/index_template/get"),
    "read_slm": ("cluster:admin/slm/get", "cluster:admin/slm/status"),
    "cluster:admin/slm/stats": ("cluster:admin/slm/stats",),
}
INDEX_PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    "read": ("indices:data/read/*",),
    "create_doc": ("indices:data/write/index:op_type/create",),
    "index": ("indices:data/write/index*", "indices:data/write/update*"),
    "auto_configure": ("indices:admin/auto_create", "indices:admin/mapping/auto_put"),
    "maintenance": ("indices:admin/refresh*",),
    "monitor": ("indices:monitor/*",),
    "view_index_metadata": ("indices:admin/get", "indices:admin/aliases/get"),
}
_OF_THE_CLUSTER = (
    (r"GET /_cluster/health", "cluster:monitor/health"),
    (r"HEAD /_index_template/.+", "indices:admin/index_template/get"),
    (r"GET /", "cluster:monitor/main"),
    (r"GET /_nodes(/.*)?", "cluster:monitor/nodes/stats"),
    (r"GET /_cat/shards", "cluster:monitor/state"),
    (r"GET /_slm/status", "cluster:admin/slm/status"),
    (r"GET /_slm/stats", "cluster:admin/slm/stats"),
)
_OF_INDICES = (
    (r"POST /([^_/][^/]*)/_search", "indices:data/read/search"),
    (r"GET /([^_/][^/]*)/_doc/[^/]+", "indices:data/read/get"),
    (r"PUT /([^_/][^/]*)/_doc/[^/]+", "indices:data/write/index"),
    (r"POST /([^_/][^/]*)/_refresh", "indices:admin/refresh"),
    (r"GET /([^_/][^/]*)/_stats(?:/.*)?", "indices:monitor/stats"),
    (r"GET /([^_/][^/]*)", "indices:admin/get"),
    (r"GET /(_all)/_stats", "indices:monitor/stats"),
    (r"GET /_alias()", "indices:admin/aliases/get"),
)
_NOT_IN_THE_CORE = {"/_slm/status": b'{"operation_mode": "RUNNING"}', "/_slm/stats": b"{}"}
"""What is answered for the server behind."""

_HOP_BY_HOP = {"host", "authorization", "connection", "content-length"}
_OF_ITEMS = {
    "index": "indices:data/write/index",
    "create": "indices:data/write/index:op_type/create",
    "update": "indices:data/write/update",
    "delete": "indices:data/write/delete",
}


class Needed(NamedTuple):
    """An action, and on which index; None for one of the cluster."""

    action: str
    index_name: str | None = None


class UnknownRequestError(Exception):
    """A request that the guard has no rule for."""


def needed(method: str, target: str, body: bytes) -> Iterator[Needed]:
    """What a request does."""
    path = unquote(urlsplit(target).path)
    if path == "/_bulk":
        yield from _of_bulk(body)
        return
    if path in ("/_msearch", "/_mget"):
        yield from _of_many(path, body)
        return
    for pattern, action in _OF_THE_CLUSTER:
        if re.fullmatch(pattern, f"{method} {path}"):
            yield Needed(action)
            return
    for pattern, action in _OF_INDICES:
        if found := re.fullmatch(pattern, f"{method} {path}"):
            yield from (Needed(action, name) for name in found[1].split(","))
            if action.startswith("indices:data/write/"):
                yield Needed("indices:admin/auto_create", found[1])
            return
    raise UnknownRequestError(f"{method} {target}")


def _of_bulk(body: bytes) -> Iterator[Needed]:
    lines = iter(body.splitlines())
    for line in lines:
        ((op, target),) = json.loads(line).items()
        yield Needed(_OF_ITEMS[op], target["_index"])
        yield Needed("indices:admin/auto_create", target["_index"])
        if op != "delete":
            next(lines)


def _of_many(path: str, body: bytes) -> Iterator[Needed]:
    if path == "/_mget":
        yield from (Needed("indices:data/read/get", entry["_index"]) for entry in json.loads(body)["docs"])
        return
    for line in body.splitlines()[::2]:
        names = json.loads(line)["index"]
        for name in [names] if isinstance(names, str) else names:
            yield Needed("indices:data/read/search", name)


def allows(role: Role, wanted: Needed) -> bool:
    """Whether a role is enough for something."""
    if wanted.index_name is None:
        return any(fnmatchcase(wanted.action, p) for name in role["cluster"] for p in CLUSTER_PRIVILEGES[name])
    name = "*" if wanted.index_name in ("", "_all") else wanted.index_name
    return any(
        any(fnmatchcase(name, pattern) for pattern in indices["names"])
        and any(
            fnmatchcase(wanted.action, pattern)
            for privilege in indices["privileges"]
            for pattern in INDEX_PRIVILEGES[privilege]
        )
        for indices in role["indices"]
    )


Answer = tuple[int, bytes, list[tuple[str, str]]]
"""Status, body and headers."""


class Guard:
    """Listens on a port of its own until it is closed.

    Args:
        port_behind: Where Elasticsearch listens.
        roles: Each user's.

    Attributes:
        done: What each user did.
        refused: What was refused, a line each.
    """

    def __init__(self, port_behind: int, roles: Mapping[str, Role]) -> None:
        self.done: dict[str, set[Needed]] = {}
        self.refused: list[str] = []
        self._port_behind = port_behind
        self._roles = roles
        self._lock = threading.Lock()
        guard = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                lowered = {name.lower(): value for name, value in self.headers.items()}
                status, text, headers = guard.answer(self.command, self.path, lowered, body)
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self, user: str) -> dict[str, str]:
        """How a process is told to come here as a user."""
        return {
            "LOGSLUICE_ELASTICSEARCH__HOSTS": self.url,
            "LOGSLUICE_ELASTICSEARCH__USERNAME": user,
            "LOGSLUICE_ELASTICSEARCH__PASSWORD": PASSWORD,
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        credentials = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
        user, _, password = credentials.partition(":")
        if user not in self._roles or password != PASSWORD:
            return self._refuse(401, f"{user or 'nobody'} is not a user with this password")
        try:
            wanted = set(needed(method, target, body))
        except UnknownRequestError as error:
            return self._refuse(403, f"{user}: the guard does not know {error}")
        for each in sorted(wanted, key=str):
            if not allows(self._roles[user], each):
                return self._refuse(
                    403, f"action [{each.action}] is unauthorized for user [{user}] on [{each.index_name}]"
                )
        with self._lock:
            self.done.setdefault(user, set()).update(wanted)
        if (instead := _NOT_IN_THE_CORE.get(target)) is not None:
            return 200, instead, [("content-type", "application/json")]
        kept = {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}
        with closing(http.client.HTTPConnection("127.0.0.1", self._port_behind, timeout=120)) as connection:
            connection.request(method, target, body or None, kept)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheaders()

    def _refuse(self, status: int, reason: str) -> Answer:
        with self._lock:
            self.refused.append(reason)
        error = {"error": {"type": "security_exception", "reason": reason}, "status": status}
        headers = [("content-type", "application/json"), ("x-elastic-product", "Elasticsearch")]
        return status, json.dumps(error).encode(), headers
