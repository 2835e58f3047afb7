"""A broker that asks who may do what, as Strimzi sets it up: its users, their rights, and what each of them asks for.

The authorizer is Kafka's own. What it lets a right mean here is Kafka 4.3's,
``metadata/src/main/java/org/apache/kafka/metadata/authorizer/StandardAuthorizerData.java``: reading, writing, deleting
and altering imply describing. Its lines of the audit log say what was asked. The users are made as Strimzi 1.2.0's user
operator makes them, ``user-operator/src/main/java/io/strimzi/operator/user/model/acl/SimpleAclRule.java`` and
``SimpleAclRuleResource.java``: an entry for each operation, from any host.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType
from kafka.admin import UserScramCredentialUpsertion as Password

from logsluice.stack import kafka
from logsluice.stack.properties import log_to
from logsluice.stack.supervisor import LocalStack
from tests.local.running import ROOT

Object = dict[str, Any]
IMPLIES_DESCRIBE = {"DESCRIBE", "READ", "WRITE", "DELETE", "ALTER"}
_LINE = re.compile(
    r"Principal = User:(?P<user>\S+) is (?P<verdict>Allowed|Denied) operation = (?P<operation>\w+) from host = \S+ "
    r"on resource = (?P<kind>\w+):LITERAL:(?P<name>\S+)"
)


class Access(NamedTuple):
    """What a user wanted to do."""

    operation: str
    kind: str
    name: str


class Right(NamedTuple):
    """An entry of a user's access control list."""

    operation: str
    kind: str
    name: str
    is_prefix: bool

    def allows(self, accesses: Access) -> bool:
        """Whether it does, taken alone."""
        means = accesses.operation == self.operation
        means = means or (accesses.operation == "DESCRIBE" and self.operation in IMPLIES_DESCRIBE)
        named = accesses.name.startswith(self.name) if self.is_prefix else accesses.name == self.name
        return means and accesses.kind == self.kind and named


def users() -> dict[str, list[Right]]:
    """Every KafkaUser of the base and its rights."""
    text = (ROOT / "k8s" / "base" / "kafka" / "users.yaml").read_text()
    return {
        item["metadata"]["name"]: [right for rule in item["spec"]["authorization"]["acls"] for right in _rights(rule)]
        for item in yaml.safe_load_all(text)
    }


def _rights(rule: Object) -> Iterator[Right]:
    resource = rule["resource"]
    for operation in rule["operations"]:
        kind, prefix = resource["type"].upper(), resource.get("patternType") == "prefix"
        yield Right(operation.upper(), kind, resource["name"], prefix)


@contextmanager
def guarded(stack: LocalStack) -> Iterator[None]:
    """Have a stack's secured broker ask its authorizer; what it says goes to the broker's log."""
    properties = kafka.server_properties

    def with_authorizer(*arguments: Any, **options: Any) -> dict[str, str]:
        return properties(*arguments, **options) | {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{kafka.USER};User:CN=localhost",
        }

    def with_audit(folder: Path, name: str) -> str:
        audit = "logger.audit.name=kafka.authorizer.logger\nlogger.audit.level=debug\n"
        # All of it is read: no older file.
        return log_to(folder, name).replace("10MB", "1GB") + audit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kafka, "server_properties", with_authorizer)
        patch.setattr(kafka, "log_to", with_audit)
        stack.start("kafka")
        try:
            yield
        finally:
            stack.stop("kafka")


def make_users(client: KafkaAdminClient, wanted: dict[str, list[Right]]) -> dict[str, str]:
    """Make users with their rights; the password of each."""
    passwords = {user: secrets.token_hex(12) for user in wanted}
    client.alter_user_scram_credentials(
        [Password(user, "SCRAM-SHA-512", password) for user, password in passwords.items()]
    )
    client.create_acls([_acl(user, right) for user, rights in wanted.items() for right in rights])
    return passwords


def _acl(user: str, right: Right) -> ACL:
    pattern = ACLResourcePatternType.PREFIXED if right.is_prefix else ACLResourcePatternType.LITERAL
    resource = ResourcePattern(ResourceType[right.kind], right.name, pattern)
    return ACL(f"User:{user}", "*", ACLOperation[right.operation], ACLPermissionType.ALLOW, resource)


def accesses(log: Path, user: str, since: int) -> tuple[set[Access], set[Access]]:
    """What a user was allowed and what denied, by the broker's log from a byte of it on."""
    allowed: set[Access] = set()
    denied: set[Access] = set()
    for found in _LINE.finditer(log.read_bytes()[since:].decode(errors="replace")):
        if found["user"] == user:
            what = Access(found["operation"], found["kind"].upper(), found["name"])
            (allowed if found["verdict"] == "Allowed" else denied).add(what)
    return allowed, denied


def in_vain(rights: Iterable[Right], allowed: Iterable[Access]) -> list[Right]:
    """The rights without which everything would have been allowed all the same."""
    listed, wanted = list(rights), list(allowed)
    return [
        right
        for right in listed
        if not any(
            right.allows(what) and not any(other.allows(what) for other in listed if other != right) for what in wanted
        )
    ]
