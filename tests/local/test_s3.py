"""Each job's whole way with S3: Spark with the image's connector, Arrow, and the role's policy before the bucket.

The jobs run by ``spark-submit`` with what their manifests say of Spark and Hadoop; only S3's address is of the test.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from elasticsearch import Elasticsearch

from logsluice.jvm.jars import jar_paths
from logsluice.jvm.java import system_java
from logsluice.settings import Settings
from tests.infra.graph import DIGEST, REGION, Graph, build
from tests.local.lines import mixed
from tests.local.pipeline import Pipeline
from tests.local.running import ROOT, Runner
from tests.local.s3_service import CREDENTIALS, TOKEN, S3Service, s3_service
from tests.local.windowing import SECOND, assert_document, document_id, send, shop, truth

SECONDS = 900
SPARK = ROOT / "k8s" / "base" / "spark"
ENVIRONMENT = ROOT / "k8s" / "base" / "environment" / "environment.env"
OURS = ("spark.driver.port", "spark.blockManager.port", "spark.driver.blockManager.port", "spark.ui.enabled")
"""What a test chooses itself: ports, which another test may have."""
LONG_AGO = (0, "unknown")
"""The window of events that say they are of 1970."""
NEEDED = {
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutObject",
}

pytestmark = pytest.mark.timeout(3_600)


@pytest.fixture(scope="module")
def stack_graph() -> Graph:
    return build("dev", image=DIGEST)


@pytest.fixture
def s3(stack_graph: Graph) -> Iterator[S3Service]:
    """The stack's bucket behind the policy of Spark's role."""
    policies = [node.inputs["policy"] for node in stack_graph.of("rolePolicy:RolePolicy") if node.name == "spark"]
    statements = [statement for policy in policies for statement in json.loads(policy)["Statement"]]
    (key,) = {arn for statement in statements for arn in statement["Resource"] if ":kms:" in arn}
    with s3_service(stack_graph.outputs["bucket"], key, statements) as service:
        yield service


@pytest.fixture
def pipeline(settings: Settings, elasticsearch_client: Elasticsearch, runner: Runner) -> Pipeline:
    return Pipeline(settings, elasticsearch_client, runner)


def submit(pipeline: Pipeline, s3: S3Service, name: str, *arguments: str, folder: Path, **variables: str) -> None:
    """Run a job to its end as its manifest has it."""
    from logsluice_infra.facts import Facts, fill

    facts = Facts(bucket=s3.bucket, region=REGION)
    spec: dict[str, Any] = fill(yaml.safe_load((SPARK / f"{name}.yaml").read_text())["spec"], facts)
    spec = spec.get("template", spec)
    hadoop = {f"spark.hadoop.{key}": value for key, value in spec["hadoopConf"].items()}
    conf = {key: value for key, value in spec["sparkConf"].items() if key not in OURS} | hadoop
    conf |= {
        "spark.master": "local[2]",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "640m",
        "spark.driver.extraClassPath": ":".join(map(str, [*jar_paths("spark-kafka"), *jar_paths("spark-s3")])),
        "spark.hadoop.fs.s3a.endpoint": s3.endpoint,
        "spark.hadoop.fs.s3a.path.style.access": "true",
    }
    token = folder / "token"
    token.write_text(TOKEN)
    written = dict(line.split("=", 1) for line in fill(ENVIRONMENT.read_text(), facts).splitlines())
    environment = {name: value for name, value in written.items() if "s3a://" in value}
    of_driver = "spark.kubernetes.driverEnv."
    environment |= {key.removeprefix(of_driver): conf[key] for key in conf if key.startswith(of_driver)}
    environment |= {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": s3.endpoint + CREDENTIALS,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
        "AWS_ENDPOINT_URL": s3.endpoint,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    words = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    job = ROOT / "jobs" / Path(spec["mainApplicationFile"]).name
    submitting = Path(pl.__file__).parents[1] / "pyspark" / "bin" / "spark-submit"
    run = pipeline.runner.start(submitting, *words, job, *arguments, env=environment | variables)
    assert run.wait(SECONDS) == 0, (s3.denied, run.output[-5_000:])
    assert "Traceback" not in run.output, run.output[-5_000:]


def assert_allowed(s3: S3Service) -> None:
    """Nothing was denied, and all was asked of the stack's region."""
    assert s3.denied == set()
    assert s3.regions == {REGION}


def test_a_stream_goes_on_from_its_checkpoint(pipeline: Pipeline, s3: S3Service, tmp_path: Path) -> None:
    pipeline.set_up()
    first = pipeline.send(mixed(500))
    submit(pipeline, s3, "regex-job", "--mode", "stream", "--until-caught-up", folder=tmp_path)
    assert_allowed(s3)
    found = pipeline.documents(pipeline.settings.results_index)
    dead = {name for consumer, name in pipeline.letters() if consumer == "regex"}
    assert found.keys() | dead == set(first)
    before = s3.keys("checkpoints/regex/")
    assert any("/commits/0" in key for key in before)

    # Read again from the beginning, it would bring back what was deleted.
    pipeline.client.indices.delete(
        index=",".join(pipeline.client.indices.get(index=f"{pipeline.settings.results_index}-*"))
    )
    second = pipeline.send(mixed(300))
    submit(pipeline, s3, "regex-job", "--mode", "stream", "--until-caught-up", folder=tmp_path)
    assert_allowed(s3)
    found = pipeline.documents(pipeline.settings.results_index)
    dead = {name for consumer, name in pipeline.letters() if consumer == "regex"}
    assert found.keys() | (dead & set(second)) == set(second)
    assert len(s3.keys("checkpoints/regex/")) > len(before)


