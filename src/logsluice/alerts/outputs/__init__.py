"""Whom alerts are told: each output by itself, so that one that is down holds up no other."""
