"""Files into Kafka, each event once, whatever is killed on the way."""