def test_state_and_files_of_windows_are_kept(pipeline: Pipeline, s3: S3Service, tmp_path: Path) -> None:
    """The documents and files are those that the events tell of, and a second run changes none."""
    pipeline.set_up()
    facts = send(pipeline, shop(7, 2_000, (time.time() // 3_600 - 3) * 3_600 + 1_800, 2_400))
    expected = truth(list(facts.values()), list(facts))
    # Events with a date of 1970 came late, and a day past its retention gets no index again for their number alone.
    assert expected.windows[LONG_AGO]["events"] == 0
    indexed = {document_id(key): key for key in expected.windows if key != LONG_AGO}
    variables = {"LOGSLUICE_WINDOWS__MAX_OFFSETS_PER_TRIGGER": "1000", "LOGSLUICE_WINDOWS__IDLE_SECONDS": "10"}
    for _ in range(2):
        submit(pipeline, s3, "windows-job", "--until-caught-up", folder=tmp_path, **variables)
        assert_allowed(s3)
        documents = pipeline.documents(pipeline.settings.windows_index)
        assert documents.keys() == indexed.keys()
        for name, key in indexed.items():
            assert_document(documents[name], expected, key)
        assert any("/state/" in key for key in s3.keys("checkpoints/windows-60s/"))
        table = pl.concat(parquet_files(s3, "windows/windows/parquet/"))
        stored = [(round(row["start"].timestamp()) * SECOND, row["service"]) for row in table.iter_rows(named=True)]
        assert sorted(stored) == sorted(expected.windows)
        assert table["late"].sum() == len(expected.late)


def parquet_files(s3: S3Service, folder: str) -> list[pl.DataFrame]:
    client = s3.client()
    files = [key for key in s3.keys(folder) if key.endswith(".parquet")]
    return [pl.read_parquet(io.BytesIO(client.get_object(Bucket=s3.bucket, Key=key)["Body"].read())) for key in files]


def test_a_batch_logs_what_spark_did(pipeline: Pipeline, s3: S3Service, tmp_path: Path) -> None:
    """On the first night nobody has made the folder of the event log."""
    pipeline.set_up()
    ids = pipeline.send(mixed(500))
    assert s3.keys("spark-events") == []
    for night in (1, 2):
        submit(pipeline, s3, "regex-batch", "--mode", "batch", "--since", "24h", folder=tmp_path)
        assert_allowed(s3)
        found = pipeline.documents(pipeline.settings.results_index)
        dead = {name for consumer, name in pipeline.letters() if consumer == "regex"}
        assert found.keys() | dead == set(ids)
        logs = [key for key in s3.keys("spark-events/") if "/events_" in key]
        assert len({key.rpartition("/")[0] for key in logs}) == night
        assert not [key for key in s3.keys("spark-events/") if key.endswith(".inprogress")]
    assert {permission.action for permission in s3.allowed} == NEEDED
    granted = {action for statement in s3.statements for action in statement["Action"]}
    assert granted - NEEDED == {"s3:AbortMultipartUpload"}, "asked for where an upload is broken off"


def test_large_files_are_uploaded_in_parts_and_renamed(s3: S3Service, runner: Runner, tmp_path: Path) -> None:
    """State that has grown, by Hadoop's own shell: a large copy goes by another client of the SDK, over Netty."""
    content = tmp_path / "content"
    content.write_bytes(bytes(12 << 20))
    token = tmp_path / "token"
    token.write_text(TOKEN)
    spark = sorted((Path(pl.__file__).parents[1] / "pyspark" / "jars").glob("*.jar"))
    options = {
        "fs.s3a.endpoint": s3.endpoint,
        "fs.s3a.endpoint.region": REGION,
        "fs.s3a.path.style.access": "true",
        "fs.s3a.aws.credentials.provider": "software.amazon.awssdk.auth.credentials.ContainerCredentialsProvider",
        "fs.s3a.multipart.size": "5M",
        "fs.s3a.multipart.threshold": "5M",
    }
    properties = "".join(
        f"<property><name>{key}</name><value>{value}</value></property>" for key, value in options.items()
    )
    (tmp_path / "core-site.xml").write_text(f"<configuration>{properties}</configuration>")
    classes = ":".join(map(str, [tmp_path, *spark, *jar_paths("spark-s3")]))
    shell = [str(system_java().path), "-cp", classes, "org.apache.hadoop.fs.FsShell"]
    environment = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": s3.endpoint + CREDENTIALS,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
    }
    folder = f"s3a://{s3.bucket}/checkpoints"
    there = f"{folder}/large"
    for words in (["-mkdir", "-p", folder], ["-put", content, there], ["-mv", there, f"{there}-renamed"]):
        done = runner.run(*shell, *words, env=environment)
        assert done.returncode == 0, (s3.denied, done.stderr)
    assert_allowed(s3)
    (key,) = s3.keys("checkpoints/large")
    head = s3.client().head_object(Bucket=s3.bucket, Key=key)
    assert (key, head["ContentLength"]) == ("checkpoints/large-renamed", 12 << 20)
