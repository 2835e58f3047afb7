"""Side by side: every method once, then every method again, so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from bench.processes import cpu_seconds


@dataclass(slots=True)
class Cost:
    """What one repetition took.

    Attributes:
        cpu: Processor seconds of this process and all below it.
        wall: Seconds on the clock.
    """

    cpu: float = 0.0
    wall: float = 0.0


@dataclass(slots=True)
class Samples:
    """The repetitions of one method.

    Attributes:
        items: Lines, events or documents a repetition.
        costs: One a repetition.
    """

    items: int
    costs: list[Cost] = field(default_factory=list)

    def per_cpu_second(self) -> list[float]:
        """Items by processor second, a repetition each."""
        return [self.items / cost.cpu for cost in self.costs]

    def per_second(self) -> list[float]:
        """Items by second, a repetition each."""
        return [self.items / cost.wall for cost in self.costs]


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure a block; the result is complete when the block is left."""
    cost = Cost()
    pid = [os.getpid()]
    cpu, wall = cpu_seconds(pid), time.perf_counter()
    yield cost
    cost.wall = time.perf_counter() - wall
    cost.cpu = cpu_seconds(pid) - cpu


def side_by_side(
    methods: Mapping[str, Callable[[], None]], items: int, repeat: int, log: Callable[[str], None]
) -> dict[str, Samples]:
    """Run all methods in turn, ``repeat`` times; once before that, unmeasured, so that all are warm."""
    samples = {name: Samples(items) for name in methods}
    for name, method in methods.items():
        log(f"warming up: {name}")
        method()
    for number in range(1, repeat + 1):
        for name, method in methods.items():
            log(f"{number} of {repeat}: {name}")
            with measured() as cost:
                method()
            samples[name].costs.append(cost)
    return samples


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Of at least one value."""
        return cls(median(values), min(values), max(values))


def ratio(of: list[float], to: list[float]) -> Spread:
    """Quotients of repetitions that ran side by side."""
    return Spread.of([one / other for one, other in zip(of, to, strict=True)])
