"""How long a changed filter takes until the page shows it, with many events in Elasticsearch."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import orjson
from playwright.sync_api import Page, sync_playwright

from bench.measuring import Spread
from bench.report import Claim, Report
from bench.servers import ROOT, Servers, servers
from logsluice.dashboard import queries, server
from logsluice.dashboard.filters import Filters
from logsluice.dashboard.loader import DataLoader
from logsluice.demo.traffic import Profile, traffic
from logsluice.documents.extraction_input import extraction_input
from logsluice.documents.result import result_documents
from logsluice.elasticsearch.bulk import BulkWriter, IndexAction
from logsluice.event.records import Records, index_name
from logsluice.extract import ColumnarExtractor, load_registry
from logsluice.runtime.time_expressions import iso_seconds
from logsluice.settings import DashboardSettings
from logsluice.stack.ports import free_port

_DISTINCT = 20_000
_HOURS = 24
_SEED = 7
_SECONDS_ALLOWED = 2.0
_WAIT_MS = 300_000
_TEXTS = ("payment", "timeout", "log.level:warn", "user.id:4*", "cart OR login", "refused AND payment")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def run(events: int, repeat: int, log: Callable[[str], None]) -> Report:
    """Measure a page over so many events of a day; each text is filtered by once a repetition."""
    report = Report(f"Dashboard over {events:,} events in Elasticsearch", "")
    with servers() as running:
        end = datetime.now(UTC).replace(second=0, microsecond=0)
        log(f"writing {events:,} events")
        fill(running, events, end)
        filters = Filters(iso_seconds(end - timedelta(hours=_HOURS)), iso_seconds(end), refresh=0)
        redraws, searches, openings = _measure(running, filters, repeat, log)
    report.claims += [
        Claim(
            "a filter changed: until the page shows it", Spread.of(redraws), _SECONDS_ALLOWED, at_most=True, unit="s"
        ),
        Claim("of that: Elasticsearch's answer", Spread.of(searches), unit="s"),
        Claim("a page opened by its URL", Spread.of(openings), unit="s"),
    ]
    return report


def _measure(
    running: Servers, filters: Filters, repeat: int, log: Callable[[str], None]
) -> tuple[list[float], list[float], list[float]]:
    redraws, searches, openings = [], [], []
    loader = DataLoader(running.settings)
    with _page(running) as (page, url):
        for number in range(repeat + 1):
            started_at = time.perf_counter()
            page.goto(f"{url}/?{httpx.QueryParams(filters.to_url())}")
            _shown(page, _events(running, filters))
            opening = time.perf_counter() - started_at
            for text in _TEXTS:
                wanted = Filters(filters.since, filters.until, query=text, refresh=0)
                events = _events(running, wanted)
                box = page.get_by_label("Text", exact=True)
                box.fill(text)
                started_at = time.perf_counter()
                box.press("Enter")
                _shown(page, events)
                redraw = time.perf_counter() - started_at
                started_at = time.perf_counter()
                loader.load(wanted, datetime.now(UTC))
                search = time.perf_counter() - started_at
                if number:  # the first is to warm up
                    redraws.append(redraw)
                    searches.append(search)
            if number:
                openings.append(opening)
                log(f"{number} of {repeat}: {Spread.of(redraws[-len(_TEXTS) :]).median:.2f} s")
    loader.close()
    return redraws, searches, openings


def _events(running: Servers, filters: Filters) -> int:
    body = queries.events_body(filters, filters.span(datetime.now(UTC)))
    return int(running.client.count(index=running.settings.results_index, query=body["query"])["count"])


def _shown(page: Page, events: int) -> None:
    """Wait until the first figure and the last panel but one say so many events."""
    page.wait_for_function(
        """events => {
            const figure = document.querySelector('[data-testid=stMetricValue]')?.innerText.trim()
            const heads = [...document.querySelectorAll('.ls-head')].map(head => head.innerText)
            const lines = heads.find(text => text.startsWith('Log lines'))
            return figure === events && lines?.endsWith(events)
        }""",
        arg=f"{events:,}",
        polling=20,
        timeout=_WAIT_MS,
    )


@contextmanager
def _page(running: Servers) -> Iterator[tuple[Page, str]]:
    settings = DashboardSettings(port=free_port())
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    log = running.folder / "dashboard.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command(settings), cwd=ROOT, env=dict(running.environment), stdout=output, stderr=output
        )
    try:
        url = server.url(settings)
        while True:
            try:
                httpx.get(url + server.HEALTH)
                break
            except httpx.HTTPError:
                if process.poll() is not None:
                    raise RuntimeError(f"the dashboard ended: {log.read_text()[-2000:]}") from None
                time.sleep(0.5)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
            page = browser.new_page(viewport={"width": 1600, "height": 1200})
            page.set_default_timeout(_WAIT_MS)
            yield page, url
            browser.close()
    finally:
        process.terminate()
        process.wait(60)


def fill(running: Servers, events: int, end: datetime) -> None:
    """Facts as the regex job writes them, over a day: those of some thousand lines, again and again."""
    registry = load_registry()
    distinct = min(events, _DISTINCT)
    made = traffic(_SEED, Profile(rate=1_000), end.timestamp())
    values = [event.line.encode() for event in itertools.islice(made, distinct)]
    size = len(values)
    records = Records(["logs"] * size, [0] * size, list(range(size)), [int(end.timestamp() * 1000)] * size, values)
    extracted = ColumnarExtractor(registry).extract(extraction_input(records))
    actions, _ = result_documents(records, extracted, registry.revision, running.settings.results_index)
    documents = [orjson.loads(action.document) for action in actions]
    step = timedelta(hours=_HOURS) / events

    def shifted() -> Iterator[IndexAction]:
        for number, document in enumerate(itertools.islice(itertools.cycle(documents), events)):
            moment = end - step * (events - number)
            document["@timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            index = index_name(running.settings.results_index, int(moment.timestamp() * 1000))
            yield IndexAction(index, f"logs-0-{number}", "index", 1, orjson.dumps(document))

    writer = BulkWriter(running.settings.elasticsearch, job="bench", client=running.client)
    outcome = writer.write(shifted())
    if outcome.written != events:
        raise RuntimeError(f"{events - outcome.written} events were not written: {outcome.rejected[:1]}")
    running.client.indices.refresh(index=running.settings.results_index)
