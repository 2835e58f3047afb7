"""The EKS cluster: control plane, node groups, add-ons, and who may come in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from .identity import PodRole, PodRoleArgs
from .network import letter
from .policies import allow, document, trust_service
from .settings import ClusterSettings, NodeGroupSettings
from .tags import tags

AMI_TYPE = "AL2023_x86_64_STANDARD"
NODE_GROUP_LABEL = "logsluice.io/node-group"
WORKLOAD_TAINT = "logsluice.io/workload"
_TAINTED = ("data", "spark")
"""The groups that take only what asks for them; the rest runs on `system`."""
_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")


@dataclass(frozen=True)
class ClusterArgs:
    """The cluster's place and size.

    Attributes:
        stack: the stack's name.
        name: the cluster's name.
        partition: aws, aws-cn, ...
        zones: availability zones, in the order of the subnets.
        subnet_ids: the private subnets, one a zone.
        settings: what the stack's file says.
        key_arn: KMS key of the Kubernetes secrets and the control plane's logs.
        protect: deny deletion, here and in EKS itself.
        routes: what a node needs to reach EKS.
    """

    stack: str
    name: str
    partition: str
    zones: tuple[str, ...]
    subnet_ids: Sequence[pulumi.Input[str]]
    settings: ClusterSettings
    key_arn: pulumi.Input[str]
    protect: bool
    routes: Sequence[pulumi.Resource]


class Cluster(pulumi.ComponentResource):
    """EKS with managed nodes. Add-ons that a node needs to become Ready come before the nodes, the others after."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("logsluice:infra:Cluster", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.cluster = self._control_plane()
        self._access()

        addons = args.settings.addons
        self.agent = self._addon("eks-pod-identity-agent", addons.pod_identity_agent)
        cni = self._addon(
            "vpc-cni",
            addons.vpc_cni,
            {"enableNetworkPolicy": "true"},
            PodRoleArgs(
                stack=args.stack,
                name=f"{args.name}-vpc-cni",
                namespace="kube-system",
                service_accounts=("aws-node",),
                managed_policies=(self._managed("AmazonEKS_CNI_Policy"),),
            ),
        )
        before = [self.agent, cni, self._addon("kube-proxy", addons.kube_proxy)]

        self.node_groups = self._node_groups(before)
        after = self.node_groups
        self.addons = [
            *before,
            self._addon("coredns", addons.coredns, after=after),
            self._addon("metrics-server", addons.metrics_server, after=after),
            self._addon(
                "aws-ebs-csi-driver",
                addons.ebs_csi_driver,
                identity=PodRoleArgs(
                    stack=args.stack,
                    name=f"{args.name}-ebs-csi",
                    namespace="kube-system",
                    service_accounts=("ebs-csi-controller-sa",),
                    managed_policies=(self._managed("service-role/AmazonEBSCSIDriverPolicy"),),
                ),
                after=after,
            ),
        ]
        self.cluster_name = self.cluster.name
        self.endpoint = self.cluster.endpoint
        self.certificate_authority = self.cluster.certificate_authority.apply(lambda authority: authority.data)
        self.register_outputs({"cluster_name": self.cluster_name, "endpoint": self.endpoint})

    def _tags(self, name: str, **extra: str) -> dict[str, str]:
        return tags(self._args.stack, f"{self._args.name}-{name}", **extra)

    def _managed(self, policy: str) -> str:
        return f"arn:{self._args.partition}:iam::aws:policy/{policy}"

    def _role(self, name: str, service: str, policies: Sequence[str]) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        role = aws.iam.Role(
            name,
            name=f"{self._args.name}-{name}",
            assume_role_policy=trust_service(service),
            tags=self._tags(name),
            opts=self._child,
        )
        attached: list[pulumi.Resource] = [
            aws.iam.RolePolicyAttachment(
                f"{name}-{policy}", role=role.name, policy_arn=self._managed(policy), opts=self._child
            )
            for policy in policies
        ]
        return role, attached

    def _control_plane(self) -> aws.eks.Cluster:
        args, settings = self._args, self._args.settings
        role, attached = self._role("cluster", "eks.amazonaws.com", ["AmazonEKSClusterPolicy"])
        secrets = aws.iam.RolePolicy(
            "cluster-secrets",
            name="secrets",
            role=role.id,
            policy=document(allow(["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey", "kms:ListGrants"], [args.key_arn])),
            opts=self._child,
        )
        # EKS makes this group itself otherwise, unencrypted, kept for ever, and left behind.
        logs = aws.cloudwatch.LogGroup(
            "cluster",
            name=f"/aws/eks/{args.name}/cluster",
            retention_in_days=settings.log_days,
            kms_key_id=args.key_arn,
            tags=self._tags("cluster"),
            opts=self._child,
        )
        public = bool(settings.public_access_cidrs)
        return aws.eks.Cluster(
            "cluster",
            name=args.name,
            version=settings.version,
            role_arn=role.arn,
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                subnet_ids=list(args.subnet_ids),
                endpoint_private_access=True,
                endpoint_public_access=public,
                public_access_cidrs=list(settings.public_access_cidrs) if public else None,
            ),
            kubernetes_network_config=aws.eks.ClusterKubernetesNetworkConfigArgs(
                ip_family="ipv4", service_ipv4_cidr=settings.service_cidr
            ),
            access_config=aws.eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=True
            ),
            bootstrap_self_managed_addons=False,
            encryption_config=aws.eks.ClusterEncryptionConfigArgs(
                provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=args.key_arn), resources=["secrets"]
            ),
            enabled_cluster_log_types=list(_LOGS),
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            deletion_protection=args.protect,
            tags=tags(args.stack, args.name),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                depends_on=[*attached, secrets, logs, *args.routes],
                custom_timeouts=pulumi.CustomTimeouts(create="45m", update="90m", delete="45m"),
            ),
        )

    def _access(self) -> None:
        """Who may come in besides whoever made the cluster."""
        settings = self._args.settings
        for principals, policy in (
            (settings.admins, "AmazonEKSClusterAdminPolicy"),
            (settings.viewers, "AmazonEKSViewPolicy"),
        ):
            for principal in principals:
                name = f"{policy}-{principal.split(':', 5)[5]}"
                entry = aws.eks.AccessEntry(
                    name,
                    cluster_name=self.cluster.name,
                    principal_arn=principal,
                    type="STANDARD",
                    tags=self._tags("access"),
                    opts=self._child,
                )
                aws.eks.AccessPolicyAssociation(
                    name,
                    cluster_name=self.cluster.name,
                    principal_arn=principal,
                    policy_arn=f"arn:{self._args.partition}:eks::aws:cluster-access-policy/{policy}",
                    access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[entry]),
                )

    def _addon(
        self,
        addon: str,
        version: str,
        configuration: dict[str, Any] | None = None,
        identity: PodRoleArgs | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> aws.eks.Addon:
        depends: list[pulumi.Resource] = [*after]
        associations = None
        if identity:
            role = PodRole(addon, identity, opts=self._child)
            depends += [self.agent, *role.ready]
            associations = [
                aws.eks.AddonPodIdentityAssociationArgs(role_arn=role.role_arn, service_account=account)
                for account in identity.service_accounts
            ]
        return aws.eks.Addon(
            addon,
            cluster_name=self.cluster.name,
            addon_name=addon,
            addon_version=version,
            configuration_values=json.dumps(configuration, sort_keys=True) if configuration else None,
            pod_identity_associations=associations,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            preserve=False,
            tags=self._tags(addon),
            opts=pulumi.ResourceOptions(parent=self, depends_on=depends),
        )

    def _node_groups(self, before: Sequence[pulumi.Resource]) -> list[pulumi.Resource]:
        role, attached = self._role(
            "node",
            "ec2.amazonaws.com",
            ["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonSSMManagedInstanceCore"],
        )
        groups = self._args.settings.node_groups
        resources: list[pulumi.Resource] = []
        for kind in ("system", "data", "spark"):
            settings: NodeGroupSettings = getattr(groups, kind)
            template = self._launch_template(kind, settings)
            for name, subnets in self._places(kind, settings):
                resources.append(self._node_group(name, kind, settings, template, role, subnets, [*before, *attached]))
        return resources

    def _places(self, kind: str, settings: NodeGroupSettings) -> list[tuple[str, list[pulumi.Input[str]]]]:
        """The groups of a kind: one over all zones, or one in each."""
        subnets = list(self._args.subnet_ids)
        if not settings.per_zone:
            return [(kind, subnets)]
        return [(f"{kind}-{letter(z)}", [subnet]) for z, subnet in zip(self._args.zones, subnets, strict=True)]

    def _launch_template(self, kind: str, settings: NodeGroupSettings) -> aws.ec2.LaunchTemplate:
        """What every node has: tokens for its metadata, which no pod can reach, and an encrypted disk."""
        node_tags = self._tags(kind)
        return aws.ec2.LaunchTemplate(
            kind,
            name=f"{self._args.name}-{kind}",
            description=f"Nodes of {self._args.name}, group {kind}",
            update_default_version=True,
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            block_device_mappings=[
                aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name="/dev/xvda",
                    ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        volume_type="gp3",
                        volume_size=settings.disk_gib,
                        encrypted="true",
                        delete_on_termination="true",
                    ),
                )
            ],
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=resource, tags=node_tags)
                for resource in ("instance", "volume")
            ],
            tags=node_tags,
            opts=self._child,
        )

    def _node_group(
        self,
        name: str,
        kind: str,
        settings: NodeGroupSettings,
        template: aws.ec2.LaunchTemplate,
        role: aws.iam.Role,
        subnets: list[pulumi.Input[str]],
        before: Sequence[pulumi.Resource],
    ) -> aws.eks.NodeGroup:
        return aws.eks.NodeGroup(
            name,
            cluster_name=self.cluster.name,
            node_group_name=f"{self._args.name}-{name}-{_fingerprint(settings)}",
            node_role_arn=role.arn,
            subnet_ids=subnets,
            version=self._args.settings.version,
            ami_type=AMI_TYPE,
            capacity_type=settings.capacity,
            instance_types=list(settings.instance_types),
            launch_template=aws.eks.NodeGroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(str)
            ),
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=settings.min, desired_size=settings.desired, max_size=settings.max
            ),
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
            node_repair_config=aws.eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            labels={NODE_GROUP_LABEL: kind},
            taints=[aws.eks.NodeGroupTaintArgs(key=WORKLOAD_TAINT, value=kind, effect="NO_SCHEDULE")]
            if kind in _TAINTED
            else [],
            tags=self._tags(name),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(before),
                # The autoscaler's to change.
                ignore_changes=["scalingConfig.desiredSize"],
                protect=self._args.protect and kind == "data",
                custom_timeouts=pulumi.CustomTimeouts(create="30m", update="90m", delete="45m"),
            ),
        )


def _fingerprint(settings: NodeGroupSettings) -> str:
    """Six digits of what EKS cannot change in a node group: a group that must be replaced gets another name, so that
    the new nodes are there before the old ones go.
    """
    text = json.dumps([AMI_TYPE, settings.capacity, *settings.instance_types, settings.per_zone])
    return hashlib.sha256(text.encode()).hexdigest()[:6]
