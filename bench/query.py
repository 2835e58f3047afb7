"""Questions to the HTTP API, cached and not, beside the same searches put to Elasticsearch alone.

Each question is put by every method in turn, over one connection, so that what else the machine does hits all alike.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import numpy as np
import orjson

from bench.api_server import serving
from bench.dashboard import fill
from bench.measuring import Spread, ratio
from bench.report import Claim, Report
from bench.servers import Servers, servers
from logsluice.api.query.conditions import level_condition
from logsluice.api.query.lists import page_body
from logsluice.api.query.parameters import SETTLED, Paging, TimeRange
from logsluice.event.moments import iso

SIZE = 50
_TEXTS = ("payment", "timeout", "cart OR login", "refused AND payment", "user.id:4*")
_CACHED_RATIO = 2.0
_ELASTICSEARCH, _ANEW, _CACHED, _AGAIN = "Elasticsearch alone", "API, asked anew", "API, cached", "API, 304"
_QUANTILES = (0.5, 0.95, 0.99)


def run(events: int, questions: int, repeat: int, log: Callable[[str], None]) -> Report:
    """Ask so many questions a repetition over so many events of a day."""
    found: dict[str, list[list[float]]] = {name: [] for name in (_ELASTICSEARCH, _ANEW, _CACHED, _AGAIN)}
    with servers() as running:
        log(f"writing {events:,} events")
        end = datetime.now(UTC).replace(second=0, microsecond=0) - SETTLED - timedelta(hours=1)
        fill(running, events, end)
        with serving(running) as (_, url), httpx.Client(timeout=60) as client:
            for number in range(repeat + 1):
                log(f"{number} of {repeat}" if number else "warming up")
                once = _repetition(client, running, url, end, questions, offset=number * questions)
                if number:
                    for name, seconds in once.items():
                        found[name].append(seconds)
    return _report(found, events, questions)


def _repetition(
    client: httpx.Client, running: Servers, url: str, end: datetime, questions: int, offset: int
) -> dict[str, list[float]]:
    elasticsearch = f"{running.settings.elasticsearch.hosts}/{running.settings.results_index}/_search"
    seconds: dict[str, list[float]] = {name: [] for name in (_ELASTICSEARCH, _ANEW, _CACHED, _AGAIN)}
    for number, text in zip(range(questions), itertools.cycle(_TEXTS), strict=False):
        # Each range is another one, so that neither the API nor Elasticsearch has its answer already.
        until = end - timedelta(milliseconds=offset + number)
        span = TimeRange(until - timedelta(hours=6), until, True)
        conditions = [span.condition, level_condition(["error", "critical"])]
        body = page_body(conditions, Paging(SIZE, 0, None), timeout=10, text=text)
        parameters: dict[str, str | int | list[str]] = {
            "query": text,
            "startTime": iso(span.since),
            "endTime": iso(until),
            "level": ["error", "critical"],
            "size": SIZE,
        }

        def alone(body: bytes = orjson.dumps(body)) -> httpx.Response:
            return client.post(elasticsearch, content=body, headers={"Content-Type": "application/json"})

        def api(tag: str = "", parameters: dict[str, str | int | list[str]] = parameters) -> httpx.Response:
            return client.get(f"{url}/search", params=parameters, headers={"If-None-Match": tag} if tag else {})

        # Who comes first finds nothing of the question in the server's memory: that falls to both in turn.
        first, second = ((_ELASTICSEARCH, alone), (_ANEW, api))[:: -1 if number % 2 else 1]
        answers = {name: _timed(seconds[name], request) for name, request in (first, second)}
        hits = len(answers[_ELASTICSEARCH].json()["hits"]["hits"])
        kept = _timed(seconds[_CACHED], api)
        if len(answers[_ANEW].json()["hits"]) != hits or kept.content != answers[_ANEW].content:
            raise RuntimeError(f"not the same answer to {text} until {until}")
        if _timed(seconds[_AGAIN], partial(api, kept.headers["etag"])).status_code != 304:
            raise RuntimeError("an answer that is there was sent again")
    return seconds


def _timed(seconds: list[float], request: Callable[[], httpx.Response]) -> httpx.Response:
    started_at = time.perf_counter()
    answer = request()
    seconds.append(time.perf_counter() - started_at)
    if answer.status_code not in (200, 304):
        raise RuntimeError(f"{answer.status_code}: {answer.text[:500]}")
    return answer


def _report(found: dict[str, list[list[float]]], events: int, questions: int) -> Report:
    report = Report(f"{questions:,} searches of 6 hours over {events:,} events, {SIZE} hits each", "")
    medians: dict[str, list[float]] = {}
    for name, repetitions in found.items():
        quantiles = [[1_000 * float(q) for q in np.quantile(once, _QUANTILES)] for once in repetitions]
        medians[name] = [entry[0] for entry in quantiles]
        for place, share in enumerate(_QUANTILES):
            value = Spread.of([entry[place] for entry in quantiles])
            label = f"{name}, p{share * 100:.0f}" if place == 0 else f"    p{share * 100:.0f}"
            report.claims.append(Claim(label, value, unit="ms"))
    added = [anew - alone for anew, alone in zip(medians[_ANEW], medians[_ELASTICSEARCH], strict=True)]
    report.claims += [
        Claim("what the API adds to a search, median", Spread.of(added), unit="ms"),
        Claim("cached, to Elasticsearch alone", ratio(medians[_ELASTICSEARCH], medians[_CACHED]), _CACHED_RATIO),
    ]
    report.notes.append("One client, one question at a time; Elasticsearch is its core, with a heap of 512 MB.")
    return report
