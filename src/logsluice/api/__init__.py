"""The HTTP API: the way in for those who cannot speak Kafka, and the way out for people and programs.

One way: ``problems``, ``redis_store`` ← ``guard`` (authentication, rate limits) ← ``ingest``, ``query`` ← ``resources``
(what is opened for them) ← their routes ← ``application`` (all of it together) ← ``server`` (a process that listens).
"""
