"""Searches on Python's ``re``, bounded in time: one bad pattern or line cannot stall a job."""

from __future__ import annotations

import re
import time
from typing import Final, Protocol

from logsluice.regex.timeout import RegexTimeoutError, time_limit

SEARCH_SECONDS: Final = 0.25
"""How long one search may take; a million times what an ordinary one does."""

BATCH_SECONDS: Final = 5.0
"""How long a pattern may waste in one batch; what it has not searched by then counts as timed out."""


class Search(Protocol):
    """How a pattern is searched for."""

    def __call__(self, pattern: re.Pattern[str], text: str, *, whole: bool = False) -> re.Match[str] | None:
        """``pattern.search(text)``, or ``fullmatch`` where ``whole``."""


def unbounded_search(pattern: re.Pattern[str], text: str, *, whole: bool = False) -> re.Match[str] | None:
    """For callers that bound the time of more than one search."""
    return pattern.fullmatch(text) if whole else pattern.search(text)


class BoundedSearch:
    """Searches of one batch. A pattern that has used up its time is not tried on further lines of the batch."""

    def __init__(self) -> None:
        self._wasted: dict[re.Pattern[str], float] = {}

    def __call__(self, pattern: re.Pattern[str], text: str, *, whole: bool = False) -> re.Match[str] | None:
        """``pattern.search(text)``, or ``fullmatch`` where ``whole``.

        Raises:
            RegexTimeoutError: The search took too long.
        """
        if self._wasted.get(pattern, 0.0) >= BATCH_SECONDS:
            raise RegexTimeoutError
        started = time.process_time()
        try:
            with time_limit(SEARCH_SECONDS):
                return unbounded_search(pattern, text, whole=whole)
        except RegexTimeoutError:
            self._wasted[pattern] = self._wasted.get(pattern, 0.0) + time.process_time() - started
            raise
