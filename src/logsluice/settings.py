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
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from logsluice.errors import LogsluiceError

Environment = Literal["dev", "prod"]
ProcessingMode = Literal["stream", "optimized", "batch"]
SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256"]
Port = Annotated[int, Field(ge=1, le=65535)]


def _none_if_empty(value: object) -> object:
    return value or None


OptionalText = Annotated[str | None, BeforeValidator(_none_if_empty)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_none_if_empty)]


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
    snapshot_bucket: str | None = None
    snapshot_days: Annotated[int, Field(ge=1)] = 14


class KibanaSettings(_Section):
    """How to reach Kibana; with no host there is none."""

    host: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    ca_certs: Path | None = None


class StreamSettings(_Section):
    """How the regex job cuts its micro-batches."""

    trigger_seconds: Annotated[float, Field(gt=0)] = 1.0
    max_offsets_per_trigger: Annotated[int, Field(ge=1)] = 5_000
    optimized_max_offsets_per_trigger: Annotated[int, Field(ge=1)] = 50_000
    optimized_target_seconds: Annotated[float, Field(gt=0)] = 10.0
    checkpoint_location: str | None = None


class WindowsSettings(_Section):
    """How the windows job cuts time, and where its files go.

    Attributes:
        window_seconds: Length of a window; hours are made of whole ones.
        watermark_seconds: How long after its end a window still takes events, by the clock of the events.
        idle_seconds: How long a partition may say nothing before the others go on without it, and all of them
            before the wall clock closes what is open.
        ahead_seconds: How far after its arrival in Kafka an event's own timestamp may lie and still be believed.
        trigger_seconds: From the start of a batch to that of the next one.
        max_offsets_per_trigger: Events of a batch at most.
        output: Folder (or S3 URL) of the files; ``windows`` in ``home`` where left out.
    """

    window_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    watermark_seconds: Annotated[float, Field(ge=0)] = 10.0
    idle_seconds: Annotated[float, Field(gt=0)] = 15.0
    ahead_seconds: Annotated[float, Field(ge=0)] = 60.0
    trigger_seconds: Annotated[float, Field(gt=0)] = 2.0
    max_offsets_per_trigger: Annotated[int, Field(ge=1)] = 20_000
    output: str | None = None

    @field_validator("window_seconds")
    @classmethod
    def _divides_an_hour(cls, value: int) -> int:
        if 3600 % value:
            raise ValueError(f"{value} does not divide an hour of 3600 seconds; use 10, 30, 60, 300 or the like")
        return value


class AlertSettings(_Section):
    """When the alerts job judges, and whom it tells.

    Attributes:
        interval_seconds: From one look at the windows to the next.
        allowance_seconds: A window is judged so long after its end, when the windows job has written it.
        catch_up_minutes: How far back a job that starts judges what happened meanwhile.
        link: Where the logs behind an alert are seen; ``{from}``, ``{to}``, ``{service}``, ``{level}`` and ``{rule}``
            are filled in.
        log: The file with a line for each alert that opens or resolves.
        webhook_url: Who is told over HTTP, in Slack's format; a secret, so from the environment only.
        webhook_secret: Signs what is sent there; likewise.
    """

    interval_seconds: Annotated[float, Field(gt=0)] = 15.0
    allowance_seconds: Annotated[float, Field(ge=0)] = 15.0
    catch_up_minutes: Annotated[int, Field(ge=60, le=1_440)] = 120
    link: str = "http://127.0.0.1:8501/?from={from}&to={to}&service={service}&level={level}"
    log: Path = Path("reports/alerts.log")
    webhook_url: OptionalSecret = None
    webhook_secret: OptionalSecret = None

    @field_validator("link")
    @classmethod
    def _link_can_be_filled(cls, value: str) -> str:
        try:
            value.format_map(dict.fromkeys(("from", "to", "service", "level", "rule"), ""))
        except (AttributeError, IndexError, KeyError, ValueError):
            raise ValueError("only {from}, {to}, {service}, {level} and {rule} can stand in a link") from None
        return value


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


