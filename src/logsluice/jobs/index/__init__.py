"""The index job: raw events and dead letters into their indices, where there is no Logstash."""
