"""Queries over HTTP: events, facts and counts."""
