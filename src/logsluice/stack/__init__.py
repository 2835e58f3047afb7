"""The local stack: Kafka and Elasticsearch from their jars, as child processes; no Docker, no installer."""

from logsluice.jvm.jars import jar_paths
from logsluice.stack.supervisor import LocalStack, Part, PartStatus

__all__ = ["LocalStack", "Part", "PartStatus", "jar_paths"]
