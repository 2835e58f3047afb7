"""Where events end up: Elasticsearch, and the dead letters for those that cannot."""
