"""What runs in the cluster: namespaces, releases, definitions, workloads, and the order of them."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from logsluice_infra import charts
from logsluice_infra.definitions import definitions
from logsluice_infra.entries import ReleaseEntry, load_entries, load_values, merge
from logsluice_infra.facts import Facts, fill
from logsluice_infra.releases import retained
from logsluice_infra.workloads import overlay, transform
from tests.infra.graph import ACCOUNT, DIGEST, ROOT, Graph, build, plain, rendered, run, stack_file
from tests.shared.shared_folder import tool

LISTED = yaml.safe_load((ROOT / "helm" / "releases.yaml").read_text("utf-8"))["releases"]
OWNERS = {
    # release: the releases whose kinds its objects are of, or whose webhooks answer for it
    "eck-stack": {"eck-operator"},
}


def _stack(graph: Graph) -> str:
    return graph.nodes[0].urn.split("::")[0].rsplit(":", 1)[1]


def test_every_release_of_the_list_and_no_other(any_stack: Graph) -> None:
    stack = _stack(any_stack)
    releases = {node.name: node.inputs for node in any_stack.of("helm.sh/v3:Release")}
    assert set(releases) == {entry["name"] for entry in LISTED if stack in entry["stacks"]}
    for entry in LISTED:
        if stack not in entry["stacks"]:
            continue
        inputs = releases[entry["name"]]
        assert inputs["name"] == entry["name"]
        assert inputs["namespace"] == entry["namespace"]
        assert inputs["version"] == str(entry["version"])
        assert inputs["createNamespace"] is False
        assert inputs["atomic"] is True
        assert 60 <= inputs["timeout"] <= 7200
        where = inputs.get("repositoryOpts", {}).get("repo") or inputs["chart"].rpartition("/")[0]
        assert where == entry["repository"].rstrip("/")
        assert inputs["chart"].rpartition("/")[2] == entry["chart"]


def test_versions_are_exact() -> None:
    for entry in LISTED:
        assert not set("^~*<>x ") & set(str(entry["version"])), entry["name"]


def test_operators_are_there_before_what_they_own(any_stack: Graph) -> None:
    releases = {node.name: node for node in any_stack.of("helm.sh/v3:Release")}
    for name, owners in OWNERS.items():
        before = any_stack.before(releases[name])
        assert {releases[owner].urn for owner in owners} <= before
    overlay = any_stack.one("kustomize/v2:Directory")
    assert {node.urn for node in releases.values()} <= any_stack.before(overlay)


def test_everything_in_the_cluster_waits_for_its_namespace(any_stack: Graph) -> None:
    namespaces = {node.name: node.urn for node in any_stack.of("core/v1:Namespace")}
    for node in any_stack.of("helm.sh/v3:Release"):
        if node.inputs["namespace"] != "kube-system":
            assert namespaces[node.inputs["namespace"]] in any_stack.before(node), node
    assert namespaces["logsluice"] in any_stack.before(any_stack.one("kustomize/v2:Directory"))


def test_on_aws_nothing_runs_before_nodes_volumes_and_identities(aws_stack: Graph) -> None:
    """And, turned round, `destroy` ends pods and claims while the drivers that clean up behind them still run."""
    needed = [
        *aws_stack.of("nodeGroup:NodeGroup"),
        *aws_stack.of("eks/addon:Addon"),
        *aws_stack.of("podIdentityAssociation:PodIdentityAssociation"),
        aws_stack.one("StorageClass"),
        aws_stack.one("s3/bucket:Bucket"),
    ]
    for node in aws_stack.of("core/v1:Namespace"):
        assert {each.urn for each in needed} <= aws_stack.before(node), node


def test_one_provider_made_from_the_clusters_outputs(any_stack: Graph) -> None:
    provider = any_stack.one("pulumi:providers:kubernetes")
    for node in any_stack.nodes:
        if node.type.startswith("kubernetes:"):
            assert node.provider.startswith(provider.urn), node
    if "kubeconfig" in any_stack.outputs:
        assert plain(provider.inputs["kubeconfig"]) == any_stack.outputs["kubeconfig"]
        assert plain(provider.inputs["kubeconfig"]) != provider.inputs["kubeconfig"], "a secret"
        assert provider.inputs["clusterIdentifier"] == any_stack.outputs["cluster_name"]


def test_a_given_kubeconfig_and_context_are_used(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("{}", "utf-8")
    graph = build("local", existing={"kubeconfig": str(kubeconfig), "context": "kind-logsluice"})
    inputs = graph.one("pulumi:providers:kubernetes").inputs
    assert inputs["kubeconfig"] == str(kubeconfig)
    assert inputs["context"] == "kind-logsluice"


def test_what_is_there_is_taken_only_where_the_stack_says_so(local: Graph) -> None:
    """As the definitions that a release of an older version left."""
    options = {"upsertExistingObjects", "enablePatchForce"}
    assert not options & set(local.one("pulumi:providers:kubernetes").inputs)
    inputs = build("local", adopt=True).one("pulumi:providers:kubernetes").inputs
    assert {inputs[option] for option in options} == {"true"}


def test_volumes_are_encrypted_by_default_where_the_pod_is(aws_stack: Graph) -> None:
    inputs = aws_stack.one("StorageClass").inputs
    assert inputs["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert inputs["volumeBindingMode"] == "WaitForFirstConsumer"
    assert inputs["provisioner"] == "ebs.csi.aws.com"


def test_definitions_of_crds_folders_are_the_stacks_own(any_stack: Graph) -> None:
    """Helm would neither upgrade nor remove them."""
    stack = _stack(any_stack)
    with_folder = {entry["name"] for entry in LISTED if entry.get("crds") and stack in entry["stacks"]}
    assert "eck-operator" in with_folder, "Helm keeps what its chart annotates so, on a cluster that stays"
    groups = {node.name: node for node in any_stack.of("yaml/v2:ConfigGroup")}
    assert set(groups) == {f"{name}-crds" for name in with_folder}
    assert {options["release_name"] for options in any_stack.templates} == with_folder
    for node in any_stack.of("helm.sh/v3:Release"):
        assert node.inputs["skipCrds"] is (node.name in with_folder)
        if node.name in with_folder:
            assert groups[f"{node.name}-crds"].urn in any_stack.before(node)
    for name, group in groups.items():
        assert group.inputs["objs"] == definitions({"result": rendered(name.removesuffix("-crds"))})


def test_only_definitions_are_taken_and_only_what_was_written() -> None:
    (found,) = definitions({"result": rendered("release")})
    assert found == {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.release.example.org"},
        "spec": {"group": "release.example.org"},
    }
    assert definitions({}) == definitions(None) == []


def test_definitions_are_rendered_for_the_stack_and_not_by_the_release(any_stack: Graph) -> None:
    """Where a chart has them among its templates, a value says whether."""
    (options,) = [each for each in any_stack.templates if each["release_name"] == "eck-operator"]
    assert options["values"]["installCRDs"] is True
    assert any_stack.one("helm.sh/v3:Release", "eck-operator").inputs["values"]["installCRDs"] is False


def test_definitions_are_sent_as_a_server_keeps_them() -> None:
    """Strimzi's `kafkas` has an empty map of properties: sent, each preview would put it back."""
    unknown = {"type": "object", "properties": {}, "x-kubernetes-preserve-unknown-fields": True}
    schema = {
        "type": "object",
        "required": [],
        "properties": {
            "status": {"type": "object", "properties": {"clusterSecurity": unknown}},
            "properties": {"type": "array", "items": {"anyOf": [], "type": "string", "default": ""}},
            "enum": {"type": "object", "default": {}},
        },
    }
    spec = {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}]}
    metadata = {"name": "kafkas", "annotations": {"helm.sh/resource-policy": "keep", "of": "upstream"}}
    (found,) = definitions({"result": [{"kind": "CustomResourceDefinition", "metadata": metadata, "spec": spec}]})
    assert found["metadata"] == {"name": "kafkas", "annotations": {"of": "upstream"}}
    (version,) = found["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    assert version["schema"]["openAPIV3Schema"] == {
        "type": "object",
        "properties": {
            "status": {
                "type": "object",
                "properties": {"clusterSecurity": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            },
            "properties": {"type": "array", "items": {"type": "string", "default": ""}},
            "enum": {"type": "object", "default": {}},
        },
    }


def test_a_cluster_that_cannot_be_reached_is_told_in_a_line() -> None:
    """As in the first `up` of prod from outside: the engine prints a RunError as a line, else a stack trace."""
    # A process of its own: the SDK keeps what an interrupted program left.
    program = (
        "import pulumi; from tests.infra.graph import Answers, run, stack_file; answers = Answers(); "
        "answers.unreachable = 'dial tcp 10.30.0.9:443:\\ni/o timeout'\n"
        "try: run('prod', stack_file('prod'), answers=answers)\n"
        "except pulumi.RunError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    line = done.stdout.rstrip("\n")
    assert "\n" not in line
    assert "unreachable: dial tcp 10.30.0.9:443: i/o timeout" in line
    assert "The API server, when it is private" in line
    assert "### The API server, when it is private" in (ROOT / "docs" / "deploy.md").read_text("utf-8")


def test_definitions_outlive_the_stack_only_where_it_says_so() -> None:
    """With a definition go all objects of its kind, whoever made them."""
    args = pulumi.ResourceTransformArgs(
        custom=True, type_="kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", name="kafkas",
        props={"spec": {}}, opts=pulumi.ResourceOptions(protect=True),
    )  # fmt: skip
    result = retained(args)
    assert result.opts.retain_on_delete is True
    assert result.opts.protect is True
    assert result.props == args.props


# The list


def _entries(tmp_path: Path, text: str) -> tuple[ReleaseEntry, ...]:
    path = tmp_path / "releases.yaml"
    path.write_text(textwrap.dedent(text), "utf-8")
    return load_entries("dev", path)


def _entry(name: str, *after: str, stacks: str = "[dev]") -> str:
    return (
        f"- {{name: {name}, chart: c, repository: 'https://charts.example.org', version: '1', namespace: n, "
        f"stacks: {stacks}, after: [{', '.join(after)}]}}\n"
    )


def test_a_release_comes_behind_all_that_it_needs(tmp_path: Path) -> None:
    listed = "releases:\n" + _entry("c", "b", "a") + _entry("b", "a") + _entry("a") + _entry("x", stacks="[prod]")
    assert [entry.name for entry in _entries(tmp_path, listed)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (_entry("a", "b") + _entry("b", "a"), "releases.yaml: a, b wait for each other (`after`)"),
        (_entry("a") + _entry("a"), "releases.yaml: a is listed twice"),
        (_entry("a", "z"), "releases.yaml: `after` names z, which is not listed"),
    ],
)
def test_a_mistake_in_the_list_is_told_in_a_line(tmp_path: Path, listed: str, message: str) -> None:
    with pytest.raises(ValueError, match="releases") as caught:
        _entries(tmp_path, "releases:\n" + listed)
    assert str(caught.value) == message


def test_an_unknown_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="versoin") as caught:
        _entries(tmp_path, "releases:\n" + _entry("a").replace("version", "versoin"))
    assert "\n" not in str(caught.value)


