"""``logsluice manifest``: prints one Spark job of a rendered overlay."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
import yaml

from logsluice.errors import LogsluiceError
from logsluice.kubernetes.rendering import application_manifests, fill_placeholders


def manifest(
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job of the overlay, such as regex-job.")],
    image: Annotated[
        str | None, typer.Option(help="The workloads' image, where it is not the one that the overlay names.")
    ] = None,
    bucket: Annotated[str | None, typer.Option(help="The bucket that takes the place of logsluice-bucket.")] = None,
    region: Annotated[str | None, typer.Option(help="Its region, in place of logsluice-region.")] = None,
) -> None:
    """Pick one Spark job, with what it cannot start without, out of the manifests on standard input.

    `kubectl kustomize k8s/overlays/dev | logsluice manifest regex-job > regex-job.yaml`
    """
    try:
        objects = [item for item in yaml.safe_load_all(sys.stdin) if item]
    except yaml.YAMLError as error:
        raise LogsluiceError("is no YAML", where="standard input", why=str(error)) from None
    picked = application_manifests(objects, job.replace("_", "-"))
    yaml.safe_dump_all(
        fill_placeholders(picked, image=image, bucket=bucket, region=region), sys.stdout, sort_keys=False
    )
