"""Logstash's pipeline of an environment."""

from __future__ import annotations

from tests.shared.shared_folder import ROOT


def pipeline_files(environment: str) -> dict[str, str]:
    """The text of each file, as compose and the ConfigMap lay them into one folder."""
    files = [ROOT / "config" / environment / "logstash.conf", ROOT / "config" / "common" / "pipeline.conf"]
    return {file.name: file.read_text() for file in files}


def pipeline_text(environment: str) -> str:
    """What Logstash reads: the files of the folder, joined in the order of their names.

    Logstash 9.5, ``logstash-core/lib/logstash/config/source/local.rb`` (``ConfigPathLoader``), and
    ``org/logstash/config/ir/ConfigCompiler.java``: filters are chained in this order.
    """
    return "\n".join(text for _, text in sorted(pipeline_files(environment).items()))
