"""How severe an event is, in the words of :data:`logsluice.event.ecs.LEVELS`, whatever its own word is."""

from __future__ import annotations

import re
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

LOCALISED: Final = {
    "trace": "feiner, am feinsten, le plus précis, plus précis, muy detallado, más detallado, mais detalhado, "
    "o mais detalhado, migliore, ottimale, finare, finast, 詳細, 最も詳細, 较详细, 非常详细, "
    "較詳細, 最詳細, 보다 미세, 가장 미세",
    "debug": "fein, konfiguration, précis, detallado, configurar, detalhado, configuração, buono, configurazione, "
    "fin, konfig, ausführlich, 構成, 普通, 配置, 详细, 組態, 구성, 미세",
    "info": "information, informationen, infos, información, informazioni, informação, informações, informatie, "
    "情報, 信息, 資訊, 정보",
    "warn": "warnung, avertissement, advertencia, avvertenza, avviso, advertência, aviso, atenção, varning, "
    "waarschuwing, 警告, 경고",
    "error": "schwerwiegend, fehler, grave, erreur, errore, allvarlig, fout, 重大, 严重, 嚴重, 심각",
    "critical": "kritisch, critique, crítico, critico, kritiek",
}
"""Levels as java.util.logging (OpenJDK's sun.util.logging.resources) and Windows' event log write them in other
languages, split by commas."""

LEVEL_BY_SPELLING: Final[dict[str, str]] = {
    **{spelling: level for level, spellings in LOCALISED.items() for spelling in spellings.split(", ")},
    **{spelling: level for level, spellings in _SPELLINGS.items() for spelling in spellings.split()},
}
"""Levels by lower-case spelling. Numbers mean different things to different loggers: formats declare them."""

_STEPS: Final = re.compile(r"(?<=[a-z])[+-][0-9]{1,3}\Z")

SYSLOG_SEVERITIES: Final = ("critical", "critical", "critical", "error", "warn", "notice", "info", "debug")
"""Levels by syslog severity, emergency first (RFC 5424, 6.2.1)."""


def normalize_level(text: str) -> str | None:
    """The level that a word means, in any case and with spaces around it, or None where it means none.

    One between two words counts as the milder: ``INFO+2`` (Go's slog).
    """
    word = text.strip(" \t").lower()
    return LEVEL_BY_SPELLING.get(word) or LEVEL_BY_SPELLING.get(_STEPS.sub("", word))


def split_priority(priority: int) -> tuple[int, int, str]:
    """Facility code, severity code and level of a syslog priority (``<PRI>``)."""
    return priority // 8, priority % 8, SYSLOG_SEVERITIES[priority % 8]
