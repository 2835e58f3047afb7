"""checkov over all AWS resources of a stack. It needs an environment of its own (it and Pulumi want other versions of
a library), which `make test` puts on PATH.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra.graph import Graph
from tests.infra.terraform import plan

WAIVED = {
    "CKV_AWS_18": "access logs of the bucket: CloudTrail's data events tell the same, for who wants to pay for them",
    "CKV_AWS_39": "dev's API server has a public endpoint, for the listed addresses alone (test_security.py)",
    "CKV_AWS_144": "replication to another region: checkpoints and event logs are made anew, snapshots are the backup",
    "CKV_AWS_339": "checkov 3.3.30 does not know Kubernetes 1.36 yet; settings.py holds what EKS supports",
    "CKV2_AWS_62": "events of the bucket: nothing acts on its objects",
}
CHECKOV = shutil.which("checkov")


@pytest.mark.skipif(not CHECKOV, reason="checkov is not on PATH")
@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_checkov_finds_only_what_is_waived(stack: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    graph: Graph = request.getfixturevalue(stack)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan(graph)), "utf-8")
    assert CHECKOV
    command = [CHECKOV, "-f", str(path), "--framework", "terraform_plan", "--skip-download", "--compact", "-o", "json"]
    output = subprocess.run(command, capture_output=True, text=True).stdout
    report = json.loads(output)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["resource_count"] >= len([node for node in graph.nodes if node.type.startswith("aws:")])
    failed = {(check["check_id"], check["resource"]) for check in report["results"]["failed_checks"]}
    assert not {(check, resource) for check, resource in failed if check not in WAIVED}
    if stack == "dev":
        assert {check for check, _ in failed} == set(WAIVED), "a waiver that nothing needs any more"


def test_every_aws_resource_has_its_place_in_the_plan(aws_stack: Graph) -> None:
    resources = plan(aws_stack)["planned_values"]["root_module"]["resources"]
    assert len(resources) == len([node for node in aws_stack.nodes if node.type.startswith("aws:")])
    addresses = [resource["address"] for resource in resources]
    assert sorted(addresses) == sorted(set(addresses))
    (cluster,) = [resource["values"] for resource in resources if resource["type"] == "aws_eks_cluster"]
    assert cluster["vpc_config"][0]["endpoint_private_access"] is True
    assert cluster["tags"]["project"] == "logsluice"
