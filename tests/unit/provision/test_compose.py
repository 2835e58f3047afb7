"""Secrets that are made once, each for its readers, and Elasticsearch's users."""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from logsluice.api.guard.keys import KeyRing
from logsluice.elasticsearch.roles import roles
from logsluice.provision.compose import READERS, prepare, set_up_users
from logsluice.settings import Settings

OWNERS = dict.fromkeys(READERS, os.getuid())


@pytest.fixture
def made(tmp_path: Path) -> Path:
    prepare(tmp_path, OWNERS)
    return tmp_path


def everything(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_nothing_is_made_twice(made: Path) -> None:
    before = everything(made)
    assert prepare(made, OWNERS) == []
    assert everything(made) == before


def test_what_a_newer_version_needs_is_added_to_what_is_there(made: Path) -> None:
    for path in (made / "store/spark", made / "spark/secret", made / "logsluice/redis_cache_url"):
        path.unlink()
    before = everything(made)
    assert prepare(made, OWNERS) == ["spark: made"]
    after = everything(made)
    assert {path: after[path] for path in before} == before
    assert after[made / "spark/secret"] == after[made / "store/spark"]


def test_each_secret_is_a_file_that_its_owner_alone_reads(made: Path) -> None:
    files = everything(made)
    assert {path.relative_to(made).parts[0] for path in files} == {*READERS, "store"}
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o400, path


def test_no_two_installations_share_a_password(tmp_path: Path) -> None:
    for name in ("one", "other"):
        prepare(tmp_path / name, OWNERS)
    one, other = (set(everything(tmp_path / name / "store").values()) for name in ("one", "other"))
    assert len(one) == len(other)
    assert not one & other
    assert all(len(secret) >= 32 for secret in one | other)


def test_readers_know_the_same_password(made: Path) -> None:
    def read(name: str) -> str:
        return (made / name).read_text()

    assert read("kafka/password") == read("logsluice/kafka_password") == read("logstash/kafka_password")
    assert read("elasticsearch/elastic_password") == read("users/elastic")
    assert read("users/logsluice") == read("logsluice/elasticsearch_password")
    assert read("users/logstash") == read("logstash/elasticsearch_password")
    exporter = "elasticsearch-exporter"
    assert read(f"users/{exporter}") == read(f"{exporter}/elasticsearch_password")
    assert read("logsluice/redis_url") == f"redis://:{read('redis/password')}@redis:6379/0"
    assert read("logsluice/redis_cache_url") == f"redis://:{read('redis/password')}@redis-cache:6379/0"
    assert read("spark/secret") == read("store/spark")
    key = KeyRing(made / "logsluice" / "api_keys.yaml").find(read("store/api-key"))
    assert key is not None
    assert key.scopes == ("admin",)
    kibana = yaml.safe_load(read("kibana/kibana.yml"))
    assert kibana["elasticsearch.password"] == read("users/kibana_system")
    assert all(len(value) >= 32 for value in kibana.values())
    (cluster,) = yaml.safe_load(read("kafka-ui/kafka-ui.yml"))["kafka"]["clusters"]
    assert f'password="{read("kafka/password")}";' in cluster["properties"]["sasl.jaas.config"]


def test_a_lost_certificate_means_new_ones_for_everybody(made: Path) -> None:
    passwords = everything(made / "store")
    (made / "logstash" / "tls.key").unlink()
    authority = (made / "logsluice" / "ca.crt").read_text()
    assert prepare(made, OWNERS) == ["certificates: made"]
    assert everything(made / "store") == passwords
    found = {path.read_text() for path in made.rglob("ca.crt")}
    assert len(found) == 1
    assert authority not in found


@pytest.mark.parametrize("server", ["elasticsearch", "kafka", "logstash"])
def test_a_server_is_who_its_certificate_says(made: Path, server: str) -> None:
    folder = made / server
    bundle = folder / ("broker.pem" if server == "kafka" else "tls.crt")
    certificate = x509.load_pem_x509_certificates(bundle.read_bytes())[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", server]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    key = load_pem_private_key((bundle if server == "kafka" else folder / "tls.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert certificate.public_key() == key.public_key()
    context = ssl.create_default_context(cafile=str(made / "logsluice" / "ca.crt"))
    (authority,) = context.get_ca_certs()
    assert (
        certificate.issuer.rfc4514_string()
        == x509.load_pem_x509_certificate((made / "logsluice" / "ca.crt").read_bytes()).subject.rfc4514_string()
    )
    assert authority


class Recorder:
    """Stands in for an Elasticsearch with security, which cannot be had as jars: notes what it is told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if name == "security":
            return self
        return lambda **arguments: self.requests.append((name, arguments))


def test_every_part_has_a_role_and_a_user_that_has_no_other(made: Path) -> None:
    settings = Settings(env="prod")
    client = Recorder()
    done = set_up_users(client, settings, made / "users")  # type: ignore[arg-type]
    assert len(done) == 4
    assert client.requests[0] == (
        "change_password",
        {"username": "kibana_system", "password": (made / "users/kibana_system").read_text()},
    )
    put_roles = {arguments.pop("name"): arguments for name, arguments in client.requests if name == "put_role"}
    assert put_roles == {f"logsluice-{part}": role for part, role in roles(settings).items()}
    users = {arguments["username"]: arguments for name, arguments in client.requests if name == "put_user"}
    assert set(users) == {"logstash", "elasticsearch-exporter", "logsluice"}
    for name, user in users.items():
        assert user["password"] == (made / "users" / name).read_text()
    assert users["logstash"]["roles"] == ["logsluice-logstash"]
    assert users["elasticsearch-exporter"]["roles"] == ["logsluice-elasticsearch-exporter"]
    assert sorted(role for user in users.values() for role in user["roles"]) == sorted(put_roles)


def test_logstash_may_add_events_and_nothing_else() -> None:
    role = roles(Settings(env="prod"))["logstash"]
    assert role["cluster"] == ["monitor"]
    (indices,) = role["indices"]
    assert indices["names"] == ["prod-logs-index-*", "prod-metrics-index-*", "prod-dead-letters-index-*"]
    assert set(indices["privileges"]) == {"auto_configure", "create_doc"}


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_no_role_reaches_beyond_the_indices_of_its_environment_or_deletes(env: str) -> None:
    for part, role in roles(Settings(env=env)).items():
        granted = {privilege for indices in role["indices"] for privilege in indices["privileges"]}
        assert not granted & {"all", "manage", "delete", "delete_index", "write", "create_index"}, part
        if part != "elasticsearch-exporter":
            assert set(role["cluster"]) <= {"monitor"}, part
            assert all(name.startswith(f"{env}-") for indices in role["indices"] for name in indices["names"]), part
    assert granted == {"monitor", "view_index_metadata"}
