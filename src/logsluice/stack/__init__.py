"""The local stack: Kafka and Elasticsearch from their jars, as child processes; no Docker, no installer."""
