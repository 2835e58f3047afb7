from __future__ import annotations

import os
import signal
from threading import Event

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from logsluice.runtime.retry import RetryContext, StoppedError, retry_on_unavailable, stop_on_signals


class AwayError(Exception):
    pass


class Part:
    """AwayError for a number of calls."""

    def __init__(self, failures: int, error: type[Exception] = AwayError) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error("no route\n to it")
        return "answer"


def is_unavailable(error: BaseException) -> bool:
    return isinstance(error, AwayError)


def retries() -> float:
    return REGISTRY.get_sample_value("logsluice_retries_total", {"job": "test-back", "part": "kafka"}) or 0.0


def test_a_part_that_comes_back_is_waited_for_and_both_is_said() -> None:
    part = Part(2)
    before = retries()
    with capture_logs() as events:
        answer = retry_on_unavailable(part, is_unavailable, RetryContext("kafka", "127.0.0.1:1", "test-back"))
    assert (answer, part.calls) == ("answer", 3)
    assert [(entry["event"], entry["where"]) for entry in events] == [
        ("waiting for kafka", "127.0.0.1:1"),
        ("kafka answers again", "127.0.0.1:1"),
    ]
    assert events[0]["reason"] == "no route to it"
    assert retries() - before == 2


def test_a_part_that_answers_at_once_is_not_spoken_of() -> None:
    with capture_logs() as events:
        retry_on_unavailable(Part(0), is_unavailable, RetryContext("kafka", "x", "test"))
    assert events == []


def test_another_error_is_not_waited_out() -> None:
    part = Part(1, ValueError)
    with pytest.raises(ValueError, match="no route"):
        retry_on_unavailable(part, is_unavailable, RetryContext("kafka", "x", "test"))
    assert part.calls == 1


def test_a_wait_ends_when_the_process_is_to_stop() -> None:
    stop = Event()

    def fail_and_stop() -> None:
        stop.set()
        raise AwayError

    with pytest.raises(StoppedError):
        retry_on_unavailable(fail_and_stop, is_unavailable, RetryContext("elasticsearch", "x", "test", stop=stop))


def test_work_that_needs_no_waiting_is_done_though_the_process_is_to_stop() -> None:
    stop = Event()
    stop.set()
    assert retry_on_unavailable(Part(0), is_unavailable, RetryContext("kafka", "x", "test", stop=stop)) == "answer"


def test_a_first_signal_asks_and_a_second_ends() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        stop = stop_on_signals()
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
