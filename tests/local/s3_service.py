"""S3 for a test: moto keeps the objects, and a policy decides first what is answered, as AWS has it decide.

What a request asks permission for, and what is said of a key that is not there, is from AWS's own service model
(botocore 1.44.8, ``data/s3/2006-03-01/service-2.json``, "Permissions" of each operation): 404 for who may list, 403 for
who may not. Listing is then asked for with the key as ``s3:prefix``, as Ceph found of AWS and does likewise
(https://github.com/ceph/ceph/pull/68577). The bucket encrypts with a KMS key, which asks for that key too. The
credentials are those of EKS' pod identity agent: for who has its token, and for requests signed with them alone.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree as ET

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from tests.shared.iam import Statement, allows

CREDENTIALS = "/credentials"
TOKEN = "of-the-pod"
_ACCESS_KEY = "ASIAPODIDENTITY00000"
_ANSWER = {
    "AccessKeyId": _ACCESS_KEY,
    "SecretAccessKey": "secret",
    "Token": "session",
    "Expiration": "2099-01-01T00:00:00Z",
}
_SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/s3/aws4_request")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


@dataclass(frozen=True)
class Permission:
    """What one request asked permission for, once."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


@dataclass
class S3Service:
    """The service as its clients see it."""

    bucket: str
    key_arn: str
    statements: Sequence[Statement]
    port: int = 0
    allowed: set[Permission] = field(default_factory=set)
    denied: set[Permission] = field(default_factory=set)
    regions: set[str] = field(default_factory=set)

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    def keys(self, prefix: str) -> list[str]:
        """What is stored, seen past the policy."""
        listed = self.client().list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Contents", ())]

    def client(self) -> Any:
        """A client that the policy is not asked for."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="administrator",
            aws_secret_access_key="secret",
        )

    def may(self, permission: Permission) -> bool:
        """Whether the policy allows it."""
        good = allows(self.statements, permission.action, permission.resource, dict(permission.context))
        (self.allowed if good else self.denied).add(permission)
        return good


@contextmanager
def s3_service(bucket: str, key_arn: str, statements: Sequence[Statement]) -> Iterator[S3Service]:
    """The service, with its bucket, for the length of a ``with`` block."""
    service = S3Service(bucket, key_arn, statements)
    gate = _Gate(service, DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, gate, threaded=True, request_handler=MotoRequestHandler)
    service.port = server.port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        service.client().create_bucket(Bucket=bucket)
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Gate:
    """Asks the policy before moto answers, and once more where moto finds no such key."""

    def __init__(self, service: S3Service, behind: Callable[[Environ, StartResponse], Iterable[bytes]]) -> None:
        self._service = service
        self._behind = behind

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == CREDENTIALS:
            given = environ.get("HTTP_AUTHORIZATION") == TOKEN
            return _answer(
                start_response, "200 OK" if given else "401 Unauthorized", json.dumps(_ANSWER if given else {})
            )
        signed = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        if signed and signed[1] != _ACCESS_KEY:
            return self._behind(environ, start_response)
        if not signed:
            return _denied(start_response)
        self._service.regions.add(signed[2])
        if not all(map(self._service.may, _permissions(environ, self._service))):
            return _denied(start_response)
        return self._answered(environ, start_response)

    def _answered(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        heads: list[tuple[Any, ...]] = []
        body = b"".join(self._behind(environ, lambda *head: heads.append(head)))
        bucket, key = _place(environ)
        source = _source(environ)
        wanted = source.partition("/")[2] if source else key
        if heads[0][0].startswith("404") and wanted and not self._service.may(_listing(bucket, wanted)):
            return _denied(start_response)
        start_response(*heads[0])
        return [body]


def _permissions(environ: Environ, service: S3Service) -> list[Permission]:
    """Every permission that a request needs."""
    bucket, key = _place(environ)
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    method = environ["REQUEST_METHOD"]
    whole, one = f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/{key}"
    decrypt, encrypt = Permission("kms:Decrypt", service.key_arn), Permission("kms:GenerateDataKey", service.key_arn)
    match (method, bool(key)):
        case ("GET", False) if "list-type" in query:
            return [_listing(bucket, query.get("prefix", [None])[0], query)]
        case ("HEAD", False):
            return [Permission("s3:ListBucket", whole)]
        case ("GET", False) if "location" in query:
            return [Permission("s3:GetBucketLocation", whole)]
        case ("GET", False) if "uploads" in query:
            return [Permission("s3:ListBucketMultipartUploads", whole)]
        case ("POST", False) if "delete" in query:
            return [Permission("s3:DeleteObject", f"{whole}/{each}") for each in _to_delete(environ)]
        case ("GET" | "HEAD", True) if not query.keys() & _SUBRESOURCES:
            return [Permission("s3:GetObject", one), *([decrypt] if method == "GET" else [])]
        case ("PUT", True) if not query.keys() - {"partNumber", "uploadId", "x-id"}:
            source = _source(environ)
            read = [Permission("s3:GetObject", f"arn:aws:s3:::{source}"), decrypt] if source else []
            parts = [decrypt] if "uploadId" in query else []
            return [Permission("s3:PutObject", one), encrypt, *read, *parts]
        case ("POST", True) if query.keys() & {"uploads", "uploadId"}:
            return [Permission("s3:PutObject", one), encrypt, decrypt]
        case ("DELETE", True) if "uploadId" in query:
            return [Permission("s3:AbortMultipartUpload", one)]
        case ("DELETE", True) if not query.keys() - {"x-id"}:
            return [Permission("s3:DeleteObject", one)]
    return [Permission(f"{method} {sorted(query)}", one)]  # which no policy allows


_SUBRESOURCES = {"acl", "attributes", "legal-hold", "retention", "tagging", "torrent", "uploadId", "versionId"}


def _listing(bucket: str, prefix: str | None, query: Mapping[str, list[str]] | None = None) -> Permission:
    context = {"s3:prefix": prefix} if prefix is not None else {}
    if query and "delimiter" in query:
        context["s3:delimiter"] = query["delimiter"][0]
    return Permission("s3:ListBucket", f"arn:aws:s3:::{bucket}", tuple(context.items()))


def _place(environ: Environ) -> tuple[str, str]:
    path = environ["PATH_INFO"].encode("latin-1").decode()
    bucket, _, key = path.lstrip("/").partition("/")
    return bucket, key


def _source(environ: Environ) -> str:
    return unquote(environ.get("HTTP_X_AMZ_COPY_SOURCE", "")).lstrip("/")


def _to_delete(environ: Environ) -> list[str]:
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    environ["wsgi.input"] = BytesIO(body)
    return [entry.text or "" for entry in ET.fromstring(body).iter() if entry.tag.rpartition("}")[2] == "Key"]


def _denied(start_response: StartResponse) -> Iterable[bytes]:
    return _answer(
        start_response, "403 Forbidden", "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    )


def _answer(start_response: StartResponse, status: str, body: str) -> Iterable[bytes]:
    content = body.encode()
    start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(content)))])
    return [content]
