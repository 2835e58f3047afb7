"""What is shipped to Spark's workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr
from pyspark.serializers import CloudPickleSerializer

from logsluice.errors import LogsluiceError
from logsluice.extract import load_registry
from logsluice.jobs.regex.workers import RegexTaskSpec
from logsluice.jobs.spark.extractor_spec import ExtractorSpec
from logsluice.jobs.spark.passwords import with_own_passwords, without_passwords
from logsluice.kafka.options import spark_kafka_options
from logsluice.settings import Settings

SECRET = "never-to-be-seen"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    plain = Settings(home=tmp_path)
    secret = {"username": "u", "password": SecretStr(SECRET)}
    return plain.model_copy(
        update={
            "kafka": plain.kafka.model_copy(update=secret | {"security_protocol": "SASL_PLAINTEXT"}),
            "elasticsearch": plain.elasticsearch.model_copy(update=secret),
            "redis": plain.redis.model_copy(update={"url": SecretStr(f"redis://:{SECRET}@redis")}),
        }
    )


@pytest.fixture
def extractor_spec() -> ExtractorSpec:
    return ExtractorSpec.of(load_registry(), "UTC")


def test_work_for_other_machines_is_shipped_without_passwords(
    settings: Settings, extractor_spec: ExtractorSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled = CloudPickleSerializer()
    work = RegexTaskSpec(settings, extractor_spec, remote=True)
    shipped = pickled.dumps((work, "with more"))
    assert SECRET.encode() not in shipped
    assert SECRET.encode() in pickled.dumps(RegexTaskSpec(settings, extractor_spec))
    for name in ("KAFKA", "ELASTICSEARCH"):
        monkeypatch.setenv(f"LOGSLUICE_{name}__PASSWORD", f"{name}'s own")
    there, _ = pickled.loads(shipped)
    assert there.extractor_spec == extractor_spec
    for name in ("kafka", "elasticsearch"):
        section = getattr(there.settings, name)
        assert (section.username, section.password.get_secret_value()) == ("u", f"{name.upper()}'s own")
    # What comes back to a driver in one process is what it was.
    assert pickled.loads(pickled.dumps(RegexTaskSpec(settings, extractor_spec))).settings == settings


def test_an_executor_without_a_password_says_which(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOGSLUICE_KAFKA__PASSWORD", raising=False)
    clean = without_passwords(settings)
    assert SECRET not in repr(clean.model_dump())
    with pytest.raises(LogsluiceError, match="user u: no password on this executor; give executors LOGSLUICE_KAFKA"):
        with_own_passwords(clean)


def test_users_that_are_not_there_need_no_password(tmp_path: Path) -> None:
    plain = Settings(home=tmp_path)
    assert with_own_passwords(without_passwords(plain)) == plain


def test_kafka_s_options_for_other_machines_name_the_password(settings: Settings) -> None:
    options = spark_kafka_options(settings, remote=True)
    assert SECRET not in str(options)
    assert 'password="${environment:LOGSLUICE_KAFKA__PASSWORD}"' in options["kafka.sasl.jaas.config"]
    assert options["kafka.config.providers"] == "environment"
    assert SECRET in str(spark_kafka_options(settings))
    quoted = settings.kafka.model_copy(update={"password": SecretStr('a"b')})
    with pytest.raises(LogsluiceError, match="user u of Kafka: a quote or a backslash is in the password"):
        spark_kafka_options(settings.model_copy(update={"kafka": quoted}), remote=True)
