"""The windows job: what happened in every minute, by service."""