def test_values_are_merged_as_helm_does(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "values.yaml").write_text("a: {b: 1, c: [1, 2]}\nd: 1\ne: {f: 1}\n", "utf-8")
    (tmp_path / "r" / "values-dev.yaml").write_text("a: {b: 2, c: [3]}\ne: null\n", "utf-8")
    assert load_values("r", "dev", tmp_path) == {"a": {"b": 2, "c": [3]}, "d": 1, "e": None}
    assert load_values("r", "prod", tmp_path) == {"a": {"b": 1, "c": [1, 2]}, "d": 1, "e": {"f": 1}}
    assert load_values("none", "dev", tmp_path) == {}


def test_merging_leaves_what_it_was_given() -> None:
    under, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merge(under, over) == {"a": {"b": 1, "c": 2}}
    assert (under, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})


def test_values_of_the_stack_are_over_those_of_the_files() -> None:
    """As a site sets another failure policy of a webhook."""
    values = {"traefik": {"deployment": {"replicas": 7}}}
    graph = build("dev", releaseValues=values)
    assert graph.one("helm.sh/v3:Release", "traefik").inputs["values"]["deployment"]["replicas"] == 7


def test_a_webhook_that_does_not_answer_can_be_ignored(local: Graph, dev: Graph) -> None:
    """Whom cert-manager's is asked about is a value: `local` leaves our namespaces out, the stacks on AWS do not."""

    def namespace_selector(graph: Graph) -> str | None:
        values = graph.one("helm.sh/v3:Release", "cert-manager").inputs["values"]
        found = values.get("webhook", {}).get("validatingWebhookConfiguration")
        return str(found) if found else None

    assert "logsluice-spark" in str(namespace_selector(local))
    assert namespace_selector(dev) is None
    assert namespace_selector(build("dev", ignoreWebhooks=True)) == namespace_selector(local)
    selector = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["shop"]}]}
    over = {"cert-manager": {"webhook": {"validatingWebhookConfiguration": {"namespaceSelector": selector}}}}
    assert "logsluice-spark" not in str(namespace_selector(build("local", releaseValues=over)))


