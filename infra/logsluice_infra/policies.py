"""IAM policy documents as data. A document is made once its ARNs are known, and is the same text every time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

Statement = Mapping[str, Any]


def document(*statements: Statement) -> pulumi.Output[str]:
    """The JSON of a policy with these statements; their values may be outputs."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)}, sort_keys=True)


def allow(
    actions: Sequence[str],
    resources: Sequence[pulumi.Input[str]],
    condition: Mapping[str, Any] | None = None,
) -> Statement:
    """A statement that allows these actions on these resources."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return {**statement, "Condition": condition} if condition else statement


def trust_service(service: str) -> str:
    """Who may take the role: an AWS service."""
    return _trust({"Principal": {"Service": service}, "Action": "sts:AssumeRole"})


def trust_pods(namespace: str, service_accounts: Sequence[str]) -> str:
    """Who may take the role: pods of these service accounts, by EKS Pod Identity and its session tags."""
    return _trust(
        {
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {
                    "aws:RequestTag/kubernetes-namespace": namespace,
                    "aws:RequestTag/kubernetes-service-account": list(service_accounts),
                }
            },
        }
    )


def _trust(statement: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}, sort_keys=True)
