"""Settings: ``config/<env>/settings.yaml``, overridden by environment variables.

Nested settings are reached with a double underscore: ``LOGSLUICE_KAFKA__BOOTSTRAP_SERVERS``. Two names are
shared with other tools and carry no nesting: ``LOGSLUICE_ENV`` and ``PROCESSING_MODE``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from logsluice.errors import LogsluiceError

Environment = Literal["dev", "prod"]
ProcessingMode = Literal["stream", "optimized", "batch"]
SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256"]
Port = Annotated[int, Field(ge=1, le=65535)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Section):
    """How to reach Kafka and what the topics are called."""

    bootstrap_servers: str = "127.0.0.1:9092"
    topic: str = "logs-topic"
    alerts_topic: str = "alerts-topic"
    partitions: Annotated[int, Field(ge=1)] = 4
    replication_factor: Annotated[int, Field(ge=1)] = 1
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None
    ssl_cafile: Path | None = None

    @property
    def dead_letter_topic(self) -> str:
        """Where what could not be read goes."""
        return f"{self.topic}-dlq"

    @model_validator(mode="after")
    def _credentials_are_complete(self) -> KafkaSettings:
        if self.security_protocol.startswith("SASL") and not (self.username and self.password):
            raise ValueError(
                f"security_protocol {self.security_protocol} needs username and password: "
                "set LOGSLUICE_KAFKA__USERNAME and LOGSLUICE_KAFKA__PASSWORD"
            )
        return self


class ElasticsearchSettings(_Section):
    """How to reach Elasticsearch."""

    hosts: str = "http://127.0.0.1:9200"
    username: str | None = None
    password: SecretStr | None = None
    ca_certs: Path | None = None
    replicas: Annotated[int, Field(ge=0)] = 0
    retention_days: Annotated[int, Field(ge=1)] = 7


class StreamSettings(_Section):
    """How the regex job cuts its micro-batches."""

    trigger_seconds: Annotated[float, Field(gt=0)] = 1.0
    max_offsets_per_trigger: Annotated[int, Field(ge=1)] = 5_000
    optimized_max_offsets_per_trigger: Annotated[int, Field(ge=1)] = 50_000
    optimized_target_seconds: Annotated[float, Field(gt=0)] = 10.0
    checkpoint_location: str | None = None


class MetricsSettings(_Section):
    """Where each job serves ``/metrics``; one port a job, so that all run on one machine."""

    host: str = "127.0.0.1"
    app_service: Port = 8000
    producer: Port = 8001
    regex: Port = 8002
    index: Port = 8003
    ship: Port = 8004
    windows: Port = 8005
    alerts: Port = 8006


class DashboardSettings(_Section):
    """Where the dashboard listens, and what it reads beside Elasticsearch.

    Attributes:
        reports: Folder of a report that is shown instead of what Elasticsearch holds.
        metrics_url: The ``/metrics`` of app-service; where left out, on this machine.
    """

    host: str = "127.0.0.1"
    port: Port = 8501
    reports: Path | None = None
    metrics_url: str | None = None


class Settings(BaseSettings):
    """Everything that differs between environments.

    Attributes:
        env: The environment, which is also the prefix of every index alias.
        processing_mode: How the regex job runs.
        time_zone: IANA zone of timestamps that carry none.
        home: Where local mode keeps data, logs and checkpoints.
    """

    model_config = SettingsConfigDict(
        env_prefix="LOGSLUICE_", env_nested_delimiter="__", extra="forbid", frozen=True, populate_by_name=True
    )

    env: Environment = "dev"
    processing_mode: ProcessingMode = Field(default="stream", validation_alias="PROCESSING_MODE")
    time_zone: str = "UTC"
    home: Path = Path(".logsluice")
    kafka: KafkaSettings = KafkaSettings()
    elasticsearch: ElasticsearchSettings = ElasticsearchSettings()
    stream: StreamSettings = StreamSettings()
    metrics: MetricsSettings = MetricsSettings()
    dashboard: DashboardSettings = DashboardSettings()

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"no time zone is called {value!r}; use an IANA name such as Europe/Berlin") from None
        return value

    @property
    def logs_index(self) -> str:
        """Alias over the raw events."""
        return f"{self.env}-logs-index"

    @property
    def results_index(self) -> str:
        """Alias over the facts."""
        return f"{self.env}-results-index"

    @property
    def metrics_index(self) -> str:
        """Alias over raw events that are measurements (``event.kind: metric``)."""
        return f"{self.env}-metrics-index"

    @property
    def windows_index(self) -> str:
        """Alias over the one-minute windows."""
        return f"{self.env}-windows-index"

    @property
    def alerts_index(self) -> str:
        """Alias over the alerts."""
        return f"{self.env}-alerts-index"

    @property
    def dead_letters_index(self) -> str:
        """Alias over the dead letters, as they can be searched."""
        return f"{self.env}-dead-letters-index"

    @property
    def checkpoint_location(self) -> str:
        """Folder (or S3 URL) under which Spark keeps its checkpoints."""
        return self.stream.checkpoint_location or str((self.home / "checkpoints").absolute())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings names it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment variables win over the file, arguments over both."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)


def config_dir() -> Path:
    """The folder of the environment: ``LOGSLUICE_CONFIG``, or ``config/<LOGSLUICE_ENV>``."""
    return Path(os.environ.get("LOGSLUICE_CONFIG") or Path("config") / os.environ.get("LOGSLUICE_ENV", "dev"))


def load_settings(directory: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings of an environment.

    Args:
        directory: The environment's folder; :func:`config_dir` where left out.
        overrides: Values that win over file and environment variables.

    Raises:
        LogsluiceError: The file is missing or not YAML, or a value is wrong: which one, why, and what to do.
    """
    path = (directory or config_dir()) / "settings.yaml"
    if not path.is_file():
        raise LogsluiceError(
            "there is no such file",
            where=str(path),
            hint="go to a checkout of logsluice, or name a folder by --config or LOGSLUICE_CONFIG",
        )

    class FileSettings(Settings):
        model_config = SettingsConfigDict(yaml_file=path, title="Settings")

    try:
        loaded = FileSettings(**overrides)
    except yaml.YAMLError as error:
        raise LogsluiceError("is not valid YAML", where=str(path), why=str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        entry = ".".join(str(part) for part in first["loc"]) or "settings"
        variable = entry if entry.isupper() else f"LOGSLUICE_{entry.upper().replace('.', '__')}"
        hint = f"correct it there, or in the environment variable {variable}"
        raise LogsluiceError(first["msg"], where=f"{path}, {entry}", hint=hint) from None
    return Settings.model_construct(**dict(loaded))