def test_the_autoscaler_knows_its_cluster(aws_stack: Graph) -> None:
    values = aws_stack.one("helm.sh/v3:Release", "cluster-autoscaler").inputs["values"]
    assert values["autoDiscovery"]["clusterName"] == aws_stack.outputs["cluster_name"]
    assert values["awsRegion"] == "eu-central-1"


# Charts out of a folder


@pytest.fixture
def entry() -> ReleaseEntry:
    return ReleaseEntry(
        name="release", chart="chart", repository="https://charts.example.org/", version="1.2.3", namespace="n",
        stacks=("dev",),
    )  # fmt: skip


@pytest.mark.parametrize("folder", ["chart", "chart-1.2.3", "release"])
def test_an_unpacked_chart_is_found(tmp_path: Path, entry: ReleaseEntry, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "Chart.yaml").write_text("name: chart\n", "utf-8")
    found = charts.find(entry, tmp_path)
    assert found.chart == str(tmp_path / folder)
    assert found.template_options("1.2.3") == {"path": str(tmp_path / folder)}


def test_a_packed_chart_is_found(tmp_path: Path, entry: ReleaseEntry) -> None:
    (tmp_path / "chart-1.2.3.tgz").touch()
    assert charts.find(entry, tmp_path).chart == str(tmp_path / "chart-1.2.3.tgz")


