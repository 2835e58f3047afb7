"""What kafka-python 3.0 has no public way for, in this module alone, to be read again with each new version of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient

C = TypeVar("C")


def connect(client: Callable[..., C], **options: Any) -> C:
    """Make a client that leaves no thread behind where it cannot connect; its own would be there for nobody to close.

    Raises:
        kafka.errors.KafkaError: It cannot.
    """
    networks: list[KafkaNetClient] = []

    def network(**configs: Any) -> KafkaNetClient:
        networks.append(KafkaNetClient(**configs))
        return networks[-1]

    try:
        return client(kafka_client=network, **options)
    except BaseException:
        for created in networks:
            created.close()
        raise


@contextmanager
def connection_failures() -> Iterator[list[BaseException]]:
    """Why connections failed meanwhile, which kafka-python tells its log alone."""
    failures: list[BaseException] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            arguments = record.args if isinstance(record.args, tuple) else ()
            failures.extend(
                argument
                for argument in arguments
                if isinstance(argument, BaseException) and not isinstance(argument, kafka_errors.KafkaTimeoutError)
            )

    logger = logging.getLogger("kafka.net.manager")
    listener = Listener()
    propagate, level = logger.propagate, logger.level
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    logger.addHandler(listener)
    try:
        yield failures
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        logger.propagate = propagate


def abandon(producer: KafkaProducer, seconds: float) -> None:
    """Close a producer without its records: closing as such waits for what is on its way, which may be days."""
    producer._sender.force_close()
    with suppress(kafka_errors.KafkaTimeoutError):
        producer.close(timeout=seconds)
