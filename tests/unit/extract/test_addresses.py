"""Addresses as logs write them, and what only looks like one."""

import polars as pl
import pytest

from logsluice.event.addresses import Endpoint, find_addresses, read_endpoint
from logsluice.extract.columns import read_column
from logsluice.extract.values import read_value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", Endpoint("192.0.2.1", None)),
        ("192.0.2.1:443", Endpoint("192.0.2.1", 443)),
        ("[192.0.2.1]", Endpoint("192.0.2.1", None)),
        ("192.0.2.1#3076", Endpoint("192.0.2.1", 3076)),
        ("/192.0.2.1:54106", Endpoint("192.0.2.1", 54106)),
        ("web1/192.0.2.1:54106", Endpoint("192.0.2.1", 54106)),
        ("ipv4:192.0.2.1:80", Endpoint("192.0.2.1", 80)),
        ("tcp://192.0.2.1:80", Endpoint("192.0.2.1", 80)),
        ("IPV4/UDP/192.0.2.1/5060", Endpoint("192.0.2.1", 5060)),
        ("192.0.2.1/32", Endpoint("192.0.2.1", None)),
        ("203.0.113.9, 192.0.2.7, 127.0.0.1", Endpoint("203.0.113.9", None)),
        ("::ffff:192.0.2.1", Endpoint("192.0.2.1", None)),
        ("::ffff:c000:201", Endpoint("192.0.2.1", None)),
        ("[::ffff:192.0.2.1]:99", Endpoint("192.0.2.1", 99)),
        ("[2001:db8::1]:443", Endpoint("2001:db8::1", 443)),
        ("fe80::1%eth0", Endpoint("fe80::1", None)),
        ("[fe80::1%eth0]:22", Endpoint("fe80::1", 22)),
        ("/0:0:0:0:0:0:0:1:54321", Endpoint("0:0:0:0:0:0:0:1", 54321)),
        ("::1#62449", Endpoint("::1", 62449)),
        ("ipv6:[::1]:80", Endpoint("::1", 80)),
        ("999.1.1.1", None),
        ("1.2.3.4.5", None),
        ("10.0.0.0/8", None),
        ("12:30:45", None),
        ("00:08:a2:0c:1f:12", None),
        ("00:08:a2:0c:1f:12:00:c8", None),
        ("std::x", None),
        ("web1", None),
        ("-", None),
        ("", None),
    ],
)
def test_what_is_around_an_address_is_cut_off(text: str, expected: Endpoint | None) -> None:
    """In columns as in single values, whatever gave the text."""
    ip = None if expected is None else expected.ip
    assert read_endpoint(text) == expected
    assert read_value(text, "ip") == ip
    assert read_column(pl.Series([text]), "ip").to_list() == [ip]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from 192.0.2.1 port 5, 192.0.2.2:80->192.0.2.3:90", ["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
        ("[2001:db8::1]:40->[::1]:3 via ::ffff:192.0.2.1.", ["2001:db8::1", "::1", "192.0.2.1"]),
        ("client:192.0.2.1:443 ip=192.0.2.2, (127.0.0.1), ip=192.0.2.2", ["192.0.2.1", "192.0.2.2", "127.0.0.1"]),
        ("fe80::1%eth0: closed by 10.0.0.7.", ["fe80::1", "10.0.0.7"]),
        ("MAC=00:08:a2:0c:1f:12:00:c8:8b:e2:d6:87:08:00", []),
        ("std::string ab::cd Foo::Bar at 12:30:45.123, v1.2.3.4.5, 999.1.1.1", []),
        ("route 10.0.0.0/8, ip-192.0.2.1, 192.0.2.1.example.com, Chrome/108.0.5359.71", []),
        ("listening on :: port 22, 00000010: 4c:6f:72:65:6d", []),
    ],
)
def test_addresses_are_found_in_running_text(text: str, expected: list[str]) -> None:
    """Each once, in order; names, versions, times, networks and hardware addresses are none."""
    assert find_addresses(text) == expected
