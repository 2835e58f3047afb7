"""The certificates that cert-manager makes of our resources.

A model of cert-manager 1.21.1: ``pkg/util/pki/csr.go`` (``GenerateCSR``: the subject is the common name where no more
is given, the alternative names are critical where it is empty; ``KeyUsagesForCertificateOrCertificateRequest``),
``pkg/util/pki/certificatetemplate.go``, ``pkg/controller/certificaterequests/selfsigned/selfsigned.go`` (issuer and
subject are one) and ``.../ca/ca.go`` (signed by the first certificate of the issuer's secret, whose own is ``ca.crt``);
of ingresses ``pkg/controller/certificate-shim/sync.go`` and ``helper.go``. Key identifiers are those of Go's
``crypto/x509.CreateCertificate``, which it calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Object = dict[str, Any]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
DEFAULT_USAGES = ("digital signature", "key encipherment")
DEFAULT_HOURS = 2_160
_USAGES = {
    "digital signature": "digital_signature",
    "key encipherment": "key_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
}
_PURPOSES = {"server auth": ExtendedKeyUsageOID.SERVER_AUTH, "client auth": ExtendedKeyUsageOID.CLIENT_AUTH}


class Secret(NamedTuple):
    """What a certificate's secret holds, as PEM; ``ca`` is the certificate that signed it, or itself."""

    crt: str
    key: str
    ca: str


class _Signed(NamedTuple):
    certificate: x509.Certificate
    key: Key


def of_ingress(ingress: Object) -> Iterator[Object]:
    """The Certificates that an ingress asks for by its annotations."""
    annotations = ingress["metadata"]["annotations"]
    for entry in ingress["spec"]["tls"]:
        spec: Object = {
            "secretName": entry["secretName"],
            "dnsNames": entry["hosts"],
            "issuerRef": {"name": annotations["cert-manager.io/issuer"], "kind": "Issuer"},
        }
        if "cert-manager.io/common-name" in annotations:
            spec["commonName"] = annotations["cert-manager.io/common-name"]
        metadata = {"name": entry["secretName"], "namespace": ingress["metadata"]["namespace"]}
        yield {"kind": "Certificate", "metadata": metadata, "spec": spec}


class Issuers:
    """The issuers of some objects, with the secrets that they have issued.

    Args:
        objects: Issuers and Certificates.
    """

    def __init__(self, objects: Iterable[Object]) -> None:
        listed = list(objects)
        self._issuers = {_place(item): item["spec"] for item in listed if item["kind"] == "Issuer"}
        self._certificates = [item for item in listed if item["kind"] == "Certificate"]
        self._kept: dict[tuple[str, str], _Signed] = {}

    def issue(self, certificate: Object) -> Secret:
        """The secret of a Certificate, made anew; its key stays where ``rotationPolicy`` says so."""
        namespace, spec = certificate["metadata"]["namespace"], certificate["spec"]
        place = (namespace, spec["secretName"])
        before = self._kept.get(place)
        keeps = before is not None and spec.get("privateKey", {}).get("rotationPolicy") == "Never"
        key = before.key if before is not None and keeps else _key(spec.get("privateKey", {}))
        issuer = self._issuers[namespace, spec["issuerRef"]["name"]]
        signer = None if "selfSigned" in issuer else self._authority(namespace, issuer["ca"]["secretName"])
        signed = _certificate(spec, key, signer)
        self._kept[place] = _Signed(signed, key)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Secret(_pem(signed), private, _pem(signer.certificate if signer else signed))

    def _authority(self, namespace: str, secret: str) -> _Signed:
        if (namespace, secret) not in self._kept:
            (certificate,) = (
                item
                for item in self._certificates
                if (item["metadata"]["namespace"], item["spec"]["secretName"]) == (namespace, secret)
            )
            self.issue(certificate)
        found = self._kept[namespace, secret]
        constraints = found.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert constraints.ca, f"{secret} is no authority: the issuer is not ready"
        return found


def _place(item: Object) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key(given: Mapping[str, Any]) -> Key:
    if given.get("algorithm", "RSA") == "ECDSA":
        return ec.generate_private_key({256: ec.SECP256R1, 384: ec.SECP384R1}[given.get("size", 256)]())
    return rsa.generate_private_key(65_537, given.get("size", 2_048))


def _certificate(spec: Object, key: Key, signer: _Signed | None) -> x509.Certificate:
    common: str = spec.get("commonName", "")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])
    now, hours = datetime.now(UTC), int(str(spec.get("duration", f"{DEFAULT_HOURS}h")).removesuffix("h"))
    is_authority = spec.get("isCA", False)
    usages = set(spec.get("usages", DEFAULT_USAGES)) | ({"cert sign"} if is_authority else set())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(hours=hours))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(_usage(usages), critical=True)
    )
    if names := spec.get("dnsNames"):
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=not common)
    if purposes := [_PURPOSES[usage] for usage in sorted(usages & _PURPOSES.keys())]:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if is_authority:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if signer:
        public = signer.key.public_key()
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    return builder.sign(signer.key if signer else key, hashes.SHA256())


def _usage(usages: set[str]) -> x509.KeyUsage:
    names: tuple[str, ...] = ("digital_signature", "key_encipherment", "key_cert_sign", "crl_sign")
    names += ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
    wanted = {_USAGES[usage] for usage in usages & _USAGES.keys()}
    return x509.KeyUsage(**{name: name in wanted for name in names})
