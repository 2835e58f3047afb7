"""docker-compose.yml without an engine: what it says, and whether what it says holds together."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from logsluice.alerts.rules import load_rules
from logsluice.kubernetes.entrypoint import PATHS
from logsluice.provision.compose import READERS
from logsluice.provision.kibana import saved_objects
from logsluice.settings import MetricsSettings, Settings, load_settings
from tests.infra.compose_file import (
    ENVIRONMENTS,
    OURS,
    TEXT,
    rendered,
    run,
    runs_once,
    scrape_configs,
    services,
    targets,
)
from tests.infra.compose_file import variables as variables_of_the_file
from tests.shared.logstash_pipeline import pipeline_files
from tests.shared.shared_folder import ROOT

pytestmark = pytest.mark.tools

GB = 1024**3
# In bytes, as said by who makes them: ECK 3.5's defaults (pkg/controller/elasticsearch/nodespec/defaults.go,
# pkg/controller/kibana/pod.go), and Grafana 13.2's "Install Grafana", Hardware recommendations.
UPSTREAM_NEEDS = {"elasticsearch": 2 * GB, "kibana": 2 * GB, "grafana": GB // 2}
# Parts that take another's place: both never run.
INSTEAD = {"index-job": "logstash"}
BY_HAND = {"regex-batch"}
# What standalone Spark, and Prometheus itself, have in compose alone.
OF_COMPOSE = {"prometheus", "spark-master", "spark-workers"}
# On Kubernetes the producer is a Spark application like any other job.
MONITOR_OF = {
    "producer": "spark-jobs",
    "regex-job": "spark-jobs",
    "windows-job": "spark-jobs",
    "spark-executors": "spark",
}


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_compose_understands_the_file_without_a_word(env: str) -> None:
    done = run(env, "config", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert rendered(env)["name"] == f"logsluice-{env}"


def test_both_environments_have_the_same_parts() -> None:
    dev, prod = (services(env) for env in ENVIRONMENTS)
    assert dev.keys() == prod.keys()
    for name in dev:
        assert dev[name]["image"] == prod[name]["image"]
        assert dev[name].get("ports") == prod[name].get("ports")


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_everything_that_is_mounted_is_in_the_repository(env: str) -> None:
    mounts = [
        Path(volume["source"])
        for service in services(env).values()
        for volume in service.get("volumes", [])
        if volume["type"] == "bind"
    ]
    assert mounts
    for path in mounts:
        assert path.exists(), path
        assert path.is_relative_to(ROOT)
        # Containers run as users that are not the owner.
        assert path.stat().st_mode & 0o004
    sources = {volume["source"] for service in services(env).values() for volume in service.get("volumes", [])}
    assert sources >= set(rendered(env)["volumes"]), "a volume that nobody mounts"


def limits_of(*, small: bool = False) -> dict[str, int]:
    """The memory of what a plain start leaves running, in bytes."""
    return {
        name: int(service["mem_limit"])
        for name, service in services("dev", small=small).items()
        if not runs_once(service) and not service.get("profiles")
    }


@pytest.mark.parametrize(("small", "most"), [(False, 12), (True, 6)])
def test_the_documents_say_how_much_memory_is_needed(small: bool, most: int) -> None:
    needed = math.ceil(sum(limits_of(small=small).values()) / GB)
    assert needed <= most
    for document in ("README.md", "docs/compose.md"):
        assert f"{needed} GB of memory" in (ROOT / document).read_text(), document


@pytest.mark.parametrize(("profile", "most"), [("api", "1.3"), ("tools", "1.1")])
def test_the_documents_say_what_a_profile_needs_more(profile: str, most: str) -> None:
    every = services("dev").values()
    needed = sum(int(s["mem_limit"]) for s in every if profile in s.get("profiles", ()) and not runs_once(s))
    assert float(most) - 0.1 < needed / GB <= float(most)
    assert re.search(
        rf"`--profile {profile}` (is )?{most} GB", " ".join((ROOT / "docs/compose.md").read_text().split())
    )


def test_the_documents_say_what_the_index_job_spares() -> None:
    limits = limits_of() | limits_of(small=True)
    assert round(limits["logstash"] / limits["index-job"]) == 7
    assert "in a seventh of the memory" in (ROOT / "docs/compose.md").read_text()
    assert "in a seventh of its memory" in TEXT


def test_the_documents_scale_to_a_worker_for_every_core() -> None:
    def cores(name: str, configured: str) -> int:
        found = re.search(rf"{name}=(\d+)", configured)
        return int(found[1]) if found else int(re.findall(rf"\$\{{{name}:-(\d+)\}}", TEXT)[0])

    lines = (ROOT / "docs/compose.md").read_text().splitlines()
    scaled = [line for line in lines if line.startswith(("docker", "REGEX_CORES")) and "--scale spark-worker=" in line]
    assert scaled
    for line in scaled:
        taken = cores("REGEX_CORES", line) + cores("WINDOWS_CORES", line)
        assert 1 + cores("--scale spark-worker", line) >= taken, line


def test_what_runs_once_fits_where_others_will_be() -> None:
    limits = {name: int(service["mem_limit"]) for name, service in services("dev").items()}
    for name, other in INSTEAD.items():
        assert limits[name] <= limits[other]
    # It is gone before what needs it starts.
    assert limits["prepare"] <= limits["kafka"]
    for once in ("setup", "users"):
        waiting = [name for name in limits_of() if once in services("dev")[name].get("depends_on", {})]
        assert limits[once] <= sum(limits[name] for name in waiting)


@pytest.mark.parametrize(("part", "least"), sorted(UPSTREAM_NEEDS.items()))
def test_no_part_has_less_than_its_makers_say_it_needs(part: str, least: int) -> None:
    assert limits_of()[part] >= least


def test_heaps_leave_room_for_what_is_beside_them() -> None:
    every = services("dev")

    def heap(part: str, variable: str) -> int:
        found = re.search(r"-Xmx(\d+)([mg])", every[part]["environment"][variable])
        assert found
        return int(found[1]) * {"m": 1024**2, "g": 1024**3}[found[2]]

    # Elastic's rule for Elasticsearch: half for the heap at most.
    assert 2 * heap("elasticsearch", "ES_JAVA_OPTS") <= int(every["elasticsearch"]["mem_limit"])
    # What ECK's Logstash has beside its heap: 2 GiB, and the 1 GiB of the image's jvm.options.
    assert heap("logstash", "LS_JAVA_OPTS") + GB <= int(every["logstash"]["mem_limit"])
    assert 2 * heap("kafka", "KAFKA_HEAP_OPTS") <= int(every["kafka"]["mem_limit"])
    # Kibana's own start script sizes its heap by the container, unless it is told a size.
    assert "max-old-space-size" not in every["kibana"].get("environment", {}).get("NODE_OPTIONS", "")


def test_the_small_variant_leaves_out_whole_parts() -> None:
    full, small = limits_of(), limits_of(small=True)
    assert full.keys() - small.keys() == {"kibana", "logstash", "windows-job", "alerts-job", "spark-worker"}
    # Somebody still indexes the raw events.
    assert small.keys() - full.keys() == {"index-job"}
    for name in small:
        waits = services("dev", small=True)[name].get("depends_on") or {}
        assert not [other for other in waits if services("dev", small=True)[other].get("profiles")], name


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_nothing_listens_beyond_this_machine(env: str) -> None:
    published = [port for service in services(env).values() for port in service.get("ports", [])]
    assert published
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}
    numbers = [port["published"] for port in published]
    assert len(numbers) == len(set(numbers))
    assert not any(service.get("network_mode") == "host" for service in services(env).values())


def test_the_ports_are_the_documented_ones() -> None:
    published = {
        int(port["published"]): name for name, service in services("dev").items() for port in service.get("ports", [])
    }
    assert published.items() >= {
        (9092, "kafka"),
        (9200, "elasticsearch"),
        (5044, "logstash"),
        (5601, "kibana"),
        (9090, "prometheus"),
        (3000, "grafana"),
        (8080, "spark-master"),
        (7077, "spark-master"),
        (8081, "spark-worker-1"),
        (18080, "spark-history"),
        (8085, "kafka-ui"),
        (8000, "app-service"),
        (8090, "api"),
        (8088, "schema-registry"),
    }
    assert "ports" not in services("dev")["spark-worker"], "it could not be scaled"


def test_what_may_be_set_is_in_the_example() -> None:
    example = dict(re.findall(r"(?m)^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text()))
    known = variables_of_the_file()
    assert set(example) - {"COMPOSE_FILE", "COMPOSE_PROFILES"} == set(known)
    for name, defaults in known.items():
        assert defaults == {example[name]}, name
    every_port = {name: "31" + f"{number:03}" for number, name in enumerate(known) if name.endswith("_PORT")}
    done = run("dev", "config", "--format", "json", more=every_port)
    for port in every_port.values():
        assert f'"{port}"' in done.stdout


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_part_is_watched_and_limited(env: str) -> None:
    for name, service in services(env).items():
        check = service["healthcheck"]
        assert check.get("disable") if runs_once(service) else check["test"], name
        assert service["mem_limit"], name
        assert service["restart"] == ("unless-stopped" if not runs_once(service) else service["restart"]), name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        if service["image"] == OURS:
            assert service["read_only"], name
            assert service.get("user", "10001:10001") == "10001:10001" or name == "prepare"
    added = {name: service["cap_add"] for name, service in services(env).items() if service.get("cap_add")}
    assert added == {"prepare": ["CHOWN"]}


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_what_a_part_needs_is_healthy_before_it_starts(env: str) -> None:
    every = services(env)
    for name, service in every.items():
        for other, dependency in (service.get("depends_on") or {}).items():
            wanted = "service_completed_successfully" if runs_once(every[other]) else "service_healthy"
            assert dependency["condition"] == wanted, f"{name} on {other}"
            profiles = set(every[other].get("profiles", ()))
            assert profiles <= set(service.get("profiles", ())), f"{name} could not start without {other}'s profile"


def needs(env: str, name: str) -> set[str]:
    """What a part waits for, and what that waits for."""
    direct = set(services(env)[name].get("depends_on") or {})
    return direct.union(*(needs(env, other) for other in direct))


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_one_part_builds_our_image_and_all_others_wait_for_it(env: str) -> None:
    every = services(env)
    (builder,) = [name for name, service in every.items() if "build" in service]
    ours = {name for name, service in every.items() if service["image"] == OURS}
    assert builder in ours
    assert not every[builder].get("profiles"), "a part of another profile could not be started"
    for name in ours:
        # Compose makes the image before any container when its builder is among what is started. It is on no registry.
        assert builder in {name, *needs(env, name)}, name
        assert every[name]["pull_policy"] == "never", name


def test_compose_builds_the_tag_once() -> None:
    done = run("dev", "build", "--print")
    assert done.returncode == 0, done.stderr
    tags = [tag for target in json.loads(done.stdout)["target"].values() for tag in target["tags"]]
    assert tags == [OURS]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_images_are_pinned(env: str) -> None:
    for name, service in services(env).items():
        _, _, tag = service["image"].rpartition(":")
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag), name
    # Versions stand in one place.
    named = yaml.safe_load(TEXT)["x-images"].values()
    assert not re.findall(r"(?m)^ +image: [^*].*", TEXT)
    assert len(named) == len({service["image"] for service in services(env).values()})
    elastic = {s["image"].rpartition(":")[2] for s in services(env).values() if s["image"].startswith("docker.elastic")}
    stack = yaml.safe_load((ROOT / "helm/eck-stack/values.yaml").read_text())
    assert elastic == {stack["eck-elasticsearch"]["version"]}
    kafka = yaml.safe_load((ROOT / "k8s/base/kafka/kafka.yaml").read_text())
    assert services(env)["kafka"]["image"] == f"apache/kafka:{kafka['spec']['kafka']['version']}"
    exporter = (ROOT / "k8s/components/monitoring/elasticsearch-exporter.yaml").read_text()
    assert services(env)["elasticsearch-exporter"]["image"] in exporter


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_containers_see_the_environments_files_and_the_common_ones(env: str) -> None:
    for name, service in services(env).items():
        mounted = {volume["target"]: Path(volume["source"]) for volume in service.get("volumes", [])}
        if "/etc/logsluice" in mounted:
            folder = Path(service["environment"]["LOGSLUICE_CONFIG"]).relative_to("/etc/logsluice")
            assert mounted["/etc/logsluice"] / folder == ROOT / "config" / env, name
            assert load_rules(mounted["/etc/logsluice"] / folder)
    pipeline = {
        Path(volume["target"]).name: Path(volume["source"]).read_text()
        for volume in services(env)["logstash"]["volumes"]
        if Path(volume["target"]).parent == Path("/usr/share/logstash/pipeline")
    }
    assert pipeline == pipeline_files(env)


def test_no_password_is_written_anywhere() -> None:
    files = [ROOT / "docker-compose.yml", ROOT / ".env.example", *sorted((ROOT / "config").rglob("*"))]
    secret = re.compile(r"(?i)(password|secret|encryptionkey|token)\w*\"?\s*[=:]\s*\"?(?P<value>[^\s\"']+)")
    harmless = re.compile(r"\$|/|\{|>")
    for path in files:
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = secret.search(line)
            if found and not line.lstrip().startswith("#"):
                assert harmless.match(found["value"]), f"{path}:{number}: {line}"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_secrets_reach_their_readers_alone(env: str) -> None:
    volumes: dict[str, set[str]] = {}
    for name, service in services(env).items():
        for volume in service.get("volumes", []):
            if volume["type"] == "volume" and volume["source"].endswith("secrets") and name != "prepare":
                assert volume["read_only"], name
                volumes.setdefault(volume["source"], set()).add(name)
    assert set(volumes) == {f"{reader}-secrets" for reader in READERS}
    for volume, names in volumes.items():
        reader = volume.removesuffix("-secrets")
        if reader == "logsluice":
            assert {services(env)[name]["image"] for name in names} == {OURS}
        elif reader == "spark":
            options = {
                name
                for name, service in services(env).items()
                if "SPARK_AUTH_SECRET_FILE" in service.get("environment", {})
            }
            workers = {"spark-master", "spark-worker", "spark-worker-1"}
            assert names == options == workers | {"regex-job", "windows-job", "regex-batch"}
        elif reader == "users":
            # The administrator's password among them.
            assert names == {"users", "setup", "kibana-setup"}
        elif reader == "redis":
            assert names == {"redis", "redis-cache"}
        else:
            assert names == {reader}
    made = {Path(v["target"]).name for v in services(env)["prepare"]["volumes"] if v["source"].endswith("-secrets")}
    assert made == set(READERS)


def test_prod_speaks_tls_and_knows_who_is_there() -> None:
    of_prod = services("prod")
    environment = of_prod["regex-job"]["environment"]
    assert environment["LOGSLUICE_KAFKA__SECURITY_PROTOCOL"] == "SASL_SSL"
    assert environment["LOGSLUICE_ELASTICSEARCH__HOSTS"].startswith("https://")
    users = {
        name: service.get("environment", {}).get("LOGSLUICE_ELASTICSEARCH__USERNAME")
        for name, service in of_prod.items()
    }
    assert {name for name, user in users.items() if user == "elastic"} == {"users", "setup", "kibana-setup"}
    assert {user for user in users.values() if user} == {"elastic", "logsluice"}
    prod = "\n".join(path.read_text() for path in (ROOT / "config/prod").rglob("*") if path.suffix in (".env", ".yml"))
    assert "http://elasticsearch" not in prod
    kafka = (ROOT / "config/prod/kafka.properties").read_text()
    listeners = re.search(r"(?m)^listener.security.protocol.map=(.*)$", kafka)
    assert listeners
    assert "PLAINTEXT" not in listeners.group(1)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_our_containers_start_with_settings_that_are_understood(env: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, service in services(env).items():
        if service["image"] != OURS or not service.get("environment"):
            continue
        with monkeypatch.context() as patch:
            for variable, value in service["environment"].items():
                if variable.startswith("LOGSLUICE_") and variable.endswith("_FILE") and variable not in PATHS:
                    patch.setenv(variable.removesuffix("_FILE"), "a password")
                else:
                    patch.setenv(variable, value)
            settings = load_settings(ROOT / "config" / env)
        assert settings.env == env, name
        assert settings.kafka.bootstrap_servers == "kafka:9092"
        assert (settings.kafka.replication_factor, settings.elasticsearch.replicas) == (1, 0)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_prometheus_reads_what_the_monitors_read_on_kubernetes(env: str) -> None:
    entries = scrape_configs(env)
    documents = yaml.safe_load_all((ROOT / "k8s/components/monitoring/targets.yaml").read_text())
    ports = {"tcp-prometheus": 9404, "spark-ui": 4040}
    of_service = {"alerts-job": 8006, "api": 8090, "app-service": 8000, "elasticsearch-exporter": 9114}
    wanted = set()
    for monitor in documents:
        name = monitor["metadata"]["name"]
        for endpoint in monitor["spec"].get("endpoints", monitor["spec"].get("podMetricsEndpoints")):
            port = ports.get(endpoint["port"], of_service.get(name))
            honor = endpoint.get("honorLabels", False)
            wanted.add((name, endpoint["path"], endpoint["interval"], honor, port))
    found = set()
    for job, entry in entries.items():
        if job in OF_COMPOSE:
            continue
        name = MONITOR_OF.get(job, job)
        path, interval = entry.get("metrics_path", "/metrics"), entry.get("scrape_interval", "15s")
        for _, port in targets(entry):
            # Each job has a port of its own here, a pod of its own there.
            number = None if name == "spark-jobs" else port
            found.add((name, path, interval, entry.get("honor_labels", False), number))
    assert found == wanted


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_prometheus_reads_every_part_that_has_metrics(env: str) -> None:
    every = services(env)
    aliases = {
        alias
        for service in every.values()
        for network in (service.get("networks") or {}).values()
        for alias in (network or {}).get("aliases", [])
    }
    read = {(host, port) for entry in scrape_configs(env).values() for host, port in targets(entry)}
    for host, _ in read:
        assert host in {*every, *aliases, "localhost"}
    # What is asked for /metrics by its health check has metrics.
    own = {
        (name, int(found.group(1)))
        for name, service in every.items()
        if (found := re.search(r"localhost:(\d+)/metrics", " ".join(service["healthcheck"].get("test", []))))
        and not service.get("profiles")
    }
    assert own <= read
    known = MetricsSettings().model_dump()
    for name, port in own:
        assert known[name.removesuffix("-job").replace("-", "_")] == port
    assert ("app-service", 8000) in read


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_promtool_finds_nothing_in_the_configuration(env: str) -> None:
    if not (promtool := shutil.which("promtool")):
        pytest.skip("promtool is not on PATH")
    done = subprocess.run(
        [promtool, "check", "config", "--syntax-only", ROOT / "config" / env / "prometheus.yml"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    parsed = yaml.safe_load((ROOT / "config" / env / "prometheus.yml").read_text())
    for entry in parsed["scrape_configs"]:
        configured = [group["labels"]["environment"] for group in entry.get("static_configs", []) if "labels" in group]
        configured += [
            rule["replacement"] for rule in entry.get("relabel_configs", []) if rule["target_label"] == "environment"
        ]
        assert configured == ([] if entry["job_name"] == "prometheus" else [env]), entry["job_name"]


def test_what_prometheus_reads_differs_in_the_environments_name_alone() -> None:
    dev, prod = ((ROOT / "config" / env / "prometheus.yml").read_text() for env in ENVIRONMENTS)
    assert dev.count("&name dev") == 1
    assert prod == dev.replace("&name dev", "&name prod")


def test_scripts_of_the_containers_are_sound() -> None:
    for path in [*sorted((ROOT / "config").rglob("*.sh")), ROOT / "spark/config/spark-env.sh"]:
        done = subprocess.run(["bash", "-n", path], capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stderr) == (0, ""), path


def test_spark_is_told_what_to_use() -> None:
    text = (ROOT / "spark/config/spark-defaults.conf").read_text()
    options = dict(line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#"))
    assert options["spark.master"] == "spark://spark-master:7077"
    assert options["spark.eventLog.enabled"] == "true"
    assert options["spark.eventLog.dir"] == options["spark.history.fs.logDirectory"]
    folder = options["spark.eventLog.dir"].removeprefix("file://")
    for name in ("regex-job", "spark-history"):
        mounted = {volume["target"]: volume["source"] for volume in services("dev")[name]["volumes"]}
        assert mounted[folder] == "spark-events"
    environment = (ROOT / "spark/config/spark-env.sh").read_text()
    for name in ("SPARK_MASTER_HOST", "SPARK_WORKER_CORES", "SPARK_WORKER_MEMORY"):
        assert re.search(rf'(?m)^export {name}="\$\{{{name}:-', environment)
    # What Spark asks of a JVM at least, which keeps a thirtieth of its heap to itself with the serial collector.
    for part in ("driver", "executor"):
        assert int(options[f"spark.{part}.memory"].removesuffix("m")) * 29 / 30 > 450
    # One executor fits a worker: what a job may take of the cluster is what its cores say.
    worker = services("dev")["spark-worker"]["environment"]
    assert worker["SPARK_WORKER_MEMORY"] == options["spark.executor.memory"]
    assert worker["SPARK_WORKER_CORES"] == options["spark.executor.cores"]
    for name, service in services("dev").items():
        if service.get("command") and service["command"][0] == "submit":
            assert any(word.startswith("--conf=spark.cores.max=") for word in service["command"]), name


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_kibana_opens_with_what_is_there(env: str) -> None:
    overrides = yaml.safe_load((ROOT / "config" / env / "kibana.yml").read_text())["uiSettings.overrides"]
    objects = {(entry["type"], entry["id"]): entry for entry in saved_objects(Settings(env=env))}
    # Kibana's own settings (src/core/packages/ui-settings/server-internal, ui_settings_config.ts) take any key, and a
    # route only from its root.
    route = re.fullmatch(r"/app/dashboards#/view/([\w-]+)", overrides["defaultRoute"])
    assert route
    opened = objects[("dashboard", route[1])]["attributes"]
    assert (opened["timeRestore"], opened["timeFrom"], opened["timeTo"]) == (True, "now-15m", "now")
    assert ("index-pattern", overrides["defaultIndex"]) in objects


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_grafana_opens_with_what_is_there(env: str) -> None:
    grafana = services(env)["grafana"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    mounted = {volume["target"]: Path(volume["source"]) for volume in grafana["volumes"]}
    opened = json.loads((mounted[str(home.parent)] / home.name).read_text())
    assert (opened["uid"], opened["time"]) == ("logsluice-overview", {"from": "now-15m", "to": "now"})


@pytest.mark.parametrize("name", ["redis", "redis-cache"])
def test_redis_hears_that_it_is_to_stop(name: str, tmp_path: Path) -> None:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not on PATH")
    service = services("dev")[name]
    script = service["entrypoint"][-1].replace("$$", "$").replace("/run/secrets/redis/password", f"{tmp_path}/password")
    script = re.sub(r"--dir \S+", f"--dir {tmp_path} --port 0 --unixsocket {tmp_path}/socket", script)
    (tmp_path / "password").write_text("a-password")
    shell = subprocess.Popen([*service["entrypoint"][:-1], script], stdout=subprocess.PIPE, text=True)
    try:
        assert shell.stdout is not None
        assert any("eady to accept connections" in line for line in shell.stdout)
        # What Docker signals is process 1, which is the shell that it starts.
        assert Path(f"/proc/{shell.pid}/comm").read_text().strip() == "redis-server"
        assert "a-password" not in Path(f"/proc/{shell.pid}/cmdline").read_text()
        command = ["redis-cli", "-s", f"{tmp_path}/socket", "config", "get", "maxmemory-policy"]
        environment = {"PATH": os.environ["PATH"], "REDISCLI_AUTH": "a-password"}
        policy = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True).stdout
        # Keys of posts must not be lost: what is full refuses them.
        assert policy.split()[-1] == ("noeviction" if name == "redis" else "allkeys-lru")
        shell.terminate()
        assert shell.wait(10) == 0
    finally:
        shell.kill()
        shell.wait()


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_shell_stays_before_a_server(env: str) -> None:
    for name, service in services(env).items():
        for words in (service.get("entrypoint"), service.get("command")):
            if words and Path(words[0]).name in ("sh", "bash") and "-c" in words:
                last = [line for line in words[-1].splitlines() if re.match(r"\S", line) and line != "END"]
                assert any(line.startswith("exec ") for line in last), name
                assert "| exec" not in words[-1], name


def test_the_file_names_no_version_of_the_format() -> None:
    assert "version" not in yaml.safe_load(TEXT)
