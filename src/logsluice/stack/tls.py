"""A local certificate authority and server certificates for loopback and compose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from logsluice.runtime.private_files import write_private

_DAYS = 3_650


class Issued(NamedTuple):
    """A server's key and certificate, as PEM."""

    key: str
    certificate: str


def issue(servers: Mapping[str, Sequence[str]]) -> tuple[str, dict[str, Issued]]:
    """A new authority, and a key and certificate for each server.

    The authority's own key is thrown away: nothing else can ever be signed with it.

    Args:
        servers: The host names under which each server is reached, by its own name; ``localhost`` and
            127.0.0.1 come with every one.

    Returns:
        What clients have to trust, and what was issued, by the server's name.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("logsluice local authority")
    authority = (
        _certificate(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    # Client too: a server shows its certificate to others of its kind, as a broker to its own controller.
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    issued = {}
    for server, hosts in servers.items():
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(host) for host in ("localhost", *hosts)]
        certificate = (
            _certificate(_name(server), authority_name, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([*names, x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
            )
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(issuer, critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        issued[server] = Issued(pem, certificate.public_bytes(Encoding.PEM).decode())
    return authority.public_bytes(Encoding.PEM).decode(), issued


def make_certificates(folder: Path) -> None:
    """Write ``ca.pem``, which clients have to trust, and ``broker.pem``: key and certificate for loopback."""
    authority, issued = issue({"localhost": []})
    broker = issued["localhost"]
    write_private(folder / "broker.pem", broker.key + broker.certificate + authority)
    write_private(folder / "ca.pem", authority)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A clock that is set back a little must not make it invalid.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
