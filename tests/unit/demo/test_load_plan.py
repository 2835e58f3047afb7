"""What load is made of."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.demo.load_plan import Load, events

LOAD = Load("http://127.0.0.1:8090", None, 100, 1, 200, 1, 0.05)


@given(st.integers(40, 2_000), st.floats(0, 1), st.integers())
def test_events_have_the_size_that_was_asked_for(size: int, errors: float, seed: int) -> None:
    load = Load(LOAD.url, None, 1, 1, size, 1, errors)
    for event in itertools.islice(events(load, seed), 20):
        assert len(event["message"]) == size
        assert event["level"] in ("error", "info")


def test_so_many_of_them_are_errors() -> None:
    load = Load(LOAD.url, None, 1, 1, 200, 1, 0.25)
    made = list(itertools.islice(events(load, 1), 4_000))
    assert 900 < sum(event["level"] == "error" for event in made) < 1_100
    assert len({event["message"] for event in made}) == len(made)


@pytest.mark.parametrize(
    ("rate", "batch", "users"), [(0.1, 1, 1), (5, 1, 1), (100, 1, 20), (20_000, 100, 40), (1e9, 1, 1_000)]
)
def test_there_are_clients_enough_for_the_rate_and_not_too_many(rate: float, batch: int, users: int) -> None:
    assert Load(LOAD.url, None, rate, 1, 200, batch, 0).users == users
