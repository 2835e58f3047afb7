"""What a name's value must look like to be taken, and what is taken of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal

import orjson

from logsluice.event.addresses import clean_ip, read_endpoint
from logsluice.event.methods import METHODS
from logsluice.event.quantities import LONG, UNITS
from logsluice.vocabulary.key_folding import word_set

Kind = Literal[
    "any",
    "name",
    "user",
    "login",
    "email",
    "ip",
    "host",
    "port_of",
    "port",
    "long",
    "status",
    "method",
    "path",
    "url",
    "request_method",
    "request_url",
    "duration",
    "timestamp",
    "level",
    "class",
    "outcome",
]
"""``login``: a user who is no e-mail address; ``class``: of an exception;
``port_of``: the port behind an address; ``request_method`` and
``request_url``: parts of an HTTP request's first line."""

Reader = Callable[[str], str | None]

_SPELLINGS: Final = (
    "- -- --- . ? * n/a na none null nil nan (null) <null> (none) <none> <nil> (nil) unknown <unknown> (unknown) "
    "[unknown] undefined [none] \"\" '' [] {} not-available not_available notset unset"
)
PLACEHOLDERS: Final = frozenset(
    variant
    for spelling in ["", "not available", "not set", *_SPELLINGS.split()]
    for variant in (spelling, spelling.upper(), spelling.capitalize(), spelling.title(), spelling.swapcase())
)
"""What says that there is no value."""

NO_USERS: Final = word_set(
    "anonymoususer unauthenticated <unauthenticated> <anonymous> system:anonymous true false yes no ok success failed"
)
"""What stands for no user, in lower case."""

_LONGEST: Final = 512
_INTEGER: Final = re.compile(LONG)
_STATUS: Final = re.compile(r"[1-5][0-9]{2}(?:\.0)?(?: [A-Za-z' -]+)?")
_HOST: Final = re.compile(
    r"(?=.{4,253}\Z)(?:[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,62})\.)+[A-Za-z][0-9A-Za-z-]{1,62}(?::[0-9]{1,5})?"
)
_EMAIL: Final = re.compile(r"[^\s@<>\"',;]{1,128}@[0-9A-Za-z.-]{1,255}\.[0-9A-Za-z-]{2,63}")
_DURATION: Final = re.compile(
    r"([0-9]{1,15}(?:\.[0-9]{1,9})?)[0-9]*(?:[eE](?P<exponent>[+-]?[0-9]{1,2}))?[ \t]?([a-zµμ]{0,12})"
)
_COMPOUND: Final = re.compile(r"(?:(?P<h>[0-9]+)h)?(?:(?P<m>[0-9]+)m(?!s))?(?:(?P<s>[0-9]+(?:\.[0-9]+)?)s)?")
_CLOCK: Final = re.compile(r"(?:(?P<d>[0-9]+)\.)?(?P<h>[0-9]{1,3}):(?P<m>[0-5][0-9]):(?P<s>[0-5][0-9](?:\.[0-9]+)?)")
_REQUEST: Final = re.compile(r"\"?(?P<method>[A-Za-z-]{3,20}) (?P<url>[^ \"]+)(?: HTTP/[0-9.]+)?\"?")
_CLASS: Final = re.compile(r"((?:[A-Za-z_$][0-9A-Za-z_$]*(?:\.|::|\\))*[A-Z][0-9A-Za-z_$]*)(?:\Z|: |:?\n|\(| - )")
_UNIT_WORDS: Final = UNITS.keys() - {""}


def present(text: str) -> str | None:
    """A text that says something; of a list its first element where that is a text or a number."""
    if text in PLACEHOLDERS:
        return None
    if text[0] == "[" and text[-1] == "]":
        return _first(text)
    return text


def _first(text: str) -> str | None:
    try:
        value = orjson.loads(text)
    except ValueError:
        return text
    if not isinstance(value, list):
        return text
    first = value[0] if value else None
    if isinstance(first, str):
        return None if first in PLACEHOLDERS else first
    return str(first) if isinstance(first, int | float) and not isinstance(first, bool) else None


def _name(text: str) -> str | None:
    value = present(text)
    if value is None or len(value) > _LONGEST or value[0] in "{[" or value in ("true", "false"):
        return None
    return None if _with_unit(value) else value


