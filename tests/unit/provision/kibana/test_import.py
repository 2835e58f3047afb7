"""The import of saved objects: what is sent, and what becomes of faults."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from logsluice.errors import LogsluiceError
from logsluice.provision.kibana import import_objects, saved_objects
from logsluice.provision.setup import set_up_kibana
from logsluice.runtime.retry import StoppedError
from logsluice.settings import KibanaSettings, Settings
from logsluice.stack.ports import free_port
from logsluice.stack.tls import make_certificates
from tests.unit.provision.kibana.fake_kibana import FakeKibana, serving

OBJECTS = saved_objects(Settings(env="dev"))


def import_into(host: str, objects: Any = OBJECTS, **settings: Any) -> None:
    import_objects(KibanaSettings(host=host, **settings), objects, job="test")


def refused(host: str, objects: Any = OBJECTS, **settings: Any) -> str:
    with pytest.raises(LogsluiceError) as refusal:
        import_into(host, objects, **settings)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_every_object_arrives_as_it_is_and_twice_is_once() -> None:
    kibana = FakeKibana(user=("elastic", "pa:ss"))
    with serving(kibana) as host:
        settings = KibanaSettings(host=f"{host}/", username="elastic", password=SecretStr("pa:ss"))
        for _ in range(2):
            import_objects(settings, OBJECTS, job="test")
        assert list(kibana.stored.values()) == OBJECTS
        lines = set_up_kibana(Settings(env="dev", kibana=settings))
        assert lines == [f"Kibana at {host}/: {len(OBJECTS)} saved objects are as they should be"]
    assert kibana.requests == 3


def test_without_a_kibana_one_line_says_so() -> None:
    assert set_up_kibana(Settings(env="dev")) == [
        "there is no Kibana in the settings (kibana.host): its views are left out"
    ]


def test_a_kibana_that_starts_is_waited_for() -> None:
    kibana = FakeKibana(starting=3)
    with capture_logs() as logs, serving(kibana) as host:
        import_into(host)
    assert len(kibana.stored) == len(OBJECTS)
    assert (logs[0]["event"], logs[0]["reason"]) == ("waiting for kibana", "503 Kibana server is not ready yet.")
    assert logs[-1]["event"] == "kibana answers again"


def test_a_kibana_that_is_away_is_waited_for_until_it_comes_or_nobody_waits_any_more() -> None:
    kibana, port, stop = FakeKibana(), free_port(), Event()
    Timer(0.3, stop.set).start()
    with pytest.raises(StoppedError):
        import_objects(KibanaSettings(host=f"http://127.0.0.1:{port}"), OBJECTS, job="test", stop=stop)

    started = Event()

    def serve_for_a_while() -> None:
        with serving(kibana, port):
            started.wait(60)

    late = Timer(0.3, serve_for_a_while)
    late.start()
    try:
        import_into(f"http://127.0.0.1:{port}")
    finally:
        started.set()
        late.join()
    assert len(kibana.stored) == len(OBJECTS)


def test_refused_credentials_are_told_in_one_line() -> None:
    kibana = FakeKibana(user=("elastic", "right"))
    with serving(kibana) as host:
        for settings in ({}, {"username": "elastic", "password": SecretStr("wrong")}):
            message = refused(host, **settings)
            assert message.startswith(f"{host}: Kibana refuses the credentials (401 [security_exception]")
            assert message.endswith("check kibana.username and kibana.password")
            assert "wrong" not in message


def test_what_is_no_kibana_is_told_in_one_line() -> None:
    kibana = FakeKibana(answer=(200, "text/html", "<html>\n<body>Sign in</body>\n</html>"))
    with serving(kibana) as host:
        assert "does not answer as Kibana does (200 <html> <body>Sign in" in refused(host)
        kibana.answer = (302, "text/plain", "")
        assert "does not answer as Kibana does (302 Found)" in refused(host)
        kibana.answer = None
        assert "404 Not Found" in refused(f"{host}/elsewhere")
    for host in ("kibana:5601", "http://[kibana", "https://", "http://kibana:99999"):
        assert "write kibana.host as" in refused(host)


def changed(kind: str, **changes: Any) -> list[dict[str, Any]]:
    objects = json.loads(json.dumps(OBJECTS))
    next(entry for entry in objects if entry["type"] == kind).update(changes)
    return list(objects)


def test_objects_that_kibana_refuses_are_named_with_its_reason() -> None:
    kibana = FakeKibana()
    with serving(kibana) as host:
        message = refused(host, changed("dashboard", typeMigrationVersion="10.99.0"))
        assert f"Kibana took {len(OBJECTS) - 1} of {len(OBJECTS)} saved objects" in message
        assert "(dashboard logsluice-overview: Document" in message
        assert "last known version is [10.4.0]" in message
        message = refused(host, [entry for entry in OBJECTS if entry["id"] != "logsluice-alerts"])
        assert "lens logsluice-open-alerts: missing_references index-pattern logsluice-alerts" in message
        message = refused(host, [entry for entry in OBJECTS if entry["type"] != "index-pattern"])
        assert message.count("missing_references") == 3
        assert "more)" in message
        assert "unsupported_type" in refused(host, changed("lens", type="lense"))
    assert kibana.stored == {}


def test_certificates_are_checked(tmp_path: Path) -> None:
    for folder in ("ours", "others"):
        (tmp_path / folder).mkdir()
        make_certificates(tmp_path / folder)
    kibana = FakeKibana()
    with serving(kibana, tls=tmp_path / "ours" / "broker.pem") as host:
        import_into(host, ca_certs=tmp_path / "ours" / "ca.pem")
        assert len(kibana.stored) == len(OBJECTS)
        for settings in ({}, {"ca_certs": tmp_path / "others" / "ca.pem"}):
            assert "its certificate is not trusted" in refused(host, **settings)
        assert "no such file" in refused(host, ca_certs=tmp_path / "none.pem")
