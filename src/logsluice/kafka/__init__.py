"""Everything that talks to Kafka in its own protocol: clients, topics, offsets."""

from logsluice.kafka.clients import admin, consumer, is_unavailable, producer
from logsluice.kafka.offsets import (
    Offsets,
    commit_offsets,
    committed_offsets,
    earliest_offsets,
    lag,
    latest_offsets,
    starting_offsets,
)
from logsluice.kafka.options import client_options, spark_kafka_options
from logsluice.kafka.topics import Topic, TopicNotReadyError, describe_topic, wait_for_topic

__all__ = [
    "Offsets",
    "Topic",
    "TopicNotReadyError",
    "admin",
    "client_options",
    "commit_offsets",
    "committed_offsets",
    "consumer",
    "describe_topic",
    "earliest_offsets",
    "is_unavailable",
    "lag",
    "latest_offsets",
    "producer",
    "spark_kafka_options",
    "starting_offsets",
    "wait_for_topic",
]
