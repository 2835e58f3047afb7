"""The documents that the indices hold, made from records."""
