"""kafka-python's clients, made from the settings; they are waited for where the broker is not up yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import errors as kafka_errors

from logsluice.errors import LogsluiceError
from logsluice.kafka.kafka_python import connect, connection_failures
from logsluice.kafka.options import client_options
from logsluice.runtime.retry import RetryContext, retry_on_unavailable
from logsluice.settings import Settings

C = TypeVar("C")

_REFUSED = (kafka_errors.SaslAuthenticationFailedError, kafka_errors.AuthorizationError)
_BUSY = kafka_errors.UnknownBrokerIdError | kafka_errors.BrokerNotAvailableError | kafka_errors.UnknownError
_BOOTSTRAP_MS = 5_000
_DELIVERY_MS = 7 * 24 * 3_600_000
_MAX_RECORD_BYTES = 2_097_152


def is_unavailable(error: BaseException) -> bool:
    """Whether an error of kafka-python means that the broker is down, starting or busy: try again."""
    if isinstance(error, _REFUSED):
        return False
    return isinstance(error, OSError | _BUSY) or (isinstance(error, kafka_errors.KafkaError) and error.retriable)


def retry_kafka(request: Callable[[], C], settings: Settings, *, job: str, stop: Event | None = None) -> C:
    """What the broker answers to a request that is safe to do twice, waited for while it is unavailable.

    Raises:
        StoppedError: ``stop`` was set.
    """
    return retry_on_unavailable(
        request, is_unavailable, RetryContext("kafka", settings.kafka.bootstrap_servers, job, stop=stop)
    )


def admin(settings: Settings, *, job: str, stop: Event | None = None, wait: bool = True) -> KafkaAdminClient:
    """A client for topics and offsets; waits for the broker, and says every now and then that it does not answer.

    Args:
        wait: False for a command that a person waits for: a broker that does not answer is an error then.

    Raises:
        LogsluiceError: The broker refuses the credentials, or does not answer and ``wait`` is False.
        StoppedError: ``stop`` was set.
    """
    return _connected(KafkaAdminClient, settings, job, stop, wait, request_timeout_ms=15_000)


def producer(settings: Settings, *, job: str, stop: Event | None = None, linger_ms: int = 20) -> KafkaProducer:
    """An idempotent producer with ``acks=all`` that keeps trying while the broker is away.

    Nothing is dropped after a while, as the client's own default of two minutes would do. A record may be as
    large as the dead letters' topic takes; other topics refuse what is too large for them.

    Raises:
        LogsluiceError: The broker refuses the credentials.
        StoppedError: ``stop`` was set.
    """
    return _connected(
        KafkaProducer,
        settings,
        job,
        stop,
        True,
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        linger_ms=linger_ms,
        batch_size=262_144,
        delivery_timeout_ms=_DELIVERY_MS,
        max_request_size=_MAX_RECORD_BYTES,
        allow_auto_create_topics=False,
    )


def consumer(
    settings: Settings, *, job: str, stop: Event | None = None, wait: bool = True, **options: Any
) -> KafkaConsumer:
    """A consumer with no group, to be given partitions and offsets by hand; it commits nothing by itself.

    An offset that is no longer there is an error, never a silent jump.

    Args:
        wait: False for a command that a person waits for: a broker that does not answer is an error then.

    Raises:
        LogsluiceError: The broker refuses the credentials, or does not answer and ``wait`` is False.
        StoppedError: ``stop`` was set.
    """
    return _connected(
        KafkaConsumer,
        settings,
        job,
        stop,
        wait,
        **{
            "group_id": None,
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "allow_auto_create_topics": False,
            "max_poll_records": 10_000,
            "max_partition_fetch_bytes": 4 * _MAX_RECORD_BYTES,
            "metadata_max_age_ms": 30_000,
            **options,
        },
    )


def _connected(
    client: Callable[..., C], settings: Settings, job: str, stop: Event | None, wait: bool, /, **options: Any
) -> C:
    everything = client_options(settings) | {"bootstrap_timeout_ms": _BOOTSTRAP_MS} | options
    where = settings.kafka.bootstrap_servers
    cause: BaseException | None = None

    def make() -> C:
        nonlocal cause
        with connection_failures() as failures:
            try:
                return connect(client, **everything)
            except kafka_errors.KafkaError:
                for failure in failures:
                    if isinstance(failure, _REFUSED):
                        raise failure from None
                cause = _root_cause(failures)
                raise

    def described(error: BaseException) -> str:
        reason = str(cause or error)
        # kafka-python may lose the broker's refusal of a password to the end of the connection behind it.
        doubt = ", as the broker also does for a wrong kafka.username or kafka.password"
        return reason + doubt if "disconnected" in reason and settings.kafka.username else reason

    try:
        return retry_on_unavailable(
            make,
            lambda error: wait and is_unavailable(error),
            RetryContext("kafka", where, job, stop=stop, describe_error=described),
        )
    except _REFUSED as error:
        raise LogsluiceError(
            "the broker refuses the credentials",
            where=where,
            why=str(error),
            hint="check kafka.username, kafka.password and kafka.sasl_mechanism",
        ) from None
    except kafka_errors.KafkaError as error:
        raise LogsluiceError(
            "Kafka does not answer",
            where=where,
            why=described(error),
            hint="`logsluice status` says how the local one is",
        ) from None


def _root_cause(failures: Sequence[BaseException]) -> BaseException | None:
    """The last failure that says why; the last of all may be an attempt that ran out of the time for all of them."""
    reasons = [failure for failure in failures if not isinstance(failure, kafka_errors.RequestTimedOutError)]
    return next(reversed(reasons or failures), None)
