"""Everything that talks to Kafka in its own protocol: clients, topics, offsets."""
