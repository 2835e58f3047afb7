"""Swagger UI and ReDoc for the OpenAPI document, with all their files served by this process.

``fastapi-offline`` brings the scripts. A Content-Security-Policy has the browser refuse whatever else a page, or what
it shows, would load.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

_OPENAPI: Final = "/openapi.json"
_ASSETS: Final = "/docs/assets"
_ICON: Final = f"{_ASSETS}/favicon.png"
_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self'{styles}; img-src 'self' data:; "
    "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def add_documentation(app: FastAPI) -> None:
    """Add ``/docs`` (Swagger UI) and ``/redoc`` to an application that was made without them."""
    swagger = _guarded(
        get_swagger_ui_html(
            openapi_url=_OPENAPI,
            title=app.title,
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=_ICON,
        )
    )
    redoc = _guarded(
        get_redoc_html(
            openapi_url=_OPENAPI,
            title=app.title,
            redoc_js_url=f"{_ASSETS}/redoc.standalone.js",
            redoc_favicon_url=_ICON,
            with_google_fonts=False,
        ),
        # It makes its styles as it goes.
        styles=" 'unsafe-inline'",
    )

    async def docs(_request: Request) -> Response:
        return swagger

    async def reference(_request: Request) -> Response:
        return redoc

    app.add_route("/docs", docs, include_in_schema=False)
    app.add_route("/redoc", reference, include_in_schema=False)
    app.mount(_ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]))


def _guarded(page: HTMLResponse, styles: str = "") -> HTMLResponse:
    """A page that may run its own scripts, known by their hashes, and none that were smuggled in."""
    digests = (hashlib.sha256(script).digest() for script in _SCRIPT.findall(bytes(page.body)))
    scripts = "".join(f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    page.headers["Content-Security-Policy"] = _POLICY.format(scripts=scripts, styles=styles)
    return page
