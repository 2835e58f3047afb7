"""The backup that `logsluice setup` registers, by a server that answers as Elasticsearch does.

Elasticsearch 9.5's core has no S3 and no snapshot lifecycle management. What is asked of the stand-in is checked and
answered as in https://github.com/elastic/elasticsearch: ``SnapshotLifecyclePolicy.java`` (fields, and which values are
refused), ``RestGetSnapshotLifecycleAction`` and ``RestGetRepositoriesAction`` (404 for what is not there), and the
verification of a new repository (``BlobStoreRepository``, 500 where a node may not write).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from logsluice.elasticsearch.snapshots import BASE_PATH
from logsluice.errors import LogsluiceError
from logsluice.provision.setup import set_up_snapshots
from logsluice.settings import Settings, load_settings

ROOT = Path(__file__).parents[3]
BOTH = ("repository-s3", "x-pack-slm")


@dataclass
class Server:
    """What there is, and how many times something was changed."""

    modules: tuple[str, ...] = BOTH
    writable: bool = True
    stored: dict[str, Any] = field(default_factory=dict)
    changes: int = 0

    def answer(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        if path.startswith("/_nodes"):
            return 200, {"nodes": {"one": {"modules": [{"name": name} for name in self.modules]}}}
        name = path.rpartition("/")[2]
        if method == "GET":
            if path not in self.stored:
                return 404, {"error": {"type": "missing", "reason": f"[{name}] missing"}, "status": 404}
            item = self.stored[path]
            return 200, {name: {"version": 1, "policy": item} if "slm" in path else item}
        assert method == "PUT"
        assert body
        self.changes += 1
        if path.startswith("/_snapshot/") and not self.writable:
            reason = f"[{name}] path [{BASE_PATH}] is not accessible on master node"
            return 500, {"error": {"type": "repository_verification_exception", "reason": reason}, "status": 500}
        if "slm" in path:
            assert {"name", "schedule", "repository"} <= body.keys() <= {*body.keys(), "config", "retention"}
            assert f"/_snapshot/{body['repository']}" in self.stored, "SLM refuses a repository that is not there"
            generated = re.sub(r"^<(.*)\{now/d\}>$", r"\g<1>2026.12.01", body["name"])
            assert re.fullmatch(r"[a-z0-9.-]+", generated), "a snapshot's name is in lower case, without odd characters"
            assert len(body["schedule"].split()) == 6, "cron with seconds"
            assert body["retention"].keys() <= {"expire_after", "min_count", "max_count"}
        self.stored[path] = body
        return 200, {"acknowledged": True}


@pytest.fixture
def server() -> Iterator[tuple[Server, Settings]]:
    model = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = model.answer(self.command, self.path.partition("?")[0], body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("x-elastic-product", "Elasticsearch")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=http.serve_forever, daemon=True)
    thread.start()
    at = {"hosts": f"http://127.0.0.1:{http.server_port}", "snapshot_bucket": "the-bucket", "snapshot_days": 30}
    try:
        yield model, Settings.model_validate({"env": "prod", "elasticsearch": at})
    finally:
        http.shutdown()
        http.server_close()


def test_repository_and_policy_are_registered_once(server: tuple[Server, Settings]) -> None:
    model, settings = server
    assert set_up_snapshots(settings) == [
        "snapshot repository logsluice: s3://the-bucket/elasticsearch-snapshots",
        "snapshot policy prod-logsluice: every night at 01:30 UTC, kept for 30 days",
    ]
    assert model.stored["/_snapshot/logsluice"] == {
        "type": "s3",
        "settings": {"bucket": "the-bucket", "base_path": "elasticsearch-snapshots", "client": "default"},
    }
    policy = model.stored["/_slm/policy/prod-logsluice"]
    assert policy["config"] == {"indices": ["prod-*"], "include_global_state": True}
    assert set_up_snapshots(settings) == []
    assert model.changes == 2


def test_what_was_changed_is_put_right(server: tuple[Server, Settings]) -> None:
    model, settings = server
    set_up_snapshots(settings)
    model.stored["/_slm/policy/prod-logsluice"]["retention"] = {"expire_after": "1d"}
    (line,) = set_up_snapshots(settings)
    assert line.startswith("snapshot policy prod-logsluice")


def test_a_server_that_cannot_is_told_and_nothing_is_asked(server: tuple[Server, Settings]) -> None:
    model, settings = server
    model.modules = ("repository-s3",)
    assert set_up_snapshots(settings) == [
        "this server takes no snapshots to S3 (it has no x-pack-slm): there is no backup"
    ]
    assert model.changes == 0


def test_a_bucket_that_nodes_may_not_write_to_is_told_in_a_line(server: tuple[Server, Settings]) -> None:
    model, settings = server
    model.writable = False
    with pytest.raises(LogsluiceError, match="cannot keep snapshots in the bucket"):
        set_up_snapshots(settings)


def test_prods_backup_is_where_its_role_may_write_and_outlives_its_indices() -> None:
    prod = load_settings(ROOT / "config" / "prod").elasticsearch
    assert prod.snapshot_days >= prod.retention_days
    identity = (ROOT / "infra" / "logsluice_infra" / "identity.py").read_text()
    assert f'self._snapshots("{BASE_PATH}")' in identity
    text = (ROOT / "k8s" / "base" / "services" / "setup.yaml").read_text()
    (setup,) = (item for item in yaml.safe_load_all(text) if item["kind"] == "Deployment")
    given = {
        entry["name"]: entry.get("value") for entry in setup["spec"]["template"]["spec"]["initContainers"][0]["env"]
    }
    assert given["LOGSLUICE_ELASTICSEARCH__SNAPSHOT_BUCKET"] == "logsluice-bucket"
