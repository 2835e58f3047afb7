"""A pattern tried on lines without being deployed: in a process of its own, which is ended when it takes too long.

Neither a search of Python's ``re`` nor the compiling of a pattern can be interrupted from another thread, so a pool of
processes bounds their time and memory; a process that was ended is replaced.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl
import psutil
from pebble import ProcessExpired, ProcessPool
from pydantic import ValidationError

from logsluice.api.problems import ProblemError, unavailable
from logsluice.errors import LogsluiceError
from logsluice.extract import ColumnarExtractor, Registry, input_columns
from logsluice.extract.bounded import BoundedSearch
from logsluice.extract.documents import format_instants
from logsluice.extract.facts import field_is_date, find_facts
from logsluice.extract.schema import REASON
from logsluice.formats import load_formats
from logsluice.patterns import Pattern, PatternExample, PatternRegistry
from logsluice.regex.timeout import RegexTimeoutError

TRIAL_SECONDS: Final = 5.0
"""How long a trial may take, all its lines together."""

# What a trial may take beside what every one needs, which is there before the first. The container of the API holds
# both, and what the API itself takes.
_MOST_BYTES: Final = 128 * 1024**2
_WORKERS: Final = 1
_MOST_AT_ONCE: Final = 10


class Trial(NamedTuple):
    """What is tried on whole log lines; ``fields`` are each named group's, as in ``patterns.yaml``."""

    regex: str
    fields: dict[str, Any]
    lines: Sequence[str]


class PatternTrialPool:
    """Where patterns are tried; the first trial starts the process."""

    def __init__(self, directory: Path | None, time_zone: str) -> None:
        self._directory = directory
        self._time_zone = time_zone
        self._pool: ProcessPool | None = None
        self._at_hand = 0

    async def run(self, trial: Trial) -> dict[str, Any]:
        """What the pattern finds in each line, as :class:`~logsluice.api.query.pattern_routes.TrialResult` has it.

        Raises:
            LogsluiceError: It is no pattern: what is wrong with it.
            ProblemError: 400 where it took too long, or more memory than a trial may; 503 where too many others wait.
        """
        if self._at_hand >= _MOST_AT_ONCE:
            raise unavailable("too many patterns are being tried", TRIAL_SECONDS)
        self._at_hand += 1
        try:
            future = self._processes().schedule(
                run_bounded, args=(self._directory, self._time_zone, trial), timeout=TRIAL_SECONDS
            )
            return await asyncio.wrap_future(future)
        except (TimeoutError, ProcessExpired, MemoryError):
            raise ProblemError(
                HTTPStatus.BAD_REQUEST,
                f"regex: took longer than {TRIAL_SECONDS:g} s or too much memory; write it without nested repetition, "
                "or try it on fewer lines",
            ) from None
        finally:
            self._at_hand -= 1

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()

    def _processes(self) -> ProcessPool:
        if self._pool is None:
            # Arrow's own pool sets a gibibyte aside at its first use, within which nothing would be bounded.
            os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
            # A fork would take the threads' locks of Kafka's client along, held by nobody.
            context = get_context("spawn")
            arguments = (self._directory, self._time_zone)
            self._pool = ProcessPool(_WORKERS, initializer=prepare, initargs=arguments, context=context)
        return self._pool


def prepare(directory: Path | None, time_zone: str) -> None:
    """Make a worker ready: its formats are loaded, its memory is bounded."""
    run_trial(directory, time_zone, Trial(r"\w", {}, ["nothing"]))
    most = psutil.Process().memory_info().data + _MOST_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def run_bounded(directory: Path | None, time_zone: str, trial: Trial) -> dict[str, Any]:
    """A trial in a process that :func:`prepare` made ready.

    Raises:
        LogsluiceError: It is no pattern.
        MemoryError: It takes more memory than a trial may.
    """
    try:
        return run_trial(directory, time_zone, trial)
    except pl.exceptions.PanicException:
        # Polars panics where Python has no memory for what it hands over, by an exception that no process can send.
        raise MemoryError from None


def run_trial(directory: Path | None, time_zone: str, trial: Trial) -> dict[str, Any]:
    """Search a pattern in the messages of lines, as the regex job would.

    Raises:
        LogsluiceError: It is no pattern.
    """
    pattern = _pattern(trial)
    now_ms = int(time.time() * 1000)
    lines = [line.encode(errors="surrogatepass") for line in trial.lines]
    extracted = _reader(directory, time_zone).extract(input_columns(lines, [now_ms] * len(lines)))
    search = BoundedSearch()
    results: list[dict[str, Any]] = []
    for row, line in enumerate(trial.lines):
        reason = extracted[REASON][row].as_py()
        if reason is not None:
            results.append({"line": line, "outcome": reason, "format": None, "message": None, "fields": {}})
            continue
        message = extracted["message"][row].as_py()
        try:
            found, facts, _ = find_facts([pattern], message, now_ms, time_zone, search)
            outcome = "match" if found else "no_match"
        except RegexTimeoutError:
            facts, outcome = {}, "regex_timeout"
        results.append(
            {
                "line": line,
                "outcome": outcome,
                "format": extracted["event.dataset"][row].as_py(),
                "message": message,
                "fields": {name: _shown(pattern, name, value) for name, value in facts.items()},
            }
        )
    regex = pattern.compiled
    return {"engine": "rust" if regex.rust else "re", "reason": regex.reason, "results": results}


def _shown(pattern: Pattern, name: str, value: Any) -> Any:
    return format_instants(pl.Series([value])).item() if field_is_date(pattern, name) else value


def _pattern(trial: Trial) -> Pattern:
    example = PatternExample(message="")
    content = {"name": "trial", "description": "A trial", "examples": [example], "counterexamples": [""]}
    try:
        return Pattern.model_validate({**content, "regex": trial.regex, "fields": trial.fields})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "regex"
        raise LogsluiceError(first["msg"].removeprefix("Value error, "), where=place) from None


@lru_cache(maxsize=1)
def _reader(directory: Path | None, time_zone: str) -> ColumnarExtractor:
    """Reads headers alone: what a line's message is."""
    return ColumnarExtractor(Registry(load_formats(directory), PatternRegistry(1, ())), time_zone=time_zone)
