"""What an event is: its identity, its place in Kafka, its fields in Elastic Common Schema, and its limits."""
