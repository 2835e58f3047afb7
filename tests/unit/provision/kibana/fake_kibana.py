"""A server that checks of an import what Kibana checks, and keeps what it took; for Kibana itself cannot be had here.

The checks are those of ``src/core/packages/saved-objects`` (``server-internal/src/routes/import.ts`` and
``import-export-server-internal/src/import``) in https://github.com/elastic/kibana, and of its HTTP server for every
request that changes something (``kbn-xsrf``).
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast
from urllib.parse import urlsplit

Key = tuple[str, str]
NEWEST = {"index-pattern": "8.0.0", "search": "10.14.0", "lens": "10.2.0", "dashboard": "10.4.0"}


@dataclass
class FakeKibana:
    """What the server is told, and what it was sent.

    Attributes:
        user: Name and password that it wants.
        starting: How many requests it answers as a Kibana that is not ready yet.
        answer: What it answers instead of anything else: status, type, body.
        stored: The saved objects.
        requests: How many there were.
    """

    user: tuple[str, str] | None = None
    starting: int = 0
    answer: tuple[int, str, str] | None = None
    stored: dict[Key, dict[str, Any]] = field(default_factory=dict)
    requests: int = 0

    def take(self, path: str, headers: Message, body: bytes) -> tuple[int, str, str]:
        """Answer a POST."""
        self.requests += 1
        if self.starting:
            self.starting -= 1
            return 503, "text/plain", "Kibana server is not ready yet."
        if self.answer:
            return self.answer
        if self.user and headers["authorization"] != _basic(self.user):
            return _failure(401, "Unauthorized", "[security_exception]: unable to authenticate user")
        if "kbn-xsrf" not in headers:
            return _failure(400, "Bad Request", "Request must contain a kbn-xsrf header.")
        address = urlsplit(path)
        if address.path != "/api/saved_objects/_import":
            return _failure(404, "Not Found", "Not Found")
        if not headers["content-type"].startswith("multipart/form-data"):
            return _failure(415, "Unsupported Media Type", "Unsupported Media Type")
        message = message_from_bytes(b"content-type: " + headers["content-type"].encode() + b"\n\n" + body)
        [part] = cast("list[Message]", message.get_payload())
        if part.get_param("name", header="content-disposition") != "file":
            return _failure(400, "Bad Request", "[request body.file]: expected value of type [Stream]")
        if not str(part.get_filename()).endswith(".ndjson"):
            return _failure(400, "Bad Request", "Invalid file extension ")
        objects = [
            json.loads(line) for line in cast("bytes", part.get_payload(decode=True)).decode().split("\n") if line
        ]
        return 200, "application/json", json.dumps(self._import(objects, "overwrite=true" in address.query))

    def _import(self, objects: list[dict[str, Any]], overwrite: bool) -> dict[str, Any]:
        new = {(entry["type"], entry["id"]): entry for entry in objects}
        assert len(new) == len(objects), "Non-unique import objects detected"
        errors = []
        for key, entry in new.items():
            if error := self._refusal(key, entry, new.keys(), overwrite):
                errors.append(
                    {"type": key[0], "id": key[1], "meta": {"title": entry["attributes"]["title"]}, "error": error}
                )
        # Nothing is written while anything is left to be resolved.
        if not errors:
            self.stored |= new
        return {"success": not errors, "successCount": len(new) - len(errors)} | ({"errors": errors} if errors else {})

    def _refusal(self, key: Key, entry: dict[str, Any], new: Any, overwrite: bool) -> dict[str, Any] | None:
        if key[0] not in NEWEST:
            return {"type": "unsupported_type"}
        written, newest = entry["typeMigrationVersion"], NEWEST[key[0]]
        if [int(part) for part in written.split(".")] > [int(part) for part in newest.split(".")]:
            words = f"belongs to a more recent version of Kibana [{written}] when the last known version is [{newest}]."
            return {"type": "unknown", "statusCode": 422, "message": f'Document "{key[1]}" {words}'}
        missing = [
            {"type": reference["type"], "id": reference["id"]}
            for reference in entry["references"]
            if reference["type"] in ("index-pattern", "search")
            and (reference["type"], reference["id"]) not in new | self.stored.keys()
        ]
        if missing:
            return {"type": "missing_references", "references": missing}
        return {"type": "conflict"} if key in self.stored and not overwrite else None


def _basic(user: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(user).encode()).decode()


def _failure(status: int, error: str, message: str) -> tuple[int, str, str]:
    return status, "application/json", json.dumps({"statusCode": status, "error": error, "message": message})


@contextmanager
def serving(kibana: FakeKibana, port: int = 0, tls: Path | None = None) -> Iterator[str]:
    """Serve it; its address. ``tls`` is the file with its key and certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, kind, text = kibana.take(self.path, self.headers, body)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
