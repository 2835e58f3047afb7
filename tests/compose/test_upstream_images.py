"""What stand-ins cannot show: the real Kibana and Grafana as people see them, real memory, and prod as a whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.compose.engine import UPSTREAM
from tests.compose.parts import ONCE, WATCHED, all_well, killed_for_memory
from tests.compose.project import Project, eventually, free_ports
from tests.shared.shared_folder import ROOT

pytestmark = [
    pytest.mark.skipif(not UPSTREAM, reason="wants the public images: LOGSLUICE_TEST_IMAGES=upstream pulls them"),
    pytest.mark.timeout(3_600),
    pytest.mark.usefixtures("container_logs"),
]

ARTIFACTS = ROOT / "artifacts" / "compose"
PATIENCE_MS = 180_000
DASHBOARDS = sorted((ROOT / "k8s" / "components" / "monitoring" / "dashboards").glob("*.json"))
# Kibana's own reports wait for the same attributes (x-pack/.../screenshotting, getDefaultLayoutSelectors).
DRAWN = "[data-shared-item][data-render-complete=true]"
COUNTS = """
from kafka import KafkaConsumer, TopicPartition
from logsluice.kafka.options import client_options
from logsluice.settings import load_settings
from logsluice.elasticsearch.client import connect
settings = load_settings()
consumer = KafkaConsumer(**client_options(settings))
topic = settings.kafka.topic
parts = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
client = connect(settings.elasticsearch)
print(sum(consumer.end_offsets(parts).values()),
      *(client.count(index=alias)["count"] for alias in (settings.results_index, settings.logs_index)))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("there is no Chromium here (Debian's package chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1600, "height": 2400})
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def prod(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    started = Project(variables, "prod", free_ports(tmp_path_factory.mktemp("env") / "env"))
    try:
        yield started
    finally:
        started.down("--volumes")


def keep(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


def counts(project: Project) -> list[int]:
    """Events in the topic, in the results index, in the logs index, as a workload sees them."""
    output = project.compose("run", "--rm", "--no-deps", "-T", "setup", "python", "-c", COUNTS)
    return [int(word) for word in output.split()[-3:]]


def everything_arrived(project: Project) -> bool:
    topic, results, logs = counts(project)
    assert topic > 200
    assert (results, logs) == (topic, topic)
    return True


def test_every_part_gets_healthy_on_the_public_images(project: Project) -> None:
    project.up("--wait")
    eventually(lambda: all_well(project, ONCE | WATCHED))
    eventually(lambda: counts(project)[0] > 1_000)


def test_kibana_opens_on_the_overview_with_every_panel_drawn(project: Project, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{project.ports['KIBANA_PORT']}/")
    page.wait_for_url("**/app/dashboards#/view/logsluice-overview**")
    board = page.locator("[data-shared-items-container]")
    expect(board).to_be_visible(timeout=PATIENCE_MS)
    panels = int(board.get_attribute("data-shared-items-count") or 0)
    assert panels
    expect(page.locator(DRAWN)).to_have_count(panels, timeout=PATIENCE_MS)
    keep(page, "kibana-overview")
    assert page.locator("[data-render-error]").count() == 0
    empty = page.get_by_text("No results found", exact=True).count()
    assert empty < panels / 2, f"{empty} of {panels} panels have nothing to show"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_grafana_shows_its_dashboards_with_data(project: Project, page: Page, dashboard: Path) -> None:
    uid, title = (json.loads(dashboard.read_text())[key] for key in ("uid", "title"))
    page.goto(f"http://127.0.0.1:{project.ports['GRAFANA_PORT']}/d/{uid}?kiosk&from=now-15m&to=now")
    expect(page).to_have_title(f"{title} - Dashboards - Grafana", timeout=PATIENCE_MS)
    page.wait_for_load_state("networkidle")
    panels = page.locator("section[data-testid*='Panel header']")
    expect(panels.first).to_be_visible(timeout=PATIENCE_MS)
    keep(page, f"grafana-{dashboard.stem}")
    assert page.get_by_test_id("data-testid Panel status error").count() == 0
    empty = page.get_by_text("No data", exact=True).count()
    assert empty < panels.count() / 2, f"{empty} of {panels.count()} panels have nothing to show"


def test_grafana_opens_on_a_dashboard_of_ours(project: Project, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{project.ports['GRAFANA_PORT']}/")
    page.wait_for_load_state("networkidle")
    keep(page, "grafana-home")
    expect(page.locator("section[data-testid*='Panel header']").first).to_be_visible(timeout=PATIENCE_MS)


def test_no_part_comes_near_its_memory(project: Project) -> None:
    """What each really takes stays beside the screenshots: the limits in docker-compose.yml are held against it."""
    lines = project.docker("stats", "--no-stream", "--format", "{{json .}}").splitlines()
    used = {line["Name"]: line for line in map(json.loads, lines) if line["Name"].startswith(f"{project.name}-")}
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    (ARTIFACTS / "memory.json").write_text(json.dumps(used, indent=2))
    assert used
    near = {name: line["MemUsage"] for name, line in used.items() if float(line["MemPerc"].rstrip("%")) > 95}
    assert not near
    assert not killed_for_memory(project)


def test_stop_and_start_goes_on(project: Project) -> None:
    before = counts(project)[0]
    project.compose("stop", seconds=600)
    project.up("--wait")
    eventually(lambda: all_well(project, ONCE | WATCHED))
    eventually(lambda: counts(project)[0] > before + 200)
    project.compose("stop", "producer")
    eventually(lambda: everything_arrived(project))


def test_prod_comes_up_whole_with_tls_and_passwords(prod: Project, page: Page) -> None:
    prod.up("--wait")
    eventually(lambda: all_well(prod, (ONCE | WATCHED) - {"producer"}))
    page.goto(f"http://127.0.0.1:{prod.ports['KIBANA_PORT']}/")
    page.locator("[data-test-subj=loginUsername]").fill("elastic")
    password = prod.compose("exec", "-T", "elasticsearch", "cat", "config/certs/elastic_password").strip()
    page.locator("[data-test-subj=loginPassword]").fill(password)
    page.locator("[data-test-subj=loginSubmit]").click()
    page.wait_for_url("**/app/dashboards#/view/logsluice-overview**")
    keep(page, "kibana-prod")
    eventually(lambda: everything_arrived(prod))
    assert not killed_for_memory(prod)
