"""Writes Java properties files, the configuration of both servers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def render(properties: Mapping[str, str]) -> str:
    """Properties as a file that Java reads right whatever its encoding: ASCII, the rest escaped.

    The escapes are those of JSON, a backslash and UTF-16 in hexadecimal.
    """
    return "".join(f"{key}={json.dumps(value)[1:-1]}\n" for key, value in properties.items())


def log_to(folder: Path, name: str) -> str:
    """A Log4j 2 configuration that logs to ``<name>.log`` in a folder, and keeps three older files of 10 MB."""
    return render(
        {
            "status": "error",
            "appender.rolling.type": "RollingFile",
            "appender.rolling.name": "rolling",
            "appender.rolling.fileName": str(folder / f"{name}.log"),
            "appender.rolling.filePattern": str(folder / f"{name}.%i.log"),
            "appender.rolling.layout.type": "PatternLayout",
            "appender.rolling.layout.pattern": "%d{ISO8601_OFFSET_DATE_TIME_HHMM} %-5p %c{1.}: %m%n",
            "appender.rolling.policies.type": "Policies",
            "appender.rolling.policies.size.type": "SizeBasedTriggeringPolicy",
            "appender.rolling.policies.size.size": "10MB",
            "appender.rolling.strategy.type": "DefaultRolloverStrategy",
            "appender.rolling.strategy.max": "3",
            "rootLogger.level": "info",
            "rootLogger.appenderRef.rolling.ref": "rolling",
        }
    )
