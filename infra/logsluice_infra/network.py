"""The VPC: public and private subnets in each zone, the routes out of it, and the record of what flows."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from .policies import allow, document, trust_service
from .settings import NetworkSettings
from .tags import tags


@dataclass(frozen=True)
class NetworkArgs:
    """The network's place and size.

    Attributes:
        stack: the stack's name.
        name: what everything is called.
        region: AWS region.
        zones: availability zones, one subnet of each kind in each.
        settings: what the stack's file says.
        log_key_arn: the KMS key of the flow logs.
        protect: deny the VPC's deletion.
    """

    stack: str
    name: str
    region: str
    zones: tuple[str, ...]
    settings: NetworkSettings
    log_key_arn: pulumi.Input[str]
    protect: bool


class Network(pulumi.ComponentResource):
    """A VPC whose nodes have no public address: in by load balancers only, out by NAT and endpoints."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("logsluice:infra:Network", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.vpc = aws.ec2.Vpc(
            "vpc",
            cidr_block=args.settings.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._tags("vpc"),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        # The VPC's own default group allows everything between its members: nothing uses it, and it allows nothing.
        aws.ec2.DefaultSecurityGroup(
            "default", vpc_id=self.vpc.id, ingress=[], egress=[], tags=self._tags("default-unused"), opts=self._child
        )
        public_subnets = self._subnets("public", args.settings.public_subnets, "kubernetes.io/role/elb")
        private_subnets = self._subnets("private", args.settings.private_subnets, "kubernetes.io/role/internal-elb")
        self.routes: list[pulumi.Resource] = []
        gateways = self._public_routes(public_subnets)
        tables = self._private_routes(private_subnets, gateways)
        self._endpoints(private_subnets, tables)
        self._flow_logs()

        self.vpc_id = self.vpc.id
        self.private_subnet_ids = [subnet.id for subnet in private_subnets]
        self.register_outputs({"vpc_id": self.vpc_id, "private_subnet_ids": self.private_subnet_ids})

    def _tags(self, name: str, **extra: str) -> dict[str, str]:
        return tags(self._args.stack, f"{self._args.name}-{name}", **extra)

    def _subnets(self, kind: str, networks: tuple[str, ...], role: str) -> list[aws.ec2.Subnet]:
        return [
            aws.ec2.Subnet(
                f"{kind}-{letter(zone)}",
                vpc_id=self.vpc.id,
                availability_zone=zone,
                cidr_block=network,
                map_public_ip_on_launch=False,
                tags=self._tags(
                    f"{kind}-{letter(zone)}", **{role: "1", f"kubernetes.io/cluster/{self._args.name}": "shared"}
                ),
                opts=self._child,
            )
            for zone, network in zip(self._args.zones, networks, strict=True)
        ]

    def _public_routes(self, subnets: list[aws.ec2.Subnet]) -> list[aws.ec2.NatGateway]:
        """The internet gateway, the public subnets' routes to it, and the NAT gateways that stand in them."""
        internet = aws.ec2.InternetGateway(
            "internet", vpc_id=self.vpc.id, tags=self._tags("internet"), opts=self._child
        )
        table = aws.ec2.RouteTable("public", vpc_id=self.vpc.id, tags=self._tags("public"), opts=self._child)
        route = aws.ec2.Route(
            "public-internet",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=internet.id,
            opts=self._child,
        )
        zones = self._args.zones
        for zone, subnet in zip(zones, subnets, strict=True):
            aws.ec2.RouteTableAssociation(
                f"public-{letter(zone)}", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
            )
        count = 1 if self._args.settings.nat == "single" else len(zones)
        after_route = pulumi.ResourceOptions(parent=self, depends_on=[route])
        gateways = []
        for zone, subnet in list(zip(zones, subnets, strict=True))[:count]:
            address = aws.ec2.Eip(
                f"nat-{letter(zone)}", domain="vpc", tags=self._tags(f"nat-{letter(zone)}"), opts=after_route
            )
            gateways.append(
                aws.ec2.NatGateway(
                    f"nat-{letter(zone)}",
                    allocation_id=address.id,
                    subnet_id=subnet.id,
                    connectivity_type="public",
                    tags=self._tags(f"nat-{letter(zone)}"),
                    opts=after_route,
                )
            )
        return gateways

    def _private_routes(
        self, subnets: list[aws.ec2.Subnet], gateways: list[aws.ec2.NatGateway]
    ) -> list[aws.ec2.RouteTable]:
        """A route table a zone, so that a zone's traffic leaves by its own NAT gateway where it has one."""
        tables = []
        for index, (zone, subnet) in enumerate(zip(self._args.zones, subnets, strict=True)):
            name = f"private-{letter(zone)}"
            table = aws.ec2.RouteTable(name, vpc_id=self.vpc.id, tags=self._tags(name), opts=self._child)
            route = aws.ec2.Route(
                f"{name}-internet",
                route_table_id=table.id,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=gateways[index % len(gateways)].id,
                opts=self._child,
            )
            joined = aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=self._child)
            self.routes += [route, joined]
            tables.append(table)
        return tables

    def _endpoints(self, subnets: list[aws.ec2.Subnet], tables: list[aws.ec2.RouteTable]) -> None:
        """S3 by its gateway, which is free; interface endpoints only for the services that the stack names."""
        args = self._args
        aws.ec2.VpcEndpoint(
            "s3",
            vpc_id=self.vpc.id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{args.region}.s3",
            route_table_ids=[table.id for table in tables],
            tags=self._tags("s3"),
            opts=self._child,
        )
        if not args.settings.interface_endpoints:
            return
        group = aws.ec2.SecurityGroup(
            "endpoints",
            name=f"{args.name}-endpoints",
            description="HTTPS from the VPC to AWS's services",
            vpc_id=self.vpc.id,
            tags=self._tags("endpoints"),
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            "endpoints-https",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            cidr_ipv4=args.settings.cidr,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            tags=self._tags("endpoints-https"),
            opts=self._child,
        )
        for service in args.settings.interface_endpoints:
            name = service.replace(".", "-")
            aws.ec2.VpcEndpoint(
                name,
                vpc_id=self.vpc.id,
                vpc_endpoint_type="Interface",
                service_name=f"com.amazonaws.{args.region}.{service}",
                subnet_ids=[subnet.id for subnet in subnets],
                security_group_ids=[group.id],
                private_dns_enabled=True,
                tags=self._tags(name),
                opts=self._child,
            )

    def _flow_logs(self) -> None:
        args = self._args
        group = aws.cloudwatch.LogGroup(
            "flow-logs",
            name=f"/logsluice/{args.stack}/flow-logs",
            retention_in_days=args.settings.flow_log_days,
            kms_key_id=args.log_key_arn,
            tags=self._tags("flow-logs"),
            opts=self._child,
        )
        role = aws.iam.Role(
            "flow-logs",
            name=f"{args.name}-flow-logs",
            assume_role_policy=trust_service("vpc-flow-logs.amazonaws.com"),
            tags=self._tags("flow-logs"),
            opts=self._child,
        )
        policy = aws.iam.RolePolicy(
            "flow-logs",
            name="write",
            role=role.id,
            policy=document(
                allow(
                    ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                    [group.arn, pulumi.Output.concat(group.arn, ":*")],
                )
            ),
            opts=self._child,
        )
        aws.ec2.FlowLog(
            "flow-logs",
            vpc_id=self.vpc.id,
            traffic_type=args.settings.flow_logs,
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=600,
            tags=self._tags("flow-logs"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )


def letter(zone: str) -> str:
    """A zone's letter: `a` of `eu-central-1a`."""
    return zone[-1]
