"""What ``docker compose`` runs once, before and between the servers: secrets, and Elasticsearch's users.

``python -m logsluice.provision.compose prepare`` makes passwords and certificates on the first start, each for its
readers alone: a volume a service, mounted below one folder here, its files owned by the user that the service runs as.
Nothing of it is ever made anew while it is there. ``python -m logsluice.provision.compose users`` tells an
Elasticsearch with security its users.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
import yaml
from elasticsearch import Elasticsearch

from logsluice.api.guard.keys import keys_text, make_key
from logsluice.elasticsearch.client import connected
from logsluice.elasticsearch.roles import role_name, roles
from logsluice.jvm.jars import jar_paths
from logsluice.runtime.entrypoint import run_job
from logsluice.runtime.terminal import Terminal
from logsluice.settings import Settings, load_settings
from logsluice.stack.tls import issue

KAFKA_USER: Final = "logsluice"
"""The one user of compose's broker."""

READERS: Final = {
    "kafka": 1000,
    "elasticsearch": 1000,
    "kibana": 1000,
    "logstash": 1000,
    "grafana": 472,
    "kafka-ui": 10001,
    "elasticsearch-exporter": 10001,
    "logsluice": 10001,
    "redis": 999,
    "spark": 10001,
    "users": 10001,
}
"""Who gets secrets, and the number of the user that it runs as."""

AGENT: Final = "jmx_prometheus_javaagent.jar"
_STORE: Final = "store"
_EXPORTER: Final = "elasticsearch-exporter"
_JOBS_USER: Final = "logsluice"
_PASSWORDS: Final = (
    "elastic",
    "kibana_system",
    "logstash",
    _EXPORTER,
    _JOBS_USER,
    "kafka",
    "grafana",
    "kafka-ui",
    "redis",
    "spark",
)
_API_KEY: Final = "api-key"
_API_KEYS: Final = "api_keys.yaml"
_KIBANA_KEYS: Final = (
    "xpack.encryptedSavedObjects.encryptionKey",
    "xpack.reporting.encryptionKey",
    "xpack.security.encryptionKey",
)
_SERVERS: Final = {"elasticsearch": ["elasticsearch"], "kafka": ["kafka"], "logstash": ["logstash"]}


def prepare(folder: Path, owners: Mapping[str, int] = READERS) -> list[str]:
    """Make what is missing below a folder; gives what was made, a line each.

    Each reader's volume is mounted there under its name, and ``store``, with what none of them may see: every password
    once, Kibana's keys, and a key of the HTTP API.
    """
    changes: list[str] = []
    store = folder / _STORE
    for name in (*_PASSWORDS, *_KIBANA_KEYS):
        if not (store / name).exists():
            _write(store / name, secrets.token_urlsafe(32))
            changes.append(f"{name}: made")
    of = {name: (store / name).read_text() for name in (*_PASSWORDS, *_KIBANA_KEYS)}
    _write_all(folder, _files(of), owners)
    if not (store / _API_KEYS).exists():
        key = make_key("compose", ("admin",))
        _write(store / _API_KEY, key.text)
        _write(store / _API_KEYS, keys_text([key.stored]))
        changes.append(f"{_API_KEY}: made")
    _write(folder / "logsluice" / _API_KEYS, (store / _API_KEYS).read_text(), owners["logsluice"])
    certificates = _certificates()
    if not all((folder / reader / name).exists() for reader, files in certificates.items() for name in files):
        _write_all(folder, certificates, owners)
        changes.append("certificates: made")
    return changes


