"""What the outputs tell a person: how to reach what was made, and what to do next."""

from __future__ import annotations

import pulumi

from .namespaces import NAMESPACE
from .settings import Settings


def kibana() -> dict[str, str]:
    """How to reach Kibana from one's own machine."""
    return {
        "forward": f"kubectl -n {NAMESPACE} port-forward service/logsluice-kibana-kb-http 5601",
        "open": "https://127.0.0.1:5601",
        "user": "elastic",
        "password": f"kubectl -n {NAMESPACE} get secret -l common.k8s.elastic.co/type=elasticsearch"
        ",eck.k8s.elastic.co/credentials=true -o go-template="
        "'{{range .items}}{{with .data.elastic}}{{. | base64decode}}{{end}}{{end}}'",
    }


def grafana() -> dict[str, str]:
    """How to reach Grafana from one's own machine."""
    return {
        "forward": "kubectl -n monitoring port-forward service/kube-prometheus-stack-grafana 3000:80",
        "open": "http://127.0.0.1:3000",
        "user": "admin",
        "password": "kubectl -n monitoring get secret kube-prometheus-stack-grafana"
        " -o go-template='{{index .data \"admin-password\" | base64decode}}'",
    }


def next_step(settings: Settings, repository: pulumi.Output[str] | None) -> pulumi.Input[str]:
    """What is left to do: while there is no image there are no workloads."""
    if settings.image:
        return f"The workloads run {settings.image}."
    then = f"then: pulumi config set image <image by digest> --stack {settings.stack} && pulumi up"
    if repository is None:
        return f"No workloads yet: build spark/Dockerfile, load it into the cluster, {then}"
    return pulumi.Output.concat("No workloads yet: build spark/Dockerfile, push it to ", repository, f", {then}")
