"""IP addresses as logs write them: with ports, zones, brackets and names around them."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final, NamedTuple

ADDRESS_FIELDS: Final = ("source.ip", "client.ip", "destination.ip", "host.ip")
"""The fields that give an address a role, in the order in which ``related.ip`` has them."""

IPV4: Final = r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

_PORT: Final = r"(?:[:#](?P<port>[0-9]{1,5})(?::[A-Za-z][0-9A-Za-z_.-]{0,31})*)?"
"""A port, and the interface or the host's name that some firewalls write behind it."""
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


_RUN_CHARACTERS: Final = "[0-9A-Za-z_.:%/-]{0,48}"
RUN: Final = (
    r"(?:\b(?i:version|ver|v|release|build|rev|revision|firmware|driver|software|update)[\s:=\"']+)?"
    rf"{_RUN_CHARACTERS}(?:[0-9]\.[0-9]{{1,3}}\.[0-9]{{1,3}}\.[0-9]|::|(?:[0-9A-Fa-f]{{1,4}}:){{7}}){_RUN_CHARACTERS}"
)
"""A piece of text that may have an address in it, with a word in front that says it is a version."""

_RUN: Final = re.compile(f"(?a){RUN}")
_VERSION: Final = re.compile(
    r"(?ai)(?:version|ver|v|release|build|rev|revision|firmware|driver|software|update)[\s:=\"']+[0-9]"
)
_PRODUCT: Final = re.compile(r"[A-Za-z]/\Z")
"""What stands in front of a product's version of four numbers."""

_ACCESS: Final = re.compile(
    r"(?i)log[ -]?[io]n|logged (?:in|on)|sign[ -]?in|auth|passw|credential|den(?:y|ied)|refus|reject|forbid|forbidden|"
    r"unauthori[sz]ed|\bban(?:ned|ning)?\b|\bblock(?:ed|ing)?\b|brute|attack|attempt|intrusion|scan(?:ned|ning)?\b|"
    r"spam|\bdropp?(?:ed|ing)?\b|invalid user|not allowed|access|\brequest|"
    r"abus|\b(?:MFA|2FA|OTP|LDAP)\b|malicious|suspicious|honeypot|"
    r"\b(?:GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS|PROPFIND|REPORT|CONNECT):? ?[\"']?(?:/|https?:)"
)
"""Words of a login, of a request or of a denial of access."""

_OTHER_ROLE: Final = re.compile(
    r"(?i)\b(?:to|on|at|via|through|server|host|listen(?:ing)?|bind(?:ing)?|bound|interface|upstream|backend|proxy|gateway|"
    r"router?|dst|dest|destination|target|local|node|origin|dns|nameserver|resolver|cluster|endpoint|master|replica|"
    r"primary|broker|url|uri|address(?:es)? of|mirror|database|db|redis|registry|connect(?:ed|ing)?)"
    r"(?:[ _-](?:ip|addr|address|host|port|is))?(?:[\s\"'(\[=:/@]|https?)*\Z"
)
"""What stands in front of an address that is not the one of who asks."""


class Endpoint(NamedTuple):
    """An address, and its port where it has one."""

    ip: str
    port: int | None


@lru_cache(maxsize=65536)
def read_endpoint(text: str) -> Endpoint | None:
    """Read an address with what may be around it, or None where the text is no address.

    Cut off are a port, a zone (``%eth0``), brackets, a host's name in front of a slash (Java), the family in front of
    a colon (gRPC) or with the protocol between slashes (Asterisk). Of a list with commas (``X-Forwarded-For``) the
    first is taken. An IPv4 address that is mapped into IPv6 is the IPv4 address. A hardware address is none.
    """
    if len(text) > _LONGEST:
        return None
    first = text.partition(",")[0].strip(" \t\"'`")
    if first.startswith(("IPV4/", "IPV6/")) and first.count("/") == 3:
        first = "[{2}]:{3}".format(*first.split("/"))
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
    return list(dict.fromkeys(ip for run in _RUN.findall(text) for ip in addresses_in_run(run)))


@lru_cache(maxsize=65536)
def addresses_in_run(run: str) -> tuple[str, ...]:
    """The addresses in what :data:`RUN` matches."""
    found = []
    for match in _CANDIDATE.finditer(run):
        v6 = match["v6"]
        if v6 is None:
            if _PRODUCT.search(run, 0, match.start()) and run[match.end() : match.end() + 1] != ":":
                continue
            if _VERSION.match(run):
                continue
        ip = match["v4"] if v6 is None else _v6_in_text(v6)
        if ip is not None:
            found.append(ip)
    return tuple(found)


def sole_source(text: str, address: str) -> str | None:
    """The one address in a text, where a word says that the text is about access, and none that it is another's.

    Who logs in, asks or is denied is told with an address; where there is just one, it is theirs, unless a word in
    front of it gives it another role (``to``, ``on``, ``server``, ...). No other text tells whose an address is.

    Args:
        text: A message.
        address: The only one that :func:`find_addresses` finds in it.
    """
    if not _ACCESS.search(text):
        return None
    place = text.find(address)
    before = text[max(0, place - 60) : place] if place >= 0 else ""
    return None if _OTHER_ROLE.search(before) else address


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


def _v6_in_text(text: str) -> str | None:
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
