"""What is made before the first event: topics, templates, users, Kibana's objects and compose's secrets."""
