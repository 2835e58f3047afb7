"""Sends events to Kafka as it is told, with a bare producer set as the API's is; the answer says how it went."""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from itertools import islice

import orjson
from confluent_kafka import KafkaError, Message, Producer

from logsluice.demo.load_plan import QUANTILES, Load, events
from logsluice.kafka.options import librdkafka_options
from logsluice.settings import load_settings

_MOST_IN_FLIGHT = 20_000
_GROUPS = 200


class Sender:
    """A producer, and how long each group of events took."""

    def __init__(self) -> None:
        settings = load_settings()
        options = {"acks": "all", "enable.idempotence": True, "compression.type": "zstd", "linger.ms": 5}
        self._producer = Producer(librdkafka_options(settings) | options)
        self._topic = settings.kafka.topic
        self.latencies: list[float] = []
        self.in_flight = self.failures = 0

    def send(self, values: list[bytes]) -> None:
        """Hand events over at once."""
        while self.in_flight > _MOST_IN_FLIGHT:
            self._producer.poll(0.01)
        report = partial(self._report, time.perf_counter(), [len(values)])
        self.in_flight += len(values)
        for value in values:
            self._producer.produce(self._topic, value, on_delivery=report)
        self._producer.poll(0)

    def wait(self, seconds: float) -> None:
        """Collect reports meanwhile."""
        self._producer.poll(max(0.0, seconds))

    def finish(self) -> None:
        """Wait for every report."""
        self._producer.flush()

    def _report(self, started_at: float, left: list[int], error: KafkaError | None, _message: Message) -> None:
        self.in_flight -= 1
        self.failures += error is not None
        left[0] -= 1
        if not left[0]:
            self.latencies.append(time.perf_counter() - started_at)


def main() -> None:
    sender = Sender()
    for line in sys.stdin:
        request = json.loads(line)
        load = Load("", None, request["rate"], request["seconds"], request["size"], request["batch"], errors=0.05)
        values = [orjson.dumps(event) for event in islice(events(load, seed=7), _GROUPS * load.batch)]
        sender.latencies, sender.failures = [], 0
        started_at = time.perf_counter()
        groups = 0
        while (now := time.perf_counter() - started_at) < load.seconds:
            if (early := groups * load.batch / load.rate - now) > 0:
                sender.wait(early)
                continue
            first = groups % _GROUPS * load.batch
            sender.send(values[first : first + load.batch])
            groups += 1
        sender.finish()
        seconds = time.perf_counter() - started_at
        latencies = sorted(sender.latencies)
        shares = [latencies[min(len(latencies) - 1, int(share * len(latencies)))] for share in QUANTILES]
        answer = {"events": groups * load.batch, "failures": sender.failures, "seconds": seconds, "latencies": shares}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
