"""What load on the HTTP API is made of: pure functions."""

from __future__ import annotations

import itertools
import math
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

QUANTILES: Final = (0.5, 0.95, 0.99)
_REQUESTS_OF_A_USER: Final = 5.0
_MOST_USERS: Final = 1_000
_SERVICE: Final = "load"
_WORDS: Final = ("payment", "order", "cart", "login", "refund", "search", "checkout", "shipment", "invoice", "stock")
_ERROR: Final = "java.net.SocketTimeoutException: connect timed out"


@dataclass(frozen=True)
class Load:
    """What is posted.

    Attributes:
        key: An API key with the scope ``ingest``; None where it runs open.
        rate: Events a second.
        size: Characters of a message.
        batch: Events of a post; one goes to ``/logs``, more to ``/logs/batch``.
        errors: Share of the events that are errors.
    """

    url: str
    key: str | None
    rate: float
    seconds: float
    size: int
    batch: int
    errors: float

    @property
    def users(self) -> int:
        """Clients at once: each posts a few times a second, and waits for every answer."""
        return min(_MOST_USERS, max(1, math.ceil(self.rate / self.batch / _REQUESTS_OF_A_USER)))


class Outcome(NamedTuple):
    """How it went.

    Attributes:
        requests: Posts that were answered or failed.
        events: Events that were taken.
        latencies: Seconds within which each share of :data:`QUANTILES` was answered.
        slowest: Seconds of the slowest answer.
        reasons: Why posts failed, the most frequent first, with their number.
    """

    requests: int
    failures: int
    events: int
    seconds: float
    latencies: tuple[float, ...]
    slowest: float
    reasons: list[tuple[str, int]]


def events(load: Load, seed: int) -> Iterator[dict[str, Any]]:
    """Events in the short form, without end; the same seed gives the same."""
    draw = random.Random(seed)
    for number in itertools.count():
        is_error = draw.random() < load.errors
        words = f"{draw.choice(_WORDS)} {number} user_id={draw.randrange(100_000)} took {draw.randrange(1, 2_000)}ms"
        text = f"{words} {_ERROR}" if is_error else words
        filler = " " + "".join(draw.choices(string.ascii_lowercase, k=max(0, load.size - len(text) - 1)))
        level = "error" if is_error else "info"
        yield {"level": level, "source": _SERVICE, "message": (text + filler)[: load.size]}


def load_bodies(load: Load, seed: int) -> Iterator[str]:
    """Bodies of posts, without end."""
    contents = events(load, seed)
    while True:
        content = next(contents) if load.batch == 1 else list(itertools.islice(contents, load.batch))
        yield orjson.dumps(content).decode()
