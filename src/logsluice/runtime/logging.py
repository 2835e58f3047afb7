"""Logging of the jobs themselves: readable on a terminal, Elastic Common Schema as JSON elsewhere.

A job's own log can so be shipped through logsluice like any other.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

from logsluice.runtime.terminal import printable, printable_json, printable_lines


def _as_ecs(_logger: object, _method: str, event: EventDict) -> EventDict:
    return {
        "@timestamp": event.pop("timestamp"),
        "log.level": "warn" if event["level"] == "warning" else event["level"],
        "message": event.pop("event"),
        "service.name": "logsluice",
        **{key: value for key, value in event.items() if key != "level"},
    }


def _json(event: EventDict, **options: Any) -> str:
    try:
        return printable_json(orjson.dumps(event, **options).decode())
    except TypeError:
        # What orjson refuses, such as half of a surrogate pair or a huge number.
        return json.dumps(event, **options)


def _shown(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The words of others are shown on a terminal, never obeyed; only a stack trace has lines."""
    return {
        key: (printable_lines if key == "exception" else printable)(value) if isinstance(value, str) else value
        for key, value in event.items()
    }


def configure_logging(level: int = logging.INFO) -> None:
    """Send structlog's lines to standard error: coloured text on a terminal, one ECS JSON object a line elsewhere."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: list[Processor] = (
        [_shown, structlog.dev.ConsoleRenderer()]
        if sys.stderr.isatty()
        else [_as_ecs, structlog.processors.JSONRenderer(serializer=_json)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    for noisy in ("kafka", "elastic_transport", "py4j"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
