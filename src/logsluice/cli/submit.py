"""``logsluice submit``: runs a job once on the cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from logsluice.errors import LogsluiceError
from logsluice.kubernetes.access import SPARK_NAMESPACE, cluster_client
from logsluice.kubernetes.applications import (
    Run,
    create,
    deployed_spec,
    driver_log_tail,
    follow,
    run_manifest,
    with_options,
)
from logsluice.runtime.retry import stop_on_signals
from logsluice.runtime.terminal import Terminal
from logsluice.runtime.time_expressions import parse_moment


def submit(
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job of the cluster, such as regex-job.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGUMENTS...]", help="More arguments of the job.")
    ] = None,
    mode: Annotated[str | None, typer.Option(metavar="MODE", help="The job's --mode, such as batch.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="For batch: events since then: 24h, 7d, or a UTC time.")
    ] = None,
    follow_it: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Stay until it has ended, and exit with 1 where it failed.")
    ] = True,
    namespace: Annotated[str, typer.Option(help="Where logsluice's Spark jobs run.")] = SPARK_NAMESPACE,
    context: Annotated[
        str | None, typer.Option(help="Context of the kubeconfig.", show_default="the current one")
    ] = None,
) -> None:
    """Run a job once on the cluster, from the manifest that runs it there, and come back with its outcome."""
    console = Terminal(soft_wrap=True)
    if since:
        # What the job would refuse only in its pod is refused here.
        parse_moment(since)
    options = [(name, value) for name, value in (("--mode", mode), ("--since", since)) if value is not None]
    name = job.replace("_", "-")
    with cluster_client(context) as api:
        spec = deployed_spec(api, name, namespace=namespace)
        words = with_options(spec.get("arguments", []), options) + (arguments or [])
        run = create(api, run_manifest(name, spec, words, namespace=namespace, now=datetime.now(UTC)))
        console.print(f"{namespace}/{run}: submitted, {' '.join(words)}")
        if not follow_it:
            return
        ended: Run | None = None
        for ended in follow(api, run, namespace=namespace, stop=stop_on_signals()):
            console.print(f"{namespace}/{run}: {ended.state.lower().replace('_', ' ')}")
        if ended is None or not ended.ended:
            console.print(f"it goes on; to end it: kubectl -n {namespace} delete sparkapplication {run}")
            raise typer.Exit(130)
        if not ended.succeeded:
            for line in driver_log_tail(api, ended, namespace=namespace):
                console.print(line)
            raise LogsluiceError("failed", where=f"{namespace}/{run}", why=ended.message or None)
