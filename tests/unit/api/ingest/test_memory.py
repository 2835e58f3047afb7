"""What one post may take of the API's memory: much less than its container has, whatever is in its few megabytes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

BYTES = 16_777_216
MOST_MEGABYTES = 150
"""Beside the body itself and what the modules take."""

PROGRAM = """
import json, resource, sys
from logsluice.api.ingest import otlp, routes
from logsluice.settings import ApiLimits
from logsluice.api.ingest.events import RejectedEvent

def wrapped(content):
    for tag in (b"\\x12", b"\\x0a"):
        size, written = len(content), bytearray()
        while size >= 0x80:
            written.append(size & 0x7F | 0x80)
            size >>= 7
        content = tag + bytes([*written, size]) + content
    return content

limits, size = ApiLimits(), int(sys.argv[2])
about = b'{"resource":{"attributes":[{"key":"a","value":{"stringValue":"%b"}}]},"scopeLogs":[{"logRecords":[%b]}]}'
body = {
    "objects": lambda: b"[" + b",".join([b'{"a":0}'] * (size // 8)) + b"]",
    "arrays": lambda: b"[" + b",".join([b"[]"] * (size // 3)) + b"]",
    "texts": lambda: b"[" + b",".join([b'"ab"'] * (size // 5)) + b"]",
    "lines": lambda: b"ab\\n" * (size // 3),
    "records": lambda: wrapped(b"\\x12\\x00" * (size // 2)),
    "repeated": lambda: b'{"resourceLogs":[' + about % (b"x" * 200_000, b",".join([b"{}"] * 15_000)) + b"]}",
}[sys.argv[1]]()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.argv[1] in ("records", "repeated"):
    kind = otlp.PROTOBUF if sys.argv[1] == "records" else otlp.JSON
    found = routes._batch(otlp.export_events(body, kind, limits), limits)
else:
    found = routes._events(body, "text/plain" if sys.argv[1] == "lines" else "application/json", limits)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"refused": isinstance(found, RejectedEvent), "megabytes": (after - before) / 1024}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["objects", "arrays", "texts", "lines", "records", "repeated"])
def test_a_post_is_refused_before_it_takes_the_memory(kind: str) -> None:
    command = [sys.executable, "-c", PROGRAM, kind, str(BYTES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout)
    assert found["refused"]
    assert found["megabytes"] < MOST_MEGABYTES, found
