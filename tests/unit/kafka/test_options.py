from __future__ import annotations

from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from pydantic import SecretStr

from logsluice.errors import LogsluiceError
from logsluice.kafka.options import client_options, spark_kafka_options
from logsluice.settings import KafkaSettings, Settings


def settings(**kafka: object) -> Settings:
    return Settings.model_construct(kafka=KafkaSettings.model_validate(kafka))


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN CERTIFICATE-----")
    return path


def test_an_open_broker_needs_no_more_than_its_address() -> None:
    plain = settings(bootstrap_servers="a:9092, b:9092")
    options = client_options(plain)
    assert options["bootstrap_servers"] == ["a:9092", "b:9092"]
    assert not [name for name in options if name.startswith(("sasl", "ssl"))]
    assert spark_kafka_options(plain) == {
        "kafka.bootstrap.servers": "a:9092, b:9092",
        "kafka.security.protocol": "PLAINTEXT",
    }


def test_a_secured_broker_is_reached_the_same_by_python_and_by_spark(authority: Path) -> None:
    secured = settings(
        security_protocol="SASL_SSL",
        username="logsluice",
        password=SecretStr('a"b\\c'),
        ssl_cafile=authority,
        sasl_mechanism="SCRAM-SHA-256",
    )
    assert (
        client_options(secured).items()
        >= {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-256",
            "sasl_plain_username": "logsluice",
            "sasl_plain_password": 'a"b\\c',
            "ssl_cafile": str(authority),
        }.items()
    )
    spark = spark_kafka_options(secured)
    assert spark["kafka.sasl.jaas.config"] == (
        'org.apache.kafka.common.security.scram.ScramLoginModule required username="logsluice" password="a\\"b\\\\c";'
    )
    assert spark["kafka.sasl.mechanism"] == "SCRAM-SHA-256"
    assert (spark["kafka.ssl.truststore.type"], spark["kafka.ssl.truststore.location"]) == ("PEM", str(authority))


def test_kafka_python_knows_every_option(authority: Path) -> None:
    secured = settings(security_protocol="SASL_SSL", username="u", password=SecretStr("p"), ssl_cafile=authority)
    for client in (KafkaAdminClient, KafkaConsumer):
        assert client_options(secured).keys() <= client.DEFAULT_CONFIG.keys()


def test_a_missing_file_of_authorities_is_named(tmp_path: Path) -> None:
    secured = settings(security_protocol="SSL", ssl_cafile=tmp_path / "none.pem")
    for options in (client_options, spark_kafka_options):
        with pytest.raises(LogsluiceError, match=r"none\.pem"):
            options(secured)
