"""What outlives a pod outside the cluster: the bucket, and the repository of the workloads' image."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from .policies import document
from .settings import StorageSettings
from .tags import tags


@dataclass(frozen=True)
class StorageArgs:
    """The bucket and the repository.

    Attributes:
        stack: the stack's name.
        name: what everything is called, the repository too.
        bucket_name: the bucket's name, which must be unique among all of AWS.
        settings: what the stack's file says.
        key_arn: the KMS key of both.
        protect: deny their deletion.
        retain: leave them when the stack goes.
    """

    stack: str
    name: str
    bucket_name: str
    settings: StorageSettings
    key_arn: pulumi.Input[str]
    protect: bool
    retain: bool


class Storage(pulumi.ComponentResource):
    """A bucket that answers TLS alone, keeps old versions for a while and nothing in the open; an ECR repository."""

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("logsluice:infra:Storage", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._protection = pulumi.ResourceOptions(parent=self, protect=args.protect, retain_on_delete=args.retain)
        bucket = self._bucket()
        repository = self._repository()

        self.bucket_name = bucket.bucket
        self.bucket_arn = bucket.arn
        self.repository_url = repository.repository_url
        self.register_outputs({"bucket_name": self.bucket_name, "repository_url": self.repository_url})

    def _bucket(self) -> aws.s3.Bucket:
        args, child = self._args, self._child
        bucket = aws.s3.Bucket(
            "bucket",
            bucket=args.bucket_name,
            force_destroy=args.settings.force_destroy,
            tags=tags(args.stack, args.bucket_name),
            opts=self._protection,
        )
        aws.s3.BucketOwnershipControls(
            "bucket",
            bucket=bucket.id,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child,
        )
        blocked = aws.s3.BucketPublicAccessBlock(
            "bucket",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        by_default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs
        aws.s3.BucketServerSideEncryptionConfiguration(
            "bucket",
            bucket=bucket.id,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=by_default(
                        sse_algorithm="aws:kms", kms_master_key_id=args.key_arn
                    ),
                    bucket_key_enabled=True,
                )
            ],
            opts=child,
        )
        versioning = aws.s3.BucketVersioning(
            "bucket",
            bucket=bucket.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            "bucket",
            bucket=bucket.id,
            rules=_object_rules(args.settings),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        aws.s3.BucketPolicy(
            "bucket",
            bucket=bucket.id,
            policy=document(
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[blocked]),
        )
        return bucket

    def _repository(self) -> aws.ecr.Repository:
        args = self._args
        repository = aws.ecr.Repository(
            "image",
            name=args.name,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[
                aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=args.key_arn)
            ],
            force_delete=args.settings.force_destroy,
            tags=tags(args.stack, args.name),
            opts=self._protection,
        )
        aws.ecr.LifecyclePolicy(
            "image",
            repository=repository.name,
            policy=json.dumps(_image_rules(args.settings.images_kept), sort_keys=True),
            opts=self._child,
        )
        return repository


def _object_rules(settings: StorageSettings) -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
    rule, matching = aws.s3.BucketLifecycleConfigurationRuleArgs, aws.s3.BucketLifecycleConfigurationRuleFilterArgs
    expiring = aws.s3.BucketLifecycleConfigurationRuleExpirationArgs
    return [
        rule(
            id="old-versions",
            status="Enabled",
            filter=matching(prefix=""),
            noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=settings.old_versions_days
            ),
            expiration=expiring(expired_object_delete_marker=True),
            abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=7
            ),
        ),
        rule(
            id="spark-events",
            status="Enabled",
            filter=matching(prefix="spark-events/"),
            expiration=expiring(days=settings.spark_events_days),
        ),
    ]


def _image_rules(count: int) -> dict[str, object]:
    expire = {"type": "expire"}
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Untagged images go after a week",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 7,
                },
                "action": expire,
            },
            {
                "rulePriority": 2,
                "description": f"The newest {count} images stay",
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": count},
                "action": expire,
            },
        ]
    }
