"""What a workload may do in AWS: a role that only its service accounts can take, by EKS Pod Identity.

No node has these permissions: the nodes' own role pulls images and joins the cluster, and pods cannot reach it (IMDS
answers nothing that is more than one hop away).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from .namespaces import NAMESPACE, SPARK_NAMESPACE
from .policies import Statement, allow, document, trust_pods
from .tags import tags


@dataclass(frozen=True)
class PodRoleArgs:
    """A role and who takes it.

    Attributes:
        stack: the stack's name.
        name: the role's name.
        namespace: the service accounts' namespace.
        service_accounts: the service accounts that may take it.
        statements: what they may do.
        managed_policies: ARNs of AWS's own policies, for AWS's own drivers.
    """

    stack: str
    name: str
    namespace: str
    service_accounts: tuple[str, ...]
    statements: Sequence[Statement] = ()
    managed_policies: Sequence[str] = field(default=())


class PodRole(pulumi.ComponentResource):
    """A role for pods. `ready` is what must be there before a pod takes it."""

    def __init__(self, name: str, args: PodRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("logsluice:infra:PodRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=args.name,
            assume_role_policy=trust_pods(args.namespace, args.service_accounts),
            tags=tags(args.stack, args.name),
            opts=child,
        )
        self.role_arn = role.arn
        self.ready: list[pulumi.Resource] = [role]
        if args.statements:
            policy = aws.iam.RolePolicy(
                name, name="permissions", role=role.id, policy=document(*args.statements), opts=child
            )
            self.ready.append(policy)
        for arn in args.managed_policies:
            attachment = aws.iam.RolePolicyAttachment(
                f"{name}-{arn.rsplit('/', 1)[1]}", role=role.name, policy_arn=arn, opts=child
            )
            self.ready.append(attachment)
        self.register_outputs({"role_arn": self.role_arn})


@dataclass(frozen=True)
class WorkloadIdentitiesArgs:
    """What the workloads' permissions name.

    Attributes:
        stack: the stack's name.
        name: what everything is called.
        cluster_name: the EKS cluster.
        agent: the pod identity agent's add-on, which must be there first.
        node_groups_arn: pattern of the ARNs of the cluster's node groups.
        bucket_arn: the stack's bucket.
        key_arn: the KMS key of the bucket.
    """

    stack: str
    name: str
    cluster_name: pulumi.Input[str]
    agent: pulumi.Resource
    node_groups_arn: str
    bucket_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]


class WorkloadIdentities(pulumi.ComponentResource):
    """The pod identities: Spark, Elasticsearch, and the cluster autoscaler. Each with the least that it needs."""

    def __init__(self, name: str, args: WorkloadIdentitiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("logsluice:infra:WorkloadIdentities", name, None, opts)
        self._args = args
        spark = self._files("checkpoints", "spark-events", "windows")
        self._join("spark", SPARK_NAMESPACE, ("spark-driver", "spark-executor"), spark)
        self._join("elasticsearch", NAMESPACE, ("elasticsearch",), self._snapshots("elasticsearch-snapshots"))
        self._join("cluster-autoscaler", "kube-system", ("cluster-autoscaler",), self._scaling())
        self.register_outputs({})

    def _join(
        self, purpose: str, namespace: str, service_accounts: tuple[str, ...], statements: Sequence[Statement]
    ) -> None:
        args = self._args
        role = PodRole(
            purpose,
            PodRoleArgs(
                stack=args.stack,
                name=f"{args.name}-{purpose}",
                namespace=namespace,
                service_accounts=service_accounts,
                statements=statements,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        for service_account in service_accounts:
            aws.eks.PodIdentityAssociation(
                service_account,
                cluster_name=args.cluster_name,
                namespace=namespace,
                service_account=service_account,
                role_arn=role.role_arn,
                tags=tags(args.stack, f"{args.name}-{service_account}"),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[args.agent, *role.ready]),
            )

    def _files(self, *prefixes: str) -> list[Statement]:
        """Files below these prefixes of the bucket, as Hadoop's S3A and Arrow keep them, and nothing else of it.

        Both look for a folder by HEAD on its bare name and by listing what begins with it, and take 404 alone for "not
        there". S3 says that of a missing key to who may read it and list it by its name; to others it says 403
        (Amazon S3 API Reference, HeadObject).
        """
        bucket = self._args.bucket_arn
        return [
            self._listing(prefixes),
            allow(["s3:GetObject"], [pulumi.Output.concat(bucket, f"/{name}") for name in _names(prefixes)]),
            allow(["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], self._below(prefixes)),
            self._key(),
        ]

    def _snapshots(self, *prefixes: str) -> list[Statement]:
        """Snapshots below these prefixes, as Elasticsearch keeps them (its reference, "S3 repository", permissions)."""
        return [
            self._listing(prefixes),
            allow(["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"], [self._args.bucket_arn]),
            allow(
                [
                    "s3:GetObject",
                    "s3:PutObject",
                    "s3:DeleteObject",
                    "s3:AbortMultipartUpload",
                    "s3:ListMultipartUploadParts",
                ],
                self._below(prefixes),
            ),
            self._key(),
        ]

    def _listing(self, prefixes: Sequence[str]) -> Statement:
        return allow(["s3:ListBucket"], [self._args.bucket_arn], {"StringLike": {"s3:prefix": _names(prefixes)}})

    def _below(self, prefixes: Sequence[str]) -> list[pulumi.Output[str]]:
        return [pulumi.Output.concat(self._args.bucket_arn, f"/{prefix}/*") for prefix in prefixes]

    def _key(self) -> Statement:
        return allow(["kms:Decrypt", "kms:GenerateDataKey"], [self._args.key_arn])

    def _scaling(self) -> list[Statement]:
        # The describing actions know no resources (AWS service authorization reference: EC2, EC2 Auto Scaling).
        return [
            allow(
                [
                    "autoscaling:DescribeAutoScalingGroups",
                    "autoscaling:DescribeAutoScalingInstances",
                    "autoscaling:DescribeLaunchConfigurations",
                    "autoscaling:DescribeScalingActivities",
                    "autoscaling:DescribeTags",
                    "ec2:DescribeImages",
                    "ec2:DescribeInstanceTypes",
                    "ec2:DescribeLaunchTemplateVersions",
                    "ec2:GetInstanceTypesFromInstanceRequirements",
                ],
                ["*"],
            ),
            allow(
                ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
                ["*"],
                {"StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{self._args.name}": "owned"}},
            ),
            allow(["eks:DescribeNodegroup"], [self._args.node_groups_arn]),
        ]


def _names(prefixes: Sequence[str]) -> list[str]:
    """A prefix's bare name, and all that is below it."""
    return [name for prefix in prefixes for name in (prefix, f"{prefix}/*")]
