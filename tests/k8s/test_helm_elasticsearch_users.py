"""The users that helm/eck-stack makes for Elasticsearch, and their roles, as Helm renders and installs them."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from logsluice.elasticsearch.roles import role_name, roles
from logsluice.settings import Settings, load_settings
from tests.k8s.helm_values import HELM, STACKS, values
from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_manifests import ROOT
from tests.shared.shared_folder import tool

NAMESPACE = "elasticsearch-users"


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart that does with two of the objects what eck-stack does with all: it renders them as templates."""
    folder = tmp_path_factory.mktemp("chart")
    (folder / "templates").mkdir()
    (folder / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "users", "version": "1.0.0"}))
    (folder / "templates" / "objects.yaml").write_text(
        "{{ tpl .Values.extraObjects.roles $ }}\n---\n{{ tpl .Values.extraObjects.users $ }}\n"
    )
    return folder


def _of_values(stack: str) -> list[str | Path]:
    folder = HELM / "eck-stack"
    return ["--values", folder / "values.yaml", "--values", folder / f"values-{stack}.yaml"]


def _helm(*arguments: str | Path) -> str:
    done = subprocess.run([tool("helm"), *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _rendered(chart: Path, stack: str) -> list[dict[str, Any]]:
    text = _helm("template", "users", chart, "--namespace", NAMESPACE, *_of_values(stack))
    return [item for item in yaml.safe_load_all(text) if item]


def _settings(stack: str) -> Settings:
    return load_settings(ROOT / "config" / ("prod" if stack == "prod" else "dev"))


@pytest.mark.parametrize("stack", STACKS)
def test_the_roles_are_those_that_docker_compose_makes(chart: Path, stack: str) -> None:
    (secret,) = (item for item in _rendered(chart, stack) if item["metadata"]["name"].endswith("-roles"))
    wanted: dict[str, Any] = {role_name(name): role for name, role in roles(_settings(stack)).items()}
    # Logstash's user is ECK's own, and so is the name of its role.
    wanted["eck_logstash_user_role"] = wanted.pop(role_name("logstash"))
    assert yaml.safe_load(secret["stringData"]["roles.yml"]) == wanted
    auth = values("eck-stack", stack)["eck-elasticsearch"]["auth"]
    assert {"secretName": secret["metadata"]["name"]} in auth["roles"]


@pytest.mark.parametrize("stack", STACKS)
def test_there_is_a_user_for_every_role_with_a_password_of_its_own(chart: Path, stack: str) -> None:
    found = [_decoded(item) for item in _rendered(chart, stack) if item.get("type") == "kubernetes.io/basic-auth"]
    assert {user["username"]: user["roles"] for user in found} == {
        name: role_name(name) for name in roles(_settings(stack)) if name != "logstash"
    }
    passwords = {user["password"] for user in found}
    assert len(passwords) == len(found)
    assert all(len(password) == 40 for password in passwords)
    again = [_decoded(item) for item in _rendered(chart, stack) if item.get("type") == "kubernetes.io/basic-auth"]
    assert not passwords & {user["password"] for user in again}


def test_an_upgrade_keeps_the_passwords_and_a_new_user_gets_one(cluster: Cluster, chart: Path) -> None:
    def install(*more: str) -> dict[str, str]:
        place = ("--kubeconfig", cluster.kubeconfig, "--namespace", NAMESPACE)
        _helm("upgrade", "--install", "users", chart, *place, "--create-namespace", *_of_values("dev"), *more)
        secrets: Sequence[dict[str, Any]] = cluster.get("secrets", "--namespace", NAMESPACE)["items"]
        users = [_decoded(item) for item in secrets if item["type"] == "kubernetes.io/basic-auth"]
        return {user["username"]: user["password"] for user in users}

    count = len(values("eck-stack", "dev")["eck-elasticsearch"]["auth"]["fileRealm"])
    try:
        first = install()
        assert len(first) == count
        assert install() == first
        second = install("--set", f"eck-elasticsearch.auth.fileRealm[{count}].secretName=report-elasticsearch")
        assert second.items() >= first.items()
        assert len(second["report"]) == 40
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


def _decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
