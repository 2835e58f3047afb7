"""Settings in the words of kafka-python, of librdkafka, and of Spark's connector, which are those of Kafka's Java
client.
"""

from __future__ import annotations

from typing import Any

from logsluice.errors import LogsluiceError
from logsluice.settings import KafkaSettings, Settings

_IN_ENVIRONMENT = "LOGSLUICE_KAFKA__PASSWORD"
_PROVIDER = "environment"


def client_options(settings: Settings) -> dict[str, Any]:
    """How any kafka-python client reaches the broker.

    Raises:
        LogsluiceError: The file of trusted certificates is not there.
    """
    kafka = settings.kafka
    return {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap_servers.split(",")],
        "security_protocol": kafka.security_protocol,
        "client_id": "logsluice",
        # A broker that comes back is noticed within two seconds; kafka-python would wait up to thirty.
        "reconnect_backoff_max_ms": 2_000,
    } | _credentials(kafka, "sasl_mechanism", "sasl_plain_username", "sasl_plain_password", "ssl_cafile")


def librdkafka_options(settings: Settings) -> dict[str, Any]:
    """How any client of confluent-kafka reaches the broker.

    Raises:
        LogsluiceError: The file of trusted certificates is not there.
    """
    kafka = settings.kafka
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.security_protocol,
        "client.id": "logsluice",
        "reconnect.backoff.max.ms": 2_000,
        "allow.auto.create.topics": False,
        "topic.metadata.refresh.interval.ms": 30_000,
        # librdkafka would wait half a minute with a topic that is not known yet.
        "topic.metadata.propagation.max.ms": 5_000,
    } | _credentials(kafka, "sasl.mechanism", "sasl.username", "sasl.password", "ssl.ca.location")


def _credentials(kafka: KafkaSettings, mechanism: str, username: str, password: str, authority: str) -> dict[str, Any]:
    """Who a client is and whom it trusts, where the protocol asks for it, by the client's names for them."""
    options: dict[str, Any] = {}
    if kafka.security_protocol.startswith("SASL"):
        options |= {mechanism: kafka.sasl_mechanism, username: kafka.username, password: _password(kafka)}
    if kafka.security_protocol.endswith("SSL") and kafka.ssl_cafile:
        options[authority] = _existing_cafile(kafka)
    return options


def spark_kafka_options(settings: Settings, *, remote: bool = False) -> dict[str, str]:
    """The same for ``spark.read*.format("kafka").options(**...)`` and for writing.

    The truststore is the PEM file itself (``ssl.truststore.type=PEM``, Kafka 2.7 and later), so that Python
    and the JVM trust the same file.

    Args:
        remote: Whether executors are on other machines. They are sent every option, so the password is named as what
            each of them has in its environment (Kafka's ``EnvVarConfigProvider``, KIP-887).

    Raises:
        LogsluiceError: The file of trusted certificates is not there, or the password is one that cannot be named.
    """
    kafka = settings.kafka
    options = {
        "kafka.bootstrap.servers": kafka.bootstrap_servers,
        "kafka.security.protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.startswith("SASL"):
        password = _quoted(_password(kafka))
        if remote:
            if password != f'"{_password(kafka)}"':
                raise LogsluiceError(
                    "a quote or a backslash is in the password",
                    where=f"user {kafka.username} of Kafka",
                    why="executors take it from their environment as it stands",
                    hint="choose a password without",
                )
            password = f'"${{{_PROVIDER}:{_IN_ENVIRONMENT}}}"'
            options |= {
                "kafka.config.providers": _PROVIDER,
                f"kafka.config.providers.{_PROVIDER}.class": (
                    "org.apache.kafka.common.config.provider.EnvVarConfigProvider"
                ),
            }
        options |= {
            "kafka.sasl.mechanism": kafka.sasl_mechanism,
            "kafka.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required "
                f"username={_quoted(kafka.username or '')} password={password};"
            ),
        }
    if kafka.security_protocol.endswith("SSL") and kafka.ssl_cafile:
        options |= {
            "kafka.ssl.truststore.type": "PEM",
            "kafka.ssl.truststore.location": _existing_cafile(kafka),
        }
    return options


def _password(kafka: KafkaSettings) -> str:
    return kafka.password.get_secret_value() if kafka.password else ""


def _quoted(text: str) -> str:
    """A string of a JAAS file: backslashes and double quotes are escaped by a backslash."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _existing_cafile(kafka: KafkaSettings) -> str:
    path = kafka.ssl_cafile
    if path is None or not path.is_file():
        raise LogsluiceError(
            "no such file",
            where=str(path),
            why="kafka.ssl_cafile",
            hint="name the PEM file of the authority",
        )
    return str(path.absolute())
