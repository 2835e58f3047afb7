"""The local stack: Kafka and Elasticsearch from their jars, as child processes, with neither Docker nor an installer."""
