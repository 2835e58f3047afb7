"""Events on their way in: read, checked, handed to Kafka, and answered for when Kafka has them."""
