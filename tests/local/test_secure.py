"""A broker with TLS and passwords: everything goes through it, and nothing tells the password."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import psutil
import pytest
from elasticsearch import Elasticsearch

from logsluice.settings import Settings
from logsluice.stack.supervisor import LocalStack
from tests.local.pipeline import SECONDS, Pipeline, assert_no_stack_trace, ends_well, family
from tests.local.running import LOGSLUICE, ROOT, Runner

pytestmark = pytest.mark.timeout(1_200)

LINES = 2_000
WRONG = "not-the-password-it-is"


@pytest.fixture
def pipeline(secure_settings: Settings, elasticsearch_client: Elasticsearch, runner: Runner) -> Pipeline:
    return Pipeline(secure_settings, elasticsearch_client, runner)


def password(settings: Settings) -> str:
    assert settings.kafka.password is not None
    return settings.kafka.password.get_secret_value()


def test_every_event_goes_through_a_secured_broker_and_the_password_is_told_nowhere(
    pipeline: Pipeline, secure_stack: LocalStack, tmp_path: Path
) -> None:
    settings = pipeline.settings
    secret = password(settings)
    assert settings.kafka.security_protocol == "SASL_SSL"
    log = tmp_path / "app.log"
    log.write_text("".join(f"2026-11-22 10:00:00,000 INFO [app] number {number}\n" for number in range(LINES)))

    outputs = []
    for command in (("setup",), ("ship", log)):
        done = pipeline.runner.cli(*command)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout + done.stderr)
    blank = pipeline.send([b""])
    jobs = [pipeline.index_job(), pipeline.regex_job()]
    pipeline.wait_for(LINES, LINES, jobs)
    assert_in_no_command_line(secret)
    assert len([member for job in jobs for member in family(job)]) > len(jobs) + 1
    outputs.append(pipeline.dlq("list"))
    ends_well(*jobs)

    expected = {stored.id: stored.value for stored in pipeline.stored()}
    pipeline.assert_once_each(expected, {(consumer, blank[0]): "empty" for consumer in ("index", "regex")})
    outputs += [job.output for job in jobs]
    assert not [text for text in outputs if secret in text]
    assert_in_no_file(secret, settings.home)
    assert_in_no_file(secret, secure_stack.home / "logs")


def assert_in_no_command_line(secret: str) -> None:
    """Whoever may run ``ps`` on this machine reads no password."""
    for process in psutil.process_iter(["cmdline", "username"]):
        if process.info["username"] == getpass.getuser():
            assert not any(secret in part for part in process.info["cmdline"] or ()), process.name()


def assert_in_no_file(secret: str, folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_a_wrong_password_is_one_clear_line(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.set_up()
    log = tmp_path / "app.log"
    log.write_text("INFO hello\n")
    wrong = {"LOGSLUICE_KAFKA__PASSWORD": WRONG}
    commands = [("setup",), ("ship", log), ("dlq", "list"), ("dlq", "replay")]
    started = [pipeline.runner.start(LOGSLUICE, *command, env=wrong) for command in commands]
    started += [pipeline.runner.job(name, env=wrong) for name in ("index_job", "regex_job", "producer_job")]
    for job in started:
        assert job.wait(SECONDS) == 1, job.output
        assert_no_stack_trace(job.output)
        assert WRONG not in job.output
        *before, last = job.output.splitlines()
        # kafka-python sometimes loses the broker's answer to the end of the connection behind it: what waits tries
        # again and says so, what does not wait says what it knows.
        assert all("waiting for kafka" in line for line in before)
        if "Kafka does not answer" not in last:
            assert "the broker refuses the credentials" in last
            assert "kafka.password" in last
    assert all("refuses the credentials" in job.output for job in started[-3:])


REMOTE = """
import runpy, sys
from pyspark.serializers import CloudPickleSerializer
from logsluice.jobs.regex import job as regex
from logsluice.jobs.spark import streaming_query
from logsluice.settings import load_settings

secret = load_settings().kafka.password.get_secret_value().encode()
pickled = CloudPickleSerializer.dumps

def dumps(self, value):
    shipped = pickled(self, value)
    assert secret not in shipped
    print("shipped", len(shipped), flush=True)
    return shipped

CloudPickleSerializer.dumps = dumps
regex.leave_this_machine = streaming_query.leave_this_machine = lambda context: True
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_workers_of_other_machines_are_sent_no_password(pipeline: Pipeline, tmp_path: Path) -> None:
    """A regex job that takes its workers for others': they and Kafka's client in the JVM have their own password."""
    settings = pipeline.settings
    pipeline.set_up()
    script = tmp_path / "remote.py"
    script.write_text(REMOTE.replace("sys.argv[1]", repr(str(ROOT / "jobs" / "regex_job.py"))))
    pipeline.send([f"INFO number {number}".encode() for number in range(50)])
    job = pipeline.runner.start(sys.executable, script, "--until-caught-up")
    assert job.wait(SECONDS) == 0, job.output
    assert pipeline.count(settings.results_index) == 50
    assert "shipped" in job.output
    assert password(settings) not in job.output