class RedisSettings(_Section):
    """How to reach Redis; with no URL there is none.

    Attributes:
        url: Holds what must not be lost: it has to refuse writes rather than evict keys (``noeviction``).
            ``redis://``, ``rediss://`` (TLS) or ``unix://``; a password in it makes it a secret, so from the
            environment only.
        cache_url: Holds what may be lost at any time, answers and limits, and may evict it; likewise. Where left out,
            instances keep answers to themselves.
        prefix: Begins every key, so that several environments may share a server.
        timeout_seconds: How long an answer is waited for.
    """

    url: OptionalSecret = None
    cache_url: OptionalSecret = None
    prefix: str = "logsluice"
    timeout_seconds: Annotated[float, Field(gt=0)] = 1.0


class SchemaRegistrySettings(_Section):
    """How to reach a schema registry that speaks Confluent's API; with no URL there is none."""

    url: OptionalText = None
    username: str | None = None
    password: SecretStr | None = None
    ca_certs: Path | None = None


class OidcSettings(_Section):
    """Whose bearer tokens the API takes; with no issuer, none.

    Attributes:
        issuer: The ``iss`` of a token; its keys are found by OpenID Connect Discovery.
        audience: The ``aud`` a token must carry.
        jwks_url: Where the keys are, for an issuer without discovery.
        scope_claim: The claim that holds the scopes, as a list or as text with spaces between.
        scope_prefix: Begins the scopes that are meant for this API, such as ``logsluice:``.
        jwks_seconds: How long keys are trusted before they are fetched again.
    """

    issuer: str | None = None
    audience: str = "logsluice"
    jwks_url: str | None = None
    scope_claim: str = "scope"
    scope_prefix: str = ""
    jwks_seconds: Annotated[float, Field(gt=0)] = 300.0


class ApiLimits(_Section):
    """What one request may ask of the API.

    Attributes:
        requests_per_second: Refill of each client's token bucket.
        burst: Size of that bucket, in requests.
        event_bytes: Of one posted event, decompressed; no more than a record of the topic takes.
        body_bytes: Of a body, decompressed; a single event's is held to ``event_bytes``.
        total_body_bytes: Of all bodies that are being read or worked on at one time.
        batch_events: Events of a batch.
        fields: Of one event, counted at every depth.
        depth: Of objects and arrays within each other, in any JSON body.
        header_bytes: Of the request line and all headers.
        header_seconds: From a connection's (or a request's) first byte to the end of its headers.
        body_seconds: A body that takes longer than this must come at ``body_bytes_per_second`` at least.
        body_bytes_per_second: See ``body_seconds``.
        unread_seconds: How long an answer may wait for its reader to take more of it.
        concurrency: Connections at one time.
        query_seconds: Longest stretch of time that a question may span.
    """

    requests_per_second: Annotated[int, Field(ge=1)] = 5_000
    burst: Annotated[int, Field(ge=1)] = 10_000
    event_bytes: Annotated[int, Field(ge=1, le=1_000_000)] = 262_144
    body_bytes: Annotated[int, Field(ge=1)] = 16_777_216
    total_body_bytes: Annotated[int, Field(ge=1)] = 134_217_728
    batch_events: Annotated[int, Field(ge=1)] = 20_000
    fields: Annotated[int, Field(ge=1)] = 500
    depth: Annotated[int, Field(ge=1, le=100)] = 20
    header_bytes: Annotated[int, Field(ge=1_024)] = 32_768
    header_seconds: Annotated[float, Field(gt=0)] = 10.0
    body_seconds: Annotated[float, Field(gt=0)] = 10.0
    body_bytes_per_second: Annotated[int, Field(ge=1)] = 65_536
    unread_seconds: Annotated[float, Field(gt=0)] = 30.0
    concurrency: Annotated[int, Field(ge=1)] = 2_000
    query_seconds: Annotated[int, Field(ge=1)] = 400 * 86_400

    @model_validator(mode="after")
    def _consistent(self) -> ApiLimits:
        if self.burst < self.requests_per_second:
            raise ValueError("burst must be at least requests_per_second: buckets are refilled once a second")
        if self.total_body_bytes < self.body_bytes:
            raise ValueError("total_body_bytes must hold one body of body_bytes at least")
        return self


