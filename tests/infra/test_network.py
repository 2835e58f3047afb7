"""The VPC of each stack on AWS, whole."""

from __future__ import annotations

from ipaddress import IPv4Network

from tests.infra.graph import REGION, Graph, Node


def _zones(graph: Graph) -> list[str]:
    return [f"{REGION}{letter}" for letter in "abc"[: len(graph.of("subnet:Subnet")) // 2]]


def _subnets(graph: Graph, kind: str) -> list[Node]:
    return [node for node in graph.of("subnet:Subnet") if node.name.startswith(kind)]


def test_zones(dev: Graph, prod: Graph) -> None:
    assert len(_zones(dev)) == 2
    assert len(_zones(prod)) == 3


def test_every_zone_has_a_public_and_a_private_subnet(aws_stack: Graph) -> None:
    for kind, role in (("public", "kubernetes.io/role/elb"), ("private", "kubernetes.io/role/internal-elb")):
        subnets = _subnets(aws_stack, kind)
        assert [node.inputs["availabilityZone"] for node in sorted(subnets, key=lambda n: n.name)] == _zones(aws_stack)
        for node in subnets:
            assert node.name == f"{kind}-{node.inputs['availabilityZone'][-1]}"
            assert node.inputs["vpcId"] == "vpc-id"
            assert node.inputs["mapPublicIpOnLaunch"] is False
            assert node.inputs["tags"][role] == "1"
            assert node.inputs["tags"][f"kubernetes.io/cluster/{aws_stack.outputs['cluster_name']}"] == "shared"


def test_subnets_are_in_the_vpc_and_apart_and_as_large_as_aws_wants(aws_stack: Graph) -> None:
    vpc = IPv4Network(aws_stack.one("ec2/vpc:Vpc").inputs["cidrBlock"])
    services = aws_stack.one("eks/cluster:Cluster").inputs["kubernetesNetworkConfig"]["serviceIpv4Cidr"]
    assert 16 <= vpc.prefixlen <= 28
    assert not vpc.overlaps(IPv4Network(services))
    networks = [IPv4Network(node.inputs["cidrBlock"]) for node in aws_stack.of("subnet:Subnet")]
    for index, network in enumerate(networks):
        assert network.subnet_of(vpc)
        assert 16 <= network.prefixlen <= 27  # a load balancer wants /27 or more
        assert not any(network.overlaps(other) for other in networks[index + 1 :])
    for node in _subnets(aws_stack, "private"):
        assert IPv4Network(node.inputs["cidrBlock"]).num_addresses >= 4096, "each pod has an address of its own"


def test_each_zone_keeps_its_networks(dev: Graph, prod: Graph) -> None:
    """Another network in a zone would replace the subnet and all that is in it."""

    def networks(graph: Graph) -> dict[str, str]:
        return {node.name: node.inputs["cidrBlock"] for node in graph.of("subnet:Subnet")}

    assert networks(dev) == {
        "private-a": "10.20.0.0/19",
        "private-b": "10.20.32.0/19",
        "public-a": "10.20.224.0/24",
        "public-b": "10.20.225.0/24",
    }
    assert networks(prod) == {
        "private-a": "10.30.0.0/19",
        "private-b": "10.30.32.0/19",
        "private-c": "10.30.64.0/19",
        "public-a": "10.30.224.0/24",
        "public-b": "10.30.225.0/24",
        "public-c": "10.30.226.0/24",
    }


def test_every_subnet_is_in_exactly_the_route_table_of_its_kind_and_zone(aws_stack: Graph) -> None:
    joined = {
        node.inputs["subnetId"]: node.inputs["routeTableId"]
        for node in aws_stack.of("routeTableAssociation:RouteTableAssociation")
    }
    assert len(joined) == len(aws_stack.of("routeTableAssociation:RouteTableAssociation"))
    expected = {node.id: "public-id" for node in _subnets(aws_stack, "public")}
    expected |= {node.id: node.id for node in _subnets(aws_stack, "private")}
    assert joined == expected


def test_each_route_table_has_the_one_way_out_that_it_should(aws_stack: Graph) -> None:
    routes = {node.inputs["routeTableId"]: node.inputs for node in aws_stack.of("route:Route")}
    assert len(routes) == len(aws_stack.of("route:Route")) == len(aws_stack.of("routeTable:RouteTable"))
    assert routes["public-id"]["gatewayId"] == "internet-id"
    per_zone = len(aws_stack.of("natGateway:NatGateway")) > 1
    for zone in _zones(aws_stack):
        route = routes[f"private-{zone[-1]}-id"]
        assert route["natGatewayId"] == f"nat-{zone[-1] if per_zone else 'a'}-id"
        assert "gatewayId" not in route
    for route in routes.values():
        assert route["destinationCidrBlock"] == "0.0.0.0/0"


def test_nat_gateways_stand_in_public_subnets_after_the_way_out(aws_stack: Graph) -> None:
    way_out = aws_stack.one("route:Route", "public-internet").urn
    for node in aws_stack.of("natGateway:NatGateway"):
        letter = node.name[-1]
        assert node.inputs["subnetId"] == f"public-{letter}-id"
        assert node.inputs["allocationId"] == f"nat-{letter}-id"
        assert way_out in aws_stack.before(node)


def test_s3_is_reached_by_the_gateway_from_every_private_subnet(aws_stack: Graph) -> None:
    endpoint = aws_stack.one("vpcEndpoint:VpcEndpoint", "s3")
    assert endpoint.inputs["vpcEndpointType"] == "Gateway"
    assert endpoint.inputs["serviceName"] == f"com.amazonaws.{REGION}.s3"
    assert sorted(endpoint.inputs["routeTableIds"]) == [f"private-{zone[-1]}-id" for zone in _zones(aws_stack)]


def test_interface_endpoints_answer_https_from_the_vpc_by_the_services_own_names(prod: Graph) -> None:
    rule = prod.one("securityGroupIngressRule:SecurityGroupIngressRule").inputs
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == ("10.30.0.0/16", 443, 443)
    endpoints = [node for node in prod.of("vpcEndpoint:VpcEndpoint") if node.inputs["vpcEndpointType"] == "Interface"]
    assert {node.inputs["serviceName"].removeprefix(f"com.amazonaws.{REGION}.") for node in endpoints} == {
        "ecr.api", "ecr.dkr", "sts", "logs", "ec2", "eks-auth"
    }  # fmt: skip
    for node in endpoints:
        assert node.inputs["privateDnsEnabled"] is True
        assert sorted(node.inputs["subnetIds"]) == ["private-a-id", "private-b-id", "private-c-id"]
        assert node.inputs["securityGroupIds"] == ["endpoints-id"]


def test_private_names_resolve(aws_stack: Graph) -> None:
    """EKS's private endpoint and the interface endpoints need both."""
    vpc = aws_stack.one("ec2/vpc:Vpc").inputs
    assert vpc["enableDnsSupport"] is True
    assert vpc["enableDnsHostnames"] is True


def test_the_default_security_group_allows_nothing(aws_stack: Graph) -> None:
    group = aws_stack.one("defaultSecurityGroup:DefaultSecurityGroup").inputs
    assert group["ingress"] == []
    assert group["egress"] == []


def test_flows_are_recorded(aws_stack: Graph) -> None:
    flow_log = aws_stack.one("flowLog:FlowLog").inputs
    assert flow_log["vpcId"] == "vpc-id"
    assert flow_log["logDestination"] == aws_stack.one("logGroup:LogGroup", "flow-logs").inputs.get(
        "arn", f"arn:aws:cloudwatch:{REGION}:123456789012:LogGroup//logsluice/{flow_log['tags']['stack']}/flow-logs"
    )
