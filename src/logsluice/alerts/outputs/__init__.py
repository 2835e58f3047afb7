"""Outputs that notifications of alerts go to: each by itself, so that one that is down holds up no other."""