def _files(of: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The files of each reader: passwords as such, or the whole configuration for who reads secrets there alone."""
    kibana = {"elasticsearch.password": of["kibana_system"], **{key: of[key] for key in _KIBANA_KEYS}}
    login = f'org.apache.kafka.common.security.scram.ScramLoginModule required username="{KAFKA_USER}"'
    cluster = {
        "name": "prod",
        "bootstrapServers": "kafka:9092",
        "readOnly": True,
        "properties": {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.jaas.config": f'{login} password="{of["kafka"]}";',
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": "/run/secrets/kafka-ui/ca.crt",
        },
    }
    kafka_ui = {
        "auth": {"type": "LOGIN_FORM"},
        "spring": {"security": {"user": {"name": "admin", "password": of["kafka-ui"]}}},
        "kafka": {"clusters": [cluster]},
    }
    return {
        "kafka": {"password": of["kafka"]},
        "elasticsearch": {"elastic_password": of["elastic"]},
        "logstash": {"elasticsearch_password": of["logstash"], "kafka_password": of["kafka"]},
        "grafana": {"admin_password": of["grafana"]},
        "elasticsearch-exporter": {"elasticsearch_password": of[_EXPORTER]},
        "logsluice": {
            "elasticsearch_password": of[_JOBS_USER],
            "kafka_password": of["kafka"],
            "redis_url": f"redis://:{of['redis']}@redis:6379/0",
            "redis_cache_url": f"redis://:{of['redis']}@redis-cache:6379/0",
        },
        "redis": {"password": of["redis"]},
        "spark": {"secret": of["spark"]},
        "users": {name: of[name] for name in ("elastic", "kibana_system", "logstash", _EXPORTER, _JOBS_USER)},
        "kibana": {"kibana.yml": yaml.safe_dump(kibana)},
        "kafka-ui": {"kafka-ui.yml": yaml.safe_dump(kafka_ui)},
    }


def _certificates() -> dict[str, dict[str, str]]:
    """Key and certificate for each server, and the authority for everybody who connects to one."""
    authority, issued = issue(_SERVERS)
    clients = ("kibana", "kafka-ui", "elasticsearch-exporter", "logsluice", "users")
    files: dict[str, dict[str, str]] = {name: {"ca.crt": authority} for name in (*clients, *_SERVERS)}
    for server in ("elasticsearch", "logstash"):
        files[server] |= {"tls.key": issued[server].key, "tls.crt": issued[server].certificate}
    broker = issued["kafka"]
    files["kafka"]["broker.pem"] = broker.key + broker.certificate + authority
    return files


def _write_all(folder: Path, readers: Mapping[str, Mapping[str, str]], owners: Mapping[str, int]) -> None:
    for reader, files in readers.items():
        for name, text in files.items():
            _write(folder / reader / name, text, owners[reader])


def _write(path: Path, text: str, owner: int | None = None) -> None:
    """Put a file in its place in one step, readable by its owner alone from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(name).chmod(0o400)
    if owner is not None:
        os.chown(name, owner, -1)
    Path(name).replace(path)


def users_of(settings: Settings) -> dict[str, list[str]]:
    """The users and what part each is, by :func:`logsluice.elasticsearch.roles.roles`.

    Our workloads share their secrets here, and so a user.
    """
    apart = ("logstash", _EXPORTER)
    return {name: [name] for name in apart} | {_JOBS_USER: [part for part in roles(settings) if part not in apart]}


def set_up_users(client: Elasticsearch, settings: Settings, folder: Path) -> list[str]:
    """Give Kibana's user its password, and make ours; back with what was done, a line each."""
    client.security.change_password(username="kibana_system", password=(folder / "kibana_system").read_text())
    changes = ["user kibana_system: has its password"]
    for name, role in roles(settings).items():
        client.security.put_role(name=role_name(name), cluster=role["cluster"], indices=role["indices"])
    for name, parts in users_of(settings).items():
        client.security.put_user(
            username=name,
            password=(folder / name).read_text(),
            roles=[role_name(part) for part in parts],
            enabled=True,
        )
        changes.append(f"user {name}: made")
    return changes


def main(
    step: Annotated[
        Literal["prepare", "users"],
        typer.Argument(help="prepare: secrets and the JMX exporter; users: Elasticsearch's users."),
    ],
    folder: Annotated[Path, typer.Argument(help="Where the readers' volumes are, or where the passwords are.")],
    agent: Annotated[Path | None, typer.Option(help="For prepare: where to put the broker's JMX exporter.")] = None,
) -> None:
    """Do a step; what was done before stays as it is."""
    terminal = Terminal(soft_wrap=True)
    for line in _users(folder) if step == "users" else prepare(folder):
        terminal.print(line)
    if agent:
        (jar,) = jar_paths("jmx-exporter")
        shutil.copyfile(jar, agent / AGENT)


def _users(folder: Path) -> list[str]:
    settings = load_settings()
    if settings.elasticsearch.password is None:
        return ["Elasticsearch runs without security here: it has no users."]
    with connected(settings.elasticsearch) as client:
        return set_up_users(client, settings, folder)


if __name__ == "__main__":
    run_job(main)
