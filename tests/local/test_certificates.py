"""What runs for long ends in order when an authority that it trusts was replaced, as Kubernetes replaces it."""

from __future__ import annotations

import urllib.request
from functools import partial
from pathlib import Path

import pytest

from logsluice.settings import MetricsSettings
from logsluice.stack.tls import issue
from tests.local.pipeline import assert_runs
from tests.local.running import LOGSLUICE, ROOT, Job, Runner, eventually, free_port

JOBS = ("alerts_job", "index_job", "metrics_job", "producer_job", "regex_job", "windows_job")
SECONDS = 120


class Mounted:
    """A secret as the kubelet mounts it: ``ca.crt`` leads through ``..data`` into a folder that is swapped whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "ca.crt"
        self._versions = 0
        folder.mkdir()
        self.replace(issue({"a": []})[0])
        self.file.symlink_to(Path("..data") / "ca.crt")

    def replace(self, text: str) -> None:
        self._versions += 1
        version = self.folder / f"..{self._versions}"
        version.mkdir()
        (version / "ca.crt").write_text(text)
        (self.folder / "..data_tmp").symlink_to(version.name)
        (self.folder / "..data_tmp").rename(self.folder / "..data")


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mounted:
    """The authority of a Kafka and an Elasticsearch that are both away, and the settings of whoever needs them."""
    mounted = Mounted(tmp_path / "tls")
    environment = {
        "LOGSLUICE_CONFIG": str(ROOT / "config" / "dev"),
        "LOGSLUICE_HOME": str(tmp_path / "home"),
        "LOGSLUICE_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "LOGSLUICE_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "LOGSLUICE_KAFKA__USERNAME": "somebody",
        "LOGSLUICE_KAFKA__PASSWORD": "something",
        "LOGSLUICE_KAFKA__SSL_CAFILE": str(mounted.file),
        "LOGSLUICE_ELASTICSEARCH__HOSTS": f"https://127.0.0.1:{free_port()}",
        "LOGSLUICE_ELASTICSEARCH__CA_CERTS": str(mounted.file),
        "LOGSLUICE_API__PORT": str(free_port()),
        "LOGSLUICE_DASHBOARD__PORT": str(free_port()),
    }
    for name in MetricsSettings.model_fields:
        if name != "host":
            environment[f"LOGSLUICE_METRICS__{name.upper()}"] = str(free_port())
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return mounted


@pytest.mark.timeout(900)
def test_whatever_runs_for_long_ends_when_its_authority_was_renewed(mounted: Mounted, runner: Runner) -> None:
    started = {name: runner.job(name) for name in JOBS}
    for job in started.values():
        eventually(partial(waits, job), seconds=SECONDS)
    for name, variable, path in (
        ("api", "LOGSLUICE_API__PORT", "/health/live"),
        ("dashboard", "LOGSLUICE_DASHBOARD__PORT", "/_stcore/health"),
    ):
        started[name] = runner.start(LOGSLUICE, name)
        url = f"http://127.0.0.1:{runner.environment[variable]}{path}"
        eventually(partial(answers, started[name], url), seconds=SECONDS)

    mounted.replace(mounted.file.read_text())
    with pytest.raises(AssertionError, match="still not so"):
        eventually(lambda: any(job.process.poll() is not None for job in started.values()), seconds=15)

    mounted.replace(issue({"b": []})[0])
    for name, job in started.items():
        assert job.wait(SECONDS) == 0, f"{name}: {job.output}"
        assert "a certificate was renewed" in job.output, name
        assert "Traceback" not in job.output, job.output


def waits(job: Job) -> bool:
    assert_runs(job)
    return "waiting for" in job.output


def answers(job: Job, url: str) -> bool:
    assert_runs(job)
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
