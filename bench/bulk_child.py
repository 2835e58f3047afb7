"""Bare bulk indexing as a child of the benchmark: ready-made documents and elasticsearch-py's own helpers.

``python -m bench.bulk_child FILE``; the file holds, a line each, index, id and document. Each request names
the helper's settings.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import orjson
from elastic_transport import OrjsonSerializer
from elasticsearch import Elasticsearch
from elasticsearch.helpers import parallel_bulk, streaming_bulk

from bench.servers import answer, requests
from logsluice.settings import load_settings

_JSON = "application/vnd.elasticsearch+json"


def main() -> None:
    """Write all documents, once for each request."""
    rows = [orjson.loads(line) for line in Path(sys.argv[1]).read_bytes().splitlines()]
    actions = [{"_op_type": "index", "_index": index, "_id": id_, "_source": source} for index, id_, source in rows]
    del rows
    serializers = {_JSON: OrjsonSerializer(), "application/json": OrjsonSerializer()}
    hosts = load_settings().elasticsearch.hosts
    options: dict[str, Any] = {"serializers": serializers, "connections_per_node": 8, "request_timeout": 60}
    # A server on few cores of its own now and then has no memory left for the next request.
    options |= {"retry_on_status": [429], "max_retries": 100}
    with Elasticsearch(hosts, **options) as client:
        for request in requests():
            started_at = time.perf_counter()
            _write(client, actions, request)
            answer(seconds=time.perf_counter() - started_at)


def _write(client: Elasticsearch, actions: list[dict[str, Any]], request: dict[str, Any]) -> None:
    options = {"chunk_size": request["chunk"], "max_chunk_bytes": 10_000_000}
    threads = request["threads"]
    if threads > 1:
        results = parallel_bulk(client, actions, thread_count=threads, queue_size=threads, **options)
    else:
        results = streaming_bulk(client, actions, **options)
    deque(results, maxlen=0)


if __name__ == "__main__":
    main()
