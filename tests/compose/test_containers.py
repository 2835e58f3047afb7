"""The whole way in containers: started, measured, hurt, stopped and started again. One story, in order."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
import yaml
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from tests.compose.engine import OURS
from tests.compose.parts import ONCE, WATCHED, all_well, killed_for_memory
from tests.compose.project import Project, eventually, free_ports
from tests.shared.shared_folder import ROOT

pytestmark = [pytest.mark.timeout(3_600), pytest.mark.usefixtures("container_logs")]

TOPIC = "logs-topic"


def ends(project: Project) -> dict[int, int]:
    """Events in the topic, by partition."""
    consumer = KafkaConsumer(bootstrap_servers=f"127.0.0.1:{project.ports['KAFKA_PORT']}")
    try:
        partitions = [TopicPartition(TOPIC, number) for number in consumer.partitions_for_topic(TOPIC) or ()]
        return {partition.partition: end for partition, end in consumer.end_offsets(partitions).items()}
    finally:
        consumer.close()


def documents(project: Project, alias: str) -> int:
    """Documents behind an alias, as a search sees them now."""
    project.get("ELASTICSEARCH_PORT", "/_cluster/health?wait_for_status=yellow&timeout=30s")
    found = project.get("ELASTICSEARCH_PORT", f"/{alias}*/_count?ignore_unavailable=true")
    return int(found.json()["count"])


def workers(project: Project) -> list[dict[str, Any]]:
    """The workers that the master takes for alive."""
    found = project.get("SPARK_MASTER_UI_PORT", "/json/").json()["workers"]
    return [worker for worker in found if worker["state"] == "ALIVE"]


def everything_arrived(project: Project) -> int:
    """Events in the topic, once both indices have as many."""
    there = sum(ends(project).values())
    assert there
    counts = {alias: documents(project, alias) for alias in ("dev-results-index", "dev-logs-index")}
    assert counts == dict.fromkeys(counts, there)
    return there


@pytest.fixture(scope="module", autouse=True)
def _two_executors(project: Project) -> None:
    project.set("REGEX_CORES", "2")


def test_a_part_alone_on_a_fresh_machine_has_the_image_built_first(project: Project) -> None:
    project.docker("image", "rm", OURS)
    project.compose("up", "--detach", "spark-master", seconds=1_800)
    assert project.docker("image", "ls", "--quiet", OURS).strip()
    eventually(lambda: all_well(project, {"prepare", "spark-master"}))


def test_every_part_gets_healthy(project: Project) -> None:
    project.up()
    eventually(lambda: all_well(project, ONCE | WATCHED))


@pytest.mark.parametrize(
    ("name", "folder"), [("kafka", "/opt/kafka/logs"), ("elasticsearch", "/usr/share/elasticsearch/logs")]
)
def test_no_server_logs_to_files_of_its_own(project: Project, name: str, folder: str) -> None:
    made = project.compose("exec", "-T", name, "find", folder, "-type", "f", "-size", "+0")
    assert not made.split()


def test_the_job_runs_on_both_workers(project: Project) -> None:
    eventually(lambda: [worker["coresused"] for worker in workers(project)] == [1, 1])


def test_no_other_container_submits_a_job_over_http(project: Project) -> None:
    probe = "import urllib.request as r; r.urlopen('http://spark-master:6066/v1/submissions/readyz', timeout=30)"
    with pytest.raises(AssertionError, match="Connection refused"):
        project.compose("exec", "-T", "producer", "python", "-ISc", probe)


def test_every_event_is_found_in_both_indices(project: Project) -> None:
    eventually(lambda: sum(ends(project).values()) > 200)
    project.compose("stop", "producer")
    assert eventually(lambda: everything_arrived(project)) > 200


def test_an_event_posted_over_http_is_found_with_its_facts(project: Project) -> None:
    key = project.compose("run", "--rm", "--no-deps", "-T", "prepare", "cat", "/secrets/store/api-key").strip()
    with httpx.Client(base_url=f"http://127.0.0.1:{project.ports['API_PORT']}", timeout=30) as client:
        event = {"level": "error", "source": "cart", "message": "payment of user_id=17 failed with status=502"}
        assert client.post("/logs", json=event).status_code == 401
        client.headers = httpx.Headers({"Authorization": f"Bearer {key}", "Idempotency-Key": "once"})
        posted, again = client.post("/logs", json=event), client.post("/logs", json=event)
        assert (posted.status_code, again.json()["id"]) == (201, posted.json()["id"]), posted.text

        def found() -> dict[str, Any]:
            answer = client.get(f"/results/{posted.json()['id']}")
            assert answer.status_code == 200, answer.text
            facts: dict[str, Any] = answer.json()
            return facts

        facts = eventually(found)
        assert (facts["service"]["name"], facts["user"]["id"]) == ("cart", "17")
    assert f"{TOPIC}-value" in project.get("SCHEMA_REGISTRY_PORT", "/apis/ccompat/v7/subjects").json()


def test_prometheus_reaches_every_target(project: Project) -> None:
    project.compose("start", "producer")
    configured = yaml.safe_load((ROOT / "config/dev/prometheus.yml").read_text())["scrape_configs"]

    def all_up() -> bool:
        targets = project.get("PROMETHEUS_PORT", "/api/v1/targets?state=active").json()["data"]["activeTargets"]
        assert {target["scrapePool"] for target in targets} == {entry["job_name"] for entry in configured}
        down = {target["scrapeUrl"]: target["lastError"] for target in targets if target["health"] != "up"}
        assert not down, down
        return len([target for target in targets if target["scrapePool"] == "spark-workers"]) == 2

    eventually(all_up)
    for query in (
        "kafka_server_brokertopicmetrics_messagesin_all_topics_total > 0",
        'elasticsearch_indices_docs_primary{index=~"dev-results-index-.*"} > 0',
        'logsluice_events_out_total{job="regex"} > 0',
        'logsluice_api_events_total{outcome="stored"} == 1',
        'logsluice_index_documents{index="dev-results-index"} > 0',
        "metrics_worker_coresUsed_Value == 1",
    ):
        eventually(lambda query=query: value_of(project, query))  # type: ignore[misc]


def value_of(project: Project, query: str) -> bool:
    answer = project.get("PROMETHEUS_PORT", f"/api/v1/query?query={quote(query)}").json()
    assert answer["data"]["result"], query
    return True


def test_a_link_of_the_master_leads_to_every_worker_and_driver(project: Project) -> None:
    links = re.findall(r'href="([^"]+)"', project.get("SPARK_MASTER_UI_PORT", "/").text)
    behind = [link for link in links if "/proxy/" in link]
    assert len({link for link in behind if "worker-" in link}) == 2, links
    assert [link for link in behind if "app-" in link], links
    for link in behind:
        # A driver's page sends a browser on to its jobs.
        address = f"http://127.0.0.1:{project.ports['SPARK_MASTER_UI_PORT']}{urlsplit(link).path}"
        assert httpx.get(address, timeout=30, follow_redirects=True).is_success, link


def test_no_part_comes_near_its_limit(project: Project) -> None:
    used = {name: use for name, use in project.memory().items() if name in WATCHED}
    print("\n".join(f"{name}: {mine / 2**20:.0f} of {limit / 2**20:.0f} MiB" for name, (mine, limit) in used.items()))
    assert used.keys() == WATCHED
    assert not {name: use for name, use in used.items() if use[0] > 0.92 * use[1]}


@pytest.mark.parametrize("name", ["redis", "redis-cache"])
def test_redis_ends_when_it_is_told_to(project: Project, name: str) -> None:
    (container,) = project.states()[name]
    began = time.monotonic()
    # Half a minute is what it would be given before it is killed.
    project.docker("stop", "--time", "30", container["ID"])
    assert time.monotonic() - began < 20
    assert project.docker("inspect", "--format", "{{.State.ExitCode}}", container["ID"]).strip() == "0"
    project.docker("start", container["ID"])


def test_the_history_server_reads_the_event_log(project: Project) -> None:
    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = project.get("SPARK_HISTORY_PORT", "/api/v1/applications").json()
        return found

    assert "regex-job" in {application["name"] for application in eventually(listed)}


def test_a_worker_is_killed_and_the_job_goes_on(project: Project) -> None:
    (worker,) = project.states()["spark-worker-1"]
    before = sum(ends(project).values())
    project.docker("kill", worker["ID"])
    eventually(lambda: len(workers(project)) == 1)
    eventually(lambda: sum(ends(project).values()) > before + 200)
    project.compose("stop", "producer")
    assert eventually(lambda: everything_arrived(project)) > before + 200


def test_down_and_up_again_keeps_the_data(project: Project) -> None:
    before, stored = ends(project), everything_arrived(project)
    project.down()
    assert not project.states()
    project.up("--scale", "spark-worker=2")
    eventually(lambda: all_well(project, ONCE | WATCHED))
    assert "made" not in project.compose("logs", "--no-color", "prepare", "setup")
    assert documents(project, "dev-results-index") >= stored
    eventually(lambda: len(workers(project)) == 3)
    # The third worker is the windows job's; until then it waited for one.
    eventually(lambda: documents(project, "dev-windows-index") > 0)
    assert project.get("DASHBOARD_PORT", "/").text.startswith("<!")
    eventually(lambda: sum(ends(project).values()) > sum(before.values()) + 100)
    assert all(ends(project)[partition] >= end for partition, end in before.items())
    project.compose("stop", "producer")
    assert eventually(lambda: everything_arrived(project)) > stored
    # What was counted before is counted still.
    eventually(lambda: value_of(project, 'min_over_time(up{job="kafka"}[1h])'))


def test_nothing_fails_on_the_quiet(project: Project) -> None:
    output = project.compose("logs", "--no-color", *WATCHED, *ONCE)
    assert "Traceback (most recent call last)" not in output
    assert "OutOfMemoryError" not in output
    assert not killed_for_memory(project)


def test_down_v_removes_everything(project: Project) -> None:
    project.down("--volumes")
    label = f"label=com.docker.compose.project={project.name}"
    for kind in ("volume", "network"):
        assert not project.docker(kind, "ls", "--quiet", "--filter", label).strip()
    assert not project.docker("ps", "--all", "--quiet", "--filter", label).strip()


@pytest.fixture
def prod(variables: dict[str, str], tmp_path: Path) -> Iterator[Project]:
    started = Project(variables, "prod", free_ports(tmp_path / "env"))
    try:
        yield started
    finally:
        started.down("--volumes")


def test_kafka_of_prod_lets_in_who_knows_the_password_alone(prod: Project, tmp_path: Path) -> None:
    prod.up("kafka")
    eventually(lambda: all_well(prod, {"prepare", "kafka"}))
    password = prod.compose("exec", "-T", "kafka", "cat", "/run/secrets/kafka/password")
    authority = tmp_path / "ca.crt"
    authority.write_text(prod.compose("exec", "-T", "kafka", "cat", "/run/secrets/kafka/ca.crt"))
    options = {
        "bootstrap_servers": f"127.0.0.1:{prod.ports['KAFKA_PORT']}",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "logsluice",
        "ssl_cafile": str(authority),
    }
    client = KafkaAdminClient(**options, sasl_plain_password=password)
    client.create_topics({"seen": {"num_partitions": 1, "replication_factor": 1}})
    assert "seen" in client.list_topics()
    client.close()
    with pytest.raises(Exception, match=r"(?i)authentication|credentials|bootstrap"):
        KafkaAdminClient(**options, sasl_plain_password="wrong", bootstrap_timeout_ms=10_000)
    # Containers trust the same authority, and know the password from their file.
    output = prod.compose(
        "run",
        "--rm",
        "--no-deps",
        "-T",
        "setup",
        "python",
        "-c",
        "from logsluice.settings import load_settings; from logsluice.provision.setup import set_up_kafka;"
        "print(set_up_kafka(load_settings()))",
    )
    assert "prod-logs-topic: made" in output
    assert password not in prod.compose("logs", "--no-color") + prod.docker("ps", "--all", "--no-trunc")
