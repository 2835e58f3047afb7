"""The HTTP API: the way in for those who cannot speak Kafka, and the way out for people and programs.

One way: ``problems``, ``shared`` (Redis) ← ``guard`` (who asks, and how often) ← ``ingest``, ``query`` (the routes) ←
``application`` (all of it together) ← ``serving`` (a process that listens).
"""
