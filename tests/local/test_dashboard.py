"""The dashboard in a real browser, on a real Elasticsearch: what it shows, and what it does when it is used."""

from __future__ import annotations

import contextlib
import csv
import re
import shutil
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from logsluice.extract import load_registry
from logsluice.provision.setup import set_up_elasticsearch
from logsluice.runtime.time_expressions import iso_seconds
from logsluice.settings import Settings, load_settings
from logsluice.stack.ports import free_port, is_open
from logsluice.stack.supervisor import LocalStack
from tests.local.dashboard_documents import alert, facts, millis, window, write
from tests.local.running import LOGSLUICE, ROOT, Job, Runner, eventually, forget_indices

ERRORS = ("error", "critical")
END = datetime.now(UTC).replace(second=0, microsecond=0)
START = END - timedelta(hours=2)
FACTS = list(facts(7, 3_000, START, END))
SPAN = f"from={iso_seconds(START)}&to={iso_seconds(END)}"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

PATIENCE = 240

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_200)]
expect.set_options(timeout=PATIENCE * 1_000)


class Gate:
    """Passes connections on to a server; shut, it is as if the server were away."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = free_port()
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        self.open()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        if self._listener:
            # Wakes the thread that accepts, which close alone does not.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=_pour, args=(source, sink), daemon=True).start()


def _pour(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(65_536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@dataclass
class Served:
    """The dashboard, what it reads, and the browser that looks at it."""

    url: str
    settings: Settings
    gate: Gate
    job: Job
    browser: Browser
    strange: list[str] = field(default_factory=list)

    def page(self, query: str) -> Page:
        """A fresh page; whatever it asks of other hosts, and any script's dialog, is kept in ``strange``."""
        page = self.browser.new_page(viewport={"width": 1500, "height": 2000})
        page.set_default_timeout(PATIENCE * 1_000)
        page.on("request", lambda request: self._note(request.url))
        page.on("dialog", lambda dialog: self.strange.append(dialog.message))
        page.goto(f"{self.url}/?{query}")
        return page

    def _note(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.strange.append(url)


@pytest.fixture(scope="module")
def served(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("there is no Chromium here (Debian's package chromium)")
    stack.start("elasticsearch")
    server = f"http://127.0.0.1:{stack.port('elasticsearch')}"
    forget_indices(server)
    settings = load_settings(ROOT / "config" / "dev", elasticsearch={"hosts": server})
    set_up_elasticsearch(settings, load_registry().fields)
    fill(settings)
    gate = Gate(stack.port("elasticsearch"))
    metrics_port, port = free_port(), free_port()
    metrics_server, metrics_thread = _lag_of(settings, metrics_port)
    runner = Runner(
        tmp_path_factory.mktemp("dashboard"),
        {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path_factory.mktemp("home")),
            "LOGSLUICE_CONFIG": str(ROOT / "config" / "dev"),
            "LOGSLUICE_ELASTICSEARCH__HOSTS": f"http://127.0.0.1:{gate.port}",
            "LOGSLUICE_DASHBOARD__PORT": str(port),
            "LOGSLUICE_DASHBOARD__METRICS_URL": f"http://127.0.0.1:{metrics_port}/metrics",
        },
    )
    try:
        job = runner.start(LOGSLUICE, "dashboard")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
            eventually(lambda: is_open(port), seconds=PATIENCE)
            yield Served(f"http://127.0.0.1:{port}", settings, gate, job, browser)
            browser.close()
    finally:
        runner.close()
        gate.shut()
        metrics_server.shutdown()
        metrics_thread.join()


@pytest.fixture
def visit(served: Served) -> Iterator[Callable[[str], Page]]:
    """Opens pages, and closes them when the test ends."""
    pages: list[Page] = []

    def open_page(query: str) -> Page:
        pages.append(served.page(query))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


def fill(settings: Settings) -> None:
    write(settings, settings.results_index, ((document["event"]["id"], document) for document in FACTS))
    windows = [window(END - timedelta(minutes=minute), "cart", 200, 8 * minute) for minute in (1, 2, 3)]
    windows.append(window(END - timedelta(minutes=2), "auth", 100, 50, late=3))
    write(
        settings,
        settings.windows_index,
        ((f"{document['window']['start']}|{document['service']['name']}", document) for document in windows),
    )
    ended = alert(START, "search", resolved=START + timedelta(minutes=20), message="search was silent")
    write(settings, settings.alerts_index, [(ended["alert"]["id"], ended)])


def _lag_of(settings: Settings, port: int) -> Any:
    """What app-service serves."""
    registry = CollectorRegistry()
    lag = Gauge("logsluice_consumer_lag_events", "", ["group", "topic", "partition"], registry=registry)
    for partition, events in enumerate((1_200, 34)):
        lag.labels("logsluice-regex", settings.kafka.topic, str(partition)).set(events)
    return start_http_server(port, addr="127.0.0.1", registry=registry)


def figure(page: Page, label: str) -> Locator:
    metric = page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True))
    return metric.get_by_test_id("stMetricValue")