class ApiBufferSettings(_Section):
    """Where events wait on disk while Kafka is away; with no folder they are refused instead.

    Attributes:
        directory: A folder of this instance alone, on a disk that outlives the process.
        max_bytes: Of all events that wait; more are refused.
        ticket_seconds: How long a ticket can be asked for after its events were stored.
    """

    directory: Path | None = None
    max_bytes: Annotated[int, Field(ge=1)] = 1_073_741_824
    ticket_seconds: Annotated[int, Field(ge=1)] = 86_400


class ApiSettings(_Section):
    """The HTTP API.

    Attributes:
        host: Address to listen on; beyond loopback only with keys or an issuer.
        port: Port to listen on.
        url: Where our own programs find it; on this machine, where left out.
        key: The API key that they show; a secret, so from the environment only.
        keys_file: Hashed API keys, as ``logsluice api-key`` writes them.
        oidc: Bearer tokens.
        limits: What a request may ask for.
        buffer: Events that wait on disk.
        delivery_seconds: How long Kafka may take to acknowledge a post.
        breaker_failures: Deliveries that fail in a row until Kafka counts as away.
        breaker_seconds: From then until it is tried again.
        idempotency_seconds: How long an ``Idempotency-Key`` is remembered.
        cache_seconds: How long an answer that cannot change is kept.
        cache_bytes: Of answers kept in process, where there is no Redis.
        search_seconds: How long Elasticsearch may take for a search.
        tails: Clients that may follow the live tail at one time.
        tails_each: How many of them one caller may have.
        cors_origins: Origins whose pages may call the API from a browser.
        trusted_proxies: Addresses or networks whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed.
        shutdown_seconds: How long requests at hand may take after SIGTERM.
    """

    host: str = "127.0.0.1"
    port: Port = 8090
    url: OptionalText = None
    key: OptionalSecret = None
    keys_file: Path | None = None
    oidc: OidcSettings = OidcSettings()
    limits: ApiLimits = ApiLimits()
    buffer: ApiBufferSettings = ApiBufferSettings()
    delivery_seconds: Annotated[float, Field(ge=1)] = 10.0
    breaker_failures: Annotated[int, Field(ge=1)] = 5
    breaker_seconds: Annotated[float, Field(gt=0)] = 5.0
    idempotency_seconds: Annotated[int, Field(ge=60)] = 86_400
    cache_seconds: Annotated[int, Field(ge=1)] = 3_600
    cache_bytes: Annotated[int, Field(ge=0)] = 67_108_864
    search_seconds: Annotated[float, Field(gt=0)] = 10.0
    tails: Annotated[int, Field(ge=0)] = 50
    tails_each: Annotated[int, Field(ge=1)] = 10
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    shutdown_seconds: Annotated[int, Field(ge=1)] = 20

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return (self.url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def authenticates(self) -> bool:
        """Whether clients have to say who they are."""
        return self.keys_file is not None or self.oidc.issuer is not None


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
    kibana: KibanaSettings = KibanaSettings()
    stream: StreamSettings = StreamSettings()
    windows: WindowsSettings = WindowsSettings()
    alerts: AlertSettings = AlertSettings()
    metrics: MetricsSettings = MetricsSettings()
    dashboard: DashboardSettings = DashboardSettings()
    api: ApiSettings = ApiSettings()
    redis: RedisSettings = RedisSettings()
    schema_registry: SchemaRegistrySettings = SchemaRegistrySettings()

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

    @property
    def windows_output(self) -> str:
        """Folder (or S3 URL) under which the windows job keeps its files."""
        return self.windows.output or str((self.home / "windows").absolute())

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
