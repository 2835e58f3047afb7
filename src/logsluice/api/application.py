"""The FastAPI application: routes, middleware, error handlers and OpenAPI document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from starlette.middleware.cors import CORSMiddleware

from logsluice import __version__
from logsluice.api import health
from logsluice.api.documentation import add_documentation
from logsluice.api.ingest import routes as ingest
from logsluice.api.middleware import RequestMiddleware
from logsluice.api.problems import install_problem_handlers
from logsluice.api.query import by_id, lists, pattern_routes, stats, tail_routes
from logsluice.api.resources import open_resources
from logsluice.errors import LogsluiceError
from logsluice.settings import Settings

_DESCRIPTION: Final = """
Post log events, and ask for them and for the facts found in them.

Errors are problem details (RFC 9457). Every answer carries `X-Request-ID`.
"""
_EXPOSED_HEADERS: Final = ("ETag", "Link", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID")


def create_app(settings: Settings) -> FastAPI:
    """Put the application together; its parts are opened when it is started, and found on ``app.state.resources``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with open_resources(settings) as resources:
                app.state.resources = resources
                yield
        except LogsluiceError as error:
            # The server ends without a word on why; whoever started it has one.
            app.state.failure = error
            raise

    app = FastAPI(
        title="logsluice",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    install_problem_handlers(app)
    # ``/logs/tail`` comes before ``/logs/{id}``, which would take it for an id.
    for router in (
        health.router,
        ingest.router,
        ingest.tickets,
        lists.router,
        tail_routes.router,
        by_id.router,
        stats.router,
        pattern_routes.router,
    ):
        app.include_router(router)
    app.add_api_route("/", _to_the_documentation, include_in_schema=False)
    add_documentation(app)
    if settings.api.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.api.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "X-API-Key"],
            expose_headers=list(_EXPOSED_HEADERS),
        )
    app.add_middleware(RequestMiddleware, settings=settings.api)
    _offer_both_credentials(app)
    return app


async def _to_the_documentation() -> RedirectResponse:
    return RedirectResponse("/docs")


def _offer_both_credentials(app: FastAPI) -> None:
    """Say in the OpenAPI document that a key may also come in a header of its own."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            schemes = document.get("components", {}).get("securitySchemes", {})
            schemes["apiKey"] = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
            for path in document["paths"].values():
                for operation in path.values():
                    if operation.get("security"):
                        operation["security"].append({"apiKey": []})
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