def bars(page: Page, pattern: str) -> list[re.Match[str]]:
    """What the bars of a chart say of themselves, as one of them is read by a screen reader."""
    labels = page.locator("[aria-roledescription=bar]").evaluate_all("all => all.map(e => e.ariaLabel)")
    return [found for label in labels if (found := re.fullmatch(pattern, label))]


def counts(page: Page, name: str) -> Counter[str]:
    return Counter(
        {
            found["name"]: int(found["count"])
            for found in bars(page, rf"count: (?P<count>\d+)(;.*)?; {name}: (?P<name>[^;]+).*")
        }
    )


def errors(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [document for document in documents if document["log"]["level"] in ERRORS]


def service_of(document: dict[str, Any]) -> str:
    return str(document.get("service", {}).get("name", "unknown"))


def type_of(document: dict[str, Any]) -> str:
    return str(document.get("error", {}).get("type", "no type"))


def shows(page: Page, documents: list[dict[str, Any]]) -> None:
    """Wait until the page shows the figures and charts of these documents."""
    bad = errors(documents)
    expect(figure(page, "Events")).to_have_text(f"{len(documents):,}")
    expect(figure(page, "Errors")).to_have_text(f"{len(bad):,}")
    expect(figure(page, "Error rate")).to_have_text(f"{len(bad) / len(documents):.2%}")

    def charts() -> bool:
        over_time: Counter[tuple[str, str]] = Counter()
        for found in bars(page, r"(?P<when>[-\d: ]{19}) UTC: (?P<count>\d+) (?P<level>\w+)"):
            over_time[found["when"], found["level"]] += int(found["count"])
        wanted: Counter[tuple[str, str]] = Counter()
        for document in bad:
            moment = datetime.fromisoformat(document["@timestamp"])
            start = moment.replace(minute=moment.minute // 5 * 5, second=0)
            wanted[f"{start:%Y-%m-%d %H:%M:%S}", document["log"]["level"]] += 1
        assert over_time == wanted
        assert counts(page, "error_type") == Counter(map(type_of, bad))
        assert counts(page, "service") == Counter(map(service_of, bad))
        shown = counts(page, "ip")
        everything = Counter(document["source"]["ip"] for document in bad)
        assert sorted(shown.values(), reverse=True) == sorted(everything.values(), reverse=True)[:8]
        assert all(everything[ip] == count for ip, count in shown.items())
        return True

    eventually(charts, seconds=PATIENCE)


def heading(page: Page, text: str) -> Locator:
    return page.locator(".ls-head").filter(has_text=text)


def downloaded(page: Page, key: str) -> list[dict[str, str]]:
    def save() -> list[Path]:
        # A click on a button that is just being drawn anew is lost, to a person too.
        with contextlib.suppress(PlaywrightTimeoutError):
            with page.expect_download(timeout=20_000) as download:
                press(page.locator(f".st-key-{key} button"))
            return [Path(download.value.path())]
        return []

    (path,) = eventually(save, seconds=PATIENCE)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def press(button: Locator) -> None:
    """Click a button. One with a tooltip is there twice, and the old one may be there while it is drawn anew."""
    visible = button.filter(visible=True)
    expect(visible).to_have_count(1)
    visible.click()


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def test_every_figure_and_chart_is_what_a_count_of_the_documents_gives(
    served: Served, visit: Callable[[str], Page]
) -> None:
    page = visit(SPAN)
    shows(page, FACTS)
    expect(figure(page, "Open alerts")).to_have_text("0")
    expect(figure(page, "Lag")).to_have_text("1,234")
    expect(page.locator(".ls-alert.resolved")).to_contain_text("lasted 20 min")
    assert served.strange == []

    def table(name: str) -> list[dict[str, str]]:
        page.get_by_role("radio", name=name, exact=True).or_(page.get_by_role("button", name=name, exact=True)).click()

        def shown() -> list[dict[str, str]]:
            rows = downloaded(page, "table-csv")
            return rows if columns[name] in rows[0] else []

        return eventually(shown)

    columns = {"services": "events", "windows": "p95_ms", "over time": "time"}
    of_services = {row["service"]: (int(row["events"]), int(row["count"])) for row in table("services")}
    everything, bad = Counter(map(service_of, FACTS)), Counter(map(service_of, errors(FACTS)))
    assert of_services == {service: (count, bad[service]) for service, count in everything.items()}
    windows = {row["service"]: row for row in table("windows")}
    assert windows["cart"]["window"] == millis(END - timedelta(minutes=1))
    assert (windows["cart"]["errors"], windows["auth"]["late"], windows["auth"]["p95_ms"]) == ("8", "3", "180.0")
    assert sum(int(row["events"]) for row in table("over time")) == len(FACTS)


def test_filters_change_it_and_the_url_brings_it_back(visit: Callable[[str], Page]) -> None:
    page = visit(SPAN)
    shows(page, FACTS)
    choose(page, "Level", "warn and worse")
    wanted = [document for document in FACTS if document["log"]["level"] in ("warn", *ERRORS)]
    shows(page, wanted)
    choose(page, "Service", "cart")
    wanted = [document for document in wanted if service_of(document) == "cart"]
    shows(page, wanted)
    text = page.get_by_label("Text", exact=True)
    text.fill('"card declined" OR logged')
    text.press("Enter")
    wanted = [
        document for document in wanted if "card declined" in document["message"] or "logged" in document["message"]
    ]
    shows(page, wanted)
    again = visit(page.url.split("?", 1)[1])
    shows(again, wanted)
    expect(again.get_by_label("Text", exact=True)).to_have_value('"card declined" OR logged')
    eventually(lambda: {"from": iso_seconds(START), "to": iso_seconds(END)}.items() <= _parameters(again).items())
    choose(again, "Time (UTC)", "last 24 h")
    expect(figure(again, "Events")).to_have_text(f"{len(wanted):,}")
    last = {"from": "now-24h", "to": "now", "level": "warn", "service": "cart", "q": '"card declined" OR logged'}
    eventually(lambda: _parameters(again) == last)


def _parameters(page: Page) -> dict[str, str]:
    return dict(page.evaluate("() => [...new URLSearchParams(location.search)]"))


def test_events_that_name_no_service_can_be_asked_for(visit: Callable[[str], Page]) -> None:
    shows(visit(f"{SPAN}&service=unknown"), [document for document in FACTS if service_of(document) == "unknown"])


def test_a_click_on_a_bar_shows_the_log_lines_behind_it(served: Served, visit: Callable[[str], Page]) -> None:
    page = visit(SPAN)
    kind = "java.lang.IllegalStateException"
    wanted = [document for document in errors(FACTS) if type_of(document) == kind]
    bar = page.locator(f"[aria-roledescription=bar][aria-label*='{kind}']")
    bar.click()
    lines = heading(page, f"Log lines: errors, type {kind}")
    expect(lines).to_contain_text(f"the newest 100 of {len(wanted):,}")
    press(page.locator(".st-key-lines-fetch button"))
    rows = downloaded(page, "lines-csv")
    assert Counter(row["id"] for row in rows) == Counter(document["event"]["id"] for document in wanted)
    assert [row["time"] for row in rows] == sorted((row["time"] for row in rows), reverse=True)
    messages = {document["event"]["id"]: document["message"] for document in wanted}
    assert all(row["message"].removeprefix("'") == messages[row["id"]] for row in rows)
    assert served.strange == []

    press(page.get_by_role("button", name="Filter by this"))
    shows(page, wanted)
    eventually(lambda: _parameters(page).get("q") == f'error.type:"{kind}"')

    page.locator("[aria-roledescription=bar][aria-label$=' critical']").first.click()
    expect(heading(page, "Log lines: critical from")).to_be_visible()
    press(page.get_by_role("button", name="All lines"))
    expect(heading(page, "Log lines: critical from")).to_have_count(0)


def test_an_alert_appears_and_ends_by_itself(served: Served, visit: Callable[[str], Page]) -> None:
    page = visit(f"{SPAN}&level=error&refresh=5")
    expect(figure(page, "Open alerts")).to_have_text("0")
    words = "payments: 23.0% of events are errors <b>above</b> 10.0%"
    opened = alert(END, "payments", message=words)
    write(served.settings, served.settings.alerts_index, [(opened["alert"]["id"], opened)])
    card = page.locator(".ls-alert.critical")
    expect(card).to_contain_text(words)
    expect(figure(page, "Open alerts")).to_have_text("1")
    link = card.get_by_role("link")
    assert (link.get_attribute("href") or "").endswith(f"?from={millis(END)}&to=now&service=payments&level=error")
    eventually(lambda: _parameters(page)["level"] == "error")
    ended = alert(END, "payments", resolved=END + timedelta(minutes=3), message=words)
    write(served.settings, served.settings.alerts_index, [(ended["alert"]["id"], ended)])
    expect(figure(page, "Open alerts")).to_have_text("0")
    expect(card).to_have_count(0)


def test_text_that_cannot_be_read_is_one_line_and_the_rest_stands(visit: Callable[[str], Page]) -> None:
    page = visit(f"{SPAN}&q=payment%20AND%20(&level=loud")
    alert_box = page.get_by_test_id("stAlert")
    expect(alert_box.filter(has_text="The filter text cannot be read: Encountered")).to_have_count(1)
    expect(alert_box.filter(has_text="level loud: no such level")).to_have_count(1)
    expect(alert_box).to_have_count(2)
    expect(figure(page, "Events")).to_have_text("–")
    expect(page.locator(".ls-alert")).not_to_have_count(0)


def test_a_time_without_events_says_where_they_are(visit: Callable[[str], Page]) -> None:
    page = visit("from=2020-01-01&to=2020-01-02&service=cart")
    expect(page.get_by_test_id("stAlert")).to_contain_text("No events like that in this time. The newest of all is of")
    expect(figure(page, "Events")).to_have_text("0")


def test_a_server_that_goes_away_is_said_and_one_that_comes_back_is_seen(
    served: Served, visit: Callable[[str], Page]
) -> None:
    before = visit(f"{SPAN}&refresh=5")
    shows(before, FACTS)
    served.gate.shut()
    try:
        alert_box = before.get_by_test_id("stAlert").filter(
            has_text="Elasticsearch does not answer. This is what it held at"
        )
        expect(alert_box).to_have_count(1)
        shows(before, FACTS)
        fresh = visit(f"{SPAN}&refresh=0&level=error")
        expect(fresh.get_by_role("status").filter(has_text="logsluice up")).to_contain_text(str(served.gate.port))
    finally:
        served.gate.open()
    shows(fresh, errors(FACTS))
    expect(alert_box).to_have_count(0)


def test_a_port_that_is_taken_is_named(served: Served, tmp_path: Path) -> None:
    port = served.url.rsplit(":", 1)[1]
    environment = {"PATH": "/usr/bin:/bin", "LOGSLUICE_CONFIG": str(ROOT / "config" / "dev")}
    done = Runner(tmp_path, environment).cli("dashboard", "--port", port)
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_it_runs_nothing_beside_itself_and_ends_cleanly(served: Served) -> None:
    """The last one: it ends the dashboard."""
    process = psutil.Process(served.job.pid)
    assert process.children(recursive=True) == []
    assert {connection.laddr.ip for connection in process.net_connections() if connection.status == "LISTEN"} == {
        "127.0.0.1"
    }
    process.send_signal(signal.SIGINT)
    assert served.job.wait(60) == 0
    assert "Traceback" not in served.job.output
    assert served.strange == []