def test_a_chart_that_the_folder_lacks_is_told(tmp_path: Path, entry: ReleaseEntry) -> None:
    with pytest.raises(ValueError, match="has no chart chart"):
        charts.find(entry, tmp_path)


def test_a_chart_of_a_repository(entry: ReleaseEntry) -> None:
    found = charts.find(entry, None)
    assert found.template_options("1.2.3") == {
        "chart": "chart", "version": "1.2.3", "fetch_opts": {"repo": "https://charts.example.org/"}
    }  # fmt: skip
    oci = entry.model_copy(update={"repository": "oci://registry.example.org/charts"})
    found = charts.find(oci, None)
    assert found.template_options("1.2.3") == {"chart": "oci://registry.example.org/charts/chart", "version": "1.2.3"}
    assert found.repository is None


def test_a_stack_takes_all_charts_out_of_the_folder(tmp_path: Path) -> None:
    for listed in LISTED:
        (tmp_path / listed["chart"]).mkdir()
        (tmp_path / listed["chart"] / "Chart.yaml").write_text("", "utf-8")
    graph = build("dev", charts=str(tmp_path))
    for node in graph.of("helm.sh/v3:Release"):
        assert Path(node.inputs["chart"]).parent == tmp_path
        assert "repositoryOpts" not in node.inputs


# The workloads


def test_without_an_image_there_are_no_workloads_and_the_output_says_what_to_do() -> None:
    graph = build("dev")
    assert not graph.of("kustomize/v2:Directory")
    assert graph.outputs["next_step"] == (
        f"No workloads yet: build spark/Dockerfile, push it to {ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/"
        "logsluice-dev, then: pulumi config set image <image by digest> --stack dev && pulumi up"
    )
    assert "load it into the cluster" in build("local").outputs["next_step"]


def test_with_an_image_the_overlay_of_the_stack_is_deployed(any_stack: Graph) -> None:
    stack = _stack(any_stack)
    assert any_stack.one("kustomize/v2:Directory").inputs["directory"] == f"../k8s/stacks/{stack}"
    folder = yaml.safe_load((ROOT / "k8s" / "stacks" / stack / "kustomization.yaml").read_text("utf-8"))
    (applied,) = folder["resources"]
    assert Path(applied).parent.name == "overlays"
    assert folder["components"] == ["../../components/without-namespaces"]
    assert "image" not in any_stack.outputs["next_step"] or "run" in any_stack.outputs["next_step"]


