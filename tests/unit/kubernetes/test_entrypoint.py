"""What the image's containers run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from logsluice.jvm.java import spark_home
from logsluice.kubernetes.entrypoint import command, with_secrets

HOME = Path("/spark")
EXECUTOR = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@driver:7078",
    "SPARK_EXECUTOR_ID": "3",
    "SPARK_EXECUTOR_CORES": "2",
    "SPARK_EXECUTOR_MEMORY": "768m",
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_EXECUTOR_POD_IP": "10.0.0.9",
    "SPARK_EXECUTOR_POD_NAME": "regex-exec-3",
    "SPARK_RESOURCE_PROFILE_ID": "0",
    "SPARK_CONF_DIR": "/opt/spark/conf",
    "SPARK_JAVA_OPT_10": "-Dlast=1",
    "SPARK_JAVA_OPT_2": "-Dsecond=1",
    "SPARK_JAVA_OPT_0": "-Dfirst=two words",
}


def test_a_driver_is_a_submission_from_inside_of_its_pod() -> None:
    words = command(
        ["driver", "--properties-file", "/opt/spark/conf/spark.properties", "local:///job.py", "--mode", "stream"],
        {"SPARK_DRIVER_BIND_ADDRESS": "10.0.0.7"},
        HOME,
    )
    assert words[0] == "/spark/bin/spark-submit"
    assert "spark.driver.bindAddress=10.0.0.7" in words
    assert words[words.index("--deploy-mode") + 1] == "client"
    # What comes after the file is the job's.
    assert words[-3:] == ["local:///job.py", "--mode", "stream"]


def test_an_executor_is_java_with_what_spark_says_in_variables() -> None:
    words = command(["executor"], {**EXECUTOR, "JAVA_HOME": "/java"}, HOME)
    assert words[:4] == ["/java/bin/java", "-Dfirst=two words", "-Dsecond=1", "-Dlast=1"]
    assert words[4:8] == ["-Xms768m", "-Xmx768m", "-cp", "/opt/spark/conf:/spark/jars/*"]
    options = dict(zip(words[9::2], words[10::2], strict=True))
    assert options == {
        "--driver-url": EXECUTOR["SPARK_DRIVER_URL"],
        "--executor-id": "3",
        "--cores": "2",
        "--app-id": "spark-1",
        "--hostname": "10.0.0.9",
        "--resourceProfileId": "0",
        "--podName": "regex-exec-3",
    }
    assert command(["executor"], EXECUTOR, HOME)[0] == "java"


def test_the_daemons_of_a_standalone_cluster_are_started_by_the_script_that_reads_their_environment() -> None:
    assert command(["master"], {}, HOME) == ["/spark/bin/spark-class", "org.apache.spark.deploy.master.Master"]
    worker = command(["worker", "spark://spark-master:7077"], {}, HOME)
    assert worker[1:] == ["org.apache.spark.deploy.worker.Worker", "spark://spark-master:7077"]
    assert command(["history"], {}, HOME)[1] == "org.apache.spark.deploy.history.HistoryServer"
    submitted = command(["submit", "--conf", "spark.cores.max=2", "job.py", "--mode", "batch"], {}, HOME)
    assert submitted == ["/spark/bin/spark-submit", "--conf", "spark.cores.max=2", "job.py", "--mode", "batch"]


def test_a_password_is_read_from_the_file_that_a_variable_names(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    options = with_secrets(
        {
            "LOGSLUICE_KAFKA__PASSWORD_FILE": str(tmp_path / "password"),
            "LOGSLUICE_KAFKA__PASSWORD": "of the environment",
            "LOGSLUICE_KAFKA__SSL_CAFILE": "/ca.crt",
            "ELASTIC_PASSWORD_FILE": "/another's",
            "LOGSLUICE_API__KEYS_FILE": "/keys.yaml",
        }
    )
    assert options == {
        "LOGSLUICE_KAFKA__PASSWORD": "s3cret",
        "LOGSLUICE_KAFKA__SSL_CAFILE": "/ca.crt",
        "ELASTIC_PASSWORD_FILE": "/another's",
        "LOGSLUICE_API__KEYS_FILE": "/keys.yaml",
    }


def test_a_file_that_is_not_there_is_one_clear_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "logsluice.kubernetes.entrypoint", "true"],
        env={"LOGSLUICE_KAFKA__PASSWORD_FILE": "/no/such/file"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, "/no/such/file: No such file or directory\n")


def test_anything_else_runs_as_it_stands() -> None:
    assert command(["logsluice", "setup"], {}, HOME) == ["logsluice", "setup"]
    entrypoint = [sys.executable, "-m", "logsluice.kubernetes.entrypoint"]
    done = subprocess.run(
        [*entrypoint, sys.executable, "-c", "import os; print(os.environ['SPARK_HOME']); raise SystemExit(7)"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (7, str(spark_home()))
    missing = subprocess.run([*entrypoint, "no-such-command"], capture_output=True, text=True)
    assert (missing.returncode, missing.stderr) == (1, "no-such-command: No such file or directory\n")
