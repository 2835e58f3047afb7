"""IP addresses as logs write them: with ports, zones, brackets and names around them."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final, NamedTuple

IPV4: Final = r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

_PORT: Final = r"(?:[:#](?P<port>[0-9]{1,5}))?"
_V6: Final = r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?"
_ZONE: Final = r"(?:%[0-9A-Za-z_.@-]{1,40})?"
_ENDPOINT: Final = re.compile(
    # Java has the name in front of the slash, gRPC and Samba the family in front of the colon.
    r"(?:[0-9A-Za-z_.-]{0,255}/|(?:ipv4|ipv6|tcp|udp|tcp4|tcp6|udp4|udp6):(?://)?)?"
    rf"(?:(?P<v4>{IPV4})|\[(?P<bracketed>{IPV4}|{_V6}){_ZONE}\]){_PORT}(?:/32)?"
)
_BARE_V6: Final = re.compile(
    rf"(?:[0-9A-Za-z_.-]{{0,255}}/|ipv6:)?(?P<full>(?:[0-9A-Fa-f]{{1,4}}:){{7}}[0-9A-Fa-f]{{1,4}}|{_V6}){_ZONE}{_PORT}(?:/128)?"
)
_HARDWARE: Final = re.compile(r"(?:[0-9A-Fa-f]{2}:){5,}[0-9A-Fa-f]{2}")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_LONGEST: Final = 400

_CANDIDATE: Final = re.compile(
    rf"(?<![0-9A-Za-z_.-])(?:(?<!:)|(?<=[G-Zg-z_]:)|(?<=[ \"'=]:))(?P<v4>{IPV4})"
    r"(?![0-9A-Za-z_-]|\.[0-9A-Za-z]|/[0-9]{1,2}(?![0-9A-Za-z./]))"
    rf"|(?<![0-9A-Za-z_.:-])(?P<v6>{_V6})(?!\.?[0-9A-Za-z]|[0-9A-Za-z_.:-]*[G-Zg-z_])"
)
"""An address within a text. What is a part of a name, of a longer number or of a version is none."""


class Endpoint(NamedTuple):
    """An address, and its port where it has one."""

    ip: str
    port: int | None


@lru_cache(maxsize=65536)
def read_endpoint(text: str) -> Endpoint | None:
    """Read an address with what may be around it, or None where the text is no address.

    Cut off are a port, a zone (``%eth0``), brackets, a host's name in front of a slash (Java), the family in front of
    a colon (gRPC). Of a list with commas (``X-Forwarded-For``) the first is taken. An IPv4 address that is mapped into
    IPv6 is the IPv4 address. A hardware address is none.
    """
    if len(text) > _LONGEST:
        return None
    first = text.partition(",")[0].strip(" \t\"'`")
    match = _ENDPOINT.fullmatch(first)
    if match is not None:
        port = match["port"]
        if match["v4"] is not None:
            return Endpoint(match["v4"], _port(port))
        ip = _plain(match["bracketed"])
        return None if ip is None else Endpoint(ip, _port(port))
    if ":" not in first:
        return None
    match = _BARE_V6.fullmatch(first)
    if match is None:
        return None
    ip = _plain(match["full"])
    return None if ip is None else Endpoint(ip, _port(match["port"]))


def clean_ip(text: str) -> str | None:
    """The address alone of :func:`read_endpoint`; Elasticsearch's type ``ip`` takes it."""
    endpoint = read_endpoint(text)
    return None if endpoint is None else endpoint.ip


def find_addresses(text: str) -> list[str]:
    """The addresses in a text, each once, in order: without a role, so only such as cannot well be anything else."""
    found: dict[str, None] = {}
    for match in _CANDIDATE.finditer(text):
        v6 = match["v6"]
        ip = match["v4"] if v6 is None else _telling_v6(v6)
        if ip is not None:
            found[ip] = None
    return list(found)


def _plain(text: str) -> str | None:
    """An address without brackets; one of IPv4 where it is mapped."""
    if ":" not in text:
        return text
    if _HARDWARE.fullmatch(text):
        return None
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    return str(address.ipv4_mapped) if address in _MAPPED else text


def _telling_v6(text: str) -> str | None:
    """An IPv6 address in running text: not ``::`` alone, nor names of C++ that are made of hexadecimal letters."""
    text = text.rstrip(":") if not text.endswith("::") else text
    if not any(character.isdigit() for character in text) or text.count(":") < 2:
        return None
    groups = [group for group in text.split(":") if group]
    short = max(map(len, groups)) < 3
    if short and not text.startswith("::") and len(groups) < 8:
        return None
    return _plain(text)


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    port = int(text)
    return port if port < 65536 else None
