from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator

import pytest

from logsluice.errors import LogsluiceError
from logsluice.stack.ports import check_free, free_port, holder, is_free, is_open, local_port


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_is_named_with_its_holder(taken: int) -> None:
    assert not is_free(taken)
    assert is_open(taken)
    assert str(os.getpid()) in (holder(taken) or "")
    line = rf"^kafka: port {taken} is taken \(by \S+ \(process {os.getpid()}\)\); .*--kafka-port$"
    with pytest.raises(LogsluiceError) as caught:
        check_free(taken, "kafka", "--kafka-port")
    assert re.search(line, str(caught.value))


def test_a_port_held_on_every_address_is_taken_on_the_loopback_too() -> None:
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        assert not is_free(server.getsockname()[1])


def test_a_free_port_is_free_and_no_outgoing_connection_is_given_it() -> None:
    port = free_port()
    assert is_free(port)
    assert not is_open(port)
    assert holder(port) is None
    assert port < 32_768
    check_free(port, "kafka", "--kafka-port")


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("127.0.0.1:19092", 19092),
        ("localhost", 9092),
        ("http://127.0.0.1:9200/", 9200),
        ("https://localhost:9201", 9201),
        ("kafka.example.org:9092", None),
        ("127.0.0.1:9092,10.0.0.7:9092", None),
        ("127.0.0.1:99999", None),
    ],
)
def test_only_addresses_of_this_machine_have_a_local_port(address: str, port: int | None) -> None:
    assert local_port(address, 9092) == port