def _transformed(kind: str, props: dict[str, Any], protect: bool = False) -> pulumi.ResourceTransformResult:
    args = pulumi.ResourceTransformArgs(
        custom=True, type_=f"kubernetes:v1:{kind}", name=kind, props=props, opts=pulumi.ResourceOptions()
    )
    result = transform(Facts(image=DIGEST, bucket="the-bucket"), protect)(args)
    assert isinstance(result, pulumi.ResourceTransformResult)
    return result


def test_the_image_and_the_bucket_take_their_places() -> None:
    props = {
        "spec": {
            "image": "logsluice:0.1.0",
            "driver": {"image": "logsluice"},
            "containers": [{"image": "logsluice:0.1.0"}, {"image": "registry.example.org/logsluice:1"}],
            "sparkConf": {"spark.eventLog.dir": "s3a://logsluice-bucket/spark-events"},
            "replicas": 2,
        }
    }
    assert _transformed("SparkApplication", props).props == {
        "spec": {
            "image": DIGEST,
            "driver": {"image": DIGEST},
            "containers": [{"image": DIGEST}, {"image": "registry.example.org/logsluice:1"}],
            "sparkConf": {"spark.eventLog.dir": "s3a://the-bucket/spark-events"},
            "replicas": 2,
        }
    }


@pytest.mark.tools
@pytest.mark.parametrize("stack", ["dev", "prod", "local"])
def test_no_object_of_an_overlay_keeps_a_place_unfilled(stack: str) -> None:
    command = [tool("kubectl"), "kustomize", str(overlay(stack))]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    before = list(yaml.safe_load_all(text))
    after = yaml.safe_dump_all(fill(before, Facts(image=DIGEST, bucket="the-bucket", region="the-region")))
    images = set(re.findall(r"image: (\S+)", after))
    assert DIGEST in images
    assert not {image for image in images if re.match(r"logsluice(?![\w/.-])", image)}
    assert "logsluice-bucket" not in after
    assert ("the-bucket" in after) is (stack != "local")
    assert "logsluice-region" not in after
    assert ("the-region" in after) is (stack != "local")


def test_without_facts_nothing_changes() -> None:
    value = {"image": "logsluice:1", "at": "s3a://logsluice-bucket/x", "list": ["a", {"b": None}]}
    assert fill(value, Facts()) == value


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_what_waits_for_kafka_is_waited_for(kind: str) -> None:
    timeouts = _transformed(kind, {"spec": {}}).opts.custom_timeouts
    assert timeouts is not None
    assert timeouts.create == timeouts.update == "20m"
    assert _transformed("ConfigMap", {}).opts.custom_timeouts is None


@pytest.mark.parametrize("kind", ["Kafka", "KafkaNodePool", "KafkaTopic"])
def test_what_holds_data_is_protected_where_the_stack_says_so(kind: str) -> None:
    assert _transformed(kind, {}, protect=True).opts.protect is True
    assert not _transformed(kind, {}).opts.protect
    assert not _transformed("Deployment", {}, protect=True).opts.protect


def test_the_namespaces_of_the_manifests_are_made_as_they_are_written(any_stack: Graph) -> None:
    documents = yaml.safe_load_all((ROOT / "k8s" / "base" / "network" / "namespace.yaml").read_text("utf-8"))
    for document in documents:
        node = any_stack.one("core/v1:Namespace", document["metadata"]["name"])
        assert node.inputs["metadata"] == document["metadata"]


def test_a_stack_without_workloads_is_told_in_a_line() -> None:
    graph = Graph()
    with pytest.raises(pulumi.RunError, match=r"^logsluice:image: .*, k8s/stacks/staging is missing$"):
        run("staging", {**stack_file("dev"), "logsluice:image": DIGEST}, graph=graph)
    assert graph.nodes == []


def test_a_release_that_cannot_be_found_is_told_in_a_line(refused: Callable[..., str], tmp_path: Path) -> None:
    assert f"logsluice:charts: {tmp_path} has no chart" in refused(charts=str(tmp_path))
