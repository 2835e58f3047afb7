"""What is written before a server starts."""

from __future__ import annotations

import ssl
import stat
import zipfile
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509

from logsluice.runtime.private_files import write_private
from logsluice.stack import elasticsearch
from logsluice.stack.kafka import Files, server_properties
from logsluice.stack.properties import log_to, render
from logsluice.stack.tls import make_certificates


def properties(home: Path, *, secure: bool = False) -> dict[str, str]:
    files = Files(home)
    write_private(files.password, "geheim")
    return server_properties(files, 9092, 9093, secure=secure)


def test_the_broker_listens_on_the_loopback_alone(tmp_path: Path) -> None:
    for secure in (False, True):
        for listener in properties(tmp_path, secure=secure)["listeners"].split(","):
            assert "//127.0.0.1:" in listener


def test_the_broker_makes_no_topic_by_itself(tmp_path: Path) -> None:
    assert properties(tmp_path)["auto.create.topics.enable"] == "false"


def test_no_listener_of_a_secured_broker_takes_anonymous_clients(tmp_path: Path) -> None:
    secured = properties(tmp_path, secure=True)
    assert secured["listener.security.protocol.map"] == "CLIENTS:SASL_SSL,CONTROLLER:SSL"
    assert secured["listener.name.controller.ssl.client.auth"] == "required"
    assert secured["sasl.enabled.mechanisms"] == "SCRAM-SHA-512"


def test_a_broker_without_security_gets_no_secrets(tmp_path: Path) -> None:
    assert "geheim" not in render(properties(tmp_path))
    assert "geheim" in render(properties(tmp_path, secure=True))


def test_properties_keep_letters_that_java_would_read_wrongly() -> None:
    assert render({"log.dirs": "/home/jürgen/ж\\😀"}) == "log.dirs=/home/j\\u00fcrgen/\\u0436\\\\\\ud83d\\ude00\n"


def test_logs_go_to_the_folder_whatever_its_letters() -> None:
    lines = log_to(Path("/home/jürgen/my logs"), "kafka").splitlines()
    assert "appender.rolling.fileName=/home/j\\u00fcrgen/my logs/kafka.log" in lines


def test_elasticsearch_never_makes_an_index_in_an_aliass_place(tmp_path: Path) -> None:
    settings = elasticsearch.node_settings(tmp_path, 9200)
    assert settings["action.auto_create_index"] == "-*-index,+*"
    assert settings["network.host"] == "127.0.0.1"
    assert settings["http.port"] == "9200"


def test_elasticsearch_does_not_take_garbage_for_memory_in_use(tmp_path: Path) -> None:
    assert "-XX:+UseSerialGC" in elasticsearch.java_options(tmp_path, "512m")
    assert elasticsearch.node_settings(tmp_path, 9200)["indices.breaker.total.use_real_memory"] == "false"


def test_the_http_module_is_laid_out_as_the_server_looks_for_it(tmp_path: Path) -> None:
    cache, home = tmp_path / "cache", tmp_path / "home"
    cache.mkdir()
    jar = cache / "transport-netty4-9.5.3.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr(
            "META-INF/es-plugins/transport-netty4/plugin-descriptor.properties", "a=b\nmodulename=x\nc=d\n"
        )
        archive.writestr("META-INF/es-plugins/transport-netty4/entitlement-policy.yaml", "ALL-UNNAMED: []\n")
        archive.writestr("org/Thing.class", "x")
    others = [cache / "netty-common-4.1.jar", cache / "lucene-core-10.jar"]
    for other in others:
        other.touch()
    for _ in range(2):
        elasticsearch.lay_out(home, [jar, *others])
        module = home / "elasticsearch" / "modules" / "transport-netty4"
        assert {path.name for path in module.iterdir()} == {
            "transport-netty4-9.5.3.jar",
            "netty-common-4.1.jar",
            "plugin-descriptor.properties",
            "entitlement-policy.yaml",
        }
        descriptor = (module / "plugin-descriptor.properties").read_text()
        assert descriptor.split() == ["a=b", "c=d"]
    assert str(home / "logs") in (home / "elasticsearch" / "config" / "log4j2.properties").read_text()


def test_private_files_are_their_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    for text in ("one", "two"):
        write_private(path, text)
        assert path.read_text() == text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]


def test_the_certificate_is_for_this_machine_and_signed_by_the_authority(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    broker, *chain = x509.load_pem_x509_certificates((tmp_path / "broker.pem").read_bytes())
    assert chain == [authority]
    broker.verify_directly_issued_by(authority)
    names = broker.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [IPv4Address("127.0.0.1")]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert broker.not_valid_after_utc > datetime.now(UTC) + timedelta(days=365)
    assert not broker.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    # OpenSSL takes both: what Python's clients and, by the key, the broker need.
    ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "broker.pem")
