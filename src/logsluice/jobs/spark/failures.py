"""Spark's exceptions in one line, and which of them are permanent or mean lost data."""

from __future__ import annotations

import re

_DATA_LOSS = ("KAFKA_DATA_LOSS", "data may have been lost")
_OURS = re.compile(r"logsluice\.errors\.LogsluiceError: (?P<line>.+)")
_CAUSE = re.compile(r"^(?:Caused by: )?(?:[\w$]+\.)*(?P<line>[\w$]+(?:Error|Exception|Interrupt)[^\n]*)", re.MULTILINE)


def describe_error(error: BaseException) -> str:
    """One line that says what happened."""
    text = str(error)
    if ours := permanent_error(error):
        return ours
    causes = _CAUSE.findall(text)
    line = causes[-1] if causes else next((line for line in text.splitlines() if line.strip()), "")
    return " ".join(line.split())[:500] or type(error).__name__


def permanent_error(error: BaseException) -> str | None:
    """The words of a :class:`LogsluiceError` that a worker raised: a fault that trying again does not
    heal."""
    found = _OURS.search(str(error))
    return found["line"].strip() if found else None


def is_data_loss(error: BaseException) -> bool:
    """Whether Spark refuses to go on because offsets it wanted are not in the topic any more."""
    text = str(error)
    return any(sign in text for sign in _DATA_LOSS)
