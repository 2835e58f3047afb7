"""``make pictures``: the pictures of the dashboard in docs/images, made anew.

Two hours of the demo's shop, extracted by our own engine, lie in a real Elasticsearch; Chromium looks at the page.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from playwright.sync_api import Page, sync_playwright

from logsluice.demo.traffic import Burst, Profile, traffic
from logsluice.extract import INPUT_SCHEMA, ColumnarExtractor, documents, load_registry
from logsluice.provision.setup import set_up_elasticsearch
from logsluice.runtime.time_expressions import iso_seconds
from logsluice.settings import Settings, load_settings
from logsluice.stack.ports import free_port, is_open
from logsluice.stack.supervisor import LocalStack
from tests.local.dashboard_documents import alert, window, write
from tests.local.running import LOGSLUICE, ROOT, Runner, eventually

IMAGES = ROOT / "docs" / "images"
WIDTH = 1500
END = datetime.now(UTC).replace(second=0, microsecond=0)
START = END - timedelta(hours=2)
ERROR_LEVELS = ("error", "critical")
MOST_BYTES = 200_000
BURST = Burst("payment", every=3_450, lasts=420, factor=25)
PROFILE = Profile(rate=4, error_rate=0.02, burst=BURST)
THRESHOLD = 0.1
PATIENCE_SECONDS = 240


def results() -> list[tuple[str, dict[str, Any]]]:
    """The shop's events as the regex job writes them, by their ids."""
    seconds = (END - START).total_seconds()
    events = []
    for event in traffic(11, PROFILE, START.timestamp()):
        if event.time_offset >= seconds:
            break
        events.append(event)
    arrived = [int((START.timestamp() + event.time_offset) * 1_000) for event in events]
    nothing = [None] * len(events)
    lines = pa.record_batch([[event.line.encode() for event in events], arrived, nothing, nothing], schema=INPUT_SCHEMA)
    ids = [f"logs-topic-0-{offset}-{moment}" for offset, moment in enumerate(arrived)]
    rendered = documents(ColumnarExtractor(load_registry(), "UTC").extract(lines), extra={"event.id": ids})
    return [(key, orjson.loads(text)) for key, text in zip(ids, rendered, strict=True) if text]


def windows(found: list[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The minutes of each service, counted as the windows job counts them."""
    minutes: dict[tuple[datetime, str], list[dict[str, Any]]] = defaultdict(list)
    for _, document in found:
        start = datetime.fromisoformat(document["@timestamp"]).replace(second=0, microsecond=0)
        minutes[start, document.get("service", {}).get("name", "unknown")].append(document)
    for (start, service), members in minutes.items():
        errors = sum(member.get("log", {}).get("level") in ERROR_LEVELS for member in members)
        durations = sorted(d for member in members if (d := member.get("event", {}).get("duration")) is not None)
        made = window(start, service, len(members), errors)
        cuts = (
            statistics.quantiles(durations, n=100) if len(durations) > 1 else [durations[0]] * 99 if durations else []
        )
        made["window"]["durations"] = len(durations)
        made["window"]["duration"] = {f"p{rank}": int(cuts[rank - 1]) for rank in (50, 95, 99) if cuts}
        made["window"]["users"] = len({member["user"]["id"] for member in members if "id" in member.get("user", {})})
        yield f"{made['window']['start']}|{service}", made


def alerts(found: list[tuple[str, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """An alert for each burst, with the error rate that its minutes have; the last one is open."""
    minutes = [document for _, document in found if document["service"]["name"] == BURST.service]
    for number in (1, 2):
        start = START + timedelta(seconds=number * BURST.every)
        end = start + timedelta(seconds=BURST.lasts)
        during = [m["window"] for m in minutes if start <= datetime.fromisoformat(m["window"]["start"]) < min(end, END)]
        rate = sum(m["errors"] for m in during) / sum(m["events"] for m in during)
        message = f"{BURST.service}: {rate:.1%} of events are errors, above {THRESHOLD:.1%}"
        yield alert(start, BURST.service, resolved=end if end < END else None, message=message)


def fill(settings: Settings) -> None:
    """Write results, windows, and the alerts of the bursts."""
    found = results()
    minutes = list(windows(found))
    write(settings, settings.results_index, found)
    write(settings, settings.windows_index, minutes)
    write(settings, settings.alerts_index, [(made["alert"]["id"], made) for made in alerts(minutes)])


def take(page: Page, url: str, name: str, *, query: str = "", below: str = "") -> None:
    """One picture, once the page has its charts."""
    page.goto(f"{url}/?from={iso_seconds(START)}&to={iso_seconds(END)}&refresh=0{query}")
    page.locator("[aria-roledescription=bar]").first.wait_for()
    eventually(lambda: page.locator(".ls-alert").count() > 0, seconds=PATIENCE_SECONDS)
    page.wait_for_timeout(5_000)
    if below:
        page.locator(".ls-head").filter(has_text=below).first.evaluate("e => e.scrollIntoView()")
        page.wait_for_timeout(2_000)
    path = IMAGES / name
    page.screenshot(path=path, animations="disabled")
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size:,} bytes")
    if size > MOST_BYTES:
        sys.exit(f"{path.relative_to(ROOT)}: more than {MOST_BYTES:,} bytes")


def main() -> None:
    """Make the pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        sys.exit("there is no Chromium here (Debian's package chromium)")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        stack = LocalStack(Path(folder) / "stack", free_port(), free_port())
        runner = Runner(Path(folder), {})
        try:
            stack.start("elasticsearch")
            server = f"http://127.0.0.1:{stack.port('elasticsearch')}"
            port = free_port()
            settings = load_settings(ROOT / "config" / "dev", elasticsearch={"hosts": server})
            set_up_elasticsearch(settings, load_registry().fields)
            fill(settings)
            runner.environment = {
                "PATH": os.environ["PATH"],
                "HOME": folder,
                "LOGSLUICE_CONFIG": str(ROOT / "config" / "dev"),
                "LOGSLUICE_ELASTICSEARCH__HOSTS": server,
                "LOGSLUICE_DASHBOARD__PORT": str(port),
            }
            runner.start(LOGSLUICE, "dashboard")
            eventually(lambda: is_open(port), seconds=PATIENCE_SECONDS)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
                page = browser.new_page(color_scheme="light", viewport={"width": WIDTH, "height": 1_000})
                page.set_default_timeout(PATIENCE_SECONDS * 1_000)
                take(page, f"http://127.0.0.1:{port}", "dashboard.png")
                take(page, f"http://127.0.0.1:{port}", "dashboard-lines.png", below="Log lines")
                browser.close()
        finally:
            runner.close()
            stack.stop()


if __name__ == "__main__":
    main()
