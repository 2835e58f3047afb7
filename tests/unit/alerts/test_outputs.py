"""Each output sends each notification, whatever fails meanwhile; what a notification looks like."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from logsluice.alerts.documents import Alert, Notification, alert_from, document_of, link_of
from logsluice.alerts.evaluator import Evaluation
from logsluice.alerts.outputs.lines import FileOutput
from logsluice.alerts.outputs.notification_worker import NotificationRefusedError, NotificationWorker, RetryLaterError
from logsluice.alerts.outputs.webhook import WebhookOutput, key_of, sign, slack_message
from logsluice.alerts.rules import ErrorCount, Pipeline, Rule
from logsluice.alerts.states import Detection, Episode, Key
from logsluice.alerts.store import AlertStore
from logsluice.errors import LogsluiceError
from logsluice.runtime.metrics import MOST_NAMES
from logsluice.settings import AlertSettings

START = 29_000_160
LINK = AlertSettings().link
RULE = ErrorCount(name="errors", kind="error_count", severity="critical", description="Too many errors")


def evaluation(
    transition: str = "opened", service: str = "payment", rule: Rule = RULE, error: str | None = None
) -> Evaluation:
    resolved = START + 4 if transition == "resolved" else None
    episode = Episode(START, START + 3, Detection(120, 100, f"{service}: 120 errors, more than 100"), resolved)
    return Evaluation(rule, Key(rule.name, service, error), episode, transition)  # type: ignore[arg-type]


def notification(transition: str = "opened", service: str = "payment") -> Notification:
    (only,) = AlertStore(["out"], LINK).apply([evaluation(transition, service)])
    return only


def until(question: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not question():
        assert time.monotonic() < end
        time.sleep(0.01)


class Faulty:
    """An output that fails so many times."""

    def __init__(self, *errors: Exception, name: str = "out") -> None:
        self.name, self.errors = name, [*errors]
        self.notified: list[str] = []
        self.attempts = 0

    def notify(self, notification: Notification) -> None:
        self.attempts += 1
        if self.errors:
            raise self.errors.pop(0)
        self.notified.append(notification.id)

    def close(self) -> None:
        self.attempts = -1


def test_a_document_comes_back_as_the_alert_it_was() -> None:
    for transition in ("opened", "resolved"):
        alert = replace(notification(transition).alert, key=Key("errors", "payment", "java.lang.Error"))
        assert alert_from(document_of(alert)) == alert


def test_a_document_says_what_the_contract_says() -> None:
    document = document_of(notification("resolved").alert)
    assert document["@timestamp"] == document["event"]["start"] == "2025-02-20T00:00:00.000Z"
    assert document["alert"] | {"pending": []} == {
        "id": "errors|payment|2025-02-20T00:00:00.000Z", "status": "resolved", "severity": "critical", "value": 120,
        "threshold": 100, "last_seen": "2025-02-20T00:03:00.000Z", "pending": [],
    }  # fmt: skip
    assert document["event"]["end"] == "2025-02-20T00:04:00.000Z"
    assert document["event"]["duration"] == 4 * 60 * 10**9
    assert (document["rule"]["name"], document["service"]["name"]) == ("errors", "payment")


def test_identities_are_told_apart_and_never_too_long() -> None:
    ids = {
        replace(notification().alert, key=key).id
        for key in (Key("a", "b"), Key("a", "b", "c"), Key("a", "b" * 600), Key("a", "b" * 601), Key("a", "ü" * 600))
    }
    assert len(ids) == 5
    assert all(len(name.encode()) <= 512 for name in ids)


def test_services_that_events_make_up_do_not_make_endless_series() -> None:
    rule = RULE.model_copy(update={"name": "flood"})
    AlertStore([], LINK).apply(
        [evaluation(service=f"made-up-{number}" + "x" * 1_000, rule=rule) for number in range(150)]
    )
    shown = [
        sample
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == "logsluice_alerts_open" and sample.labels["rule"] == "flood"
    ]
    assert len(shown) <= MOST_NAMES + 1
    assert sum(sample.value for sample in shown) == 150
    assert max(len(sample.labels["service"]) for sample in shown) <= 100


def test_a_link_leads_to_the_logs_around_the_alert() -> None:
    assert notification(service="a&b").alert.url == (
        "http://127.0.0.1:8501/?from=2025-02-19T23%3A55%3A00.000Z&to=2025-02-20T00%3A09%3A00.000Z"
        "&service=a%26b&level=error"
    )
    pipeline = Pipeline(name="pipeline", kind="pipeline", severity="critical", description="d")
    url = link_of(pipeline, Key("pipeline", "*"), evaluation().episode, LINK)
    assert url.endswith("&to=2025-02-20T00%3A09%3A00.000Z")


def test_what_fails_is_told_again_in_order_and_struck_off_when_it_arrived() -> None:
    store, stop = AlertStore(["out"], LINK), Event()
    output = Faulty(ConnectionError("away"), RetryLaterError("busy", 0.1))
    worker = NotificationWorker(output, store, stop)
    worker.start()
    for each in (*store.apply([evaluation()]), *store.apply([evaluation("resolved")])):
        worker.enqueue(each)
    until(lambda: len(output.notified) == 2 and not store.pending())
    stop.set()
    worker.join()
    assert [name.rpartition("|")[2] for name in output.notified] == ["opened", "resolved"]
    assert output.attempts == -1, "and it was closed"


def test_what_is_refused_for_good_holds_up_nothing() -> None:
    store, stop = AlertStore(["out"], LINK), Event()
    output = Faulty(NotificationRefusedError("malformed"))
    worker = NotificationWorker(output, store, stop)
    worker.start()
    for each in store.apply([evaluation(service="a"), evaluation(service="b")]):
        worker.enqueue(each)
    until(lambda: len(output.notified) == 1 and not store.pending())
    stop.set()
    worker.join()


def test_an_output_that_is_down_holds_up_no_other_and_is_told_after_a_restart() -> None:
    down, works = Faulty(*[ConnectionError("away")] * 1_000, name="down"), Faulty(name="works")
    store, stop = AlertStore(["down", "works"], LINK), Event()
    workers = [NotificationWorker(output, store, stop) for output in (down, works)]
    for worker in workers:
        worker.start()
    for each in store.apply([evaluation()]):
        for worker in workers:
            worker.enqueue(each)
    until(lambda: len(works.notified) == 1 and down.attempts > 0)
    stop.set()
    for worker in workers:
        worker.join()

    stored: list[Alert] = [alert_from(document_of(alert)) for alert in store.changed(0)]
    again = AlertStore(["down", "works"], LINK, stored)
    assert [(output, each.transition) for output, each in again.pending()] == [("down", "opened")]
    assert AlertStore(["works"], LINK, stored).pending() == [], "an output that there is no more is not waited for"


def test_an_alert_of_a_rule_that_is_gone_resolves() -> None:
    store = AlertStore(["out"], LINK, [notification().alert])
    assert [(each.transition, each.alert.status) for each in store.retire(["others"])] == [("resolved", "resolved")]
    assert store.retire(["others"]) == []
    assert AlertStore(["out"], LINK, [notification().alert]).retire(["errors"]) == []


def test_a_line_of_the_file_is_written_once_however_often_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "alerts.log"
    FileOutput(path).notify(notification())
    FileOutput(path).notify(notification())
    output = FileOutput(path)
    strange = notification(service="a\nb\t[x]")
    for each in (notification("resolved"), notification("resolved"), strange, strange):
        output.notify(each)
    first, second, third = path.read_text().splitlines()
    assert first.startswith("2025-02-20T00:00:00.000Z OPENED critical: payment: 120 errors, more than 100 http://127")
    assert second.startswith("2025-02-20T00:04:00.000Z RESOLVED resolved after 4 min: payment: 120 errors")
    assert third.endswith("errors|a?b?[x]|2025-02-20T00:00:00.000Z|opened")


def test_a_line_that_a_crash_cut_off_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "alerts.log"
    FileOutput(path).notify(notification())
    path.write_bytes(path.read_bytes()[:-20])
    FileOutput(path).notify(notification())
    assert len(path.read_text().splitlines()) == 2
    assert path.read_text().endswith("|opened\n")


def test_a_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification's reference libraries."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert key_of("any text") == b"any text"
    with pytest.raises(LogsluiceError, match="is not base64 after whsec_"):
        key_of("whsec_!")


def test_slack_is_told_in_its_own_format() -> None:
    message = slack_message(notification(service="<b> & |"))
    assert set(message) == {"text", "blocks"}
    assert message["text"].startswith(":red_circle: *Opened* critical: &lt;b&gt; &amp; |: 120 errors")
    assert message["blocks"][0]["text"] == {"type": "mrkdwn", "text": message["text"]}
    assert "&amp;level=error|Logs>" in message["blocks"][1]["elements"][0]["text"]


def test_an_empty_variable_is_no_webhook_and_a_wrong_one_is_told() -> None:
    assert AlertSettings.model_validate({"webhook_url": "", "webhook_secret": ""}).webhook_url is None
    with pytest.raises(LogsluiceError, match="LOGSLUICE_ALERTS__WEBHOOK_URL: is no URL; it begins with https://"):
        WebhookOutput(AlertSettings(webhook_url=SecretStr("hooks.example/1")))


def test_a_link_with_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="can stand in a link"):
        AlertSettings(link="http://127.0.0.1/?q={query}")


def test_secrets_are_not_shown() -> None:
    settings = AlertSettings(webhook_url=SecretStr("https://hooks/secret"), webhook_secret=SecretStr("secret"))
    assert "secret" not in repr(settings).replace("webhook_secret", "")
