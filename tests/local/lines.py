"""Lines for tests: of many formats, and such as nobody should ever write."""

from __future__ import annotations

from collections.abc import Iterator

ORDINARY = (
    b"2026-11-22 10:00:00,123 ERROR [payment] java.io.IOException: order %d took 35ms",
    b'10.0.0.7 - alice [22/Nov/2026:10:00:00 +0000] "GET /orders/%d HTTP/1.1" 200 512 "-" "curl/8.5"',
    b'{"@timestamp":"2026-11-22T10:00:00Z","log.level":"info","message":"order %d paid","service.name":"shop"}',
    b"Nov 22 10:00:00 web1 sshd[%d]: Failed password for root from 192.0.2.7 port 22 ssh2",
    b"081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder %d for block blk_1 terminating",
    b'level=warn ts=2026-11-22T10:00:00Z msg="slow request %d" user_id=u-7 session_id=s-9 duration=1.5s',
    b"order %d: nothing of a header, mail to ann@example.org, id 0b0f9c2e-4f1d-4b8e-9a5c-2f8f6f3f1c55",
)
HOSTILE = (
    b"ERROR broken \xff\xfe bytes \xc3",
    b'{"message": "broken json',
    b'{"message": {"an": "object"}, "log.level": 7, "@timestamp": "yesterday"}',
    b"{}",
    b"\x00" * 300,
    b"1970-01-01T00:00:00Z INFO long ago",
    b"2999-12-31T23:59:59Z INFO far ahead",
    "INFO breaks\x0b\x0c\x85\u2028\u2029 inside \U0001f600".encode(),
    b"\xef\xbb\xbfINFO a byte order mark",
    b"   ",
    b"INFO " + b"long " * 40_000,
)


def mixed(count: int) -> Iterator[bytes]:
    """So many lines; about one in fifty is hostile."""
    for number in range(count):
        if number % 50 == 17:
            yield HOSTILE[number // 50 % (len(HOSTILE) - (1 if number > 5_000 else 0))]
        else:
            yield ORDINARY[number % len(ORDINARY)] % number
