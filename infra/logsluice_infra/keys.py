"""A KMS key with its alias, its policy and its yearly rotation."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from .policies import Statement, document
from .tags import tags


@dataclass(frozen=True)
class EncryptionKeyArgs:
    """What a key is for.

    Attributes:
        stack: the stack's name.
        name: the alias, without `alias/`.
        purpose: a line for whoever finds the key in the console.
        account: the account that administers it.
        partition: aws, aws-cn, ...
        deletion_days: days between its deletion and its end, 7 to 30.
        log_groups: name patterns of the CloudWatch log groups that it encrypts.
        region: where these log groups are.
        protect: deny its deletion.
        retain: the key outlives the stack, with what it encrypts.
    """

    stack: str
    name: str
    purpose: str
    account: str
    partition: str
    deletion_days: int
    region: str
    log_groups: tuple[str, ...]
    protect: bool
    retain: bool


class EncryptionKey(pulumi.ComponentResource):
    """A customer-managed key. Its policy leaves all permissions to IAM, as AWS's default does."""

    def __init__(self, name: str, args: EncryptionKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("logsluice:infra:EncryptionKey", name, None, opts)
        self.key = aws.kms.Key(
            name,
            description=args.purpose,
            policy=document(*_statements(args)),
            enable_key_rotation=True,
            deletion_window_in_days=args.deletion_days,
            tags=tags(args.stack, args.name),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, retain_on_delete=args.retain),
        )
        self.arn = self.key.arn
        aws.kms.Alias(
            name,
            name=f"alias/{args.name}",
            target_key_id=self.key.key_id,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=args.retain),
        )
        self.register_outputs({"arn": self.arn})


def _statements(args: EncryptionKeyArgs) -> list[Statement]:
    # In a key's policy "*" is that key and nothing else, and IAM cannot grant what the root principal was not given.
    statements: list[Statement] = [
        {
            "Sid": "AdministeredByIAM",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:{args.partition}:iam::{args.account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ]
    if args.log_groups:
        statements.append(
            {
                "Sid": "LogGroups",
                "Effect": "Allow",
                "Principal": {"Service": f"logs.{args.region}.amazonaws.com"},
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                "Resource": "*",
                "Condition": {
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": [
                            f"arn:{args.partition}:logs:{args.region}:{args.account}:log-group:{group}"
                            for group in args.log_groups
                        ]
                    }
                },
            }
        )
    return statements
