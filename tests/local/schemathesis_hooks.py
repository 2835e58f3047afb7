"""What schemathesis is told of media types that it does not know."""

from __future__ import annotations

from typing import Any

import orjson
import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: Any, value: Any) -> bytes:
    """Values as lines of JSON; text, where a line is to be none, as it is."""
    rows = value if isinstance(value, list) else [value]
    return b"\n".join(row.encode() if isinstance(row, str) else orjson.dumps(row, default=str) for row in rows)


@schemathesis.serializer("application/x-protobuf")
def protobuf(_context: Any, value: Any) -> bytes:
    """Bytes as they are, whatever they mean."""
    return value if isinstance(value, bytes) else str(value).encode()
