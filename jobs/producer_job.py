"""The demo producer: writes the log traffic of a made-up shop to Kafka, or posts it to the HTTP API."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from enum import StrEnum
from threading import Event
from typing import Annotated

import typer

from logsluice.demo.producing import ApiDestination, Destination, KafkaDestination, produce
from logsluice.demo.shop import SERVICES
from logsluice.demo.traffic import Burst, Profile, traffic
from logsluice.runtime.entrypoint import ConfigOption, run_job, start_job
from logsluice.runtime.retry import StoppedError
from logsluice.settings import Settings


class Via(StrEnum):
    """The ways events can go."""

    KAFKA = "kafka"
    API = "api"


def main(
    rate: Annotated[float, typer.Option(help="Events a second.")] = 50.0,
    error_rate: Annotated[float, typer.Option(help="Share of errors outside of bursts, 0 to 0.9.")] = 0.03,
    json_share: Annotated[float, typer.Option(help="Share of JSON events, 0 to 1.")] = 0.6,
    services: Annotated[str, typer.Option(help="Services that take part.")] = ",".join(SERVICES),
    burst_every: Annotated[float, typer.Option(help="Seconds between bursts of errors; 0 is none.")] = 0.0,
    burst_for: Annotated[float, typer.Option(help="Seconds a burst lasts.")] = 20.0,
    burst_factor: Annotated[float, typer.Option(help="How many times more errors in a burst.")] = 10.0,
    burst_service: Annotated[str, typer.Option(help="The service that is in trouble.")] = "payment",
    daily: Annotated[float, typer.Option(help="How much the rate sways over a day, 0 to 1.")] = 0.0,
    count: Annotated[int | None, typer.Option(min=0, help="Stop after so many events.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed repeats the same traffic.")] = None,
    start: Annotated[datetime | None, typer.Option(help="Time of the first event in UTC; now, where left out.")] = None,
    via: Annotated[Via, typer.Option(help="To Kafka itself, or over HTTP to the API.")] = Via.KAFKA,
    fast: Annotated[bool, typer.Option("--fast", help="Do not wait until an event is due.")] = False,
    config: ConfigOption = None,
) -> None:
    """Write the traffic of a made-up shop until SIGTERM, Ctrl-C, or the count."""
    job = start_job(config, lambda metrics: metrics.producer)
    profile = Profile(
        rate=rate,
        error_rate=error_rate,
        json_share=json_share,
        services=tuple(name.strip() for name in services.split(",") if name.strip()),
        burst=Burst(burst_service, burst_every, burst_for, burst_factor) if burst_every > 0 else None,
        daily=daily,
        count=count,
    )
    started_at = start.replace(tzinfo=UTC).timestamp() if start else time.time()
    events = traffic(seed if seed is not None else time.time_ns(), profile, started_at)
    with suppress(StoppedError), closing(_destination(via, job.settings, job.stop)) as destination:
        produce(events, destination, job.stop, paced=not fast)


def _destination(via: Via, settings: Settings, stop: Event) -> Destination:
    return ApiDestination(settings.api, stop) if via == Via.API else KafkaDestination(settings, stop)


if __name__ == "__main__":
    run_job(main)
