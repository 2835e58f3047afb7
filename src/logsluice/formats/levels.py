"""How severe an event is, in the words of :data:`logsluice.event.ecs.LEVELS`, whatever its own word is."""

from __future__ import annotations

from typing import Final

_SPELLINGS: Final = {
    "trace": "trace trc trce finest finer all verbose verb vrb silly spam t v trace1 trace2 trace3 trace4",
    "debug": "debug dbg dbug deb fine config cfg d d1 d2 d3 d4 d5 debug1 debug2 debug3 debug4 debug5 basic",
    "info": "info inf information informational informative i info2 info3 info4 log http success ok normal "
    "statement audit",
    "notice": "notice note ntc not n hint",
    "warn": "warn warning wrn warni w caution warn2 warn3 warn4",
    "error": "error err eror erro e fail failed failure severe error2 error3 error4 exception",
    "critical": "critical crit cri crt c fatal fata ftl fat f fatal2 fatal3 fatal4 emergency emerg emrg alert alrt "
    "panic pnc dpanic disaster abort assert",
}

LEVEL_BY_SPELLING: Final[dict[str, str]] = {
    spelling: level for level, spellings in _SPELLINGS.items() for spelling in spellings.split()
}
"""Levels by lower-case spelling. Numbers mean different things to different loggers: formats declare them."""

SYSLOG_SEVERITIES: Final = ("critical", "critical", "critical", "error", "warn", "notice", "info", "debug")
"""Levels by syslog severity, emergency first (RFC 5424, 6.2.1)."""


def normalize_level(text: str) -> str | None:
    """The level that a word means, in any case and with spaces around it, or None where it means none."""
    return LEVEL_BY_SPELLING.get(text.strip(" \t").lower())


def split_priority(priority: int) -> tuple[int, int, str]:
    """Facility code, severity code and level of a syslog priority (``<PRI>``)."""
    return priority // 8, priority % 8, SYSLOG_SEVERITIES[priority % 8]
