"""Lines as those who run containers keep them: what is put in front of each, whose stream it is, long lines in parts.

Sources: the kubelet's log format (kubernetes/cri-api, ``docs/``: time, stream, tag ``P`` or ``F``, content), Docker's
``json-file`` driver (a part of a line that is to be continued ends in no line feed), ``docker compose logs`` and
``kubectl logs --prefix --timestamps``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

_TIME: Final = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
_CRI: Final = re.compile(rb"(?P<time>" + _TIME + rb") (?P<stream>stdout|stderr) (?P<tag>[PF])(?P<more>:\S+)?(?: |$)")
_POD: Final = re.compile(rb"\[pod/[^\]\s/]+/[^\]\s/]+\] ")
_COMPOSE: Final = re.compile(rb"(?:\x1b\[[0-9;]*m)?[a-z0-9][a-z0-9_.-]{0,62} +\|(?: |\x1b\[0m ?|$)")
_STAMP: Final = re.compile(_TIME + rb" ")
_LEVELS: Final = frozenset(
    b"trace debug info information notice warn warning error err severe fatal critical crit panic".split()
)
_JSON_FILE: Final = b'{"log":"'
_MOST_LAYERS: Final = 3


class ContainerLine(NamedTuple):
    """One line, taken apart.

    Attributes:
        stream: What the lines of one program's output have in common.
        content: What the program wrote.
        partial: Whether the line goes on with the stream's next.
        wrap: The line again, with other content; told whether that is all of it.
    """

    stream: bytes
    content: bytes
    partial: bool
    wrap: Callable[[bytes, bool], bytes]


def unwrap(data: bytes, begins_event: Callable[[bytes], bool]) -> ContainerLine | None:
    """Take a line apart; None where a program may have written it as it is.

    Args:
        data: The line.
        begins_event: Whether content begins an event by itself. A time alone in front of a line says that it was
            put there only where what follows it has a time of its own.
    """
    prefix = stream = b""
    content = data
    for _ in range(_MOST_LAYERS):
        if content.startswith(_JSON_FILE) and (line := _json_file(prefix, stream, content)):
            return line
        if match := _CRI.match(content):
            return _cri(prefix, stream, match)
        if match := _POD.match(content) or _compose(content):
            stream += match[0]
        elif (match := _STAMP.match(content)) and begins_event(content[match.end() :]):
            stream += b"time"
        else:
            break
        prefix += match[0]
        content = content[match.end() :]
    if not prefix:
        return None
    return ContainerLine(stream, content, partial=False, wrap=lambda text, _whole: prefix + text)


def _cri(prefix: bytes, stream: bytes, match: re.Match[bytes]) -> ContainerLine:
    head = prefix + match["time"] + b" " + match["stream"] + b" "
    more = match["more"] or b""

    def wrap(text: bytes, whole: bool) -> bytes:
        return head + (b"F" if whole else b"P") + more + b" " + text

    return ContainerLine(stream + match["stream"], match.string[match.end() :], match["tag"] == b"P", wrap)


def _compose(content: bytes) -> re.Match[bytes] | None:
    match = _COMPOSE.match(content)
    return None if match is None or match[0].split(b" ", 1)[0] in _LEVELS else match


def _json_file(prefix: bytes, stream: bytes, content: bytes) -> ContainerLine | None:
    try:
        entry: Any = orjson.loads(content)
    except ValueError:
        return None
    if not isinstance(entry, dict) or "time" not in entry or entry.get("stream") not in ("stdout", "stderr"):
        return None
    log: str = entry["log"]

    def wrap(text: bytes, whole: bool) -> bytes:
        end = "\n" if whole else ""
        return prefix + orjson.dumps({**entry, "log": text.decode("utf-8", "replace") + end})

    return ContainerLine(stream + entry["stream"].encode(), log.rstrip("\n").encode(), not log.endswith("\n"), wrap)
