"""The parts of docker-compose.yml, and whether they are well."""

from __future__ import annotations

from tests.compose.engine import UPSTREAM
from tests.compose.project import Project

ONCE = {"prepare", "users", "setup", "schema-setup"}
WATCHED = {"kafka", "elasticsearch", "prometheus", "elasticsearch-exporter", "spark-master", "spark-worker-1"}
WATCHED |= {"spark-worker", "spark-history", "regex-job", "windows-job", "alerts-job", "index-job", "producer"}
WATCHED |= {"app-service", "dashboard", "api", "redis", "redis-cache", "schema-registry"}
if UPSTREAM:
    ONCE |= {"kibana-setup"}
    WATCHED = WATCHED - {"index-job"} | {"kibana", "logstash", "grafana", "kafka-ui"}


def all_well(project: Project, expected: set[str]) -> bool:
    states = project.states()
    assert expected <= set(states)
    for name in expected:
        for state in states[name]:
            if name in ONCE:
                assert (state["State"], state["ExitCode"]) == ("exited", 0), state
            else:
                assert state["Health"] == "healthy", (name, state["State"], state["Health"])
    return True


def killed_for_memory(project: Project) -> list[str]:
    """Containers that took more memory than they may."""
    return [
        state["Name"]
        for states in project.states().values()
        for state in states
        if project.docker("inspect", "--format", "{{.State.OOMKilled}}", state["ID"]).strip() == "true"
    ]
