"""The pages of the OpenAPI document."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest

from logsluice.api.application import create_app
from logsluice.settings import load_settings

PAGES = ("/docs", "/redoc")
LOADED = re.compile(r'(?:src|href|spec-url)="([^"]*)"|url: \'([^\']*)\'')


def get(*paths: str) -> list[httpx.Response]:
    async def request() -> list[httpx.Response]:
        transport = httpx.ASGITransport(create_app(load_settings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://logsluice") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(request())


@pytest.mark.parametrize("path", PAGES)
def test_a_page_names_no_other_host_and_all_it_loads_is_here(path: str) -> None:
    (page,) = get(path)
    assert page.status_code == 200
    assert "//" not in page.text
    places = {first or second for first, second in LOADED.findall(page.text)}
    assert len(places) >= 3
    assert "/openapi.json" in places
    for loaded in get(*places):
        assert loaded.status_code == 200, loaded.url
        assert loaded.content


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_its_browser_refuse_other_hosts_and_scripts(path: str) -> None:
    (page,) = get(path)
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert not [sources for sources in policy.values() if re.search(r"https?:|\*", sources)]
    assert "unsafe" not in policy["script-src"]