def _user(text: str) -> str | None:
    value = present(text)
    if value is None:
        return None
    value = value.strip(" \t\"'`")
    if not value or len(value) > _LONGEST or value[0] in "{[" or value in PLACEHOLDERS or value.lower() in NO_USERS:
        return None
    return None if "\n" in value or clean_ip(value) is not None else value


def _login(text: str) -> str | None:
    user = _user(text)
    return None if user is None or _EMAIL.fullmatch(user) else user


def _email(text: str) -> str | None:
    value = present(text)
    return value if value is not None and _EMAIL.fullmatch(value) else None


def _ip(text: str) -> str | None:
    value = present(text)
    return None if value is None else clean_ip(value)


def _host(text: str) -> str | None:
    value = present(text)
    if value is None or clean_ip(value) is not None:
        return None
    return value if value == "localhost" or _HOST.fullmatch(value) else None


def _port_of(text: str) -> str | None:
    value = present(text)
    endpoint = None if value is None else read_endpoint(value)
    return None if endpoint is None or endpoint.port is None else str(endpoint.port)


def _port(text: str) -> str | None:
    value = present(text)
    if value is None or not _INTEGER.fullmatch(value):
        return None
    return value if 0 < float(value) < 65536 else None


def _long(text: str) -> str | None:
    value = present(text)
    return value if value is not None and _INTEGER.fullmatch(value) else None


def _status(text: str) -> str | None:
    value = present(text)
    return value[:3] if value is not None and _STATUS.fullmatch(value) else None


def _method(text: str) -> str | None:
    return text.upper() if text.upper() in METHODS else None


def _path(text: str) -> str | None:
    return text if text[:1] == "/" and "\n" not in text else None


def _url(text: str) -> str | None:
    return text if (text[:1] == "/" or "://" in text[:20]) and "\n" not in text else None


def _request_method(text: str) -> str | None:
    match = _REQUEST.fullmatch(text)
    return match["method"].upper() if match and match["method"].upper() in METHODS else None


def _request_url(text: str) -> str | None:
    return _REQUEST.fullmatch(text)["url"] if _request_method(text) else None  # type: ignore[index]


def _with_unit(text: str) -> bool:
    match = _DURATION.fullmatch(text)
    return match is not None and match[3] in _UNIT_WORDS


def duration(text: str, unit: str | None) -> str | None:
    """A duration with its unit: its own, else that of the name; None where neither has one."""
    value = text.strip(' "')
    match = _DURATION.fullmatch(value)
    if match is not None:
        written = match[3].replace("μ", "µ")
        if written and written not in _UNIT_WORDS:
            return None
        if not written and unit is None:
            return None
        number = match[1]
        if match["exponent"]:
            number = f"{float(match[1] + 'e' + match['exponent']):.9f}"
        return f"{number}{written or unit}"
    parts = _CLOCK.fullmatch(value) or _COMPOUND.fullmatch(value)
    if parts is None or not value:
        return None
    found = {name: float(value) for name, value in parts.groupdict().items() if value}
    seconds = found.get("d", 0) * 86400 + found.get("h", 0) * 3600 + found.get("m", 0) * 60 + found.get("s", 0)
    return f"{seconds:.9f}s"


def _class(text: str) -> str | None:
    value = present(text)
    match = None if value is None else _CLASS.match(value)
    return match[1] if match else None


def _outcome(text: str) -> str | None:
    return _OUTCOMES.get(text.lower())


_OUTCOMES: Final = {
    spelling: outcome
    for outcome, spellings in {
        "success": "success succeeded successful true ok pass passed yes",
        "failure": "failure failed fail false error denied deny blocked rejected no",
    }.items()
    for spelling in spellings.split()
}

READERS: Final[dict[Kind, Reader]] = {
    "any": present,
    "name": _name,
    "user": _user,
    "login": _login,
    "email": _email,
    "ip": _ip,
    "host": _host,
    "port_of": _port_of,
    "port": _port,
    "long": _long,
    "status": _status,
    "method": _method,
    "path": _path,
    "url": _url,
    "request_method": _request_method,
    "request_url": _request_url,
    "class": _class,
    "outcome": _outcome,
}
"""How a text is taken; times and levels are read by who knows their spellings, durations with their unit."""
